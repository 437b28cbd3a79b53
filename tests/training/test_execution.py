"""The same function of the same weights, executed in another way."""

import random
from dataclasses import replace
from itertools import count

import pytest
import torch
from torch import nn

from explorer.design import Task, parse_name
from explorer.design.grouped import GroupedConv, grouped_convs
from explorer.study.plan import plan_of
from explorer.study.run import Convolution, Execution, Run
from explorer.study.runs import own_execution, runs_of
from explorer.study.settings import StudyConfig
from explorer.training import forms_timing as fastest_module
from explorer.training.forms_timing import candidates, fastest, training_speed, training_speeds
from explorer.training.images.split import load
from explorer.training.loop import train
from explorer.training.network.build import build
from explorer.training.network.prepare import MergedConv2d, exchange, merged, padded, prepare, unpadded

PLAIN = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20)
TASK = Task(channels=3, image_size=16, classes=5)


def network(name: str, seed: int = 0) -> nn.Module:
    return build(parse_name(name), TASK, torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("name", ["11-8x2d-w32", "11-8x4d-w32-preact", "20-12x2d-w32-k5"])
@pytest.mark.parametrize("layout", ["same", "contiguous", "channels_last", "padded"])
@pytest.mark.parametrize("kind", ["native", "half", "dense"])
@pytest.mark.parametrize("order", ["channels_last", "contiguous"])
def test_every_execution_gives_the_same_scores_and_gradients(name: str, layout: str, kind: str, order: str) -> None:
    plain, other = network(name), network(name)
    shapes = grouped_convs(parse_name(name), TASK)
    choices = tuple(
        Convolution(shape.key, {"native": shape.groups, "half": shape.mergers("cpu")[1], "dense": 1}[kind], layout)
        for shape in shapes
    )
    state = {key: tensor.clone() for key, tensor in other.state_dict().items()}
    other = prepare(other, replace(PLAIN, convolutions=choices, layout=order), TASK)
    exchanged = [module for module in other.modules() if isinstance(module, MergedConv2d)]
    assert len(exchanged) == sum(shapes.values())
    assert {module.executed_groups for module in exchanged} == {choice.groups for choice in choices}
    assert list(other.state_dict()) == list(state)
    assert all(torch.equal(tensor, state[key]) for key, tensor in other.state_dict().items())
    images = torch.randn(6, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    scores, others = plain(images), other(images)
    assert torch.allclose(scores, others, rtol=0, atol=1e-10)
    for found in (scores, others):
        found.square().sum().backward()
    for one, two in zip(plain.parameters(), other.parameters(), strict=True):
        assert one.grad is not None
        assert two.grad is not None
        assert torch.allclose(one.grad, two.grad, rtol=1e-9, atol=1e-9)


def test_a_merged_weight_stands_in_blocks_on_the_diagonal() -> None:
    weight = torch.arange(1.0, 9.0).view(4, 2, 1, 1)  # four outputs, two inputs each: two groups
    assert merged(weight, 2, 1)[:, :, 0, 0].tolist() == [[1, 2, 0, 0], [3, 4, 0, 0], [0, 0, 5, 6], [0, 0, 7, 8]]
    assert merged(weight, 2, 2) is weight


@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format])
def test_padded_groups_are_multiples_of_eight_channels_in_the_order_of_the_maps(order: torch.memory_format) -> None:
    maps = torch.randn(2, 42, 3, 3).contiguous(memory_format=order)
    wide = padded(maps, 3)
    assert wide.is_contiguous(memory_format=order)
    assert wide.shape == (2, 48, 3, 3)
    groups = wide.reshape(2, 3, 16, 3, 3)
    assert torch.equal(groups[:, :, :14], maps.reshape(2, 3, 14, 3, 3))
    assert not groups[:, :, 14:].any()
    assert unpadded(wide, 3, 14).is_contiguous(memory_format=order)
    assert torch.equal(unpadded(wide, 3, 14), maps)
    assert padded(torch.randn(2, 32, 3, 3), 2).shape == (2, 32, 3, 3)


@pytest.mark.parametrize("layout", ["same", "contiguous", "channels_last", "padded"])
@pytest.mark.parametrize("given", [torch.channels_last, torch.contiguous_format])
def test_a_convolution_gives_its_maps_in_the_order_in_which_it_was_given_them(
    layout: str, given: torch.memory_format
) -> None:
    maps = torch.randn(2, 12, 5, 5).contiguous(memory_format=given)
    conv = nn.Conv2d(12, 18, 3, 2, 1, groups=3)
    expected = conv(maps)
    exchange(conv, Convolution("", 3, layout))
    assert torch.allclose(conv(maps), expected, atol=1e-5)
    assert conv(maps).is_contiguous(memory_format=given)


def test_the_order_of_a_network_is_that_of_its_maps() -> None:
    for layout, order in (("channels_last", torch.channels_last), ("contiguous", torch.contiguous_format)):
        given: list[torch.Tensor] = []
        prepared = prepare(network("11-8x2d-w32"), replace(PLAIN, layout=layout), TASK)
        for module in prepared.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(lambda _, inputs, maps, given=given: given.append(maps))
        images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
        prepared(images.contiguous(memory_format=torch.channels_last))
        assert len(given) > 10
        assert all(maps.is_contiguous(memory_format=order) for maps in given)


def test_mergers_halve_the_groups_and_end_dense_where_that_is_small() -> None:
    assert GroupedConv(128, 128, 3, 1, 32, 32).mergers("cpu") == (32, 16, 8, 4, 2, 1)
    assert GroupedConv(96, 96, 3, 1, 12, 32).mergers("cpu") == (12, 6, 3, 1)
    assert GroupedConv(512, 512, 3, 1, 32, 8).mergers("cpu") == (32, 16, 8)
    assert GroupedConv(12, 12, 3, 1, 3, 8).mergers("cpu") == (3, 1)
    assert GroupedConv(512, 512, 3, 1, 32, 8).mergers("cuda") == (32, 16, 8, 4, 2, 1)
    assert GroupedConv(1024, 1024, 3, 1, 32, 8).mergers("cuda") == (32, 16, 8, 4)


def test_on_a_gpu_either_order_and_padded_groups_are_tried_too() -> None:
    shape = GroupedConv(112, 112, 3, 1, 8, 32)

    def tried(**changes: str) -> list[tuple[int, str]]:
        found = candidates(shape, replace(PLAIN, **changes))  # type: ignore[arg-type]
        return [(one.groups, one.layout) for one in found]

    merged = [(8, "same"), (4, "same"), (2, "same"), (1, "same")]
    padded = [(8, "padded"), (4, "padded")]  # 14 and 28 channels a group; 56 need none
    assert tried(device="cuda") == [*merged, (8, "contiguous"), *padded]
    assert tried(device="cuda", layout="contiguous") == [*merged, (8, "channels_last"), *padded]
    assert [one for one in tried() if one[1] != "kernel"] == [
        (8, "same"),
        (4, "same"),
        (2, "same"),
        (1, "same"),
        (8, "contiguous"),
    ]


def test_a_form_is_described_for_people() -> None:
    told = [
        Convolution("112>112_k3_s1_g8_32px", groups, layout).described(8)
        for groups, layout in ((8, "same"), (4, "padded"), (1, "contiguous"), (8, "channels_last"))
    ]
    assert told == [
        "112>112_k3_s1_g8_32px as it is",
        "112>112_k3_s1_g8_32px as 4 groups, padded to a multiple of 8 channels a group",
        "112>112_k3_s1_g8_32px dense, contiguous",
        "112>112_k3_s1_g8_32px as it is, channels last",
    ]


@pytest.mark.parametrize("name", ["11-8x2d-w32", "8-2x48d-alexnet", "50-32x4d", "11-4x3d-w16-preact"])
def test_shapes_are_those_of_the_built_network(name: str) -> None:
    architecture = parse_name(name)
    task = architecture.shape.task
    built = build(architecture, task, torch.Generator()).to("meta")
    found: list[tuple[int, ...]] = []
    for module in built.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            module.register_forward_pre_hook(
                lambda conv, inputs: found.append(
                    (
                        conv.in_channels,
                        conv.out_channels,
                        conv.kernel_size[0],
                        conv.stride[0],
                        conv.groups,
                        inputs[0].shape[-1],
                    )
                )
            )
    built.eval()(torch.empty(1, task.channels, task.image_size, task.image_size, device="meta"))
    shapes = grouped_convs(architecture, task)
    expected = [
        (shape.in_width, shape.width, shape.kernel_size, shape.stride, shape.groups, shape.map_size)
        for shape, number in shapes.items()
        for _ in range(number)
    ]
    assert sorted(found) == sorted(expected)
    assert found


def test_dense_networks_and_paths_that_are_no_groups_have_no_shape() -> None:
    assert not grouped_convs(parse_name("11-1x8d-w32"), TASK)
    assert not grouped_convs(parse_name("11-4x4d-w16-inception"), TASK)


def test_bfloat16_trains_with_scores_and_weights_in_float32() -> None:
    execution = replace(PLAIN, precision="bfloat16")
    prepared = prepare(network("11-8x2d-w32").float(), execution, TASK)
    with torch.autocast("cpu", torch.bfloat16):
        scores = prepared(torch.randn(4, 3, 16, 16))
    assert scores.dtype == torch.float32
    scores.sum().backward()
    assert {parameter.grad.dtype for parameter in prepared.parameters()} == {torch.float32}  # type: ignore[union-attr]


@pytest.fixture
def run(tiny: StudyConfig) -> Run:
    return runs_of(plan_of(tiny), plan_of(tiny).settings, PLAIN, load(tiny.data).digest)[1][1]


def test_a_run_obeys_its_plan_and_gives_nearly_the_same_curve(run: Run) -> None:
    def losses(execution: Execution) -> list[float]:
        found: list[float] = []
        train(replace(run, execution=execution), lambda result: found.append(result.loss))
        return found

    plain = losses(run.execution)
    dense = tuple(Convolution(shape.key, 1) for shape in grouped_convs(run.architecture, run.task))
    assert dense
    assert losses(replace(run.execution, convolutions=dense)) == pytest.approx(plain, rel=1e-4)
    rounded = losses(replace(run.execution, precision="bfloat16"))
    assert rounded == pytest.approx(plain, rel=0.05)
    assert rounded != plain


def test_a_plan_is_cut_to_the_settings_own_convolutions(tiny: StudyConfig) -> None:
    first, second = plan_of(tiny).settings
    shapes = list(
        grouped_convs(second.architecture, first_task := runs_of(plan_of(tiny), (second,), PLAIN, "")[0][1].task)
    )
    choices = [Convolution(shape.key, 1) for shape in shapes] + [Convolution("64>64_k3_s1_g2_8px", 1)]
    plan = replace(PLAIN, convolutions=tuple(choices))
    assert own_execution(plan, first, first_task).convolutions == ()
    assert {choice.layer for choice in own_execution(plan, second, first_task).convolutions} == {s.key for s in shapes}
    native = replace(PLAIN, convolutions=tuple(Convolution(shape.key, shape.groups) for shape in shapes))
    assert own_execution(native, second, first_task) == PLAIN


def test_the_fastest_execution_is_found_and_rarely_used_shapes_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    often, rarely = GroupedConv(16, 16, 3, 1, 8, 8), GroupedConv(16, 16, 3, 1, 4, 8)
    seconds = {8: 3.0, 4: 1.0, 2: 2.0, 1: 4.0}

    def timed(shape: GroupedConv, choice: Convolution, execution: Execution) -> object:
        run = lambda: None  # noqa: E731 - it carries its own time
        run.seconds = seconds[choice.groups] * (2 if choice.layout == "contiguous" else 1)  # type: ignore[attr-defined]
        return run

    monkeypatch.setattr(fastest_module, "form_pass", timed)
    monkeypatch.setattr(fastest_module, "timed", lambda run, device: run.seconds)
    found = fastest({often: 10_000, rarely: 100}, PLAIN)
    assert found.convolutions == (Convolution(often.key, 4), Convolution(rarely.key, 4))
    assert found.unmeasured == (rarely.key,)
    seconds |= {4: 2.95, 2: 2.95}  # within the clock's noise of the convolution as it is
    assert fastest({often: 10_000}, PLAIN).convolutions == (Convolution(often.key, 8),)
    assert fastest({often: 10_000}, PLAIN).unmeasured == ()


def test_a_form_is_chosen_only_where_it_is_clearly_faster_and_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = GroupedConv(16, 16, 3, 1, 8, 8)
    monkeypatch.setattr(fastest_module, "form_pass", lambda shape, choice, execution: lambda: None)
    busy = random.Random(0)
    monkeypatch.setattr(fastest_module, "timed", lambda one, device: busy.lognormvariate(0, 1))
    for limit in (1e9, 0.0):
        found = fastest({shape: 10_000}, PLAIN, limit)
        assert (found.convolutions, found.unmeasured) == ((Convolution(shape.key, 8),), (shape.key,))


def test_real_measurements_choose_among_what_is_allowed() -> None:
    shape = GroupedConv(16, 16, 3, 1, 8, 8)
    (choice,) = fastest({shape: 10**6}, PLAIN).convolutions
    assert choice.groups in shape.mergers("cpu")
    assert choice.layer == shape.key


def test_speeds_are_measured_in_turns(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []

    def noted(run: Run) -> object:
        return lambda: turns.append(run.execution.precision)

    monkeypatch.setattr(fastest_module, "_step", noted)
    other = replace(run, execution=replace(run.execution, precision="bfloat16"))
    now = count()
    monkeypatch.setattr("explorer.training.forms_timing.time.perf_counter", lambda: float(next(now)))
    speeds, _ = training_speeds([run, other], 0.0)
    assert turns == ["float32"] * 2 + ["bfloat16"] * 2 + ["float32", "bfloat16"] * 5
    assert speeds == ((20.0,) * 5,) * 2


@pytest.mark.parametrize(("alone", "limit", "taken"), [(False, 2.5, (2, 0)), (False, 8.0, (4, 1)), (True, 0.5, (0, 1))])
def test_no_speed_is_measured_for_longer_than_is_allowed(
    run: Run, monkeypatch: pytest.MonkeyPatch, alone: bool, limit: float, taken: tuple[int, int]
) -> None:
    """Looking at the clock takes a second here; `taken` are steps to warm up, and turns."""
    steps: list[Run] = []
    monkeypatch.setattr(fastest_module, "_step", lambda run: lambda: steps.append(run))
    now = count()
    monkeypatch.setattr("explorer.training.forms_timing.time.perf_counter", lambda: float(next(now)))
    runs = [run] if alone else [run, run]
    speeds, _ = training_speeds(runs, 100.0, limit)
    assert {len(own) for own in speeds} == {taken[1]}
    assert len(steps) == taken[0] + taken[1] * len(runs)


def test_speeds_that_vary_more_than_they_differ_are_measured_longer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastest_module, "_step", lambda run: lambda: None)
    busy = random.Random(0)
    monkeypatch.setattr(fastest_module, "timed", lambda one, device: busy.lognormvariate(0, 1))
    speeds, _ = training_speeds([run, run], 0.0)
    assert len(speeds[0]) == fastest_module.MOST_TURNS


def test_a_speed_is_positive_and_leaves_the_streams_alone(run: Run) -> None:
    state = torch.get_rng_state()
    speed, peak = training_speed(run, 0.01)
    assert speed > 0
    assert peak == 0
    torch.set_rng_state(state)
