"""What must hold on a GPU.

Without one all is skipped, unless CHECK_DEVICE=cpu asks for those cases that a CPU can try: then all is done on it.
The prepared run on a GPU machine (benchmarks/gpu) starts these tests by themselves.
"""

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from explorer.design import Task, parse_name
from explorer.design.block import BLOCKS
from explorer.design.grouped import GroupedConv, grouped_convs
from explorer.host.machine import fix_cublas_workspace
from explorer.study.run import Convolution, EpochResult, Execution, Run
from explorer.study.settings import DataConfig, Recipe
from explorer.training import replayed
from explorer.training.checkpoint import Checkpointing
from explorer.training.device import timed
from explorer.training.forms_timing import fastest, form_pass
from explorer.training.images.split import load
from explorer.training.loop import Steps, StoppedError, deterministic, epoch_steps, ready, step, train
from explorer.training.network import kernels
from explorer.training.network.build import build
from explorer.training.network.fused import fuse
from explorer.training.network.modules import NormReLU
from explorer.training.network.prepare import prepare

ASKED = os.environ.get("CHECK_DEVICE")
DEVICE = ASKED or "cuda"
GPU = pytest.mark.skipif(DEVICE != "cuda", reason=f"needs a GPU, and CHECK_DEVICE={DEVICE}")
pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(
        not ASKED and not torch.cuda.is_available(), reason="needs a GPU; CHECK_DEVICE=cpu tries it on a CPU"
    ),
]
TASK = Task(channels=3, image_size=16, classes=5)
DIGITS = DataConfig("digits", "Digits", 1, 8, 10, 200, 100, 200, 0)
RECIPE = Recipe(2, 20, 0.05, "one_cycle", 0.2, (), 0.9, True, 5e-4, 0.0, 1, True, False)
# A design of each block that there is.
DESIGNS = {
    "bottleneck": "11-4x4d-w32",
    "preact": "11-4x4d-w32-preact",
    "basic": "20-1x16d-w32-basic",
    "preact_basic": "10-1x16d-w16-preact_basic-wide",
    "inception": "11-4x8d-w32-inception",
    "alexnet": "8-2x12d-alexnet_cifar",
}


@pytest.fixture(autouse=True, scope="module")
def worker() -> Iterator[None]:
    """A process as a worker on a GPU has it: one thread, and set up before cuBLAS is first used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
        fix_cublas_workspace()
        torch.set_num_threads(1)
        yield


def plain(**changes: Any) -> Execution:
    return replace(Execution(DEVICE, "", "grouped", "channels_last", "float32", 1, 20), **changes)


def digits(execution: Execution, name: str = "11-4x4d-w32", recipe: Recipe = RECIPE) -> Run:
    return Run(parse_name(name), Task(1, 8, 10), recipe, DIGITS, load(DIGITS, DEVICE).digest, 0, execution)


def trained(run: Run, **how: Any) -> tuple[list[tuple[float, ...]], bytes]:
    """The curve of a run, and which test images it classifies correctly."""
    curve: list[tuple[float, ...]] = []

    def report(result: EpochResult) -> None:
        curve.append((result.loss, result.train_error, result.val_error))

    outcome = train(run, report, **how)
    assert outcome.status == "ok", outcome.message
    return curve, outcome.correct


def losses(run: Run) -> list[float]:
    return [loss for loss, *_ in trained(run)[0]]


def stops_after(steps: int) -> Callable[[], bool]:
    left = iter([True] * steps)
    return lambda: next(left, False)


def test_a_gpu_is_there_unless_a_cpu_was_asked_for() -> None:
    assert torch.cuda.is_available() or DEVICE == "cpu", "CHECK_DEVICE=cpu tries the mechanics without a GPU"


@pytest.mark.parametrize("name", ["11-1x8d-w32", "11-8x4d-w32", "11-8x4d-w32-preact", "20-12x2d-w32-k5"])
@pytest.mark.parametrize("kind", ["native", "dense", "contiguous", "padded", "first"])
def test_scores_and_gradients_are_the_cpus_in_float64(name: str, kind: str) -> None:
    deterministic()
    found = []
    for device in ("cpu", DEVICE):
        network = build(parse_name(name), TASK, torch.Generator().manual_seed(0)).double()
        choices = tuple(
            Convolution(
                shape.key,
                1 if kind == "dense" else shape.groups,
                kind if kind in ("contiguous", "padded") else "same",
            )
            for shape in grouped_convs(parse_name(name), TASK)
        )
        layout = "contiguous" if kind == "first" else "channels_last"  # channels first, or last
        executed = plain(convolutions=choices, layout=layout) if device == DEVICE else plain(device=device)
        network = prepare(network, executed, TASK)
        images = torch.randn(6, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        scores = network(images.to(device))
        scores.square().sum().backward()
        gradients = [weight.grad for weight in network.parameters()]
        found.append([scores.detach().cpu(), *(one.cpu() for one in gradients if one is not None)])
    for ours, theirs in zip(*found, strict=True):
        assert (ours - theirs).norm() <= 1e-9 * (1 + ours.norm())


def norm_pass(
    shape: tuple[int, ...], kind: torch.dtype, *, adds: bool, relu: bool = True
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """What our kernels, and torch in float64, make of some maps: output, gradients, running statistics, evaluation."""
    draws = torch.Generator().manual_seed(0)
    norms = [NormReLU(shape[1]) if relu else torch.nn.BatchNorm2d(shape[1]) for _ in range(2)]
    drawn = [
        (torch.randn(shape, generator=draws) + 0.5).to(DEVICE, kind).contiguous(memory_format=torch.channels_last)
        for _ in range(3)
    ]
    found: list[list[torch.Tensor]] = []
    for norm, wide in zip(norms, (False, True), strict=True):
        torch.manual_seed(3)
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.uniform_(norm.bias, -0.5, 0.5)
        norm.to(DEVICE, torch.float64 if wide else torch.float32)
        if not wide:
            fuse(norm, DEVICE)
        inputs = [one.double() if wide else one.clone() for one in drawn[: 1 + adds]]
        inputs = [one.requires_grad_() for one in inputs]
        output = norm(*inputs)
        # A sum that is zero but for its rounding may pass one ReLU and not the other: ours decides for both.
        gradient = drawn[2].to(output.dtype) * (found[0][0] > 0 if wide and relu else 1)
        output.backward(gradient)
        ends = [output.detach(), *(one.grad for one in (*inputs, norm.weight, norm.bias)), *norm.buffers()]
        with torch.no_grad():
            ends.append(norm.eval()(*inputs))
        found.append([one for one in ends if one is not None])
    return found[0], found[1]


@pytest.mark.parametrize(
    ("kind", "close"),
    [(torch.bfloat16, 1e-2), (torch.float32, 2e-5), pytest.param(torch.float16, 2e-3, marks=GPU)],
    ids=str,
)
def test_our_kernels_of_batch_norms_are_torchs_in_float64(kind: torch.dtype, close: float) -> None:
    kernels.require(DEVICE)
    shapes = [(128, 64, 32, 32), (96, 256, 16, 16), (32, 1024, 8, 8), (3, 7, 5, 5), (5, 24, 1, 1), (2, 1100, 2, 3)]
    for shape in shapes[{torch.float32: 1, torch.float16: 2}.get(kind, 0) if DEVICE == "cuda" else 3 :]:
        for adds, relu in ((False, True), (True, True), (False, False)):
            ours, exact = norm_pass(shape, kind, adds=adds, relu=relu)
            for place, (one, other) in enumerate(zip(ours, exact, strict=True)):
                apart = (one.double() - other).abs().max() / other.abs().max()
                assert apart < close, (shape, adds, relu, place, float(apart))


@GPU
def test_our_kernels_reach_maps_of_more_than_two_thousand_million_values() -> None:
    if torch.cuda.mem_get_info()[0] < 24 * 2**30:
        pytest.skip("needs 24 GiB of memory")
    norm = NormReLU(64).cuda()
    fuse(norm, "cuda")
    maps = torch.empty(33, 64, 1024, 1024, device="cuda", dtype=torch.bfloat16, memory_format=torch.channels_last)
    assert maps.numel() > 2**31
    for place in range(33):
        maps[place] = torch.randn(64, 1024, 1024, device="cuda") + place / 8
    maps.requires_grad_()
    found = norm(maps)
    found.backward(maps.detach())
    assert norm.running_mean is not None
    assert norm.running_var is not None
    # The channels are alike, and images differ in their mean alone: 2 on average, with the variance of 0 to 32 over 64.
    variance = 1 + (33**2 - 1) / 12 / 64
    assert (norm.running_mean - 0.2).abs().max() < 1e-3
    assert (norm.running_var - 0.9 - variance / 10).abs().max() < 1e-3
    for place in (0, 32):
        exact = ((maps[place].float() - 2) / variance**0.5).relu()
        assert (found[place].float() - exact).abs().max() < 0.05
    assert maps.grad is not None
    assert torch.isfinite(maps.grad[32].float().sum())
    assert maps.grad[32].float().abs().max() > 0
    del maps, found, norm
    torch.cuda.empty_cache()


@pytest.mark.parametrize("name", [name for name in DESIGNS.values() if "alexnet" not in name])
def test_scores_and_gradients_with_our_batch_norms_are_the_cpus_in_float64(name: str) -> None:
    deterministic()
    found = []
    for plan in (plain(device="cpu"), plain(norms="fused")):
        network = build(parse_name(name), TASK, torch.Generator().manual_seed(0))
        network = prepare(network.double() if plan.norms == "torch" else network, plan, TASK)
        images = torch.randn(20, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        scores = network(images.to(DEVICE, torch.float32) if plan.norms == "fused" else images)
        scores.square().sum().backward()
        gradients = [weight.grad for weight in network.parameters()]
        found.append([one.detach().cpu().double() for one in (scores, *gradients) if one is not None])
    exact, ours = found
    assert (ours[0] - exact[0]).norm() <= 1e-4 * exact[0].norm()
    # A ReLU of a value near zero may let it through in one of them alone, so gradients are compared as a whole.
    apart = sum(float((one - other).square().sum()) for one, other in zip(ours[1:], exact[1:], strict=True))
    assert apart <= (5e-3) ** 2 * sum(float(one.square().sum()) for one in exact[1:])


@pytest.mark.parametrize(
    ("precision", "norms"),
    [
        ("float32", "torch"),
        ("bfloat16", "torch"),
        ("float16", "torch"),
        ("float32", "fused"),
        ("bfloat16", "fused"),
        pytest.param("float16", "fused", marks=GPU),
    ],
)
def test_a_run_has_the_same_bits_when_it_is_trained_again(precision: str, norms: str) -> None:
    run = digits(plain(precision=precision, norms=norms))
    assert trained(run) == trained(run)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_run_that_goes_on_from_its_checkpoint_has_the_bits_of_one_without_a_break(
    tmp_path: Path, precision: str
) -> None:
    run = digits(plain(precision=precision))
    lines: list[str] = []
    keeping = Checkpointing(tmp_path, lines.append, 0.0)
    with pytest.raises(StoppedError):
        train(run, lambda result: None, keeping=keeping, goes_on=stops_after(7))
    assert trained(run, keeping=keeping) == trained(run)
    assert lines == ["goes on after step 8 of epoch 1"]


@GPU
@pytest.mark.parametrize(
    ("precision", "norms"), [("float32", "torch"), ("bfloat16", "torch"), ("float16", "torch"), ("bfloat16", "fused")]
)
def test_a_run_of_graphs_has_the_bits_of_one_whose_kernels_are_launched_one_by_one(
    tmp_path: Path, precision: str, norms: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps, and batches to evaluate, whole ones and what is left."""
    data = replace(DIGITS, val_images=1100)
    recipe = replace(RECIPE, epochs=16, cutout=3, jitter=0.4, lighting=0.1, crop_area=(0.5, 1.0), micro_batch=10)
    run = replace(digits(plain(precision=precision, norms=norms, micro_batch=10), recipe=recipe), data=data)
    run = replace(run, data_hash=load(data, DEVICE).digest)
    lines: list[str] = []
    made: list[object] = []
    record = replayed.record

    def counted(*given: Any) -> Any:
        made.append(given)
        return record(*given)

    monkeypatch.setattr(replayed, "record", counted)
    graphs = trained(run, keeping=Checkpointing(tmp_path, lines.append, 1e6))
    assert lines == []
    assert len(made) == 3
    monkeypatch.setattr(replayed, "LEAST_CALLS", 10**9)  # the rate stays a tensor, which is what the kernel reads
    assert trained(run) == graphs


@GPU
def test_the_memory_of_a_run_is_free_when_it_has_ended() -> None:
    """Without Python's collector of cycles, which may wait for many runs."""
    run = digits(plain(precision="bfloat16"), recipe=replace(RECIPE, epochs=3))
    kept = []
    gc.disable()
    try:
        for _ in range(3):
            trained(run)
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            kept.append(torch.cuda.memory_reserved())
    finally:
        gc.enable()
    assert kept[1] == kept[2] <= kept[0] + 2**26


@GPU
@pytest.mark.parametrize(("precision", "norms"), [("bfloat16", "torch"), ("bfloat16", "fused"), ("float16", "torch")])
def test_no_step_waits_for_the_device(precision: str, norms: str) -> None:
    """Each of the first steps, which are launched kernel by kernel, and of those that are launched as one graph."""
    deterministic()
    recipe = replace(RECIPE, epochs=4, cutout=3, jitter=0.4, lighting=0.1, crop_area=(0.5, 1.0))
    run = digits(plain(precision=precision, norms=norms), recipe=recipe)
    network, optimizer = ready(run)
    taking = Steps(run, network, optimizer, load(DIGITS, DEVICE))
    steps = epoch_steps(taking, 1, torch.Generator().manual_seed(0), torch.Generator().manual_seed(0))
    next(steps)  # which also copies the epoch's order and draws to the device
    torch.cuda.set_sync_debug_mode("error")
    try:
        next(steps)
        torch.cuda.set_sync_debug_mode("default")
        next(steps)  # recording may wait
        torch.cuda.set_sync_debug_mode("error")
        for _ in steps:
            pass
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_the_curve_is_the_cpus_in_float32_up_to_rounding_and_near_it_in_sixteen_bits() -> None:
    single = losses(digits(plain()))
    assert single == pytest.approx(losses(digits(plain(device="cpu"))), rel=2e-3)
    assert losses(digits(plain(norms="fused"))) == pytest.approx(single, rel=2e-3)
    for norms in ("torch", "fused"):
        assert losses(digits(plain(precision="bfloat16", norms=norms))) == pytest.approx(single, rel=0.08)
    assert losses(digits(plain(precision="float16"))) == pytest.approx(single, rel=0.08)
    # Other kernels, maybe, and the same function.
    assert losses(digits(plain(deterministic=False))) == pytest.approx(single, rel=2e-2)
    assert losses(digits(plain(layout="contiguous"))) == pytest.approx(single, rel=2e-2)


def test_every_augmentation_gives_the_same_bits_twice() -> None:
    recipe = replace(
        RECIPE, cutout=3, jitter=0.4, lighting=0.1, crop_area=(0.5, 1.0), label_smoothing=0.1, micro_batch=10
    )
    run = digits(plain(micro_batch=10), recipe=recipe)
    assert trained(run) == trained(run)


@GPU
def test_the_form_that_a_study_chooses_is_faster_than_the_plain_one_by_another_clock() -> None:
    """128 channels in 32 groups: merged groups take a third of the time of plain ones on the GPUs that were tried."""
    shape = GroupedConv(128, 128, 3, 1, 32, 32)
    execution = plain(precision="bfloat16", micro_batch=128)
    (choice,) = fastest({shape: 10**5}, execution).convolutions
    assert (choice.groups, choice.layout) != (32, "same")
    seconds = []
    for one in (Convolution(shape.key, 32), choice):
        work = form_pass(shape, one, execution)
        work()
        seconds.append(min(timed(lambda work=work: [work() for _ in range(20)], DEVICE) for _ in range(3)))  # type: ignore[misc]
    assert seconds[1] < 0.8 * seconds[0]


def test_there_is_a_design_of_every_block() -> None:
    assert {block: parse_name(name).block for block, name in DESIGNS.items()} == {block: block for block in BLOCKS}


@pytest.mark.parametrize("name", DESIGNS.values(), ids=DESIGNS)
def test_every_block_has_the_same_weights_after_some_steps_twice(name: str) -> None:
    deterministic()
    found = []
    for _ in range(2):
        draws = torch.Generator().manual_seed(0)
        run = Run(parse_name(name), TASK, RECIPE, DIGITS, "", 0, plain(precision="bfloat16"))
        network, optimizer = ready(run)
        network.train()
        for _ in range(4):
            images = (
                torch.randn(20, 3, 16, 16, generator=draws).to(DEVICE).contiguous(memory_format=torch.channels_last)
            )
            labels = torch.randint(5, (20,), generator=draws).to(DEVICE)
            loss, _ = step(network, optimizer, images, labels, RECIPE, run.execution)
        found.append([loss, *network.state_dict().values()])
    assert torch.isfinite(found[0][0])
    assert all(torch.equal(first, second) for first, second in zip(*found, strict=True))


@GPU
def test_a_run_that_is_too_large_says_so_and_leaves_the_memory_to_others() -> None:
    run = digits(plain(micro_batch=200), "29-32x4d", replace(RECIPE, batch_size=200, epochs=1))
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info()
    # The maps alone take more: 200 images of 223,232 values each in float32 are 170 MiB, kept several times.
    torch.cuda.set_per_process_memory_fraction(2**28 / total)
    try:
        outcome = train(run, lambda result: None)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert outcome.status == "out_of_memory", outcome
    assert trained(digits(plain()))
    assert torch.cuda.mem_get_info()[0] > free - 2**30


def test_verify_runs_on_the_device_without_the_workers_environment(tmp_path: Path) -> None:
    """A command of its own: nobody has set CUBLAS_WORKSPACE_CONFIG for it."""
    own = {key: value for key, value in os.environ.items() if key != "CUBLAS_WORKSPACE_CONFIG"}
    command = [sys.executable, "-m", "explorer", "do=verify", "architecture=11-2x4d-w16", f"device={DEVICE}"]
    done = subprocess.run([*command, "repeats=1"], env=own, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-600:]


GROWS = """
from explorer.training.worker import prepare_process
prepare_process()
import torch
from explorer.training.device import device_memory, warm_up
warm_up("cuda")
assert device_memory("cuda") <= torch.cuda.get_device_properties(0).total_memory
print(torch.cuda.memory._snapshot()["allocator_settings"]["expandable_segments"])
"""


@GPU
@pytest.mark.parametrize("given", ["", "expandable_segments:False"])
def test_a_worker_maps_memory_that_can_grow_unless_its_user_says_otherwise(given: str) -> None:
    names = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
    own = {key: value for key, value in os.environ.items() if key not in names}
    own |= {"PYTORCH_ALLOC_CONF": given} if given else {}
    done = subprocess.run([sys.executable, "-c", GROWS], env=own, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"{not given}\n"), done.stderr[-600:]
