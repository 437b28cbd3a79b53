"""`explorer predict NAME IMAGE...`: the classes of image files, by the trained network that answers a study."""

import csv
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from explorer.host.commands import command_for
from explorer.host.console import PLAIN
from explorer.host.errors import InputError
from explorer.host.files import write_whole
from explorer.host.formatting import counted, one_line, printable
from explorer.study.preprocessing import Preprocessing
from explorer.study.settings import PredictConfig
from explorer.verbs.export_study import stored_weights
from explorer.verbs.trained_run import images_of, preprocessing_of_run, say_if_unfinished, trained_run

SHOWN = 3  # classes of each image in text


@dataclass(frozen=True)
class _Found:
    """What became of an image file: the probability of each class, or why it cannot be read."""

    path: str
    shares: tuple[float, ...] = ()
    problem: str = ""


def carry_out(config: PredictConfig, console: Console) -> int:
    """Classify image files; 0 if all could be read, 1 if some could not, which are named and stop nothing."""
    if not config.images:
        example = command_for("predict", config.name, "folder")
        raise InputError(f"predict {config.name}: which images? say files or folders, as in: {example}")
    if config.to is not None and config.json:
        raise InputError("to=, json=true: a file of CSV and JSON are two forms; leave one of them out")
    run = trained_run(config)
    if not run.weights.is_file():
        raise run.lacks_weights(config)
    asides = Console(stderr=True) if config.json else console
    from explorer.training.network.predicting import classified
    from explorer.training.network.usable import float32_network

    network = float32_network(run.run, stored_weights(run), str(run.weights))
    recorded = "preprocessing" in run.study.environment
    data, missing = (None, "") if recorded else images_of(run, "cpu")
    needs = preprocessing_of_run(run, data, missing)
    paths = _paths(config.images)
    told = classified(paths, network, needs, run.run.data)
    found = [
        _Found(path, problem=one) if isinstance(one, str) else _Found(path, one)
        for path, one in zip(paths, told, strict=True)
    ]
    is_table = config.to is not None or any(Path(one).is_dir() for one in config.images)
    if config.json:
        _put_out(_as_json(found, needs), console)
    elif config.to is not None:
        write_whole(Path(config.to), _as_csv(found, needs))
        console.print(f"Wrote {config.to}: {counted(len(found), 'image')}", **PLAIN)
    elif is_table:
        _put_out(_as_csv(found, needs), console)
    else:
        say_if_unfinished(run, asides)
        for one in found:
            if not one.problem:
                console.print(f"{one.path}: {_best(one, needs)}", **PLAIN)
    unread = [one for one in found if one.problem]
    beside = Console(stderr=True) if config.json or is_table else console
    for one in unread:
        beside.print(f"{printable(one.path)}: cannot be used: {one.problem}", **PLAIN)
    return 1 if unread else 0


def _put_out(text: str, console: Console) -> None:
    """Write to standard output, for programs as it is; names of others must not control a terminal."""
    console.file.write(printable(text) if console.is_terminal else text)


def _paths(given: tuple[str, ...]) -> list[str]:
    """The files to classify: of a folder all that are called as images are, those of folders in it too."""
    from explorer.training.images.source import SUFFIXES

    found: list[str] = []
    for one in given:
        if not Path(one).is_dir():
            found.append(one)
            continue
        inside = []
        for place, folders, names in os.walk(one):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inside += [str(Path(place, name)) for name in names if Path(name).suffix.lower() in SUFFIXES]
        if not inside:
            raise InputError(f"{one}: holds no image files")
        found += sorted(path for path in inside if not Path(path).name.startswith("."))
    return found


def _order(one: _Found) -> list[int]:
    return sorted(range(len(one.shares)), key=lambda number: -one.shares[number])


def _best(one: _Found, needs: Preprocessing) -> str:
    return ", ".join(
        f"{printable(one_line(needs.classes[number]))} {100 * one.shares[number]:.1f} %"
        for number in _order(one)[:SHOWN]
    )


def _as_csv(found: list[_Found], needs: Preprocessing) -> str:
    """One row for each image that could be read: path, class, its probability, the probability of every class."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["path", "class", "probability", *needs.classes])
    for one in found:
        if not one.problem:
            best = _order(one)[0]
            rows.writerow([one.path, needs.classes[best], one.shares[best], *one.shares])
    return text.getvalue()


def _as_json(found: list[_Found], needs: Preprocessing) -> str:
    rows = [
        {"path": one.path, "problem": one.problem}
        if one.problem
        else {"path": one.path, "classes": [[needs.classes[number], one.shares[number]] for number in _order(one)]}
        for one in found
    ]
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
