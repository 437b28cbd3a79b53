from dataclasses import replace
from typing import cast

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from explorer.design import Task, cost, parse_name
from explorer.training.network import count as measure
from explorer.training.network.build import build, module_of
from explorer.training.network.count import CostMismatchError, check_cost, count
from explorer.training.network.modules import Bottleneck, PreactBottleneck
from explorer.training.streams import stream

SMALL = Task(channels=1, image_size=8, classes=10)


def test_fvcore_and_parameters_of_the_papers_networks_equal_the_closed_form() -> None:
    for name, macs in (
        ("50-1x64d", 4_089_184_256),
        ("50-32x4d", 4_230_479_872),
        ("29-1x64d", 748_365_824),
        ("29-32x4d", 774_055_936),
    ):
        architecture = parse_name(name)
        counted = check_cost(architecture, architecture.shape.task)
        assert counted.macs == macs
        assert counted.params == cost(architecture).params


def test_counting_leaves_the_networks_mode_alone_and_does_not_depend_on_it() -> None:
    network = module_of(parse_name("11-2x4d-w16"), SMALL)
    training, evaluating = count(network.train(), SMALL), count(network.eval(), SMALL)
    assert training == evaluating
    count(network.train(), SMALL)
    assert network.training


def test_imagenet_and_small_templates_are_built_as_costed() -> None:
    check_cost(parse_name("50-2x3d-w16"), Task(3, 33, 7))
    check_cost(parse_name("20-2x3d-w16-small"), SMALL)


def test_scores_have_one_row_per_image_and_one_column_per_class() -> None:
    network = build(parse_name("11-2x4d-w16"), SMALL, stream(0, "initialisation"))
    assert network(torch.zeros(3, 1, 8, 8)).shape == (3, 10)


def test_parameters_are_named_as_in_torchvision() -> None:
    names = set(module_of(parse_name("50-32x4d"), Task(3, 224, 1000)).state_dict())
    for name in (
        "conv1.weight",
        "bn1.running_mean",
        "layer1.0.conv2.weight",
        "layer1.0.downsample.0.weight",
        "layer1.0.downsample.1.weight",
        "layer4.2.bn3.num_batches_tracked",
        "fc.bias",
    ):
        assert name in names
    assert len(names) == 320


def test_the_middle_convolution_has_one_group_per_path() -> None:
    blocks = [module for module in module_of(parse_name("29-8x14d"), SMALL).modules() if isinstance(module, Bottleneck)]
    assert [block.conv2.groups for block in blocks] == [8] * 9
    assert [block.conv2.in_channels for block in blocks[::3]] == [112, 224, 448]


def test_initialisation_follows_the_seed_alone() -> None:
    architecture = parse_name("11-2x4d-w16")
    first, again, other = (
        build(architecture, SMALL, stream(seed, "initialisation")).state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["fc.weight"], other["fc.weight"])


def test_convolutions_start_with_the_papers_deviation() -> None:
    network = build(parse_name("29-32x4d"), Task(3, 32, 10), stream(0, "initialisation"))
    weight = network.get_parameter("layer3.0.conv2.weight")
    expected = (2 / (9 * 512)) ** 0.5
    assert abs(float(weight.detach().std()) / expected - 1) < 0.02


def squared_norm(init: str, name: str, of: str, gain: float = 1.0) -> float:
    """Mean squared length of a filter at the start."""
    architecture = parse_name(name)
    network = build(architecture, Task(3, 32, 10), stream(0, "initialisation"), init=init, init_gain=gain)
    return float(network.get_parameter(of).detach().square().sum(dim=(1, 2, 3)).mean())


@pytest.mark.parametrize(
    ("name", "init", "gain", "of", "expected"),
    [
        ("29-1x64d", "fan_out", 1, "layer2.1.conv2.weight", 2),
        ("29-32x4d", "fan_out", 1, "layer2.1.conv2.weight", 2 / 32),
        ("29-32x4d", "fan_out_groups", 1, "layer2.1.conv2.weight", 2),
        ("29-32x4d", "fan_in", 1, "layer2.1.conv2.weight", 2),
        ("29-1x64d", "fan_out", 0.25, "layer2.1.conv2.weight", 2 / 16),
        ("29-1x64d", "fan_out", 0.25, "conv1.weight", 3 * 2 / 64),  # the stem is of no block
        ("29-1x64d", "fan_out", 0.25, "layer2.1.conv3.weight", 2 * 128 / 512),  # 1x1
        ("29-32x4d", "fan_out_groups", 1, "layer2.1.conv3.weight", 2 * 256 / 512),
        ("29-32x4d", "fan_in", 1, "conv1.weight", 2),
        ("8-2x6d-alexnet_cifar", "fan_out", 0.5, "conv1.0.weight", 2 * 3 / 12),
        ("8-2x6d-alexnet_cifar", "fan_out", 0.5, "conv2.0.weight", 0.25 * 2 * 6 / 32),
    ],
)
def test_filters_start_with_the_norm_that_the_recipe_says(
    name: str, init: str, gain: float, of: str, expected: float
) -> None:
    assert squared_norm(init, name, of, gain) == pytest.approx(expected, rel=0.06)


def test_the_default_is_the_papers_to_the_bit_and_one_path_is_the_same_with_groups_divided() -> None:
    plain, groups = (
        build(parse_name("11-1x8d-w16"), SMALL, stream(0, "initialisation"), init=init).state_dict()
        for init in ("fan_out", "fan_out_groups")
    )
    generator = stream(0, "initialisation")
    first = torch.nn.init.kaiming_normal_(
        torch.empty_like(plain["conv1.weight"]), mode="fan_out", nonlinearity="relu", generator=generator
    )
    assert torch.equal(plain["conv1.weight"], first)
    assert all(torch.equal(plain[key], groups[key]) for key in plain)
    several = (
        build(parse_name("11-2x4d-w16"), SMALL, stream(0, "initialisation"), init=init).state_dict()
        for init in ("fan_out", "fan_out_groups")
    )
    first_weights, second_weights = several
    different = {key for key in first_weights if not torch.equal(first_weights[key], second_weights[key])}
    assert different == {key for key in first_weights if key.endswith(".conv2.weight")}


def test_blocks_that_start_as_identity_have_a_last_scale_of_zero() -> None:
    network = build(parse_name("11-2x4d-w16"), SMALL, stream(0, "initialisation"), zero_init_residual=True)
    scales = [module.bn3.weight for module in network.modules() if isinstance(module, Bottleneck)]
    assert all(not scale.any() for scale in scales)


def test_a_network_that_differs_from_its_formula_is_a_mismatch(monkeypatch: pytest.MonkeyPatch) -> None:
    right = cost(parse_name("11-2x4d-w16"), SMALL)
    monkeypatch.setattr(measure, "cost", lambda architecture, task: replace(right, macs=right.macs + 1))
    with pytest.raises(CostMismatchError, match=r"11-2x4d-w16: closed form \d+ params, \d+ MACs; built network"):
        check_cost(parse_name("11-2x4d-w16"), SMALL)


def reference(state: dict[str, Tensor], images: Tensor, groups: int) -> Tensor:
    """ResNeXt-50 as torchvision lays its keys out, written down again from these keys alone, in evaluation mode."""

    def norm(name: str, maps: Tensor) -> Tensor:
        mean, variance, weight, bias = (
            state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(maps, mean, variance, weight, bias)

    maps = F.relu(norm("bn1", F.conv2d(images, state["conv1.weight"], stride=2, padding=3)))
    maps = F.max_pool2d(maps, 3, 2, 1)
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            inner = F.relu(norm(f"{name}.bn1", F.conv2d(maps, state[f"{name}.conv1.weight"])))
            inner = F.conv2d(inner, state[f"{name}.conv2.weight"], stride=stride, padding=1, groups=groups)
            inner = F.conv2d(F.relu(norm(f"{name}.bn2", inner)), state[f"{name}.conv3.weight"])
            if block == 0:
                maps = norm(f"{name}.downsample.1", F.conv2d(maps, state[f"{name}.downsample.0.weight"], stride=stride))
            maps = F.relu(norm(f"{name}.bn3", inner) + maps)
    return F.linear(maps.mean(dim=(2, 3)), state["fc.weight"], state["fc.bias"])


def test_a_state_dict_in_torchvisions_layout_loads_strictly_and_computes_the_same() -> None:
    task = Task(3, 64, 1000)
    network = build(parse_name("resnext50_32x4d"), task, stream(0, "initialisation"))
    names = {"conv1.weight", "fc.weight", "fc.bias"} | {f"bn1.{part}" for part in NORM}
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            for number in (1, 2, 3):
                names |= {f"layer{stage}.{block}.conv{number}.weight"}
                names |= {f"layer{stage}.{block}.bn{number}.{part}" for part in NORM}
        names |= {f"layer{stage}.0.downsample.0.weight"} | {f"layer{stage}.0.downsample.1.{part}" for part in NORM}
    generator = torch.Generator().manual_seed(1)
    foreign = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert set(foreign) == names
    for name, tensor in foreign.items():
        if name.endswith("running_mean"):
            tensor.normal_(generator=generator)
        elif name.endswith(("running_var", "bn1.weight", "bn2.weight", "bn3.weight")):
            tensor.uniform_(0.5, 1.5, generator=generator)
    network.load_state_dict(foreign, strict=True)
    images = torch.randn(2, 3, 64, 64, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(images), reference(foreign, images, 32), rtol=1e-4, atol=1e-4)


NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def normed(state: dict[str, Tensor], name: str, maps: Tensor) -> Tensor:
    mean, variance, weight, bias = (
        state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return F.batch_norm(maps, mean, variance, weight, bias)


def descendant(state: dict[str, Tensor], images: Tensor, groups: int) -> Tensor:
    """timm's seresnext50d or ecaresnext50d, written down again from its keys alone, in evaluation mode."""
    maps = images
    for number, stride in ((0, 2), (3, 1)):
        maps = F.conv2d(maps, state[f"conv1.{number}.weight"], stride=stride, padding=1)
        maps = F.relu(normed(state, f"conv1.{number + 1}", maps))
    maps = F.relu(normed(state, "bn1", F.conv2d(maps, state["conv1.6.weight"], padding=1)))
    maps = F.max_pool2d(maps, 3, 2, 1)
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            inner = F.relu(normed(state, f"{name}.bn1", F.conv2d(maps, state[f"{name}.conv1.weight"])))
            inner = F.conv2d(inner, state[f"{name}.conv2.weight"], stride=stride, padding=1, groups=groups)
            inner = F.conv2d(F.relu(normed(state, f"{name}.bn2", inner)), state[f"{name}.conv3.weight"])
            inner = normed(state, f"{name}.bn3", inner)
            means = inner.mean(dim=(2, 3))
            if f"{name}.se.conv.weight" in state:
                kernel = state[f"{name}.se.conv.weight"]
                scores = F.conv1d(means[:, None], kernel, padding=kernel.shape[-1] // 2)[:, 0]
            else:
                first, second = (state[f"{name}.se.fc{part}.weight"].flatten(1) for part in (1, 2))
                scores = F.linear(F.relu(F.linear(means, first, state[f"{name}.se.fc1.bias"])), second)
                scores = scores + state[f"{name}.se.fc2.bias"]
            inner = inner * torch.sigmoid(scores)[:, :, None, None]
            if block == 0:
                if stride == 2:
                    maps = F.avg_pool2d(maps, 2, 2, ceil_mode=True, count_include_pad=False)
                maps = normed(state, f"{name}.downsample.2", F.conv2d(maps, state[f"{name}.downsample.1.weight"]))
            maps = F.relu(inner + maps)
    return F.linear(maps.mean(dim=(2, 3)), state["fc.weight"], state["fc.bias"])


@pytest.mark.parametrize("name", ["seresnext50d_32x4d", "50-32x4d-deep-pool-eca"])
def test_stem_shortcut_and_attention_are_laid_out_as_timms_and_compute_the_same(name: str) -> None:
    task = Task(3, 72, 10)  # maps of 18, 9 and 5 pixels: the last ones of a row are averaged alone
    network = build(parse_name(name), task, stream(0, "initialisation"))
    state, generator = network.state_dict(), torch.Generator().manual_seed(1)
    for key, tensor in state.items():
        if key.endswith("running_mean"):
            tensor.normal_(generator=generator)
        elif tensor.dim() == 1 and tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5, generator=generator)
    images = torch.randn(2, 3, 72, 72, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(images), descendant(state, images, 32), rtol=1e-4, atol=1e-4)


def scaled(state: dict[str, Tensor], images: Tensor, stride: int) -> Tensor:
    """A block of timm's Res2Net, written down again from its keys alone, in evaluation mode: 4 groups of 2 paths."""
    groups = F.relu(normed(state, "bn1", F.conv2d(images, state["conv1.weight"]))).chunk(4, dim=1)
    found: list[Tensor] = []
    for place, group in enumerate(groups[:-1]):
        given = group if stride == 2 or not found else group + found[-1]
        maps = F.conv2d(given, state[f"convs.{place}.weight"], stride=stride, padding=1, groups=2)
        found.append(F.relu(normed(state, f"bns.{place}", maps)))
    last = F.avg_pool2d(groups[-1], 3, 2, 1) if stride == 2 else groups[-1]
    inner = normed(state, "bn3", F.conv2d(torch.cat([*found, last], dim=1), state["conv3.weight"]))
    if stride == 2:
        images = normed(state, "downsample.1", F.conv2d(images, state["downsample.0.weight"], stride=2))
    return F.relu(inner + images)


@pytest.mark.parametrize(("block", "stride"), [("layer2.0", 2), ("layer2.1", 1)])
def test_groups_of_a_scaled_block_feed_each_other_but_in_the_first_block_of_a_stage(block: str, stride: int) -> None:
    network = build(parse_name("14-2x3d-w16-s4-b1.2.1"), Task(3, 9, 10), stream(0, "initialisation")).eval()
    own = cast(Bottleneck, network.get_submodule(block))
    images = torch.rand(2, own.conv1.in_channels, 9, 9)
    with torch.no_grad():
        torch.testing.assert_close(own(images), scaled(own.state_dict(), images, stride), rtol=1e-5, atol=1e-5)


def test_a_padded_shortcut_passes_every_second_pixel_on_and_adds_zeros() -> None:
    network = module_of(parse_name("8-1x4d-w4-pad-cifar_basic"), Task(3, 9, 10))
    shortcut = network.get_submodule("layer2.0.downsample")
    assert not list(shortcut.parameters())
    maps = torch.randn(2, 4, 9, 9)
    found = shortcut(maps)
    assert torch.equal(found[:, :4], maps[:, :, ::2, ::2])
    assert found.shape == (2, 8, 5, 5)
    assert not found[:, 4:].any()


def test_features_of_any_stage_can_be_taken_and_lead_to_the_scores() -> None:
    network = module_of(parse_name("50-2x4d-w64"), Task(3, 64, 10)).eval()
    images = torch.randn(2, 3, 64, 64)
    maps = network.features(images)
    shapes = {name: tuple(found.shape) for name, found in maps.items()}
    assert shapes == {
        "conv2": (2, 64, 16, 16),
        "conv3": (2, 128, 8, 8),
        "conv4": (2, 256, 4, 4),
        "conv5": (2, 512, 2, 2),
    }
    torch.testing.assert_close(network.fc(maps["conv5"].mean(dim=(2, 3))), network(images))
    assert list(
        module_of(parse_name("8-2x12d-alexnet_cifar"), Task(3, 32, 10)).features(torch.zeros(1, 3, 32, 32))
    ) == [f"conv{number}" for number in range(1, 6)]


def test_a_sum_of_two_layer_paths_equals_one_dense_basic_block() -> None:
    """ResNeXt paper, figure 4: so cardinality has no meaning at depth two."""
    generator = torch.Generator().manual_seed(0)
    first = [torch.randn(5, 16, 3, 3, generator=generator, dtype=torch.double) for _ in range(4)]
    second = [torch.randn(24, 5, 3, 3, generator=generator, dtype=torch.double) for _ in range(4)]
    images = torch.randn(2, 16, 9, 9, generator=generator, dtype=torch.double)
    paths = [
        F.conv2d(F.relu(F.conv2d(images, one, padding=1)), two, padding=1)
        for one, two in zip(first, second, strict=True)
    ]
    dense = F.conv2d(F.relu(F.conv2d(images, torch.cat(first), padding=1)), torch.cat(second, dim=1), padding=1)
    torch.testing.assert_close(torch.stack(paths).sum(dim=0), dense, rtol=0, atol=1e-10)


def test_a_preactivated_block_adds_its_raw_input_and_ends_without_relu() -> None:
    network = build(parse_name("14-2x4d-w16-b2.1.1-preact"), SMALL, stream(0, "initialisation"))
    block = network.get_submodule("layer1.1")
    assert isinstance(block, PreactBottleneck)
    torch.nn.init.zeros_(block.conv3.weight)
    images = torch.randn(2, 16, 8, 8)
    assert torch.equal(block(images), images)


def test_the_stem_normalises_for_the_first_block_only_where_it_pools() -> None:
    """As in fb.resnet.torch: one batch norm between the stem and the first 1x1, and one before the pooling."""
    cifar = set(module_of(parse_name("11-2x4d-preact"), SMALL).state_dict())
    imagenet = set(module_of(parse_name("50-2x4d-preact"), Task(3, 64, 10)).state_dict())
    assert "bn1.weight" not in cifar
    assert "layer1.0.bn1.weight" in cifar
    assert "bn1.weight" in imagenet
    assert "layer1.0.bn1.weight" not in imagenet
    assert "bn_last.weight" in cifar & imagenet
    assert not any(name.startswith("layer1.0.downsample.1") for name in cifar | imagenet)


def test_a_plain_network_adds_nothing_and_still_starts_alive() -> None:
    network = build(parse_name("11-2x4d-w16-plain"), SMALL, stream(0, "initialisation"), zero_init_residual=True)
    assert not any("downsample" in name for name in network.state_dict())
    scores = network(torch.randn(4, 1, 8, 8))
    assert scores.std() > 0


def test_an_inception_block_has_four_unlike_paths() -> None:
    network = module_of(parse_name("11-4x6d-w16-inception"), SMALL)
    block = network.get_submodule("layer1.0")
    kernels = [
        [
            module.kernel_size
            for module in block.get_submodule(f"branch{path}").modules()
            if hasattr(module, "kernel_size")
        ]
        for path in (1, 2, 3, 4)
    ]
    assert kernels == [[(1, 1)], [(1, 1), (3, 3)], [(1, 1), (5, 5)], [3, (1, 1)]]


def test_alexnets_groups_are_those_of_its_paper() -> None:
    layers = [
        module
        for module in module_of(parse_name("alexnet"), Task(3, 224, 1000)).modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    assert [(layer.out_channels, layer.groups) for layer in layers] == [(96, 1), (256, 2), (384, 1), (384, 2), (256, 2)]
