"""Where a GPU's time goes: forms of grouped convolutions, batch norms, and whole steps eager, as a graph and compiled.

    python micro.py OUT SECONDS

Tables go to standard output. Numbers go to OUT/micro.json, which is written anew after each of them, so that nothing
measured is lost wherever this ends. CHECK_DEVICE=cpu measures tiny networks: then the numbers mean nothing, but that
everything works.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from explorer.design import Task, cost, parse_name
from explorer.design.grouped import GroupedConv, grouped_convs
from explorer.host.formatting import in_one_line
from explorer.study.run import Convolution, Execution, Run
from explorer.training.device import finish
from explorer.training.forms_timing import fastest, form_pass
from explorer.training.loop import deterministic, ready, step
from explorer.training.network import kernels
from explorer.training.network.fused import fuse
from explorer.training.network.modules import NormReLU
from explorer.training.network.prepare import UNIT
from explorer.training.speed import ACCESSES, measure_limits, random_run, random_steps

Work = Callable[[], object]
Choices = tuple[Convolution, ...]
# What each number is measured under: deterministic kernels, and cuDNN trying which of its kernels is the fastest.
FLAGS = {"ours": (True, False), "tuned": (False, True)}
ORDERS = {"last": torch.channels_last, "first": torch.contiguous_format}
# Seconds that must be left before another number is measured: those after it need their time too.
FOR_FORMS, FOR_STEPS, FOR_COMPILING = 20.0, 10.0, 60.0


@dataclass(frozen=True)
class Scale:
    """Which networks are measured, on images of which side, and with how many in a batch.

    pair     of equal parameters, whose times are compared: one path, and many
    grouped  networks whose grouped convolutions are measured form by form
    maps     batch, channels and side of maps that are normalised by torch and by our kernels
    narrow   networks of a step that launching its kernels takes longer than executing them
    tiny     the same on 8 pixels and 32 images
    batches  further numbers of images at which the pair is measured
    burst    seconds that calls are repeated for; a form of a convolution for an eighth of that
    """

    image_size: int
    batch: int
    pair: tuple[str, str]
    grouped: tuple[str, ...]
    maps: tuple[tuple[int, int, int], ...]
    narrow: tuple[str, ...]
    tiny: str
    batches: tuple[int, ...]
    burst: float

    @property
    def task(self) -> Task:
        """Colour images of ten classes."""
        return Task(channels=3, image_size=self.image_size, classes=10)


FULL = Scale(
    image_size=32,
    batch=128,
    pair=("29-1x64d", "29-32x4d"),
    grouped=("29-32x4d", "29-8x14d"),
    maps=((128, 64, 32), (128, 256, 32), (128, 112, 32), (128, 512, 16), (128, 1024, 8), (32, 256, 8), (32, 1024, 2)),
    narrow=("29-16x2d-w64", "29-1x16d-w64"),
    tiny="29-32x4d",
    batches=(64, 256, 512, 1024),
    burst=0.25,
)
SMALL = Scale(
    image_size=8,
    batch=8,
    pair=("11-1x4d-w16", "11-2x3d-w16"),
    grouped=("11-2x3d-w16",),
    maps=((4, 16, 8), (2, 24, 1)),
    narrow=("11-4x2d-w16",),
    tiny="11-2x3d-w16",
    batches=(4,),
    burst=0.02,
)


class Bench:
    """What is measured, for how long, and what was found: `found` is on disk as soon as it is kept."""

    def __init__(self, device: str, out: Path, seconds: float) -> None:
        self.device, self.out, self.ends = device, out, time.perf_counter() + seconds
        self.is_gpu = device == "cuda"
        self.scale = FULL if self.is_gpu else SMALL
        name = torch.cuda.get_device_name() if self.is_gpu else "cpu"
        self.found: dict[str, Any] = {"device": name, "torch": torch.__version__}
        self.has_kernels = kernels.is_available(device)

    @property
    def left(self) -> float:
        """Seconds."""
        return self.ends - time.perf_counter()

    def keep(self, part: str, value: object) -> None:
        """Write what was found anew, with one part changed."""
        self.found[part] = value
        (self.out / "micro.json").write_text(json.dumps(self.found, indent=1), encoding="utf-8")

    def seconds(self, work: Work, burst: float) -> float:
        """Of one call: the median over three bursts of about so many seconds, each with one wait for the device."""
        for _ in range(2):
            work()
        finish(self.device)
        began = time.perf_counter()
        work()
        finish(self.device)
        calls = max(2, min(200, int(burst / max(time.perf_counter() - began, 1e-6))))
        times = []
        for _ in range(3):
            began = time.perf_counter()
            for _ in range(calls):
                work()
            finish(self.device)
            times.append((time.perf_counter() - began) / calls)
        return median(times)

    def graph(self, work: Work) -> Work | None:
        """The same work as one launch; None where it cannot be captured."""
        if not self.is_gpu:
            return None
        try:
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):  # what is allocated once is not to be captured
                for _ in range(3):
                    work()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                work()
        except RuntimeError as error:
            print("  no graph:", in_one_line(error), flush=True)
            finish(self.device)
            return None
        return graph.replay

    def speeds(self, work: Work, batch: int) -> dict[str, int | None]:
        """Images per second of a step of so many, launched kernel by kernel and as one graph."""
        eager = round(batch / self.seconds(work, self.scale.burst))
        replay = self.graph(work)
        return {"eager": eager, "graph": replay and round(batch / self.seconds(replay, self.scale.burst))}

    def run(self, name: str, batch: int, task: Task, convolutions: Choices = (), *, fused: bool = False) -> Run:
        """A run of a network as a study would execute it in bfloat16; its images are never read."""
        execution = Execution(self.device, "", "grouped", "channels_last", "bfloat16", 1, batch, convolutions)
        return random_run(parse_name(name), task, batch, replace(execution, norms="fused" if fused else "torch"))

    def step(self, run: Run, *, compiles: bool = False) -> Work:
        """A step of a run on random images that lie on the device."""
        network, optimizer = ready(run)
        network.train()
        if compiles:
            network = torch.compile(network)  # type: ignore[assignment] # which is a module still
        batch, task = run.recipe.batch_size, run.task
        images = torch.randn(batch, task.channels, task.image_size, task.image_size, device=self.device)
        images = images.contiguous(memory_format=torch.channels_last)
        labels = torch.randint(task.classes, (batch,), device=self.device)
        return partial(step, network, optimizer, images, labels, run.recipe, run.execution)


@contextmanager
def flags(kind: str) -> Iterator[None]:
    """Torch as one kind of FLAGS has it; afterwards as a worker has it."""
    deterministic()
    exact, tries = FLAGS[kind]
    torch.use_deterministic_algorithms(exact)
    torch.backends.cudnn.benchmark = tries
    try:
        yield
    finally:
        deterministic()


def measure_bounds(bench: Bench) -> None:
    """What the card can do at best, and how many images per second that would be."""
    if not bench.is_gpu:
        return
    limits = measure_limits(bench.device)
    bench.keep("limits", asdict(limits))
    print("limits:", limits, flush=True)
    for name in bench.scale.pair:
        own = cost(parse_name(name), bench.scale.task)
        compute = limits.bfloat16 / (6 * own.macs)
        for norms, accesses in ACCESSES.items():
            memory = limits.bandwidth / (2 * accesses * own.activations)  # two bytes for each value in bfloat16
            print(f"  {name}: memory bound {memory:,.0f} images/s ({accesses} accesses, norms={norms})", end=", ")
        print(f"compute bound {compute:,.0f}")


def measure_forms(bench: Bench) -> None:
    """Milliseconds, forward and backward, of each grouped shape, by groups, memory order or padding, and flags."""
    table: dict[str, dict[str, float]] = {}
    for name in bench.scale.grouped:
        for shape in grouped_convs(parse_name(name), bench.scale.task):
            if shape.stride != 1 or bench.left < FOR_FORMS:
                continue
            row: dict[str, float] = {}
            for order, layout, groups in _forms(shape):
                run = bench.run(name, bench.scale.batch, bench.scale.task)
                work = form_pass(shape, Convolution(shape.key, groups, layout), run.execution)
                for kind in FLAGS:
                    with flags(kind):
                        row[f"{order} {groups} {kind}"] = 1000 * bench.seconds(
                            bench.graph(work) or work, bench.scale.burst / 8
                        )
            best = min(row, key=lambda key: row[key])
            ours = ", ".join(f"{key} {value:.3f}" for key, value in row.items() if key.endswith("ours"))
            native = row[f"last {shape.groups} ours"]
            print(f"{shape.key:28} native {native:.3f} ms; best {best} {row[best]:.3f}; {ours}", flush=True)
            table[shape.key] = row
            bench.keep("forms_ms", table)


def _forms(shape: GroupedConv) -> list[tuple[str, str, int]]:
    """The forms of a shape: a word for the order or padding of its maps, the layout of that name, and groups."""
    divisors = [divisor for divisor in range(shape.groups, 0, -1) if shape.groups % divisor == 0]
    found = [("last", "same", groups) for groups in divisors]
    found += [("first", "contiguous", groups) for groups in (shape.groups, 1)]
    return found + [("padded", "padded", groups) for groups in divisors if groups > 1 and shape.width // groups % UNIT]


def measure_choices(bench: Bench) -> None:
    """The form of each grouped shape that a study of many epochs chooses, and the seconds that choosing takes."""
    rows: dict[str, object] = {}
    for name in bench.scale.grouped:
        if bench.left < FOR_FORMS:
            return
        shapes = grouped_convs(parse_name(name), bench.scale.task)
        began = time.perf_counter()
        chosen = fastest(dict.fromkeys(shapes, 10**6), bench.run(name, bench.scale.batch, bench.scale.task).execution)
        took = round(time.perf_counter() - began, 2)
        native = {shape.key: shape.groups for shape in shapes}
        words = [choice.described(native[choice.layer]) for choice in chosen.convolutions]
        rows[name] = {"seconds": took, "forms": words, "unmeasured": chosen.unmeasured}
        print(f"chosen for {name} in {took} s: {'; '.join(words)}; unclear: {len(chosen.unmeasured)}", flush=True)
        bench.keep("chosen", rows)


def measure_norms(bench: Bench) -> None:
    """Milliseconds of batch norm and ReLU, with and without an addition, by torch and by our kernels.

    GB/s are of what our kernels read and write: 3 times the maps forward and 5 backward, with an addition 4 and 7.
    """
    table: dict[str, dict[str, float]] = {}
    if not bench.has_kernels:
        print("norms: no kernels of ours can be used here", flush=True)
        return
    for shape in bench.scale.maps:
        for adds in (False, True):
            if bench.left < FOR_FORMS:
                return
            row: dict[str, float] = {}
            for kind in ("torch", "fused"):
                for learns in (False, True):
                    work = _norm_pass(shape, bench.device, adds=adds, fused=kind == "fused", learns=learns)
                    ms = 1000 * bench.seconds(bench.graph(work) or work, bench.scale.burst / 8)
                    row[kind if learns else f"{kind} forward"] = ms
            batch, channels, side = shape
            own = 2 * batch * channels * side**2 / 1e6
            row["fused forward GB/s"] = own * (4 if adds else 3) / row["fused forward"]
            row["fused GB/s"] = own * (11 if adds else 8) / row["fused"]
            name = f"{batch} x {channels} x {side} x {side}{' and an addition' if adds else ''}"
            print(f"norm of {name}:", ", ".join(f"{key} {value:.3f}" for key, value in row.items()), flush=True)
            table[name] = row
            bench.keep("norms_ms", table)


def _norm_pass(shape: tuple[int, int, int], device: str, *, adds: bool, fused: bool, learns: bool) -> Work:
    """Batch norm and ReLU in training mode, forward and, where it learns, backward."""
    batch, channels, side = shape
    norm = NormReLU(channels).to(device)
    if fused:
        fuse(norm, device)
    maps, added, gradient = (
        torch.randn(batch, channels, side, side, device=device, dtype=torch.bfloat16).contiguous(
            memory_format=torch.channels_last
        )
        for _ in range(3)
    )
    inputs = [one.requires_grad_(learns) for one in ((maps, added) if adds else (maps,))]

    def work() -> None:
        if not learns:
            with torch.no_grad():
                norm(*inputs)
            return
        torch.autograd.grad(norm(*inputs), (*inputs, *norm.parameters()), gradient)

    return work


def measure_steps(bench: Bench) -> None:
    """Images per second of whole steps, eager and as one graph."""
    scale, rows = bench.scale, dict[str, object]()
    one, many = scale.pair
    dense = tuple(Convolution(shape.key, 1) for shape in grouped_convs(parse_name(many), scale.task))
    best = _best_forms(bench, many)
    plan: list[tuple[str, int, str, Choices]] = [
        (one, scale.batch, "native", ()),
        (many, scale.batch, "native", ()),
        (many, scale.batch, "dense", dense),
        (many, scale.batch, "best", best),
        *((name, scale.batch, "native", ()) for name in scale.narrow),
        (one, scale.batch, "native fused", ()),
        (many, scale.batch, "best fused", best),
        (scale.narrow[0], scale.batch, "native fused", ()),
    ]
    for batch in scale.batches:
        plan += [(one, batch, "native", ()), (many, batch, "best", best)]
    flagged = [(*own, kind) for own in plan for kind in FLAGS if kind == "ours" or _is_tuned(*own[1:3], bench)]
    row: dict[str, Any]
    for name, batch, form, convolutions, kind in flagged:
        if bench.left < FOR_STEPS:
            break
        if "fused" in form and not bench.has_kernels:
            continue
        with flags(kind):
            try:
                run = bench.run(name, batch, scale.task, convolutions, fused="fused" in form)
                row = bench.speeds(bench.step(run), batch)
            except torch.OutOfMemoryError as error:
                row = {"error": in_one_line(error)}
        rows[_row(name, form, batch, kind)] = row
        print(f"{_row(name, form, batch, kind)}: {row}", flush=True)
        bench.keep("steps_images_per_second", rows)
        if bench.is_gpu:
            torch.cuda.empty_cache()
    for fused in (False, True) if bench.has_kernels else (False,):
        task, name = (
            Task(channels=1, image_size=8, classes=10),
            f"{scale.tiny} 8 px batch 32{' fused' if fused else ''}",
        )
        rows[name] = bench.speeds(bench.step(bench.run(scale.tiny, 32, task, fused=fused)), 32)
        print(f"{name}: {rows[name]}", flush=True)
        bench.keep("steps_images_per_second", rows)


def _is_tuned(batch: int, form: str, bench: Bench) -> bool:
    """Whether a step is also measured with cuDNN's fastest kernels, deterministic or not."""
    return batch == bench.scale.batch and form in ("native", "best")


def _row(name: str, form: str, batch: int, kind: str) -> str:
    return f"{name} {form} batch {batch} {kind}"


def _best_forms(bench: Bench, name: str) -> Choices:
    """The fastest deterministic form, channels last, of each grouped shape; one with a stride as that without."""
    found = []
    for shape in grouped_convs(parse_name(name), bench.scale.task):
        like = replace(shape, stride=1, map_size=-(-shape.map_size // shape.stride))
        measured = bench.found.get("forms_ms", {}).get(like.key, {})
        row = {key: ms for key, ms in measured.items() if key.startswith("last") and key.endswith("ours")}
        if row:
            found.append(Convolution(shape.key, int(min(row, key=lambda key: row[key]).split()[1])))
    return tuple(found)


def compare(bench: Bench) -> None:
    """Time of a step of many paths over that of one, at one batch and under the same flags, in its fastest form."""
    rows, (one, many), batch = bench.found.get("steps_images_per_second", {}), bench.scale.pair, bench.scale.batch
    found = {}
    plain = {kind: ("native", ("native", "dense", "best"), kind) for kind in FLAGS}
    for name, (form, forms, kind) in {**plain, "fused": ("native fused", ("best fused",), "ours")}.items():
        for how in ("eager", "graph"):
            theirs = rows.get(_row(one, form, batch, kind), {}).get(how)
            ours = [rows.get(_row(many, form, batch, kind), {}).get(how) or 0 for form in forms]
            if theirs and any(ours):
                found[f"{name} {how}"] = round(theirs / max(ours), 3)
    bench.keep(f"time_{many}_over_{one}", found)
    print(f"time of {many} over {one}: {found}", flush=True)


def measure_profile(bench: Bench) -> None:
    """What the device and the host do in a step as a study takes it, with its augmentation: milliseconds and calls."""
    rows: dict[str, object] = {}
    scale, steps = bench.scale, 10
    one, many = scale.pair
    for name, network, fused in ((one, one, False), (f"{one} fused", one, True), (many, many, False)):
        if bench.left < FOR_STEPS:
            return
        if fused and not bench.has_kernels:
            continue
        loop = random_steps(bench.run(network, scale.batch, scale.task, fused=fused))
        for _ in range(5):
            next(loop)
        finish(bench.device)
        began = time.perf_counter()
        for _ in range(steps):
            next(loop)
        host = time.perf_counter() - began
        finish(bench.device)
        wall = time.perf_counter() - began
        with torch.profiler.profile() as profile:
            for _ in range(steps):
                next(loop)
            finish(bench.device)
        kernels: dict[str, tuple[float, int]] = {}
        calls: dict[str, int] = {}
        for event in profile.events() or ():
            if str(event.device_type).endswith("CUDA"):
                ms, count = kernels.get(event.name, (0.0, 0))
                kernels[event.name] = ms + event.device_time_total / 1000 / steps, count + 1
            elif event.name.startswith(("cuda", "cu")):
                calls[event.name] = calls.get(event.name, 0) + 1
        top = sorted(kernels.items(), key=lambda item: -item[1][0])
        rows[name] = {
            "wall_ms": 1000 * wall / steps,
            "host_ms": 1000 * host / steps,
            "device_ms": sum(ms for ms, _ in kernels.values()),
            "kernels": [{"name": key, "ms": ms, "calls": count / steps} for key, (ms, count) in top],
            "host_calls": {key: count / steps for key, count in calls.items()},
        }
        bench.keep("profile", rows)
        device = sum(ms for ms, _ in kernels.values())
        print(
            f"profile {name}: wall {1000 * wall / steps:.2f} ms, host {1000 * host / steps:.2f}, kernels {device:.2f}"
        )
        for key, (ms, count) in top[:22]:
            print(f"  {ms:7.3f} ms {count / steps:6.1f}x {key[:130]}")
        print("  ", {key: count / steps for key, count in calls.items()}, flush=True)


def measure_compiled(bench: Bench) -> None:
    """What Inductor's fusions give, with the seconds that compiling takes."""
    rows, scale = {}, bench.scale
    for name in scale.pair:
        if bench.left < FOR_COMPILING:
            return
        with flags("tuned"):
            began = time.perf_counter()
            work = bench.step(bench.run(name, scale.batch, scale.task), compiles=True)
            for _ in range(2):
                work()
            finish(bench.device)
            took = round(time.perf_counter() - began, 1)
            rows[name] = {"compiling_s": took, **bench.speeds(work, scale.batch)}
        print(f"torch.compile {name}: {rows[name]}", flush=True)
        bench.keep("compiled", rows)


def main(out: Path, seconds: float, device: str) -> None:
    """Measure everything for which there is time."""
    deterministic()
    torch.set_num_threads(1)
    bench = Bench(device, out, seconds)
    measure_bounds(bench)
    measure_forms(bench)
    measure_choices(bench)
    measure_norms(bench)
    measure_steps(bench)
    compare(bench)
    measure_profile(bench)
    if bench.is_gpu:  # on a CPU it would measure the C++ compiler
        measure_compiled(bench)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), os.environ.get("CHECK_DEVICE") or "cuda")
