from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.design import Task, cost, parse_name
from explorer.training import measure
from explorer.training.measure import CostMismatchError, check_cost, count
from explorer.training.network import Bottleneck, ResNeXt, build
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
        assert counted.fvcore_macs == macs
        assert counted.params == cost(architecture).params


def test_counting_leaves_the_networks_mode_alone_and_does_not_depend_on_it() -> None:
    network = ResNeXt(parse_name("11-2x4d-w16"), SMALL)
    training, evaluating = count(network.train(), SMALL), count(network.eval(), SMALL)
    assert training == evaluating
    count(network.train(), SMALL)
    assert network.training


@settings(max_examples=40, deadline=None)
@given(
    name=st.builds(
        "{}-{}x{}d-w{}-k{}{}".format,
        st.sampled_from([11, 20]),
        st.integers(1, 5),
        st.integers(1, 6),
        st.sampled_from([4, 8, 20]),
        st.sampled_from([1, 3, 5]),
        st.just(""),
    ),
    task=st.builds(Task, st.integers(1, 4), st.integers(4, 19), st.integers(2, 12)),
)
def test_the_closed_form_equals_the_built_network_for_any_shape(name: str, task: Task) -> None:
    architecture = parse_name(name)
    check_cost(architecture, task)
    network, activations = ResNeXt(architecture, task).eval(), []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda module, given, output: activations.append(output.numel()))
    network(torch.zeros(1, task.channels, task.image_size, task.image_size))
    assert sum(activations) == cost(architecture, task).activations


def test_imagenet_and_small_templates_are_built_as_costed() -> None:
    check_cost(parse_name("50-2x3d-w16"), Task(3, 33, 7))
    check_cost(parse_name("20-2x3d-w16-small"), SMALL)


def test_scores_have_one_row_per_image_and_one_column_per_class() -> None:
    network = build(parse_name("11-2x4d-w16"), SMALL, stream(0, "initialisation"))
    assert network(torch.zeros(3, 1, 8, 8)).shape == (3, 10)


def test_parameters_are_named_as_in_torchvision() -> None:
    names = set(ResNeXt(parse_name("50-32x4d"), Task(3, 224, 1000)).state_dict())
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
    blocks = [module for module in ResNeXt(parse_name("29-8x14d"), SMALL).modules() if isinstance(module, Bottleneck)]
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


def test_blocks_that_start_as_identity_have_a_last_scale_of_zero() -> None:
    network = build(parse_name("11-2x4d-w16"), SMALL, stream(0, "initialisation"), zero_init_residual=True)
    scales = [module.bn3.weight for module in network.modules() if isinstance(module, Bottleneck)]
    assert all(not scale.any() for scale in scales)


def test_a_network_that_differs_from_its_formula_is_a_mismatch(monkeypatch: pytest.MonkeyPatch) -> None:
    right = cost(parse_name("11-2x4d-w16"), SMALL)
    monkeypatch.setattr(measure, "cost", lambda architecture, task: replace(right, macs=right.macs + 1))
    with pytest.raises(CostMismatchError, match=r"11-2x4d-w16: closed form \d+ params, \d+ MACs; built network"):
        check_cost(parse_name("11-2x4d-w16"), SMALL)
