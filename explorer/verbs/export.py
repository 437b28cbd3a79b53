"""`explorer export architecture=NAME`: write a design as files that work without this project."""

from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from explorer.design import Architecture, Task, cost, parse_name, short_name
from explorer.design.published import namesake
from explorer.host.console import PLAIN, say
from explorer.host.errors import InputError
from explorer.host.machine import memory_bytes
from explorer.study.settings import ExportConfig, VerifyConfig
from explorer.training.exported_files import refuse_changed
from explorer.training.results import Exported
from explorer.verbs.costs import usual_task
from explorer.verbs.result import Result


def print_exported(found: Exported, console: Console) -> None:
    """Print the files that were written."""
    for path in found.files:
        console.print(f"Wrote {path}", **PLAIN)
    if not found.trained:
        say(
            console,
            "No trained weights: keep them with storage.weights=last and name one of studies/<name>/local/weights/ "
            "with weights=...",
        )
    if found.onnx_difference is not None:
        say(console, f"ONNX against torch: largest difference {found.onnx_difference:.1e}")


def carry_out(config: ExportConfig, console: Console) -> Result:
    """`export` of a design: write it as a Python module of its own, with weights and as ONNX where asked for."""
    # Two copies of the weights in float32, and two more for ONNX.
    _design(config, bytes_per_weight=20)
    from explorer.training.network.export import export
    from explorer.training.network.weights import read_weights, task_in
    from explorer.training.pickled import refuse_pickled

    weights = Path(config.weights).expanduser() if config.weights else None
    if weights:
        refuse_pickled(weights)
    channels, classes = task_in(read_weights(weights)) if weights else (None, None)
    architecture, task = _design(
        replace(config, channels=config.channels or channels, classes=config.classes or classes), bytes_per_weight=20
    )
    folder = Path(config.folder).expanduser() / short_name(architecture)
    refuse_changed(folder)
    _tell_namesake(config, console)
    found = export(architecture, task, folder, weights=weights, onnx=config.onnx, seed=config.seed)
    print_exported(found, console)
    return Result(
        lambda: {
            "architecture": short_name(architecture),
            **asdict(cost(architecture, task)),
            "folder": folder,
            **asdict(found),
        }
    )


def _tell_namesake(config: VerifyConfig | ExportConfig, console: Console) -> None:
    if words := namesake(config.architecture or ""):
        say(console, words)


def _design(config: VerifyConfig | ExportConfig, *, bytes_per_weight: int) -> tuple[Architecture, Task]:
    """The architecture and the task given to a verb. Raises InputError for invalid ones, before heavy packages load."""
    if config.architecture is None:
        raise InputError("architecture is missing; say for example architecture=29-32x4d, or for export a study's name")
    try:
        architecture = parse_name(config.architecture)
        sizes = {key: getattr(config, key) for key in ("channels", "image_size", "classes")}
        task = usual_task(architecture, **sizes)
        needed, there = bytes_per_weight * cost(architecture, task).params, memory_bytes()
    except ValueError as error:
        raise InputError(f"architecture={config.architecture}: {error}") from None
    if needed > there:
        raise InputError(
            f"architecture={config.architecture}: it would need about {needed / 2**30:,.0f} GiB "
            f"of memory; this machine has {there / 2**30:,.0f}"
        )
    return architecture, task
