"""Every branch for a GPU, executed where there is none: see pretended_cuda.py."""

import ast
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch

from explorer.__main__ import main
from explorer.design import Task, parse_name
from explorer.design.grouped import grouped_convs
from explorer.engine import local
from explorer.record import records
from explorer.record.folder import stored_environment, stored_execution
from explorer.search import measuring
from explorer.study.job import HostQuestion
from explorer.study.run import EpochResult, Execution, Outcome, Run
from explorer.study.settings import DataConfig, Recipe
from explorer.training import device as devices
from explorer.training import worker
from explorer.training.forms_timing import fastest, speed_in_window, training_speed, warmed_up
from explorer.training.images import split as images
from explorer.training.images.split import Dataset, fetched, load
from explorer.training.loop import Steps, epoch_steps, ready, train
from explorer.training.peak_memory import peak_memory
from explorer.training.results import Limits
from explorer.training.streams import stream
from tests import pretended_cuda as pretended
from tests.conftest import TINY, broadly, undrawn
from tests.pretended_cuda import CountsOperators, Notes
from tests.test_layers import FILES, PACKAGE, ROOT
from tests.training.test_image_sources import config, pictures, write_parquet

DIGITS = DataConfig("digits", "Digits", 1, 8, 10, 400, 100, 100, 0)
RECIPE = Recipe(1, 20, 0.05, "one_cycle", 0.2, (), 0.9, True, 5e-4, 0.0, 1, True, False)
EVERYTHING = replace(RECIPE, cutout=3, jitter=0.4, lighting=0.1, crop_area=(0.5, 1.0), label_smoothing=0.1)
ADAPTIVE = replace(EVERYTHING, optimizer="adamw", clip=1.0, decay_norms=False, warmup=0.0, warmup_epochs=0.5, ema=0.9)
MIXED = replace(
    EVERYTHING, mixup=0.4, cutmix=1.0, rand_augment=(2, 9.0), erasing=0.5, stochastic_depth=0.3, dropout=0.2
)
RECIPES = [RECIPE, EVERYTHING, ADAPTIVE, MIXED]
GPU = Execution("cuda", "", "grouped", "channels_last", "bfloat16", 1, 20)
SHOWN = "11-2x4d-w16"


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Notes]:
    """A pretended GPU, in a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pretended.pretended_cuda(monkeypatch.setattr) as notes:
        yield notes
    images._LOADED.clear()


def a_run(recipe: Recipe = RECIPE, execution: Execution = GPU) -> Run:
    data = load(DIGITS, execution.device)
    return Run(parse_name(SHOWN), Task(1, 8, 10), recipe, DIGITS, data.digest, 0, execution)


def trained(run: Run) -> tuple[list[EpochResult], Outcome]:
    curve: list[EpochResult] = []
    outcome = train(run, curve.append)
    return [replace(one, seconds=0.0) for one in curve], replace(outcome, seconds=0.0, images_per_second=None)


@pytest.mark.parametrize("recipe", broadly(RECIPES), ids=["plain", "every augmentation", "adaptive", "mixed"])
def test_a_run_on_the_pretended_gpu_has_the_bits_of_one_on_the_cpu_in_whole_graphs(cuda: Notes, recipe: Recipe) -> None:
    plain = replace(GPU, precision="float32")
    found = trained(a_run(recipe, plain))
    assert len(cuda.graphs) >= 1
    theirs = trained(a_run(recipe, replace(plain, device="cpu")))
    if recipe.optimizer == "sgd":
        assert found == theirs
    else:  # on a GPU the rate is rounded to float32 before Adam divides it
        assert [one.loss for one in found[0]] == pytest.approx([one.loss for one in theirs[0]], rel=1e-3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("recipe", RECIPES, ids=["plain", "every augmentation", "adaptive", "mixed"])
def test_no_step_waits_for_the_gpu_or_copies_from_memory_that_it_cannot_read(
    cuda: Notes, recipe: Recipe, precision: str
) -> None:
    # torch's Adam asks where the weights are, and is told that they are not on a GPU.
    run = a_run(replace(recipe, optimizer="sgd"), replace(GPU, precision=precision))
    data = load(DIGITS, "cuda")
    taking = Steps(run, *ready(run), data)
    steps = epoch_steps(taking, 1, stream(0, "order"), stream(0, "augmentation"))
    next(steps)  # an epoch's order and draws are copied before its first step
    cuda.waits.clear()
    for _ in steps:
        pass
    assert cuda.waits == {}
    assert cuda.graphs  # the graph's own calls were among these


def test_what_makes_the_host_wait_is_noted(cuda: Notes) -> None:
    there = torch.ones(3, device="cuda")
    asked: list[Callable[[], object]] = [
        lambda: there.sum().item(),
        lambda: float(there[0]),
        lambda: bool(there[0]),
        there.cpu,
        lambda: there.to("cpu"),
        there.nonzero,
        lambda: there[there > 0],
        lambda: torch.ones(3).to("cuda"),
        lambda: there.copy_(torch.ones(3)),
    ]
    for number, call in enumerate(asked):
        cuda.waits.clear()
        call()
        assert cuda.waits.total() == 1, (number, cuda.waits)
    cuda.waits.clear()
    there.copy_(torch.ones(3).pin_memory(), non_blocking=True)
    torch.ones(3).pin_memory().to("cuda", non_blocking=True)
    assert cuda.waits == {}
    with pytest.raises(RuntimeError, match="same device"):
        _ = there + torch.ones(3)


def test_a_step_launches_few_operators(cuda: Notes) -> None:
    """About nine for each layer forward and backward, one each to update weights, and some for the batch.

    More would mean that something is computed anew in every step, or that the optimiser goes through the weights one
    by one: of 23 layers that alone would be above a hundred.
    """
    run = a_run()
    taking = Steps(run, *ready(run), load(DIGITS, "cuda"))
    steps = epoch_steps(taking, 1, stream(0, "order"), stream(0, "augmentation"))
    for _ in range(8):
        next(steps)
    with CountsOperators() as counted:
        next(steps)
    layers = sum(isinstance(module, torch.nn.Conv2d) for module in taking.network.modules())
    assert counted.found.total() <= 30 * layers + 100, counted.found.most_common(12)
    assert sum(count for name, count in counted.found.items() if "sgd" in name) == 1


def insects(folder: Path, kept: str) -> Dataset:
    """Some images in files, on the pretended GPU or read while it trains."""
    write_parquet(folder / "train.parquet", pictures(30))
    write_parquet(folder / "test.parquet", pictures(9, first=100))
    return load(replace(config(folder), keep=kept), "cuda", loaders=2)  # type: ignore[arg-type]


@pytest.mark.parametrize("kept", ["resident", "stream"])
def test_streamed_images_are_copied_from_memory_that_a_gpu_reads_by_itself(
    cuda: Notes, tmp_path: Path, kept: str
) -> None:
    data = insects(tmp_path, kept)
    where = "cuda" if kept == "resident" else "cpu"
    places = torch.arange(len(data.train), device=where).split(4)  # type: ignore[no-untyped-call]
    cuda.waits.clear()
    batches = list(fetched(data, data.train, places))
    assert {part.device.type for batch in batches for part in batch} == {"cuda"}
    assert cuda.waits == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ["do=verify", f"architecture={SHOWN}", "repeats=1"],
        ["do=benchmark", "subject=latency", f"architectures=[{SHOWN}]", "image_size=8", "batch_size=4", "turns=1"],
    ],
    ids=["verify", "latency"],
)
def test_a_verb_is_carried_out_on_the_pretended_gpu(
    cuda: Notes, arguments: list[str], workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "device=cuda"]) == 0
    assert pretended.NAME in " ".join(capsys.readouterr().out.split())
    assert cuda.calls["synchronize"]


def test_forms_are_chosen_on_the_pretended_gpu(cuda: Notes) -> None:
    shapes = grouped_convs(parse_name(SHOWN), Task(1, 8, 10))
    found = fastest(dict.fromkeys(shapes, 10**6), replace(GPU, precision="float32"))
    assert {choice.layer for choice in found.convolutions} == {shape.key for shape in shapes}
    assert cuda.graphs


def test_a_worker_reports_the_gpus_of_the_first_ones_model_and_their_free_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pretended.pretended_cuda(monkeypatch.setattr, ("A", "B", "A")):
        monkeypatch.setattr(devices, "has_mps", lambda: True)
        report = worker._survey(HostQuestion(DIGITS, "auto"))
        devices.warm_up(report.device)
        devices.release_memory()
    assert (report.device, report.device_name, report.devices) == ("cuda", "A", (0, 2))
    assert report.memory == pretended.MEMORY // 2 + 2**20
    assert report.held == 2**19
    assert report.versions["mps"] == "on"
    assert report.has_bfloat16
    assert report.fast_bfloat16


@pytest.mark.parametrize(
    ("message", "free", "expected"),
    [
        ("CUDA out of memory. Tried to allocate 20.00 GiB", 0.5, True),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", 0.5, True),
        ("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", 0.5, True),
        ("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED", 0.5, True),
        ("cudaErrorMemoryAllocation: out of memory", 0.5, True),
        ("GET was unable to find an engine to execute this computation", 0.05, True),
        ("GET was unable to find an engine to execute this computation", 0.5, False),
        ("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if ...", 0.05, True),
        ("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if ...", 0.5, False),
        ("CUDA error: an illegal memory access was encountered", 0.0, False),
        ("CUDA error: device-side assert triggered", 0.0, False),
    ],
)
def test_messages_that_mean_too_little_memory_are_known(
    cuda: Notes, monkeypatch: pytest.MonkeyPatch, message: str, free: float, expected: bool
) -> None:
    total = pretended.MEMORY
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (int(free * total), total))
    assert devices.is_out_of_memory(RuntimeError(message)) == expected


def test_a_gpu_that_does_not_answer_any_more_has_not_too_little_memory(
    cuda: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    for name in ("mem_get_info", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, lost)
    assert not devices.is_out_of_memory(RuntimeError("CUBLAS_STATUS_NOT_INITIALIZED"))
    assert not devices.is_usable("cuda")


@pytest.mark.real
def test_a_whole_study_is_trained_on_pretended_gpus(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "work", pretended.work)
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace))
    undrawn(monkeypatch)
    own = [one for one in TINY if not one.startswith(("device", "engine.workers", "engine.precision", "engine.forms"))]
    assert main([*own, "device=cuda", "storage=none"]) == 0
    folder = Path("studies/tiny")
    assert set(records.load(folder).runs["status"]) == {"ok"}
    assert (stored_execution(folder) or {})["device_name"] == pretended.NAME
    assert (stored_environment(folder) or {})["versions"]["cudnn"] == "91900"


def test_a_worker_configures_torchs_allocator_unless_its_user_has(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
    for given in (None, *names):
        for name in names:
            monkeypatch.delenv(name, raising=False)
        if given:
            monkeypatch.setenv(given, "max_split_size_mb:64")
        worker.prepare_process()
        found = {name: os.environ[name] for name in names if name in os.environ}
        assert found == {given or names[0]: "max_split_size_mb:64" if given else "expandable_segments:True"}


@pytest.mark.real
def test_the_benchmark_measures_on_a_pretended_gpu(
    cuda: Notes, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = Limits(pretended.NAME, 2, 1e12, 2e12, 1e11)
    monkeypatch.setattr("explorer.training.speed.measure_limits", lambda device: limits)
    monkeypatch.setattr("explorer.training.speed.IMAGES", 1200)
    monkeypatch.setattr(local, "work", pretended.work)
    monkeypatch.setattr(measuring, "small_runs", partial(measuring.small_runs, seconds=20.0))
    own = [f"architectures=[{SHOWN},11-1x4d-w16]", "image_size=8", "batch_size=8", "steps=1", "turns=1"]
    assert main(["do=benchmark", *own, "device=cuda"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert re.search(r"29-32x4d at 8 pixels: [\d,]+ images/s alone; \d runs at once [\d,]+, ", told)
    assert "small runs at once: at least 2x one after another" in told


def asking() -> set[tuple[str, str]]:
    """The functions of the product, by file and name, that ask for a GPU or do something else on one."""
    found = set[tuple[str, str]]()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                found |= {(str(path.relative_to(PACKAGE)), node.name) for part in ast.walk(node) if _asks(part)}
    return found


def _asks(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return any(isinstance(one, ast.Constant) and one.value == "cuda" for one in (node.left, *node.comparators))
    return isinstance(node, ast.Attribute) and ast.unparse(node).startswith("torch.cuda.")


# What the functions below do on a GPU is held by other tests, each with a stand-in of its own.
ELSEWHERE = {
    "engine/local.py": "tests/engine/test_local.py",
    "engine/ray_engine.py": "tests/engine/test_crowded.py",
    "engine/slurm_engine.py": "tests/engine/test_cluster_input.py",
    "record/changes.py": "tests/record/test_changes.py",
    "record/spent.py": "tests/search/test_spending.py",
    "search/execution_plan.py": "tests/search/test_execution.py",
    "search/measuring.py": "tests/search/test_execution.py",
    "training/glance.py": "tests/training/test_glance.py",
    "training/network/norms_triton.py": "tests/training/test_norms_triton.py",
    "training/network/kernels/__init__.py": "tests/training/test_norms_triton.py",
    "training/speed.py": "tests/test_pretended_cuda.py",  # the benchmark, in a test that takes long
    "verbs/benchmark.py": "tests/test_pretended_cuda.py",
    "verbs/plan.py": "tests/training/test_glance.py",
}
# A real graph is recorded and launched in tests/cuda alone.
REAL = {("training/replayed.py", name) for name in ("record", "launch")}
REAL |= {("training/reference.py", "torch_defaults"), ("training/reference.py", "reference_steps")}


@pytest.mark.real
def test_every_function_that_asks_for_a_gpu_is_executed_on_the_pretended_one(
    cuda: Notes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert all((ROOT / test).exists() for test in ELSEWHERE.values())
    executed = set[tuple[str, str]]()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE)):
            executed.add((str(Path(frame.f_code.co_filename).relative_to(PACKAGE)), frame.f_code.co_name))

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (0, pretended.MEMORY))
    sys.setprofile(note)
    try:
        report = worker._survey(HostQuestion(DIGITS, "auto"))
        devices.warm_up(report.device)
        run = a_run()
        trained(run)
        training_speed(run, 0.0)
        speed_in_window(warmed_up(run), run, 0.0)
        peak_memory([run], "step", 4, turns=1)
        fastest(dict.fromkeys(grouped_convs(run.architecture, run.task), 10**6), GPU)
        devices.is_out_of_memory(RuntimeError("CUBLAS_STATUS_NOT_INITIALIZED"))
        devices.is_usable("cuda")
        devices.release_memory()
        read_ahead = insects(tmp_path, "stream")
        next(iter(fetched(read_ahead, read_ahead.train, [torch.arange(4)])))
    finally:
        sys.setprofile(None)
    assert {one for one in asking() - executed - REAL if one[0] not in ELSEWHERE} == set()
