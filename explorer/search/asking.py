"""Ask and tell: the coordinator of a study works in the background while a program trains its runs in its own way.

Designs, budgets, seeds, pairing, stopping and the record are the study's as ever; only the training is not ours.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from explorer.analysis.told_costs import closed_form, recorded_costs
from explorer.design.cost import Cost
from explorer.design.name import setting_name
from explorer.design.template import Task
from explorer.engine.told import ToldEngine, told_execution
from explorer.host.console import PlainConsole
from explorer.host.errors import InputError
from explorer.record.records import Record
from explorer.search.coordinator import run_study
from explorer.study.job import Counted, EpochDone, Job, RunDone
from explorer.study.plan import Plan
from explorer.study.run import EpochResult, Outcome
from explorer.study.settings import EngineConfig, StudyConfig

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NEAR = 1e-6  # how far a told test error may lie from that of the told images: float32 has seven digits
STATUSES = ("ok", "diverged", "out_of_memory", "failed")


def told_settings(config: StudyConfig, at_once: int) -> StudyConfig:
    """The settings of a study whose runs a program tells. Raises InputError for what only our own training can do."""
    search, data = config.search, config.data
    if "latency" in search.objectives:
        raise InputError(
            "search.objectives: latency is measured while nothing is trained; ask can minimise error and macs"
        )
    if config.measured:
        raise InputError(f"{config.measured[0]}: is measured on networks that this project builds; leave it out")
    if search.final_designs:
        raise InputError("search.final: the final round is trained by this project; say final=0, and judge it yourself")
    if search.seeds == "auto":
        raise InputError("search.seeds=auto: ask takes a number of seeds; call ask again with more")
    for part in ("train", "val", "test"):
        if not isinstance(getattr(data, f"{part}_images"), int):
            raise InputError(
                f"data.{part}_images={getattr(data, f'{part}_images')}: nothing is read here, so the number must be "
                f"given, as in data=Data('elsewhere', {part}_images=1000, ...)"
            )
    engine = EngineConfig("local", at_once, 1, config.engine.retries, precision="float32", forms="native")
    storage, data = replace(config.storage, weights="none"), replace(data, source="elsewhere")
    return replace(config, engine=engine, storage=storage, data=data)


@dataclass(frozen=True)
class ToldCost:
    """The cost of a program's own network, and fvcore's count of its multiply-adds where it was counted here."""

    cost: Cost
    fvcore_macs: int | None = None


class Costs:
    """What the networks of a study cost, by setting: as their program told it, else what the designs cost.

    A setting has one network, whatever its seed; and where costs are told of one setting, they are told of all, since
    a count and a closed form of something else cannot be compared. `recorded` is the record until now.
    """

    def __init__(self, task: Task, recorded: Record | None) -> None:
        self._task = task
        self._known = {} if recorded is None else recorded_costs(recorded.runs)
        counted = set() if recorded is None else {*recorded.runs.dropna(subset="fvcore_macs")["setting"]}
        self._untold = {name for name in self._known if self._is_designs(name) and name not in counted}

    def of(self, run_id: str, setting: str, told: Cost | None) -> Cost | None:
        """The cost that a run is recorded with. Raises InputError for what contradicts others, and takes nothing in."""
        known = self._known.get(setting)
        if told is None:
            if known is None and any(not self._is_designs(name) for name in self._known):
                raise InputError(
                    f"run {run_id}: what the networks of other settings cost was told; tell it of {setting} too, with "
                    "network=... or costs=..."
                )
            if known is None:
                self._untold.add(setting)
                known = closed_form(setting, self._task)
        elif known is not None and known != told:
            raise InputError(
                f"run {run_id}: its network has {_cost_words(told)}, and the other runs of {setting} are recorded with "
                f"{_cost_words(known)}; all seeds of a setting train one network"
            )
        elif known is None and self._untold and told != closed_form(setting, self._task):
            raise InputError(
                f"run {run_id}: the runs of {min(self._untold)} are recorded with what the design costs, and the "
                f"network of this one has {_cost_words(told)}; tell costs from the first run on, in a study of another "
                "name"
            )
        else:
            self._untold.discard(setting)
            known = told
        if known is not None:
            self._known[setting] = known
        return known

    def _is_designs(self, setting: str) -> bool:
        return self._known[setting] == closed_form(setting, self._task)


def _cost_words(cost: Cost) -> str:
    return f"{cost.params:,} params, {cost.macs:,} macs and {cost.activations:,} activations"


class Asking:
    """A study whose runs are given out by `ask` and come back by `tell`.

    The coordinator runs in a thread of its own from the start to `close`, and holds the study's lock meanwhile.
    `recorded` is the record until now; None before the first start.
    """

    def __init__(
        self, plan: Plan, folder: Path, fingerprint: str, at_once: int, recorded: Record | None = None
    ) -> None:
        data = plan.config.data
        self._costs = Costs(plan.scope.task, recorded)
        images = (data.train_images, data.val_images, data.test_images)
        self.engine = ToldEngine(images, fingerprint, at_once)  # type: ignore[arg-type] # whole, as told_settings says
        self.at_once = at_once
        self._out: dict[str, Job] = {}
        self._epochs: dict[str, list[EpochResult]] = {}
        self._outcome: BaseException | int | None = None
        self._thread = threading.Thread(target=self._work, args=(plan, folder), daemon=True, name=f"ask {folder.name}")
        self._thread.start()

    def _work(self, plan: Plan, folder: Path) -> None:
        console = PlainConsole(quiet=True)
        try:
            like = told_execution(plan.config.recipe)
            self._outcome = run_study(plan, folder, console, engine=self.engine, like=like)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asks
            self._outcome = error
        finally:
            self.engine.close()

    def ask(self) -> Job | None:
        """The next run, or None once all are told. Raises what made the coordinator stop."""
        if len(self._out) >= self.at_once:
            first = next(iter(self._out.values())).run
            raise InputError(
                f"run {first.id} has not been told; tell its result before the next is asked for, or ask(at_once=...)"
            )
        job = self.engine.jobs.get()
        if job is not None:
            self._out[job.run.id] = job
            return job
        self._thread.join()
        self.engine.jobs.put(None)  # for whoever asks again
        if isinstance(self._outcome, BaseException) and not isinstance(self._outcome, KeyboardInterrupt):
            raise self._outcome
        return None

    def told(self, run_id: str) -> int:
        """Number of epochs of a run that have been told."""
        return len(self._epochs.get(run_id, []))

    def epoch(self, run_id: str, result: EpochResult, told: ToldCost | None = None) -> bool:
        """Take in an epoch of a run, and return whether it goes on now: not if it was asked for until this one.

        Raises InputError if the run is not out, an epoch before it is missing, or its cost is not that of its setting.
        """
        job, own = self._job(run_id), self._epochs.setdefault(run_id, [])
        if result.epoch != len(own) + 1:
            raise InputError(f"run {run_id}: epoch {result.epoch} is told, and {len(own) + 1} is the next")
        paused = result.epoch == job.until
        cost = self._cost(job, told) if paused or told is not None else None
        own.append(result)
        self.engine.tell(EpochDone(run_id, result), is_last=False)
        if not paused:
            return True
        seconds = _seconds(own)
        self._ended(
            run_id,
            Outcome("paused", result.epoch, result.train_error, result.val_error, seconds=seconds, cost=cost),
        )
        return False

    def end(
        self, run_id: str, outcome: Callable[[Job, list[EpochResult]], Outcome], told: ToldCost | None = None
    ) -> None:
        """Take in how a run ended, as `outcome` says of it and of its epochs, and what its network costs."""
        job = self._job(run_id)
        found = outcome(job, self._epochs.get(run_id, []))
        self._ended(run_id, replace(found, cost=self._cost(job, told)))

    def _cost(self, job: Job, told: ToldCost | None) -> Cost | None:
        setting = setting_name(job.run.architecture, job.run.execution.form)
        found = self._costs.of(job.run.id, setting, told.cost if told else None)
        if told is not None and told.fvcore_macs is not None:
            self.engine.tell(Counted(job.run.id, told.fvcore_macs), is_last=False)
        return found

    def _ended(self, run_id: str, outcome: Outcome) -> None:
        del self._out[run_id]
        self.engine.tell(RunDone(run_id, outcome, outcome.message), is_last=True)

    def close(self) -> None:
        """Make the coordinator leave, and wait for it; runs that are out are given out again another time."""
        self.engine.leave()
        self._thread.join()

    def _job(self, run_id: str) -> Job:
        if run_id not in self._out:
            raise InputError(f"run {run_id}: is not one that was asked for and has not been told yet")
        return self._out[run_id]


@dataclass(frozen=True)
class Errors:
    """Results as a program tells them: errors as fractions, and the mean loss; None where it says nothing."""

    val_error: float | None = None
    test_error: float | None = None
    train_error: float | None = None
    loss: float | None = None

    def _refuse(self, run_id: str, needed: tuple[str, ...]) -> None:
        value: Any
        for key, value in vars(self).items():
            if value is None and key in needed:
                raise InputError(f"run {run_id}: {key} is missing")
            is_number = isinstance(value, Real) and str(value) not in ("True", "False") and math.isfinite(value)
            if value is not None and (not is_number or value < 0 or (value > 1 and key != "loss")):
                allowed = "a finite number of at least 0" if key == "loss" else "a fraction, from 0 to 1"
                raise InputError(f"run {run_id}: {key}={value!r}: allowed is {allowed}")

    def of_epoch(self, run_id: str, epoch: int, learning_rate: float, seconds: float) -> EpochResult:
        """The results of an epoch. Raises InputError for what is missing or no number."""
        self._refuse(run_id, ("val_error", "train_error", "loss"))
        assert self.val_error is not None
        assert self.train_error is not None
        assert self.loss is not None
        own = (float(one) for one in (learning_rate, self.loss, self.train_error, self.val_error, seconds))
        return EpochResult(int(epoch), *own)

    def of_run(
        self,
        job: Job,
        epochs: list[EpochResult],
        *,
        status: Literal["ok", "diverged", "out_of_memory", "failed"],
        message: str,
        seconds: float,
        right: "npt.ArrayLike | None",
    ) -> Outcome:
        """The outcome of a run that has ended. Raises InputError for what is missing, no number, or contradictory."""
        run_id = job.run.id
        if status not in STATUSES:
            raise InputError(f"run {run_id}: status={status!r}: allowed are {', '.join(STATUSES)}")
        if message and status == "ok":
            raise InputError(f"run {run_id}: message={message!r}: is recorded of a run with a status other than ok")
        if status != "ok":
            return Outcome(status, len(epochs), seconds=seconds, message=message or "told so, without a reason")
        if job.until is not None and len(epochs) < job.until:
            raise InputError(f"run {run_id}: is asked for until epoch {job.until}; tell its epochs, with epoch=...")
        if self.test_error is not None and not job.judges:
            raise InputError(f"run {run_id}: test_error is told of a search, which still chooses; leave it out")
        self._refuse(run_id, ("val_error", "test_error") if job.judges else ("val_error",))
        images = job.run.data.test_images
        assert isinstance(images, int)
        found, test_error = b"", self.test_error
        if right is not None:
            found, test_error = bits(run_id, right, images, test_error)
        last = epochs[-1] if epochs else None
        return Outcome(
            "ok",
            len(epochs),
            _told(self.train_error, last.train_error if last else None),
            _told(self.val_error, None),
            _told(test_error, None),
            _told(self.loss, last.loss if last else None),
            seconds=float(seconds),
            correct=found,
            test_images=images if found else 0,
        )


def _told(value: float | None, otherwise: float | None) -> float | None:
    return otherwise if value is None else float(value)


def _seconds(epochs: list[EpochResult]) -> float:
    return sum(one.seconds for one in epochs)


def bits(run_id: str, right: "npt.ArrayLike", test_images: int, test_error: float | None) -> tuple[bytes, float]:
    """Which test images were right, one bit each, and the test error that they make.

    Raises InputError for what says no right or wrong of each image, or makes another error than the one that is told,
    whose digits may be those of float32.
    """
    import numpy as np

    found = _right_or_wrong(right)
    if found is None:
        raise InputError(f"run {run_id}: right: allowed are True and False, or 1 and 0, one for each test image")
    if found.shape != (test_images,):
        raise InputError(
            f"run {run_id}: right: has shape {found.shape}; expected one value for each of {test_images:,} test images"
        )
    error = (test_images - int(found.sum())) / test_images
    if test_error is None or abs(error - test_error) > NEAR:
        raise InputError(f"run {run_id}: right: {error:.6f} of the images are wrong, and test_error={test_error}")
    return np.packbits(found).tobytes(), error


def _right_or_wrong(right: "npt.ArrayLike") -> "npt.NDArray[np.bool_] | None":
    """What a program says of each image, also as a tensor on any device; None where some of it is neither 0 nor 1."""
    import numpy as np

    try:
        found = np.asarray(right.cpu() if hasattr(right, "cpu") else right)
        numbers = found.astype(float)
    except (TypeError, ValueError, RuntimeError):  # RuntimeError: torch's, of a tensor with gradients
        return None
    if found.dtype.kind not in "biuf" or not np.isin(numbers, (0, 1)).all():
        return None
    return numbers.astype(np.bool_)
