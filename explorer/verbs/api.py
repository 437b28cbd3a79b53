"""The Python interface: a study is made, run and read as an object; errors are exceptions with the command's one line.

import explorer as ex
s = ex.Study("equal_params", recipe="short", seeds=6)
s.plan()
s.run(hours=2)
s.verdict, s.figures["cardinality"]
"""

import math
import re
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal, SupportsFloat, SupportsIndex, TypeVar

import pandas as pd
import plotly.graph_objects as go

from explorer.analysis.answer_choice import best_by_validation, completed
from explorer.analysis.disagreement import Disagreement
from explorer.analysis.final_round import FinalRound
from explorer.analysis.finding import Finding
from explorer.analysis.intervals import Estimate
from explorer.analysis.judging import OpenedStudy, begun_study, without_joined
from explorer.analysis.judging import open_study as opened
from explorer.analysis.regime import regime_of, regime_sentence
from explorer.analysis.sentences import sentence
from explorer.design.architecture import Architecture
from explorer.design.cost import Cost
from explorer.design.cost import cost as cost_of
from explorer.design.cost_measures import COUNTED
from explorer.design.name import parse_setting, setting_name
from explorer.design.template import Task
from explorer.host import signals
from explorer.host.console import PLAIN, PlainConsole, open_console
from explorer.host.errors import InputError
from explorer.host.extensions import Extension, loaded
from explorer.host.formatting import counted
from explorer.host.json_document import plain
from explorer.record.folder import CONFIG, stamps_of, study_folder
from explorer.record.records import as_records
from explorer.record.rows import RunRecord
from explorer.record.spent import Spent
from explorer.report.citation import citation
from explorer.report.page_figures import Views, plotted, printable
from explorer.report.print_table import ENDINGS, final_numbers, print_tables, written
from explorer.study.plan import plan_of
from explorer.study.run import Run
from explorer.study.settings import NetworkConfig, PredictConfig, StudyConfig
from explorer.study.settings import Recipe as RecipeConfig
from explorer.study.tree import checked_name, checked_tree, whole_number
from explorer.verbs.command_line import Command, read_command
from explorer.verbs.costs import counted as counted_module
from explorer.verbs.costs import is_module
from explorer.verbs.python_words import Budget, Data, Engine, Recipe, Search, Space, Storage, words_of
from explorer.verbs.read_only import refuse_training
from explorer.verbs.result import STOPPED
from explorer.verbs.tabulate import SCHEMA, read_table
from explorer.verbs.trained_run import TrainedRun, trained_run
from explorer.verbs.values import number, scalar, shown, text, whole

if TYPE_CHECKING:
    import numpy.typing as npt
    import optuna

    from explorer.report.print_figure import PrintFigure
    from explorer.search.asking import Asking, ToldCost
    from explorer.training.network.usable import Network

_Named = TypeVar("_Named", NetworkConfig, PredictConfig)
_AT_MOST = re.compile(r"\s*(?:<=?\s*)?(\S+)\s*")
MOST_COST = 2**53  # as a record takes it
AS_DECLARED: Literal["as declared"] = "as declared"


@dataclass(frozen=True)
class Answer:
    """The recorded results of one architecture in a study.

    setting  its name in the record
    measure  which error the study judges: `test_error`, or `val_error` for a search
    error    mean of that error over seeds, as a fraction, with its 95 % t interval. The ends are NaN if a run failed,
             and the mean is NaN if all did
    errors   the error of each run that came through, by seed
    failed   the status of each run that failed, by seed: "diverged" or "out_of_memory". In the mean it counts as chance
    params, macs, activations  cost in closed form
    seconds  mean seconds of a run on the study's device
    curves   one row per seed and epoch: learning_rate, loss, train_error, val_error, seconds
    """

    setting: str
    measure: str
    error: Estimate
    errors: dict[int, float]
    failed: dict[int, str]
    params: int
    macs: int
    activations: int
    seconds: float
    curves: pd.DataFrame


@dataclass(frozen=True)
class Final:
    """The final round of a search: its best designs trained anew and tested, the first of which is the answer.

    runs, epochs  its record, errors as fractions; without validation errors, since those images were trained on
    finding  what it found: `answer`, `summaries` of the designs, and `comparisons` of the answer with each other one
    table    a row for each design, the answer first: costs, test error, difference to the answer, with their intervals
    """

    runs: pd.DataFrame
    epochs: pd.DataFrame
    finding: FinalRound
    table: pd.DataFrame


@dataclass(frozen=True)
class AskedRun:
    """A run that a program is to train in its own way: one design with one seed.

    id            its name in the record
    setting, architecture, task  the design, by name and as a value, and the sizes of its input and output
    seed          of everything random, so that runs of one seed are paired
    params, macs, activations  cost in closed form
    recipe        how the study says that it is trained; another program may do otherwise
    begun, until  a search that stops poor designs asks for a run in parts: `begun` epochs of it have been told, and it
                  is to be trained on to epoch `until`; None: to its end
    judged        whether its end is told with a test error; a search takes none, since it still chooses
    """

    id: str
    setting: str
    architecture: Architecture
    task: Task
    seed: int
    params: int
    macs: int
    activations: int
    recipe: RecipeConfig
    begun: int
    until: int | None
    judged: bool
    _run: Run = field(repr=False)
    _since: float = field(repr=False)

    def build(self) -> "Network":
        """The network as a torch module on the CPU in float32, with the first weights of this seed."""
        from explorer.training.loop import first_network

        return first_network(self._run)


@dataclass(frozen=True)
class Trained:
    """A trained network of a study.

    setting, seed  the run; `why` says in a sentence why it is this one
    val_error, test_error  of that run, as fractions; a search has no test error, and its final round, which trains on
                   the validation images too, no validation error
    params, macs, activations  cost in closed form
    weights        the file of its weights after the last epoch, which is there if the study was run with
                   `storage=Storage(weights="last")`
    """

    setting: str
    seed: int
    why: str
    val_error: float | None
    test_error: float | None
    params: int
    macs: int
    activations: int
    weights: Path
    _run: TrainedRun = field(repr=False)
    _asked: NetworkConfig = field(repr=False)

    def build(self, weights: bool = False) -> "Network":
        """The network as a module of torch on the CPU, in float32 and evaluation mode.

        It takes normalised images `(batch, channels, side, side)` and gives scores `(batch, classes)`. Without
        `weights` it has the first weights of its seed, before training. With them it has those after the last epoch;
        raises InputError if they were not kept, with the command that trains the run again.
        """
        from explorer.training.loop import first_network
        from explorer.training.network.usable import float32_network
        from explorer.verbs.export_study import stored_weights

        run = self._run
        if not weights:
            return first_network(run.run).eval()
        if not self.weights.is_file():
            raise run.lacks_weights(self._asked)
        return float32_network(run.run, stored_weights(run), str(run.weights))


class Study:
    """A study: made from settings, run, and read in its present state. What a command can say, this can say.

    ex.Study("equal_params", data="cifar10", recipe="short", seeds=6)    of `conf`, or recorded here, by its name
    ex.Study(question="...", space=ex.Space(cardinality=[1, 32]), budget=ex.Budget(params=0.05), name="mine")
    ex.Study(Path("config.yaml"), name="again")                          from its stored settings

    `space`, `budget`, `data`, `recipe`, `search`, `engine` and `storage` take a name, a mapping of keys, or the object
    of that name; `data` also a folder, `budget` also a number as 1_000_000 or "1M". `contrast` is a pair, as
    ("32x4d", "1x64d"). Any other key of a study may follow, with its group as `**{"recipe.epochs": 3}` or, where one
    group alone has it, without: `epochs=3`. Settings are checked at once: raises InputError, with the line that the
    command would print.

    The record is read when it is first needed, and again when it has changed. `config` holds all settings, `folder` is
    where the record is or will be.
    """

    def __init__(
        self,
        study: str | Path | None = None,
        /,
        *,
        name: str | None = None,
        question: str | None = None,
        contrast: tuple[str, str] | Literal["as declared"] | None = AS_DECLARED,
        space: Space | Mapping[str, Any] | str | None = None,
        budget: Budget | Mapping[str, Any] | str | int | None = None,
        data: Data | Mapping[str, Any] | str | Path | None = None,
        recipe: Recipe | Mapping[str, Any] | str | None = None,
        search: Search | Mapping[str, Any] | str | None = None,
        engine: Engine | Mapping[str, Any] | str | None = None,
        storage: Storage | Mapping[str, Any] | str | None = None,
        **keys: Any,
    ) -> None:
        said: dict[str, Any] = {
            "name": name,
            "question": question,
            "space": space,
            "budget": budget,
            "data": data,
            "recipe": recipe,
        }
        said |= {"search": search, "engine": engine, "storage": storage}
        settings = {key: value for key, value in said.items() if value is not None} | keys
        if not (isinstance(contrast, str) and contrast == AS_DECLARED):
            settings["contrast"] = contrast
        command = read_command([*_first_words(study), *words_of(settings)])
        self._bind(command.study, command, None)

    def _bind(self, config: StudyConfig, command: Command | None, study: OpenedStudy | None) -> None:
        self.config: StudyConfig = config
        self.folder: Path = study.folder if study else study_folder(config.name)
        self._command = command
        self._opened = study
        self._views: dict[str, go.Figure] | None = None
        self._views_with: tuple[Extension, ...] = ()
        self._asking: Asking | None = None

    @classmethod
    def _of(cls, study: OpenedStudy) -> "Study":
        found = cls.__new__(cls)
        found._bind(study.config, None, study)
        return found

    def __repr__(self) -> str:
        study = self._opened
        if study is None:
            return f"Study({self.config.name!r} in {self.folder})"
        return f"Study({self.config.name!r} in {self.folder}: {study.progress.final} of {study.progress.wanted} runs)"

    @property
    def _study(self) -> OpenedStudy:
        """The study as recorded, read again if its files have changed. Raises InputError if it has not begun."""
        past = self._opened
        if past is not None and (past.stamps is None or stamps_of(self.folder).files == past.stamps.files):
            return past
        plan = plan_of(self.config, chooses=False) if self._command is not None else None
        study = begun_study(self.folder, plan)
        if study is None:
            raise InputError(f"{self.folder}: there is no such study yet; Study.run() begins it")
        self._opened, self._views = study, None
        return study

    def plan(self) -> pd.DataFrame:
        """What `run` would train: a row for each setting, as `explorer plan` prints them; nothing is trained.

        setting; params, macs, activations, and how far each lies from the budget, as a fraction; done and left, runs in
        the record and to do; seconds, of one run on this machine, NaN where nothing is known. A search has the settings
        that it has chosen until now.
        """
        from explorer.verbs.plan import ROW_COLUMNS, forecast, rows_of

        found = pd.DataFrame(rows_of(forecast(self.config, PlainConsole(quiet=True))[0]), columns=[*ROW_COLUMNS])
        unknown = {name: float for name in found if name == "seconds" or str(name).endswith("_deviation")}
        return found.astype(unknown)

    def run(self, hours: float | None = None, quiet: bool = False) -> "Study":
        """Train what the record lacks, judge it and draw its page, as `explorer NAME` does; return the study.

        After so many `hours`, as after those of `search.hours`, what is being trained is saved, what there is is judged
        and drawn, and this returns; calling it again goes on. Ctrl-C, or the stop button of a notebook, saves in the
        same way and then raises KeyboardInterrupt. A finished study trains nothing. Raises InputError for what can be
        repaired, and StudyStoppedError if runs failed or nothing could be judged.
        """
        if hours is not None:
            hours = number("hours", hours, least=1e-6)
        from explorer.verbs.run import carry_out

        console = open_console(quiet=quiet)
        config, withheld = self.config, self._command.withheld if self._command else ()
        if hours is not None:
            config = replace(config, search=replace(config.search, hours=float(hours)))
        if self._command is None and self.folder != study_folder(config.name):
            raise InputError(f"{self.folder}: is read only, since it is not {study_folder(config.name)}")
        self._opened = None
        with signals.watching(gentle=True):
            try:
                if carry_out(config, console, withheld).code == STOPPED:
                    console.print("Everything done so far is kept; run() continues", **PLAIN)
            except KeyboardInterrupt:
                console.print("Interrupted. Everything done so far is kept; run() continues", **PLAIN)
                raise
        return self

    def ask(self, fingerprint: str = "", at_once: int = 1) -> Generator[AskedRun, None, None]:
        """Give out the runs that the record lacks, for a program that trains them in its own way and tells the results.

        for run in study.ask():
            ...
            study.tell(run, val_error=0.12, test_error=0.13)

        Designs, budget, seeds, pairing, stopping, record, verdict and page are those of any study; only the training is
        the program's. `fingerprint` is text that identifies its data and its way of training: a study goes on only with
        the same. `at_once` runs may be out at the same time. What was told is recorded at once; leave the loop at any
        time and ask again later. After the last run the page is drawn. The images are not read, so their numbers are
        given in the settings, as in `data=Data("elsewhere", classes=21, image_size=64, train_images=9000, ...)`.

        Raises InputError for settings that only this project's own training can fulfil, as a measured latency.
        """
        from explorer.search.asking import Asking, told_settings
        from explorer.verbs.draw_page import draw_page

        at_once, fingerprint = whole("at_once", at_once), text("fingerprint", fingerprint)
        if self._asking is not None:  # a loop that was left by an exception, whose frame still holds it
            self._asking.close()
        refuse_training(self.config, "tell results of")
        config = told_settings(self.config, at_once)
        plan = plan_of(config)
        study = begun_study(self.folder, plan)
        if study is not None and not study.progress.left:
            return
        recorded = study.record if study is not None else None
        asking = self._asking = Asking(plan, self.folder, fingerprint, at_once, recorded)
        try:
            while (job := asking.ask()) is not None:
                cost = cost_of(job.run.architecture, job.run.task)
                yield AskedRun(
                    id=job.run.id,
                    setting=setting_name(job.run.architecture, job.run.execution.form),
                    architecture=job.run.architecture,
                    task=job.run.task,
                    seed=job.run.seed,
                    params=cost.params,
                    macs=cost.macs,
                    activations=cost.activations,
                    recipe=job.run.recipe,
                    begun=asking.told(job.run.id),
                    until=job.until,
                    judged=job.judges,
                    _run=job.run,
                    _since=time.perf_counter(),
                )
        finally:
            asking.close()
            if self._asking is asking:
                self._asking = None
        study = begun_study(self.folder, plan)
        if study is not None:
            draw_page(study, PlainConsole(quiet=True))

    def tell(
        self,
        run: AskedRun,
        *,
        val_error: SupportsFloat | None = None,
        test_error: SupportsFloat | None = None,
        train_error: SupportsFloat | None = None,
        loss: SupportsFloat | None = None,
        epoch: SupportsIndex | None = None,
        learning_rate: SupportsFloat = 0.0,
        network: "Network | None" = None,
        costs: Cost | Mapping[str, SupportsIndex] | None = None,
        right: "npt.ArrayLike | None" = None,
        seconds: SupportsFloat | None = None,
        status: Literal["ok", "diverged", "out_of_memory", "failed"] = "ok",
        message: str = "",
    ) -> bool:
        """Tell a result of a run that `ask` gave out; return whether the run is to be trained on now.

        With an `epoch`, counted from 1, these are that epoch's `val_error`, `train_error`, `loss` and, if it is known,
        `learning_rate`: for curves, and for a search that stops poor designs, which needs them up to `run.until`.
        Without one these are the run's results after its last epoch, which end it. Errors are fractions; `test_error`
        is that of the last epoch, never of the best, and is told where `run.judged` says so. `right` says of each test
        image whether it was classified correctly, by True and False or 1 and 0, which makes the interval over images
        possible too.

        Where the network is not that of the design, `network` is the torch module that was trained, whose cost is then
        counted and recorded; `costs` are what a program has counted itself, as by `explorer.costs(module, inputs=...)`.
        Equal budget is then judged by these. All seeds of a setting have one cost, and what is told of one setting is
        told of all.

        `seconds` is the time of the run or the epoch; without it the time since it was asked for. A run that did not
        come through has a `status` other than ok and a `message`. Raises InputError, and takes nothing in, for what is
        wrong.
        """
        if not isinstance(run, AskedRun):
            raise InputError(f"{shown(run)}: is no run that Study.ask gave out")
        if self._asking is None:
            raise InputError(f"run {run.id}: nothing is asked for now; tell it within a loop over Study.ask")
        from explorer.search import asking as told

        named = f"run {run.id}: "
        took = time.perf_counter() - run._since if seconds is None else number(f"{named}seconds", seconds)
        rate = number(f"{named}learning_rate", learning_rate)
        message = text(f"{named}message", message)
        cost = _told_cost(run, network, costs)
        errors = told.Errors(*map(scalar, (val_error, test_error, train_error, loss)))
        if epoch is not None:
            whole(f"{named}epoch", epoch)
            given = {"test_error": test_error, "right": right, "message": message or None}
            if status != "ok" or any(value is not None for value in given.values()):
                key = "status" if status != "ok" else next(key for key, value in given.items() if value is not None)
                raise InputError(
                    f"{named}{key} is told of the run's end, without epoch=; tell the epoch first, and then its end"
                )
            return self._asking.epoch(run.id, errors.of_epoch(run.id, whole(f"{named}epoch", epoch), rate, took), cost)
        ended = partial(errors.of_run, status=status, message=message, seconds=took, right=right)
        self._asking.end(run.id, ended, cost)
        return False

    def best(self, **most: int | float | str) -> Trained:
        """The best trained network by validation, of all designs or of those that cost at most so much.

        `best(macs="<400M", params=5_000_000)`: each limit, of params, macs or activations, is a number, or text.
        Without limits it is what `explorer export` takes. Raises InputError if no run of such a design came through.
        """
        study, name = self._study, self._name_here()
        why, asked = "", NetworkConfig(name)
        if most:
            limits = {axis: _at_most(axis, limit) for axis, limit in most.items()}
            words = " and ".join(
                f"{axis} {f'below {limit + 1:,}' if _is_below(most[axis]) else f'of at most {limit:,}'}"
                for axis, limit in limits.items()
            )
            own = [row for row in completed(study.record, study.plan.every_seed) if _costs_at_most(row, limits)]
            if not own:
                raise InputError(f"{self.folder}: no run of a design with {words} has come through yet")
            ranked = best_by_validation(own)
            asked = NetworkConfig(name, architecture=ranked[0][0])
            why = f"it has the lowest validation error of {counted(len(ranked), 'design')} with {words}"
        found = trained_run(asked)
        row = found.row
        return Trained(
            setting=row.setting,
            seed=row.seed,
            why=why or found.why,
            val_error=None if found.is_joined else row.val_error,
            test_error=row.test_error,
            params=row.params,
            macs=row.macs,
            activations=row.activations,
            weights=found.weights,
            _run=found,
            _asked=asked,
        )

    def export(
        self,
        folder: str | Path | None = None,
        *,
        architecture: str | None = None,
        seed: int | None = None,
        onnx: bool = False,
        train: bool = False,
        data: str | Path | None = None,
        quiet: bool = False,
    ) -> Path:
        """Write the study's trained network as a folder that needs no project, as `explorer export` does; return it.

        In the folder, `exports/NAME` by default, are `model.py`, its weights, preprocessing and card, each proven
        first. It is the network of the best design by validation, or of `architecture`, with the best seed or `seed`.
        Where its weights were not kept, `train=True` trains the run again. `data` is where the images are now. Raises
        InputError for what cannot be exported.
        """
        from explorer.verbs.export_study import carry_out

        given = {"architecture": architecture, "seed": seed, "onnx": onnx, "train": train}
        config = self._named(NetworkConfig, **given, folder=folder, data=data)
        carry_out(config, open_console(quiet=quiet))
        return Path(config.folder).expanduser() if config.folder else Path("exports") / config.name

    def predict(
        self,
        *images: str | Path,
        architecture: str | None = None,
        seed: int | None = None,
        data: str | Path | None = None,
    ) -> pd.DataFrame:
        """The classes of image files, and of all in folders, by the study's network, as `explorer predict` finds them.

        A row for each: path; class, the most probable one, and its probability; probabilities, by class; problem, in
        words, where a file cannot be used, which stops nothing. The network is as in `export`, and its weights must
        have been kept. Raises InputError where there is none.
        """
        from explorer.verbs.predict import carry_out

        given = {"architecture": architecture, "seed": seed, "data": data}
        config = self._named(PredictConfig, images=images, **given)
        found = [
            {"path": one["path"], "class": None, "probability": math.nan, "probabilities": None, "problem": ""}
            | ({"problem": one["problem"]} if "problem" in one else _classified(one["classes"]))
            for one in carry_out(config, open_console(quiet=True, aside=True)).data()
        ]
        return pd.DataFrame(found, columns=["path", "class", "probability", "probabilities", "problem"])

    def _name_here(self) -> str:
        """The name by which commands find this study. Raises InputError for one that lies elsewhere."""
        name = self.folder.name
        if self.folder.absolute() != study_folder(name).absolute():
            raise InputError(f"{self.folder}: a network is taken from a study in {study_folder(name).parent} alone")
        return name

    def _named(self, kind: type[_Named], **keys: Any) -> _Named:
        """The settings of a verb on this study. Raises InputError for a value that its key does not take."""
        tree: dict[str, Any] = {"name": self._name_here()}
        for key, value in keys.items():
            try:
                tree[key] = plain(value)
            except TypeError:
                raise InputError(f"{key}={value!r}: allowed are numbers and text") from None
        return checked_tree(tree, kind, lambda _: "")

    @property
    def runs(self) -> pd.DataFrame:
        """The table of runs: one row for each design and seed, errors as fractions."""
        return self._study.record.runs.copy()

    @property
    def final(self) -> Final | None:
        """The final round of a search, whose runs are not among `runs`; None where there is none yet."""
        final = self._study.final
        if final is None or final.study.record is None:
            return None
        known = without_joined(final.study.plan.config, final.study.record)
        return Final(known.runs.copy(), known.epochs.copy(), final.found, final_numbers(final.found))

    @property
    def epochs(self) -> pd.DataFrame:
        """The table of epochs: one row for each epoch of a run, errors as fractions."""
        return self._study.record.epochs.copy()

    @property
    def filters(self) -> pd.DataFrame:
        """The table of filters: for each run and k x k convolution, how long its filters are and how far they turn."""
        return self._study.record.filters.copy()

    @property
    def finding(self) -> Finding:
        """All that the record shows, the verdict included."""
        return self._study.finding

    @property
    def disagreement(self) -> Disagreement | None:
        """On which test images the two settings of the contrast disagree; None without one, or without their answers.

        Shares of test images, errors by class, and the images that one setting alone gets right.
        """
        return self._study.disagreement

    @property
    def verdict(self) -> str:
        """The verdict in one sentence."""
        return sentence(self.finding)

    @property
    def spent(self) -> Spent | None:
        """Hours of devices, and money and energy as far as they are known, of all its starts; None if none noted it."""
        return self._study.spent

    @property
    def note(self) -> str:
        """Text that a person added to the result; "" for none."""
        return self.finding.note

    @property
    def regime(self) -> str:
        """How long the study trained, beside the published training and other records here, in sentences."""
        return regime_sentence(regime_of(self._study))

    @property
    def figures(self) -> dict[str, go.Figure]:
        """The figures of the study's page, as plotly figures by name."""
        study = self._study
        if self._views is None or self._views_with != loaded():
            self._views_with = loaded()  # which may have figures of their own
            self._views = _Figures({name: plotted(figure) for name, figure in Views(study).figures.items()})
        return self._views

    def print_figure(self, name: str, width: float = 3.25, height: float | None = None) -> "PrintFigure":
        """A figure at its printed size, as a matplotlib figure: `.savefig("error.pdf")` writes it with fonts embedded.

        `width` and `height` are in inches; 3.25 is a column of a journal's page, 6.75 the page. Text has 8 points, and
        there is no title. Needs the extra `paper`. Raises InputError for a name that is not among the study's figures.
        """
        from explorer.report.print_figure import print_figure

        found = printable(self._study)
        if name not in found:
            raise InputError(f"{name}: no such figure; allowed: {', '.join(found)}")
        tall = None if height is None else number("height", height, 0.5, 40)
        return print_figure(found[name], number("width", width, 1, 40), tall)

    def table(self, form: str = "latex", name: str | None = None) -> str:
        """A table of the study as text: in `latex`, `csv` or `md`, of `final`, `settings`, `contrasts` or `checks`.

        Without a name it is the first that the study has: `final` of a search with a final round, else `settings`.
        Raises InputError for a table that the study does not have, or another format.
        """
        found = print_tables(self._study)
        name = next(iter(found), "settings") if name is None else name
        if name not in found or form not in ENDINGS:
            allowed = f"{', '.join(found)}, in {', '.join(ENDINGS)}"
            raise InputError(f"{form}, {name}: no such table; allowed: {allowed}")
        return written(found[name], form)

    @property
    def citation(self) -> str:
        """BibTeX entries of the study, of this software, and of the paper whose networks it explores."""
        return citation(self._study)

    def query(self, architecture: str) -> Answer:
        """The results of an architecture, by any of its names. Raises InputError if the study did not train it."""
        text("architecture", architecture)
        try:
            name = setting_name(*parse_setting(architecture))
        except ValueError as error:
            raise InputError(f"{architecture}: {error}") from None
        found = {summary.setting: summary for summary in self.finding.summaries}
        if name not in found:
            raise InputError(f"{architecture}: is not in this study; allowed: {', '.join(found)}")
        summary, record = found[name], self._study.record
        runs = record.runs.loc[(record.runs["setting"] == name) & (record.runs["rate"] == 1), ["run", "seed"]]
        curves = runs.merge(record.epochs, on="run").sort_values(["seed", "epoch"]).drop(columns="run")
        return Answer(
            setting=name,
            measure=self.finding.measure,
            error=summary.estimate if summary.came_through else replace(summary.estimate, mean=math.nan),
            errors=summary.measured,
            failed=dict(summary.failed),
            params=summary.params,
            macs=summary.macs,
            activations=summary.activations,
            seconds=summary.seconds,
            curves=curves.reset_index(drop=True),
        )

    def report(self, path: str | Path) -> Path:
        """Write the study's page to a file of your choice, and return its path."""
        from explorer.report.page import write_page
        from explorer.verbs.ped_anova import ped_anova
        from explorer.verbs.pictures import pictures_of

        if not isinstance(path, (str, PurePath)) or Path(path).is_dir():
            raise InputError(f"path={shown(path)}: allowed is the name of a file, as 'page.html'")
        pictures = pictures_of(self._study, self.config.report.images)
        write_page(self._study, Path(path), importance=ped_anova(self._study), pictures=pictures)
        return Path(path)

    def to_optuna(self) -> "optuna.Study":
        """The study as an Optuna study in memory: one trial per setting, its value the mean validation error."""
        from explorer.search.trials import finished_trials

        study = self._study
        by = {one.setting: one.by for one in study.record.decisions if one.decision == "chosen"}
        return finished_trials(study.plan, study.settings, as_records(study.record.runs), by)


def open_study(name: str | Path) -> Study:
    """Open a recorded study: by its name below `studies/`, or by the `Path` of a study's folder or of a shared table.

    Raises InputError if there is none, or its files cannot be used.
    """
    if not isinstance(name, (str, PurePath)):
        raise InputError(f"{shown(name)}: allowed are the name of a study and the Path of its folder")
    folder = Path(name) if isinstance(name, PurePath) else study_folder(checked_name(name))
    return Study._of(read_table(folder) if (folder / SCHEMA).exists() else opened(folder))


class _Figures(dict[str, go.Figure]):
    """Figures by name, shown as their names; one that is not there is refused with the names of those that are."""

    def __repr__(self) -> str:
        return f"Figures({', '.join(map(repr, self))})"

    def __missing__(self, name: object) -> go.Figure:
        raise InputError(f"{shown(name)}: no such figure; allowed: {', '.join(self)}")


def _first_words(study: str | Path | None) -> list[str]:
    """The words of a command that say which study it is."""
    if study is None:
        return ["study=custom"]
    if isinstance(study, str) and not study.startswith("-") and "=" not in study:
        return ["run", study]
    if isinstance(study, str) or not isinstance(study, PurePath):
        raise InputError(f"{shown(study)}: is no study; allowed are a name and the Path of stored settings")
    return ["run", "--config", str(Path(study) / CONFIG if Path(study).is_dir() else study)]


def _classified(classes: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """The columns of a classified image, from its classes and their probabilities, the most probable first."""
    name, probability = classes[0]
    return {"class": name, "probability": probability, "probabilities": dict(classes)}


def _told_cost(
    run: AskedRun, network: "Network | None", costs: Cost | Mapping[str, SupportsIndex] | None
) -> "ToldCost | None":
    """What a program says that the network of a run costs. Raises InputError."""
    from explorer.search.asking import ToldCost

    if network is not None and costs is not None:
        raise InputError(f"run {run.id}: network and costs are told; one of them is enough")
    by_fvcore = None
    if network is not None:
        if not is_module(network):
            raise InputError(f"run {run.id}: network={type(network).__name__}: allowed is a torch.nn.Module")
        task = run.task
        found = counted_module(network, image_size=task.image_size, channels=task.channels)
        costs, by_fvcore = found.cost, found.fvcore_macs
    if costs is None:
        return None
    values = asdict(costs) if isinstance(costs, Cost) else costs
    if not isinstance(values, Mapping) or {*values} != {*COUNTED}:
        raise InputError(f"run {run.id}: costs={costs!r}: allowed are explorer.costs(...), or {', '.join(COUNTED)}")
    numbers = {axis: whole(f"run {run.id}: costs: {axis}", values[axis]) for axis in COUNTED}
    for axis, value in numbers.items():
        if value > MOST_COST:
            raise InputError(f"run {run.id}: costs: {axis}={value}: allowed are numbers up to {MOST_COST}")
    return ToldCost(Cost(**numbers), by_fvcore)


def _at_most(axis: str, limit: int | float | str) -> int:
    if axis not in COUNTED:
        raise InputError(f"{axis}={limit}: allowed are limits on {', '.join(COUNTED)}")
    match = _AT_MOST.fullmatch(limit) if isinstance(limit, str) else None
    own = scalar(limit)
    is_number = isinstance(own, (int, float)) and not isinstance(own, bool) and math.isfinite(own)
    found = whole_number(match[1]) if match else int(own) if is_number else None
    if found is None:
        raise InputError(f"{axis}={shown(limit)}: allowed are a number, as 400_000_000, and text, as '<400M'")
    return found - 1 if _is_below(limit) else found


def _is_below(limit: int | float | str) -> bool:
    """Whether a limit is one that a cost may not reach, as `<400M`."""
    return isinstance(limit, str) and re.match(r"\s*<(?!=)", limit) is not None


def _costs_at_most(row: RunRecord, limits: Mapping[str, int]) -> bool:
    return all(getattr(row, axis) <= limit for axis, limit in limits.items())
