"""The trained network of a recorded study: which run it is, where its weights are, what it needs of its images."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich.console import Console

from explorer.analysis.answer import Answer, answer_of
from explorer.analysis.final_round import verdict_word
from explorer.analysis.judging import OpenedStudy, open_study
from explorer.analysis.summary import SettingSummary
from explorer.design.name import display_setting, parse_setting, setting_name
from explorer.host.commands import command_for
from explorer.host.console import PLAIN
from explorer.host.errors import InputError
from explorer.host.formatting import counted, duration, percent
from explorer.record.folder import study_folder
from explorer.record.records import as_records, load_correct
from explorer.record.rows import RunRecord
from explorer.record.starts import execution_in, preprocessing_in
from explorer.study.preprocessing import Preprocessing
from explorer.study.run import Run
from explorer.study.runs import runs_of
from explorer.study.settings import NetworkConfig
from explorer.verbs.read_only import refuse_training

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from explorer.training.images.split import Dataset


class Choice(Protocol):
    """What a command says of the network that it wants; both verbs that use one have these."""

    @property
    def name(self) -> str: ...  # noqa: D102 - as in `NetworkConfig`
    @property
    def architecture(self) -> str | None: ...  # noqa: D102
    @property
    def seed(self) -> int | None: ...  # noqa: D102
    @property
    def data(self) -> str | None: ...  # noqa: D102


@dataclass(frozen=True)
class TrainedRun:
    """A run of a recorded study that came through.

    study    that recorded it; `opened` is the one that the command names, which may have several rounds
    row      its row of `runs.csv`
    run      all that determines its result, with the images where they are now
    why      why it is this one, in one sentence without a full stop at its end
    right    which test images it classified correctly; None of a search
    role     what it is in the study that the command names, in one sentence: its answer, or what else
    is_answer  whether it is that study's answer
    """

    opened: OpenedStudy
    study: OpenedStudy
    row: RunRecord
    run: Run
    why: str
    right: "npt.NDArray[np.bool_] | None"
    role: str
    is_answer: bool

    @property
    def tested(self) -> SettingSummary | None:
        """The test errors of its design over all seeds of the study or round that trained it; None if it has none."""
        if self.study.finding.measure != "test_error":
            return None
        return next((one for one in self.study.finding.summaries if one.setting == self.row.setting), None)

    @property
    def weights(self) -> Path:
        """The file of its weights, if they were kept."""
        return self.study.folder / "local" / "weights" / f"{self.run.id}.safetensors"

    @property
    def title(self) -> str:
        """Design and seed, for people."""
        return f"{display_setting(self.row.setting)} seed {self.row.seed}"

    @property
    def is_joined(self) -> bool:
        """Whether it was trained on the validation images too, so that its error on them says nothing."""
        return self.run.data.joined

    @property
    def error_words(self) -> str:
        """The error that tells most of it: `test error 8.33 %`; of a search, whose designs are not tested, another."""
        if self.row.test_error is not None:
            return f"test error {percent(self.row.test_error)}"
        return f"validation error {percent(self.row.val_error or 0.0)}"

    def command(self, asked: Choice) -> str:
        """The command that trains it again and exports it."""
        keys = {"architecture": asked.architecture, "seed": asked.seed, "data": asked.data}
        if isinstance(asked, NetworkConfig):
            keys |= {"folder": asked.folder, "onnx": "true" if asked.onnx else None}
        given = [f"{key}={value}" for key, value in keys.items() if value is not None]
        return command_for("export", asked.name, *given, "train=true")

    @property
    def of_another_program(self) -> InputError:
        """The error for weights that never were here, since another program trained the run."""
        return InputError(
            f"{self.study.folder}: another program trained {self.title} and told its result, so that program has the "
            "weights; explorer.Study.best(...).build() gives the design's network with its first weights"
        )

    def lacks_weights(self, asked: Choice) -> InputError:
        """The error for weights that were not kept: what to do, and what it takes."""
        if self.study.config.is_told:
            return self.of_another_program
        return InputError(
            f"{self.study.folder}: the weights of {self.title} were not kept (storage.weights=none); train this run "
            f"again, which took {duration(self.row.seconds)} on {self.row.device}, and export it with: "
            f"{self.command(asked)}"
        )


def trained_run(asked: Choice) -> TrainedRun:
    """The run that a command asks for: the study's answer, or the one that it names. Raises InputError."""
    opened = open_study(study_folder(asked.name))
    refuse_training(opened.config, "take a trained network from")
    is_named = asked.architecture is not None or asked.seed is not None
    folder, row, why = _named(opened, asked) if is_named else answer_of(opened)
    study = opened if folder == opened.folder else open_study(folder)
    data = study.config.data
    if asked.data is not None:
        if data.source == "digits":
            raise InputError(f"data={asked.data}: the images of {asked.name} are the embedded digits; leave it out")
        data = replace(data, path=asked.data)
    plan = replace(study.plan, config=replace(study.config, data=data))
    execution = execution_in(study.execution, study.folder)
    settings = tuple(one for one in study.settings if one.name == row.setting)
    runs = runs_of(plan, settings, execution, str(study.environment["data_hash"]))
    run = next((run for _, run in runs if run.id == row.run), None)
    if run is None:
        raise InputError(
            f"{study.folder}: run {row.run} is not what its settings say now; restore config.yaml and execution.json, "
            "or use the version that wrote the record"
        )
    right = load_correct(study.folder, {row.run}, study.record)[row.run] if row.test_error is not None else None
    answer = _answer_if_any(opened)
    is_answer = answer is not None and answer.run.run == row.run
    return TrainedRun(opened, study, row, run, why, right, _role(opened, folder, row, answer), is_answer)


def _answer_if_any(study: OpenedStudy) -> Answer | None:
    try:
        return answer_of(study)
    except InputError:  # which says what is missing
        return None


def _role(opened: OpenedStudy, folder: Path, row: RunRecord, answer: Answer | None) -> str:
    """What a run is in a study, without a full stop at its end."""
    name, final = f"the study `{opened.config.name}`", opened.finding.final_round
    if answer is None:
        return f"It is a network of {name}, which has no answer yet"
    if answer.run.run == row.run:
        return f"It is the answer of {name}"
    other = display_setting(answer.run.setting)
    if answer.run.setting == row.setting and answer.folder == folder:
        return f"It is another seed of the design that is the answer of {name}"
    if final is not None and folder == opened.folder:
        found = next((one for one in final.summaries if one.setting == row.setting), None)
        if found is not None:
            error, seeds = percent(found.estimate.mean), counted(found.estimate.n, "seed")
            return (
                f"It is a run of the search of {name}, which was never tested itself; trained anew in the final round, "
                f"its design had a test error of {error} (mean of {seeds})"
            )
        return f"It is a design that {name} searched and did not take into its final round; the answer is {other}"
    beside = ""
    if final is not None:
        found_beside = next((one for one in final.comparisons if one.against == row.setting), None)
        if found_beside is not None:
            beside = f", which is {verdict_word(found_beside)} by its test error"
    return f"It is a network of {name}, whose answer is another, {other}{beside}"


def _named(study: OpenedStudy, asked: Choice) -> tuple[Path, RunRecord, str]:
    """The run that a design or a seed names: its folder, its row, and why it is this one.

    Of a design that the final round of a search trained anew it is a run of that round, unless the seed is one of the
    search's.
    """
    final = study.final.study.record if study.final is not None and study.final.found.complete else None
    again = [] if final is None else [row for row in as_records(final.runs) if row.status == "ok"]
    rows = [row for row in as_records(study.record.runs) if row.status == "ok" and row.rate == 1]
    if asked.architecture is not None:
        try:
            name = setting_name(*parse_setting(asked.architecture))
        except ValueError as error:
            raise InputError(f"architecture={asked.architecture}: {error}") from None
        own = [row for row in rows if row.setting == name]
        if not own:
            known = ", ".join(dict.fromkeys(row.setting for row in rows)) or "none yet"
            raise InputError(f"architecture={asked.architecture}: no run of it came through; allowed: {known}")
    else:
        name = answer_of(study).run.setting
        own = [row for row in rows if row.setting == name]
    fresh = sorted((row for row in again if row.setting == name), key=lambda row: row.seed)
    shown = display_setting(name)
    if asked.seed is not None:
        both = {row.seed: (study.folder, row) for row in own}
        if fresh:
            assert study.final is not None
            both |= {row.seed: (study.final.folder, row) for row in fresh}
        if asked.seed not in both:
            seeds = ", ".join(str(row.seed) for row in fresh or own)
            more = f" in the final round, and {', '.join(str(row.seed) for row in own)} in the search" if fresh else ""
            raise InputError(f"seed={asked.seed}: {name} has the seeds {seeds}{more}")
        return *both[asked.seed], f"it was named: {shown}, seed {asked.seed}"
    if fresh:
        assert study.final is not None
        why = (
            "the design was named; it was trained anew in the final round, on training and validation images together, "
            f"and this is the first of its {counted(len(fresh), 'fresh seed')}"
        )
        return study.final.folder, fresh[0], why
    if len(own) == 1:
        lone = percent(own[0].val_error or 0.0)
        return study.folder, own[0], f"the design was named, and has one seed; its validation error is {lone}"
    best = min(own, key=lambda row: (row.val_error if row.val_error is not None else 1.0, row.seed))
    return (
        study.folder,
        best,
        (
            f"the design was named, and of its {len(own)} seeds {best.seed} has the lowest validation error, "
            f"{percent(best.val_error or 0.0)}"
        ),
    )


def preprocessing_of_run(found: TrainedRun, data: "Dataset | None", missing: str) -> Preprocessing:
    """What a run needs of its images: as its record says, or of an earlier version's as its images say.

    `missing` says why there are no images. Raises InputError where neither is there, or both contradict each other.
    """
    from explorer.training.images.split import preprocessing_of

    study = found.study
    recorded = preprocessing_in(study.environment, study.folder, found.row.seed)
    seen = None if data is None else preprocessing_of(data)
    if recorded is None and seen is None:
        raise InputError(
            f"{study.folder}: the record says nothing of mean, standard deviation and class names, since an earlier "
            f"version began it, and its images cannot be read ({missing}); say where they are with data=PATH"
        )
    if recorded is None or seen is None:
        return recorded or seen  # type: ignore[return-value] # one of both is there
    renamed = {*recorded.classes} != {*seen.classes}  # of folders; their order decides
    if seen != (replace(recorded, classes=seen.classes) if renamed else recorded):
        wrong = [key for key, value in vars(seen).items() if value != getattr(recorded, key)]
        raise InputError(
            f"{study.folder}: environment.json has another {' and '.join(wrong)} than the study's images; restore it"
        )
    return recorded


def images_of(found: TrainedRun, device: str) -> "tuple[Dataset | None, str]":
    """The study's images, split as the run's were, on a device; or None, and in words why they are not there."""
    from explorer.training.images.split import forget, load

    if found.run.data.lacks_path:
        return None, "no path of them is known"
    try:
        data = load(found.run.data, device, seed=found.row.seed)
    except (InputError, OSError) as error:
        return None, str(error)
    if data.digest != found.run.data_hash:
        forget()  # so that they are read again once they have been restored
        return None, f"those there now are others: their hash is {data.digest}, recorded is {found.run.data_hash}"
    return data, ""


def say_if_unfinished(found: TrainedRun, console: Console) -> None:
    """Say that a study has runs to do, so that another network may yet be its answer."""
    final = found.opened.final
    left = found.opened.progress.left or (final.study.progress.left if final is not None else 0)
    if left:
        which = "this is the best so far" if found.is_answer else "this network was named"
        console.print(f"{found.opened.folder}: {left} of its runs are still to do; {which}", **PLAIN)
