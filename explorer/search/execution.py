"""How a study's runs are executed: precision, threads, workers and the form of each convolution, chosen by measuring.

A choice is made once for a device and a kind of network, kept for other studies, and fixed for a study by its first
start. Measuring takes a small share of the planned time, or is left out where even that is too much.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal, TypedDict, cast

from annotated_types import Ge, Le

from explorer.cache import remember, remembered
from explorer.checks import Together
from explorer.design.cost import Cost
from explorer.design.grouped import GroupedConv, grouped_convs
from explorer.design.name import parse_name
from explorer.design.template import Task
from explorer.errors import InputError
from explorer.job import (
    Forms,
    FormsQuestion,
    Latencies,
    LatencyQuestion,
    Speed,
    SpeedQuestion,
    Surroundings,
    TogetherQuestion,
)
from explorer.machine import cpu_count
from explorer.planning import Latency, Setting, task_of
from explorer.run import Convolution, Execution, Run
from explorer.search.engine import Engine
from explorer.search.local import LocalEngine
from explorer.settings import DataConfig, Recipe, StudyConfig

PROBE_SECONDS = 0.5
WINDOW = 2.0  # seconds in which workers that share a device are measured together
SHARE = 0.02  # of the planned time, which measuring may take
GAIN = 1.05  # another number of threads or workers must be faster by more than the clock's noise
MOST_ON_GPU = 16
SETTLED = ("precision", "norms", "threads")  # what is measured of an execution, and kept for other studies
# What a worker takes besides maps and weights, measured with torch 2.13: libraries, and buffers of the convolutions.
BASE_BYTES = 400 * 2**20
Positive = Annotated[int, Ge(1), Le(2**16)]


class _Settled(TypedDict):
    """What the cache holds of a plan."""

    precision: Literal["float32", "bfloat16"]
    norms: Literal["torch", "fused"]
    threads: Positive
    workers: Positive


class _Form(TypedDict):
    """What the cache holds of the fastest execution of a convolution."""

    groups: Positive
    layout: Literal["same", "contiguous", "kernel"]


@dataclass(frozen=True)
class Bench:
    """What is needed to measure for a study: its settings, what there is to run on, and workers to ask."""

    config: StudyConfig
    surroundings: Surroundings
    engine: Engine

    @property
    def workers(self) -> int | None:
        """Runs that are to share a device, where a person says so; a cluster has as many devices as it has."""
        asked, there = self.config.engine.workers, self.surroundings.devices
        return None if asked == "auto" or self.config.engine.name != "local" else -(-asked // len(there))

    @property
    def micro_batch(self) -> int:
        """Images per pass."""
        return self.config.recipe.micro_batch or self.config.recipe.batch_size


@dataclass(frozen=True)
class Plan:
    """A study's execution and the number of workers that share a device.

    `measured` is false where the planned study was too short to pay for all measurements.
    """

    execution: Execution
    workers: int
    measured: bool = True


def propose(bench: Bench, settings: Sequence[Setting], runs: int) -> Plan:
    """The plan of a new study of so many runs of these settings; speed is measured on the one of middling cost.

    Convolutions are chosen later, by `with_convolutions`. Raises InputError for more workers than the memory holds.
    """
    chosen, surroundings, middle = bench.config.engine, bench.surroundings, _middling(settings)
    if chosen.precision == "bfloat16" and not surroundings.has_bfloat16:
        raise InputError(f"engine.precision=bfloat16: {surroundings.device_name} has none; allowed: auto, float32")
    plain = Execution(
        device=surroundings.device,
        device_name=surroundings.device_name,
        form="grouped",
        layout="channels_last",
        precision="float32" if chosen.precision == "auto" else chosen.precision,
        threads=surroundings.cores if surroundings.device == "cpu" else 1,
        micro_batch=bench.micro_batch,
    )
    key = _key("plan", asdict(plain), asdict(chosen), _machine(bench), _shape(bench, middle))
    known = remembered(key, _Settled)
    if known is not None:
        settled = {name: known[name] for name in SETTLED}
        plan = Plan(replace(plain, **settled), known["workers"])
    else:
        plan = _measured(bench, plain, middle, runs)
        if plan.measured:
            settled = {name: getattr(plan.execution, name) for name in SETTLED}
            remember({key: {**settled, "workers": plan.workers}})
    return replace(plan, workers=_fitting(bench, plan, settings, runs))


def resumed(bench: Bench, execution: Execution, settings: Sequence[Setting], runs: int) -> Plan:
    """The plan of a study whose execution is settled; the number of workers is free."""
    middle = _middling(settings)
    workers = max(1, bench.surroundings.cores // execution.threads)
    if bench.surroundings.device == "cuda":
        plain = replace(execution, convolutions=())
        key = _key("workers", asdict(plain), bench.workers or "auto", _machine(bench), _shape(bench, middle))
        known = remembered(key, Positive)
        workers = known if known is not None else _shared(bench, plain, middle, runs).workers
        remember({key: workers})
    plan = Plan(execution, workers)
    return replace(plan, workers=_fitting(bench, plan, settings, runs))


def _middling(settings: Sequence[Setting]) -> Setting:
    return sorted(settings, key=lambda setting: setting.cost.macs)[len(settings) // 2]


def with_latency(bench: Bench, execution: Execution, settings: Sequence[Setting]) -> tuple[Setting, ...]:
    """The settings with the time of a forward pass where the search makes it small; nothing else may run."""
    search = bench.config.search
    if "latency" not in search.objectives:
        return tuple(settings)
    designs, task = tuple(setting.architecture for setting in settings), task_of(bench.config)
    question = LatencyQuestion(designs, task, execution.device, execution.precision, search.latency_batch)
    (answer,) = bench.engine.ask(question)
    quartiles = cast(Latencies, answer).quartiles
    return tuple(replace(setting, latency=Latency(*own)) for setting, own in zip(settings, quartiles, strict=True))


def with_convolutions(bench: Bench, execution: Execution, settings: Iterable[Setting], workers: int) -> Execution:
    """The plan with an execution chosen for every shape of grouped convolution in the settings that it lacks.

    So many workers would otherwise train while one of them measures.
    """
    if bench.config.engine.forms == "native":
        return execution
    decided = {choice.layer for choice in execution.convolutions}
    unknown: list[tuple[GroupedConv, int]] = []
    found: list[Convolution] = []
    for shape, number in _uses(bench, execution, settings, workers).items():
        if shape.key in decided:
            continue
        known = remembered(_form_key(bench, shape.key, execution), _Form)
        if known is not None:
            found.append(Convolution(shape.key, known["groups"], known["layout"]))
        else:
            unknown.append((shape, number))
    if unknown:
        (answer,) = bench.engine.ask(FormsQuestion(tuple(unknown), execution))
        measured = cast(Forms, answer)
        remember(
            {
                _form_key(bench, choice.layer, execution): {"groups": choice.groups, "layout": choice.layout}
                for choice in measured.convolutions
                if choice.layer not in measured.unmeasured
            }
        )
        found += measured.convolutions
    return replace(execution, convolutions=(*execution.convolutions, *found))


def _uses(bench: Bench, execution: Execution, settings: Iterable[Setting], workers: int) -> Counter[GroupedConv]:
    """How many passes of each shape the study plans for each worker."""
    recipe, uses = bench.config.recipe, Counter[GroupedConv]()
    steps = recipe.epochs * (bench.surroundings.images[0] // recipe.batch_size)
    passes = steps * -(-recipe.batch_size // execution.micro_batch) * bench.config.search.seeds / workers
    for setting in settings:
        for shape, number in grouped_convs(setting.architecture, task_of(bench.config)).items():
            uses[shape] += round(number * passes)
    return uses


def small_runs(device: str) -> Together:
    """A small network of the demonstration trained alone, on all cores, and several runs of it side by side."""
    architecture, task = parse_name("29-32x4d"), Task(channels=1, image_size=8, classes=10)
    recipe = Recipe(1, 32, 0.01, "one_cycle", 0.2, (), 0.9, True, 5e-4, 0.0, 0, False, False)
    data = DataConfig("digits", "Digits", 1, 8, 10, 400, 250, 1147, 0)

    def speed(workers: int, threads: int) -> float:
        execution = Execution(device, "", "grouped", "channels_last", "float32", threads, recipe.batch_size)
        return _total(engine, Run(architecture, task, recipe, data, "", 0, execution), workers)[0]

    engine = LocalEngine(retries=0)
    try:
        alone, totals, workers = speed(1, cpu_count() if device == "cpu" else 1), {}, 2
        while workers <= min(cpu_count(), MOST_ON_GPU):
            totals[workers] = speed(workers, max(1, cpu_count() // workers) if device == "cpu" else 1)
            workers *= 2
    finally:
        engine.close()
    best = max(totals, key=lambda count: totals[count], default=1)
    return Together("29-32x4d at 8 pixels", alone, best, totals.get(best, alone))


def memory_needed(cost: Cost, execution: Execution) -> int:
    """About how many bytes of memory a run takes at its peak.

    Each map is kept before and after its batch norm until the backward pass, which holds about as much again in
    gradients and buffers; weights come with gradient, momentum and a copy.
    """
    per_value = 2 if execution.precision == "bfloat16" else 4
    return BASE_BYTES + 3 * cost.activations * execution.micro_batch * per_value + 16 * cost.params


def _measured(bench: Bench, plain: Execution, middle: Setting, runs: int) -> Plan:
    """Precision and kernels first, on one worker; then how many workers share the device, and the threads of each."""
    there, chosen, is_gpu = bench.surroundings, bench.config.engine, bench.surroundings.device == "cuda"
    others: list[dict[str, Any]] = []
    others += [{"precision": "bfloat16"}] if chosen.precision == "auto" and there.has_bfloat16 else []
    others += [{"norms": "fused"}] if chosen.forms == "auto" and there.has_kernels else []
    if not others and chosen.threads != "auto" and not is_gpu:
        return _divided(bench, plain, middle, runs, 0.0)  # nothing is left to measure
    best, speed = plain, 0.0
    for other in others or [{}]:
        candidates = [best, replace(best, **other)] if other else [best]
        speeds = _speed(bench, middle, *candidates).images_per_second
        best, speed = max(zip(candidates, speeds, strict=True), key=lambda found: found[1])
    if is_gpu:
        return _shared(bench, best, middle, runs)
    return _divided(bench, best, middle, runs, speed)


def _divided(bench: Bench, execution: Execution, middle: Setting, runs: int, speed: float) -> Plan:
    """Cores divided among workers as throughput is highest; many small runs side by side where nothing tells."""
    cores, engine = bench.surroundings.cores, bench.config.engine
    if engine.threads != "auto":
        return Plan(replace(execution, threads=engine.threads), max(1, cores // engine.threads))
    counts = [bench.workers] if bench.workers else _halved(cores)
    divisions = {max(1, cores // count): count for count in counts if count <= runs} or {cores: 1}
    narrowest = min(divisions)
    default = Plan(replace(execution, threads=narrowest), divisions[narrowest])
    if len(divisions) == 1:
        return default
    speed = max(speed, 1e-9)
    step = bench.config.recipe.batch_size / speed
    # A worker with fewer threads takes longer for a step, in proportion at most.
    expected = sum(WINDOW + 3 * step * cores / threads for threads in divisions)
    images = runs * bench.config.recipe.epochs * bench.surroundings.images[0]
    if expected > SHARE * images / speed:
        return replace(default, measured=False)
    totals = {
        threads: _together(bench, middle, replace(execution, threads=threads), workers)[0]
        for threads, workers in divisions.items()
    }
    best = max(totals, key=lambda threads: totals[threads])
    threads = best if totals[best] > GAIN * totals[narrowest] else narrowest
    return Plan(replace(execution, threads=threads), divisions[threads])


def _shared(bench: Bench, execution: Execution, middle: Setting, runs: int) -> Plan:
    """Processes on one GPU: twice as many as long as all together get faster by a tenth and the memory holds them."""
    engine = bench.config.engine
    if engine.threads != "auto":
        execution = replace(execution, threads=engine.threads)
    if bench.workers:
        return Plan(execution, bench.workers)
    workers, (total, peak) = 1, _together(bench, middle, execution, 1)
    most = min(runs, bench.surroundings.cores, MOST_ON_GPU)
    while workers * 2 <= most and workers * 2 * peak < 0.9 * bench.surroundings.memory:
        together, _ = _together(bench, middle, execution, workers * 2)
        if together < 1.1 * total:
            break
        workers, total = workers * 2, together
    return Plan(execution, workers)


def _speed(bench: Bench, setting: Setting, *executions: Execution) -> Speed:
    runs = tuple(_run(bench, setting, execution) for execution in executions)
    (answer,) = bench.engine.ask(SpeedQuestion(runs, PROBE_SECONDS))
    return cast(Speed, answer)


def _together(bench: Bench, setting: Setting, execution: Execution, workers: int) -> tuple[float, int]:
    """Images per second of so many workers at once, and the memory in bytes that the first of them took."""
    return _total(bench.engine, _run(bench, setting, execution), workers)


def _total(engine: Engine, run: Run, workers: int) -> tuple[float, int]:
    """The same of a run; none if one of the workers lacks the memory."""
    answers = [cast(Speed, answer) for answer in engine.ask(TogetherQuestion(run, WINDOW), workers)]
    speeds = [answer.images_per_second[0] for answer in answers]
    return sum(speeds) if min(speeds) > 0 else 0.0, answers[0].peak_memory


def _run(bench: Bench, setting: Setting, execution: Execution) -> Run:
    config = bench.config
    return Run(setting.architecture, task_of(config), config.recipe, config.data, "", 0, execution)


def _fitting(bench: Bench, plan: Plan, settings: Sequence[Setting], runs: int) -> int:
    """As many workers as were asked for, or as the plan has; never more than there are runs, or the memory holds.

    Each may have the largest network.
    """
    asked = bench.workers
    wanted = asked or plan.workers
    if bench.surroundings.device != "cpu":
        return max(1, min(wanted, runs))
    needed = max(memory_needed(setting.cost, plan.execution) for setting in settings)
    there = bench.surroundings.memory
    most = max(1, int(0.9 * there / needed))
    if asked and min(asked, runs) > most:
        raise InputError(
            f"engine.workers={asked}: each needs about {needed / 2**30:.1f} GiB and this machine has "
            f"{there / 2**30:.0f}; allowed: up to {most}, or a smaller recipe.micro_batch"
        )
    return max(1, min(wanted, most, runs))


def _halved(cores: int) -> list[int]:
    """Numbers of workers: one per core, half as many, and so on down to one."""
    counts = [cores]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    return counts


def _shape(bench: Bench, setting: Setting) -> list[object]:
    return [setting.name, asdict(task_of(bench.config)), bench.config.recipe.batch_size]


def _machine(bench: Bench) -> list[object]:
    there = bench.surroundings
    return [there.device_name, there.has_bfloat16, there.has_kernels, there.versions.get("torch"), there.cores]


def _form_key(bench: Bench, layer: str, execution: Execution) -> str:
    return _key("form", layer, asdict(replace(execution, convolutions=())), _machine(bench))


def _key(*parts: object) -> str:
    text = json.dumps(parts, sort_keys=True)
    return f"{parts[0]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
