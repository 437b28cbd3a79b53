"""How a study's runs are executed: precision, threads, workers and the form of each convolution, chosen by measuring.

A choice is made once for a device and a kind of network, cached for other studies, and fixed for a study by its first
start. `measuring.py` does the measuring.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Literal, TypedDict, cast

from annotated_types import Ge, Le

from explorer.design.grouped import GroupedConv, grouped_convs
from explorer.design.template import Task
from explorer.host.cache import remember, remembered
from explorer.host.errors import InputError
from explorer.search.measuring import (
    FILLED,
    FORMS_SECONDS,
    ExecutionPlan,
    Measurer,
    Sample,
    allowed,
    measured,
    memory_needed,
    planned,
    shared,
)
from explorer.study.designs import Latency, Setting
from explorer.study.job import Forms, FormsQuestion, Latencies, LatencyQuestion
from explorer.study.run import Convolution, Execution
from explorer.study.settings import Precision

METHOD = 5  # version of the measuring method: cached results of another version are not used
# Fields of an execution that are measured and cached for other studies.
SETTLED = ("precision", "norms", "layout", "threads")
Positive = Annotated[int, Ge(1), Le(2**16)]
Speed = Annotated[float, Ge(0), Le(1e12)]


class _Settled(TypedDict):
    """The cached part of an execution plan."""

    precision: Precision
    norms: Literal["torch", "fused"]
    layout: Literal["channels_last", "contiguous"]
    threads: Positive
    workers: Positive
    speed: Speed


class _Workers(TypedDict):
    """The cached number of workers that share a device, and images per second of one of them."""

    workers: Positive
    speed: Speed


class _Form(TypedDict):
    """The cached fastest execution of one shape of grouped convolution."""

    groups: Positive
    layout: Literal["same", "contiguous", "channels_last", "padded", "kernel"]


def propose(measurer: Measurer, settings: Sequence[Setting], runs: int) -> ExecutionPlan:
    """Make the execution plan of a new study with `runs` runs; speed is measured on the setting of median cost.

    Convolutions are chosen later, by `with_convolutions`. Raises InputError for more workers than fit into memory.
    """
    chosen, host_report, began = measurer.config.engine, measurer.host_report, measurer.clock()
    middle = _middling(settings)
    there = {"bfloat16": host_report.has_bfloat16, "float16": host_report.has_float16}
    if not there.get(chosen.precision, True):
        allowed = ", ".join(["auto", "float32", *(name for name, is_there in there.items() if is_there)])
        raise InputError(f"engine.precision={chosen.precision}: {host_report.device_name} has none; allowed: {allowed}")
    if host_report.device == "cpu" and not chosen.deterministic:
        raise InputError(
            f"engine.deterministic=false: a GPU has faster kernels that are not, {host_report.device_name} has none; "
            "allowed: true"
        )
    plain = Execution(
        device=host_report.device,
        device_name=host_report.device_name,
        form="grouped",
        layout="channels_last",
        precision="float32" if chosen.precision == "auto" else chosen.precision,
        threads=host_report.cores if host_report.device == "cpu" else 1,
        micro_batch=measurer.micro_batch,
        deterministic=chosen.deterministic,
    )
    key = _key("plan", asdict(plain), asdict(chosen), _machine(measurer), _shape(measurer, middle))
    known = remembered(key, _Settled)
    if known is not None:
        settled = {name: known[name] for name in SETTLED}
        plan = ExecutionPlan(replace(plain, **settled), known["workers"], speed=known["speed"])
    else:
        plan = measured(measurer, plain, Sample(middle, _largest(settings), runs))
        if plan.measured:
            settled = {name: getattr(plan.execution, name) for name in SETTLED}
            workers = {"workers": plan.workers, "speed": plan.speed}
            remember({key: {**settled, **workers}, _workers_key(measurer, plan.execution, middle): workers})
    _spend(measurer, plan, runs, began)
    return replace(plan, workers=_fitting(measurer, plan, settings, runs))


def resumed(measurer: Measurer, execution: Execution, settings: Sequence[Setting], runs: int) -> ExecutionPlan:
    """The plan of a study that has an execution already; only the number of workers is chosen anew."""
    middle, began = _middling(settings), measurer.clock()
    plain = replace(execution, convolutions=())
    key = _workers_key(measurer, plain, middle)
    known = remembered(key, _Workers)
    if known is not None:
        plan = ExecutionPlan(execution, known["workers"], speed=known["speed"])
    elif measurer.host_report.device == "cuda":
        plan = replace(shared(measurer, plain, Sample(middle, _largest(settings), runs)), execution=execution)
        if plan.measured:
            remember({key: {"workers": plan.workers, "speed": plan.speed}})
    else:
        plan = ExecutionPlan(execution, max(1, measurer.host_report.cores // execution.threads))
    _spend(measurer, plan, runs, began)
    return replace(plan, workers=_fitting(measurer, plan, settings, runs))


def _spend(measurer: Measurer, plan: ExecutionPlan, runs: int, began: float) -> None:
    """Leave to the forms of convolutions what the plan has not used up of the time that measuring may take."""
    if plan.speed:
        whole = allowed(planned(measurer, runs, plan.speed))
        measurer.allowance.left = max(0.0, whole - (measurer.clock() - began))


def _largest(settings: Sequence[Setting]) -> Setting:
    return max(settings, key=lambda setting: (setting.cost.activations, setting.cost.params))


def _middling(settings: Sequence[Setting]) -> Setting:
    return sorted(settings, key=lambda setting: setting.cost.macs)[len(settings) // 2]


def with_latency(measurer: Measurer, execution: Execution, settings: Sequence[Setting]) -> tuple[Setting, ...]:
    """Add the measured time of a forward pass to settings, if the search minimises it; nothing else may run."""
    search = measurer.config.search
    if "latency" not in search.objectives:
        return tuple(settings)
    designs, task = tuple(setting.architecture for setting in settings), measurer.config.data.task
    question = LatencyQuestion(designs, task, execution.device, execution.precision, search.latency_batch)
    (answer,) = measurer.engine.ask(question)
    quartiles = cast(Latencies, answer).quartiles
    return tuple(replace(setting, latency=Latency(*own)) for setting, own in zip(settings, quartiles, strict=True))


def with_convolutions(measurer: Measurer, execution: Execution, settings: Sequence[Setting], workers: int) -> Execution:
    """Complete a plan: choose the fastest execution for each shape of grouped convolution that it lacks.

    `workers` processes would otherwise train while one of them measures, which bounds what measuring is worth.
    """
    if measurer.config.engine.forms == "native":  # is a choice too, which a later start without the key must keep
        return natively(execution, settings, measurer.config.data.task)
    decided = {choice.layer for choice in execution.convolutions}
    unknown: list[tuple[GroupedConv, int]] = []
    found: list[Convolution] = []
    for shape, number in _uses(measurer, execution, settings, workers).items():
        if shape.key in decided:
            continue
        known = remembered(_form_key(measurer, shape.key, execution), _Form)
        if known is not None:
            found.append(Convolution(shape.key, known["groups"], known["layout"]))
        else:
            unknown.append((shape, number))
    limit = min(FORMS_SECONDS, measurer.allowance.left / _parts(measurer, settings))
    if unknown and limit > 0:
        began = measurer.clock()
        shapes = f"{len(unknown)} grouped convolution{'s' if len(unknown) > 1 else ''}"
        measurer.tell(f"Measuring for at most {limit:.1f} s: which form of {shapes} is the fastest")
        (answer,) = measurer.engine.ask(FormsQuestion(tuple(unknown), execution, limit))
        measurer.allowance.left = max(0.0, measurer.allowance.left - (measurer.clock() - began))
        measured = cast(Forms, answer)
        remember(
            {
                _form_key(measurer, choice.layer, execution): {"groups": choice.groups, "layout": choice.layout}
                for choice in measured.convolutions
                if choice.layer not in measured.unmeasured
            }
        )
        found += measured.convolutions
    execution = replace(execution, convolutions=(*execution.convolutions, *found))
    return natively(execution, settings, measurer.config.data.task)  # what there was no time to measure


def natively(execution: Execution, settings: Iterable[Setting], task: Task) -> Execution:
    """Complete a plan: each shape of grouped convolution of these settings that it lacks is executed as it is."""
    decided = {choice.layer for choice in execution.convolutions}
    shapes = {shape.key: shape.groups for one in settings for shape in grouped_convs(one.architecture, task)}
    found = [Convolution(key, groups) for key, groups in shapes.items() if key not in decided]
    return replace(execution, convolutions=(*execution.convolutions, *found))


def _parts(measurer: Measurer, settings: Sequence[Setting]) -> int:
    """Among how many designs that a search has yet to choose the time for their convolutions is divided."""
    search = measurer.config.search
    return max(1, (search.designs or 1) // max(1, len(settings))) if search.is_adaptive else 1


def _uses(measurer: Measurer, execution: Execution, settings: Iterable[Setting], workers: int) -> Counter[GroupedConv]:
    """How many passes through each shape of grouped convolution the study plans per worker."""
    recipe, uses = measurer.config.recipe, Counter[GroupedConv]()
    steps = recipe.steps_on(measurer.host_report.images[0])
    passes = steps * -(-recipe.batch_size // execution.micro_batch) * measurer.config.search.looks[0] / workers
    for setting in settings:
        for shape, number in grouped_convs(setting.architecture, measurer.config.data.task).items():
            uses[shape] += round(number * passes)
    return uses


def _fitting(measurer: Measurer, plan: ExecutionPlan, settings: Sequence[Setting], runs: int) -> int:
    """The number of workers asked for, or that of the plan; never more than there are runs, or than fit into memory.

    Each worker may have to train the largest network.
    """
    asked = measurer.workers
    wanted = asked or plan.workers
    needed = measurer.host_report.held + max(memory_needed(setting.cost, plan.execution) for setting in settings)
    there = measurer.host_report.memory
    most = max(1, int(FILLED * there / needed))
    if asked and min(asked, runs) > most:
        has = "the GPU has free" if measurer.host_report.device == "cuda" else "this machine has"
        raise InputError(
            f"engine.workers={measurer.config.engine.workers}: each needs about {needed / 2**30:.1f} GiB and {has} "
            f"{there / 2**30:.0f}; allowed: up to {most * len(measurer.host_report.devices)}, or a smaller "
            "recipe.micro_batch"
        )
    return max(1, min(wanted, most, runs))


def _shape(measurer: Measurer, setting: Setting) -> list[object]:
    return [setting.name, asdict(measurer.config.data.task), measurer.config.recipe.batch_size]


def _machine(measurer: Measurer) -> list[object]:
    there = measurer.host_report
    own = [there.device_name, there.has_bfloat16, there.has_kernels, there.versions.get("torch"), there.cores]
    return [METHOD, *own, *(["mps"] if "mps" in there.versions else [])]


def _workers_key(measurer: Measurer, plain: Execution, middle: Setting) -> str:
    return _key("workers", asdict(plain), measurer.workers or "auto", _machine(measurer), _shape(measurer, middle))


def _form_key(measurer: Measurer, layer: str, execution: Execution) -> str:
    return _key("form", layer, asdict(replace(execution, convolutions=())), _machine(measurer))


def _key(*parts: object) -> str:
    text = json.dumps(parts, sort_keys=True)
    return f"{parts[0]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
