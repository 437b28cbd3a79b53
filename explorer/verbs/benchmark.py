"""`explorer benchmark`: speed of training and inference here, against a plain PyTorch loop and hardware limits."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial

from rich.console import Console

from explorer.design import Architecture, Task, cost, parse_name, short_name
from explorer.host.console import say
from explorer.host.errors import InputError
from explorer.host.tables import print_rows
from explorer.study.memory import passing_bytes, refuse_beyond
from explorer.study.settings import BenchmarkConfig
from explorer.training.results import Figure, Latency, Limits, Together, TrainingSpeed
from explorer.verbs.result import Result


def print_limits(limits: Limits, console: Console) -> None:
    """Print the measured limits of the device: matrix products and memory bandwidth."""
    say(
        console,
        f"{limits.device}, {limits.cores} cores. A large matrix product: {limits.float32 / 1e12:.2f} Tflop/s in "
        f"float32, {limits.bfloat16 / 1e12:.2f} in bfloat16; a large copy: {limits.bandwidth / 1e9:.0f} GB/s.",
    )


def print_training(found: list[TrainingSpeed], limits: Limits, console: Console) -> None:
    """Print images per second of this program and of the reference, and how near it is to the device's limits."""
    columns = [
        "network",
        "ours",
        "reference",
        "its channels\nlast",
        "ours / ref.",
        "time / first",
        "activations\n/ first",
        "of peak",
        "of memory\nlimit",
        "GiB",
        "choosing",
    ]
    rows = [
        (
            speed.name,
            f"{speed.ours:,.1f}",
            f"{speed.reference:,.1f}",
            f"{speed.channels_last:,.1f}",
            f"{speed.speedup:.2f}x",
            f"{found[0].ours / speed.ours:.2f}x",
            f"{speed.activations / found[0].activations:.2f}x",
            f"{speed.share_of_peak(limits):.0%}",
            f"{speed.share_of_bandwidth(limits):.0%}",
            "/".join(map(_gib, (speed.memory, speed.reference_memory, speed.channels_last_memory))),
            f"{speed.choosing:.1f} s",
        )
        for speed in found
    ]
    print_rows(console, f"Training, images per second, batch {found[0].batch_size}", columns, rows)
    accesses = " or ".join(map(str, sorted({speed.accesses for speed in found})))
    say(
        console,
        f"Ours: {', '.join(sorted({speed.execution.precision for speed in found}))}, forms as below. "
        "Reference: what a tutorial writes, float32 with torch's own settings (on a GPU TF32 in convolutions), two "
        "loader processes, numpy augmentation. GiB: the peak of memory of each loop alone. Of peak: 6 operations "
        "per multiply-add against the matrix product in the same precision. Of memory limit: "
        f"{accesses} accesses to each value that a convolution gives, against the copy.",
    )
    for speed in found:
        say(console, f"{speed.name}: {_forms(speed)}")


def _gib(memory: int | None) -> str:
    return "-" if memory is None else f"{memory / 2**30:.1f}"


def _forms(speed: TrainingSpeed) -> str:
    """The order of the maps, and how batch norms and grouped convolutions are executed, as text."""
    words = [choice.described(speed.native[choice.layer]) for choice in speed.execution.convolutions]
    norms = "batch norms by our kernel" if speed.execution.norms == "fused" else "torch's batch norms"
    order = "channels last" if speed.execution.layout == "channels_last" else "channels first"
    return f"{order}; {norms}; {'; '.join(words) or 'no grouped convolution'}"


def print_together(found: Together, console: Console) -> None:
    """Print the throughput of several small runs at once."""
    say(
        console,
        f"{found.name}: {found.alone:,.0f} images/s alone; {found.workers} runs at once {found.together:,.0f}, "
        f"{found.together / found.alone:.2f}x.",
    )


def print_figures(found: list[Figure], console: Console) -> None:
    """Print each performance target: the measured value, and whether it was reached."""
    words = {None: "undecided", True: "pass", False: "FAIL"}
    rows = [(figure.what, figure.found, words[figure.passed]) for figure in found]
    print_rows(console, "Figures to reach", ("figure", "found", ""), rows, wraps=True)


def print_latencies(found: list[Latency], console: Console) -> None:
    """Print the milliseconds of one forward pass of each network."""
    rows = [
        (
            latency.name,
            f"{latency.median * 1000:.2f} ms",
            f"{latency.lower * 1000:.2f} to {latency.upper * 1000:.2f} ms",
            f"{latency.median / found[0].median:.2f}x",
            str(latency.passes),
        )
        for latency in found
    ]
    title = f"Latency of a batch of {found[0].batch_size}, {found[0].precision}, {found[0].device}"
    print_rows(console, title, ("network", "median", "quartiles", "time / first", "passes"), rows)


def _training(config: BenchmarkConfig, console: Console) -> Result:
    from explorer.search.measuring import small_runs
    from explorer.training.device import device_memory, resolve
    from explorer.training.latency import exclusive
    from explorer.training.results import training_figures
    from explorer.training.speed import (
        IMAGES,
        Conditions,
        at_best_batch,
        measure_limits,
        measure_training,
        training_needs,
    )
    from explorer.training.worker import prepare_process

    architectures, task = _candidates(config)
    prepare_process()
    device = resolve(config.device)
    for architecture in architectures:
        _refuse_beyond(
            config,
            f"training {short_name(architecture)} on {IMAGES:,} random images",
            partial(training_needs, architecture),
            device_memory(device),
        )
    conditions = Conditions(task, config.batch_size, config.steps, config.turns, device, config.seed)
    with exclusive(device):
        limits = measure_limits(device)
        print_limits(limits, console)
        with console.status("") as status:
            tell = status.update if console.is_terminal else partial(console.print, markup=False, highlight=False)
            found = measure_training(architectures, conditions, tell)
            tell("small runs side by side")
            together = small_runs(device)
            best = at_best_batch(architectures[0], conditions, found[0]) if device == "cuda" else found[0]
    print_training(found, limits, console)
    print_together(together, console)
    figures = training_figures(found, best, limits, together, gpu=device == "cuda")
    print_figures(figures, console)
    return Result(
        lambda: {
            "limits": asdict(limits),
            "training": [
                {
                    **{key: value for key, value in asdict(one).items() if key not in ("execution", "native")},
                    "speedup": one.speedup,
                    "precision": one.execution.precision,
                    "share_of_peak": one.share_of_peak(limits),
                    "share_of_bandwidth": one.share_of_bandwidth(limits),
                }
                for one in found
            ],
            "together": asdict(together),
            "figures": [asdict(one) for one in figures],
        }
    )


def _latency(config: BenchmarkConfig, console: Console) -> Result:
    from explorer.training.device import device_memory, has_bfloat16, has_fast_bfloat16, has_float16, resolve
    from explorer.training.latency import measure_latency

    architectures, task = _candidates(config)
    device = resolve(config.device)
    for architecture in architectures:
        _refuse_beyond(
            config, f"a pass of {short_name(architecture)}", partial(passing_bytes, architecture), device_memory(device)
        )
    has_float16_instead = has_float16(device) and not has_fast_bfloat16(device)
    short = "float16" if has_float16_instead else "bfloat16" if has_bfloat16(device) else None
    measured: list[Latency] = []
    for precision in filter(None, ("float32", short)):
        found = measure_latency(
            architectures,
            task,
            device=device,
            precision=precision,
            batch_size=config.batch_size,
            turns=config.turns,
            seed=config.seed,
        )
        print_latencies(found, console)
        measured += found
    return Result(lambda: {"latency": [asdict(one) for one in measured]})


def _candidates(config: BenchmarkConfig) -> tuple[list[Architecture], Task]:
    """The networks to measure, and their task. Raises InputError for a network that cannot be built for that task."""
    architectures, task = [], Task(channels=3, image_size=config.image_size, classes=10)
    for name in config.architectures:
        try:
            architectures.append(parse_name(name))
            cost(architectures[-1], task)
        except ValueError as error:
            raise InputError(f"architectures={name}: {error}") from None
    if not architectures:
        raise InputError("architectures=[]: name at least one, as in architectures=[29-1x64d,29-32x4d]")
    return architectures, task


def _refuse_beyond(config: BenchmarkConfig, what: str, needed: Callable[[Task, int], int], there: int) -> None:
    """Raise InputError if the configured image size and batch size do not fit into `there` bytes of memory."""

    def needed_with(sizes: Mapping[str, int]) -> int:
        return needed(Task(channels=3, image_size=sizes["image_size"], classes=10), sizes["batch_size"])

    refuse_beyond(what, needed_with, {"image_size": config.image_size, "batch_size": config.batch_size}, there)


def carry_out(config: BenchmarkConfig, console: Console) -> Result:
    """`explorer benchmark`: measure this machine. The exit code is always 0: a missed target is not an error."""
    return {"training": _training, "latency": _latency}[config.subject](config, console)
