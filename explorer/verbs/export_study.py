"""`explorer export NAME`: a study's trained network as a folder that needs no project, with its proof."""

import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.prompt import Confirm
from rich.text import Text

import explorer
from explorer.design.cost_measures import COUNTED
from explorer.design.name import display_setting
from explorer.host.console import PLAIN
from explorer.host.errors import InputError
from explorer.host.formatting import counted, duration, in_one_line, interval, one_line, percent, printable
from explorer.record.folder import make_folder
from explorer.record.starts import starts_of, used_sources
from explorer.study.preprocessing import Preprocessing
from explorer.study.settings import NetworkConfig
from explorer.training.exported_files import FILES, MARK, refuse_changed
from explorer.verbs.result import Result
from explorer.verbs.trained_run import TrainedRun, images_of, preprocessing_of_run, say_if_unfinished, trained_run

if TYPE_CHECKING:
    from explorer.training.network.forms import State
    from explorer.training.network.proof import Proof

_ROOM = ".explorer-export-"  # how the name of the folder begins in which an export is made


@dataclass(frozen=True)
class _Weights:
    """The weights of a run in the grouped form, by key, and where they were read.

    again  of a network trained again elsewhere than the record, whose errors are its own: how it differs, in a sentence
    """

    state: "State"
    source: str
    again: str = ""


def carry_out(config: NetworkConfig, console: Console) -> Result:
    """Write the network of a study that a command asks for, prove what was written, and say where it is."""
    folder = Path(config.folder).expanduser() if config.folder else Path("exports") / config.name
    _refuse_others(folder)
    whole = folder.absolute()
    make_folder(next(place for place in (whole, *whole.parents) if place.exists()))  # before all that takes time
    found = trained_run(config)
    say_if_unfinished(found, console)
    console.print(f"{found.title}: {found.why}", **PLAIN)
    if not found.weights.is_file() and not config.train:
        _offer(found, config, console)
    from explorer.training.worker import prepare_process

    prepare_process()  # before torch loads
    if config.onnx:
        from explorer.training.network.onnx_file import refuse_without_onnx

        refuse_without_onnx()
    from explorer.training.loop import settings_kept

    with settings_kept():
        found, weights = _weights(found, console)
        return _written(config, found, weights, folder, console)


def _written(config: NetworkConfig, found: TrainedRun, weights: _Weights, folder: Path, console: Console) -> Result:
    from explorer.training.network.again import not_executable
    from explorer.training.network.card import card
    from explorer.training.network.proof import Proof, prove_weights, prove_written
    from explorer.training.network.usable import (
        CARD,
        ONNX,
        about_of,
        float32_network,
        write_pixels_onnx,
        write_usable,
    )

    data, missing = images_of(found, "cpu")
    needs = preprocessing_of_run(found, data, missing)
    proof, answers = Proof(part="validation" if found.right is None else "test"), None
    if data is None:
        proof = proof.also(unproven=f"Whatever takes the study's images: {one_line(missing)}.")
    elif reason := not_executable(found.run.execution):
        proof = proof.also(
            unproven=f"That the weights give the recorded answers under the study's own execution: {reason}."
        )
        answers = found.right
    else:
        device = found.run.execution.device
        there = data if device == "cpu" else images_of(found, device)[0]
        assert there is not None
        try:
            proof, answers = prove_weights(found.run, weights.state, weights.source, there, _recorded(found))
        except RuntimeError as error:  # kernels of its own that cannot be made here
            why = in_one_line(error)
            proof, answers = proof.also(unproven=f"That the weights give the recorded answers: {why}."), found.right
    facts = _facts(found, weights)
    # A folder that is there stays, since it may be the current one or a mount: what is written is moved into it.
    beside = make_folder(folder if folder.exists() else folder.absolute().parent)
    with tempfile.TemporaryDirectory(prefix=_ROOM, dir=beside) as room:
        place = make_folder(Path(room) / "export")
        about = about_of(found.run, needs, _about(facts))
        write_usable(place, found.run, weights.state, needs, about)
        network = float32_network(found.run, weights.state, weights.source)
        onnx = place / ONNX if config.onnx else None
        if onnx is not None:
            write_pixels_onnx(network, needs, onnx, about)
        try:
            proof = prove_written(place, network, needs, proof, data, answers, onnx)
        except InputError as error:  # its path would be that of a folder which is gone by then
            raise InputError(f"{folder}: {error}; nothing was kept") from None
        (place / CARD).write_text(card(facts, needs, proof, onnx=config.onnx), encoding="utf-8")
        _put(place, folder)
    _say(found, needs, proof, folder, console)
    row = found.row
    return Result(
        lambda: {
            "study": config.name,
            "folder": folder,
            "files": sorted(path.name for path in folder.iterdir() if path.name in FILES),
            "setting": row.setting,
            "seed": row.seed,
            "why": found.why,
            **{axis: getattr(row, axis) for axis in COUNTED},
            "val_error": None if found.is_joined else row.val_error,
            "test_error": row.test_error,
            "classes": needs.classes,
            "trained_again": weights.again or None,
            "shown": proof.shown,
            "not_shown": proof.unproven,
        }
    )


def _say(found: TrainedRun, needs: Preprocessing, proof: "Proof", folder: Path, console: Console) -> None:
    for line in proof.shown:
        console.print(line, **PLAIN)
    for line in proof.unproven:
        console.print(f"Not shown: {line}", **PLAIN)
    console.print(
        f"Wrote {folder}: {len(needs.classes)} classes, {found.error_words}; try it with: "
        f"python {folder / 'model.py'} IMAGE...",
        **PLAIN,
    )


# ---------------------------------------------------------------- weights


def _offer(found: TrainedRun, config: NetworkConfig, console: Console) -> None:
    """Ask whether a run without weights is to be trained again. Raises InputError where the answer is not yes."""
    wanted = found.lacks_weights(config)
    if not (sys.stdin is not None and sys.stdin.isatty() and console.is_terminal):
        raise wanted
    question = (
        f"The weights of {found.title} were not kept. Train it again? It took {duration(found.row.seconds)} on "
        f"{found.row.device}"
    )
    if not Confirm.ask(Text(printable(question)), console=console, default=False):
        raise wanted


def _weights(found: TrainedRun, console: Console) -> tuple[TrainedRun, _Weights]:
    """The weights of a run, trained again where they were not kept; the run then has the errors of that training."""
    if not found.weights.is_file():
        return _trained_again(found, console)
    return found, _Weights(stored_weights(found), str(found.weights))


def stored_weights(found: TrainedRun) -> "State":
    """The weights that were kept of a run. Raises InputError for a damaged file and for one of another run."""
    from explorer.training.network.weights import about_weights, read_weights

    state = read_weights(found.weights)
    if (run := about_weights(found.weights).get("run", found.run.id)) != found.run.id:
        raise InputError(f"{found.weights}: holds the weights of run {run}, not of {found.run.id}; restore the file")
    return state


def _trained_again(found: TrainedRun, console: Console) -> tuple[TrainedRun, _Weights]:
    from explorer.host.files import replaced
    from explorer.study.run import EpochResult
    from explorer.study.runs import is_judged
    from explorer.training.network.again import not_executable, train_again
    from explorer.training.network.weights import read_weights

    if found.study.config.is_told:
        raise found.of_another_program
    reason = not_executable(found.run.execution)
    if not reason and (missing := images_of(found, "cpu")[1]):
        reason = f"{missing}; where its images are now says data=/where/they/are"
    if reason:
        raise InputError(f"{found.study.folder}: {found.title} cannot be trained again here: {reason}")
    console.print(
        f"Training {found.title} again: {duration(found.row.seconds)} on {found.row.device}"
        f"{'' if _is_same_machine(found) else '; this is another machine or version, which may round otherwise'}",
        **PLAIN,
    )
    epochs = found.run.recipe.epochs_on(int(found.study.environment["images"][0]))

    def report(result: EpochResult) -> None:
        error = f"validation error {percent(result.val_error)}"
        if found.is_joined:
            error = f"training error {percent(result.train_error)}"
        console.print(f"epoch {result.epoch} of {epochs}: {error}", **PLAIN)

    again = make_folder(found.study.folder / "local" / "again" / found.run.id)
    outcome, right, path = train_again(
        found.run,
        again,
        judges=is_judged(found.study.config, found.run),
        save_every=found.study.config.engine.save_every,
        report=report,
        tell=lambda line: console.print(line, **PLAIN),
    )
    if outcome.status != "ok" or not path.is_file():
        raise InputError(
            f"{found.title} trained again ended as {outcome.status} ({outcome.message}); nothing was written"
        )
    recorded = found.right
    equal = outcome.val_error == found.row.val_error and (recorded is None or right.tolist() == recorded.tolist())
    state, said = read_weights(path), ""
    if equal:
        make_folder(found.weights.parent)
        with replaced(found.weights) as partial:
            shutil.copyfile(path, partial)
        console.print(f"It gave the recorded results bit for bit; its weights are kept as {found.weights}", **PLAIN)
    else:
        said = (
            f"Its weights were not kept and it was trained again, with other rounding: the errors below are its own; "
            f"recorded was a {found.error_words}."
        )
        console.print(said, **PLAIN)
        row = replace(found.row, val_error=outcome.val_error, test_error=outcome.test_error, seconds=outcome.seconds)
        found = replace(found, row=row, right=None if recorded is None else right)
    shutil.rmtree(again.parent, ignore_errors=True)
    return found, _Weights(state, str(path if said else found.weights), said)


# ---------------------------------------------------------------- what is known of the machine and the record


def _is_same_machine(found: TrainedRun) -> bool:
    """Whether processor, torch and sources are those under which the run was trained: bits must be equal then."""
    from explorer.training.network.again import here

    environment, row = found.study.environment, found.row
    starts, own = starts_of(environment), here(found.run.execution)
    versions = starts[min(row.start, len(starts) - 1)].get("versions") or {}
    sources = used_sources(found.study.config, own.sources)
    return (own.device_name, own.torch, sources) == (row.device, versions.get("torch"), environment.get("sources"))


def _recorded(found: TrainedRun) -> "Any":
    from explorer.training.network.proof import Recorded

    return Recorded(found.row.val_error or 0.0, found.right, _is_same_machine(found))


def _facts(found: TrainedRun, weights: _Weights) -> "Any":
    from explorer.training.network.card import Facts

    study, row = found.study, found.row
    environment = study.environment
    starts = starts_of(environment)
    commit = starts[min(row.start, len(starts) - 1)].get("commit")
    train, val, test = (int(one) for one in environment["images"])
    return Facts(
        study=found.opened.config.name,
        question=found.opened.config.study.question,
        role=found.role,
        design=display_setting(row.setting),
        setting=row.setting,
        seed=row.seed,
        run=row.run,
        why=found.why,
        data=one_line(study.config.data.label),
        data_hash=str(environment["data_hash"]),
        images=(train, val, test),
        val_error=None if found.is_joined else row.val_error or 0.0,
        val_words=_val_words(found),
        test_error=row.test_error,
        tested=_tested_words(found),
        params=row.params,
        macs=row.macs,
        epochs=row.epochs,
        seconds=row.seconds,
        device=row.device,
        precision=found.run.execution.precision,
        version=explorer.__version__,
        commit=f"; trained by commit {commit}" if commit else "",
        looks=final.found.looks if (final := found.opened.final) is not None else 1,
        again=weights.again,
    )


def _val_words(found: TrainedRun) -> str:
    """What the validation images chose, of a run that was not trained on them."""
    if found.is_answer:
        return "these chose the design and the seed"
    return "the search chose by these" if found.study.config.search.is_adaptive else "those by which the study chooses"


def _tested_words(found: TrainedRun) -> tuple[str, str] | None:
    """Of a design that was tested with several seeds: how many, and their mean error with its interval."""
    one = found.tested
    if one is None or one.estimate.n < 2:
        return None
    between = (
        f", 95 % interval {interval(one.estimate.low, one.estimate.high)}"
        if one.estimate.has_interval and not one.failed
        else ""
    )
    return counted(one.estimate.n, "seed"), f"{percent(one.estimate.mean)}{between}"


def _about(facts: "Any") -> dict[str, Any]:
    keys = (
        "study",
        "design",
        "setting",
        "seed",
        "data",
        "data_hash",
        "val_error",
        "test_error",
        "params",
        "macs",
        "version",
    )
    names = {"version": "resnext_explorer"}
    train, val, test = facts.images
    counts = {"train_images": train, "val_images": val, "test_images": test}
    known = {names.get(key, key): getattr(facts, key) for key in keys}
    if facts.val_error is None:
        del known["val_error"]
    return known | counts


# ---------------------------------------------------------------- the folder


def _refuse_others(folder: Path) -> None:
    """Raise InputError for a folder that holds anything but an earlier export."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"folder={folder}: is a link or a file; allowed is a new folder, or one of an earlier export")
    if not folder.exists() or not (there := sorted(path.name for path in folder.iterdir())):
        return
    there = [name for name in there if not name.startswith(_ROOM)]  # which a killed export left
    others = [name for name in there if name not in (*FILES, "__pycache__")]
    model = folder / "model.py"
    if not others and not (model.is_file() and MARK in model.read_text(encoding="utf-8", errors="replace")):
        others = there
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise InputError(
            f"folder={folder}: holds other things ({', '.join(others[:3])}{more}), which would be lost; say another one"
        )
    refuse_changed(folder)


def _put(place: Path, folder: Path) -> None:
    """Move what was written to its place; an earlier export there goes."""
    if not folder.exists():
        place.rename(folder)
        return
    for old in folder.iterdir():
        if old.name in FILES and not (place / old.name).exists():
            old.unlink()
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    for new in place.iterdir():
        new.replace(folder / new.name)
