"""The content of a design's card: its stages, its costs, its errors by seed, and the command that trains it again."""

from collections.abc import Iterator
from typing import Any

from explorer.analysis.summary import SettingSummary
from explorer.design.architecture import Architecture
from explorer.design.attention import kind_and_ratio
from explorer.design.cost_measures import COUNTED, MEASURES
from explorer.design.layout import layout
from explorer.design.template import Task
from explorer.host.commands import PROGRAM, command_for
from explorer.record.folder import STUDIES
from explorer.report.error_words import interval_words, mean_words, seed_words
from explorer.study.settings import StudyConfig


def card(summary: SettingSummary, config: StudyConfig, task: Task) -> dict[str, Any]:
    """One design as plain values for JSON; errors are text, `map` is the side of a stage's feature maps in pixels."""
    architecture, form = summary.design
    stages = []
    if architecture.block != "alexnet":
        stages = [
            {
                "map": stage.map_size,
                "blocks": stage.depth,
                "cardinality": stage.cardinality,
                "width": stage.bottleneck_width,
                "into": stage.in_width,
                "out": stage.width,
            }
            for stage in layout(architecture, task).stages
        ]
    return {
        "name": summary.display,
        "block": architecture.block,
        "shortcut": architecture.shortcut,
        "kernel": architecture.kernel_size,
        "parts": ", ".join(_parts(architecture)),
        "form": form,
        "stages": stages,
        "costs": [
            *([measure.words.capitalize(), getattr(summary, axis)] for axis, measure in COUNTED.items()),
            *([_upper(MEASURES[name].words), value] for name, value in summary.added.items()),
        ],
        "mean": mean_words(summary),
        "interval": interval_words(summary),
        "errors": {str(seed): seed_words(summary, seed) for seed in summary.errors},
        "command": command(summary.setting, config),
    }


def _parts(architecture: Architecture) -> Iterator[str]:
    """What of a design its picture does not show."""
    if architecture.stem == "deep":
        yield "a stem of three convolutions"
    if architecture.projection != "conv":
        yield "shortcuts pooled before their 1x1" if architecture.projection == "pool" else "shortcuts padded"
    if architecture.scale > 1:
        yield f"{architecture.scale} groups of these paths that feed each other"
    kind, ratio = kind_and_ratio(architecture.attention)
    if kind == "eca":
        yield "channels scaled by a convolution along them (ECA)"
    elif kind != "none":
        yield f"squeeze-and-excitation of the {'output' if kind == 'se' else 'middle'}, ratio {ratio}"


def _upper(words: str) -> str:
    return words[0].upper() + words[1:]


def command(setting: str, config: StudyConfig) -> str:
    """The command that trains one design of a study again, by itself, with the study's own settings.

    Of imported results it is the one that tells what the design costs, since they cannot be trained again.
    """
    if config.is_imported:
        return command_for("verify", setting, program=PROGRAM)
    name, _, form = setting.partition("@")
    formed = f" 'search.forms=[{form}]'" if form else ""
    return f"{again(config)} 'search.only=[{name}]'{formed}"


def again(config: StudyConfig) -> str:
    """The command that runs a study again from its stored settings, whatever it was started with."""
    file = f"{STUDIES}/{config.name}/config.yaml"
    path = ["data.path=FOLDER"] if given_path(config) else []
    return command_for("run", "", "--config", file, "name=again", *path, program=PROGRAM)


def given_path(config: StudyConfig) -> str:
    """The argument `data.path` of a command for images that lie on a local disk; "" for other images."""
    return " data.path=FOLDER" if config.data.source in ("parquet", "folder") else ""
