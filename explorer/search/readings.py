"""What measures of extensions, and limits of a budget, give for designs: known from the record, or measured now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from explorer.analysis.cost_predictor import Predictor, fitted_to
from explorer.design.cost_measures import READ
from explorer.host.errors import InputError
from explorer.record import records
from explorer.search.measuring import Measurer
from explorer.study.designs import Reading, Scope, Setting, refuse_beyond_bounds
from explorer.study.job import Latencies, LatencyQuestion, Measured, MeasureQuestion, MemoryQuestion, Question
from explorer.study.run import Execution, Run
from explorer.study.settings import Bounds

AT_ONCE = 8  # designs that are measured in turns, before a person is told how far it is
AGAIN = 2  # more times that passes are timed where their quartiles are on both sides of a bound; the steadiest counts
MOST_REFUSED = 200  # designs in a row that are measured and lie outside the bounds, before the search is given up


@dataclass
class Readings:
    """The readings of a study's designs, by setting.

    known    those that are in the record, or are to be written there
    refused  how many of the designs that were measured last lie outside the bounds
    foreseen  the names of designs that this start has left out since they are predicted to lie outside
    count    called with what is measured, the number of designs that were, and how many there are, if that is known
    """

    measurer: Measurer
    execution: Execution
    folder: Path
    known: dict[str, tuple[Reading, ...]]
    refused: int = 0
    foreseen: set[str] = field(default_factory=set)
    count: Callable[[str, int, int | None], None] = lambda *_: None
    _asked: int = 0
    _unwritten: list[tuple[str, Reading]] = field(default_factory=list)
    _is_begun: bool = False
    _predictors: dict[str, tuple[int, Predictor | None]] = field(default_factory=dict)

    @property
    def measures(self) -> bool:
        """Whether anything is measured when a design is chosen, so that nothing else may run meanwhile."""
        return bool(self.measurer.config.measured)

    @property
    def bounds(self) -> dict[str, Bounds]:
        """The bounds of measures that are measured; those of the others the space has met already."""
        config = self.measurer.config
        limits = {} if config.search.only else config.budget.bounds
        return {name: limits[name] for name in config.measured if name in limits and limits[name].has_any}

    def of(self, settings: Sequence[Setting]) -> tuple[Setting, ...]:
        """Settings with their readings; those that are not known are measured, in turns, and written."""
        for name in self.measurer.config.measures:
            lacking = [one for one in settings if not self._has(one, name)]
            if not lacking:
                continue
            for one, found in zip(lacking, self._found(name, lacking), strict=True):
                self.known[one.name] = (*self.known.get(one.name, ()), found)
                self._unwritten.append((one.name, found))
        if self._is_begun:
            self.write()
        return tuple(replace(one, readings=self.known.get(one.name, ())) for one in settings)

    def write(self) -> None:
        """Write what was measured before the study had begun; from now on all is written at once."""
        records.measure(self.folder, self._unwritten)
        self._unwritten, self._is_begun = [], True

    def refuse_outside(self, settings: Sequence[Setting]) -> None:
        """Raise InputError if a listed design is outside the bounds of a measure that is measured."""
        for setting in settings:
            refuse_beyond_bounds(setting, self.bounds)

    def holds(self, setting: Setting) -> bool:
        """Whether a design that a search may choose is within the bounds, which is measured if it is not known.

        One that is predicted to be clearly outside is not measured. Raises InputError if the last 200 that were
        measured were outside.
        """
        if not (bounds := self.bounds):
            return True
        if any(self._is_foreseen(setting, name, own) for name, own in bounds.items()):
            self.foreseen.add(setting.name)
            return False
        is_new = not all(self._has(setting, name) for name in bounds)
        (known,) = self.of([setting])
        if not self._outside(known.readings):
            self.refused = 0
            return True
        self.refused += is_new
        if self.refused >= MOST_REFUSED:
            name, own = next(iter(bounds.items()))
            least = min(one.bounded for found in self.known.values() for one in found if one.measure == name)
            raise InputError(
                f"{READ[name].limited_by}: allowed: {own}; the last {self.refused} designs that were measured are all "
                f"outside, and the least of all has {least:.4g} {READ[name].words}; widen it, or take a larger space"
            )
        return False

    def predictor(self, name: str, scope: Scope) -> Predictor | None:
        """What predicts a measure from cost, fitted to all designs that were measured; None while these are too few."""
        count = sum(one.measure == name for found in self.known.values() for one in found)
        if self._predictors.get(name, (-1, None))[0] != count:
            self._predictors[name] = count, fitted_to(self.known, name, scope)
        return self._predictors[name][1]

    def _is_foreseen(self, setting: Setting, name: str, bounds: Bounds) -> bool:
        if bounds.most is None or self._has(setting, name):
            return False
        predictor = self.predictor(name, setting.scope)
        return predictor is not None and predictor.is_outside(setting, bounds.most)

    def _outside(self, readings: Sequence[Reading]) -> bool:
        bounds = self.bounds
        return any(one.measure in bounds and not bounds[one.measure].holds(one.bounded) for one in readings)

    def too_few(self, wanted: int) -> InputError:
        """What is said where every design has been measured, and fewer than are wanted lie within the bounds."""
        within = len(self.known) - len(self.refused_names())
        words = " and ".join(map(self.measurer.config.budget.bound_words, self.bounds))
        keys = " or ".join(READ[name].limited_by for name in self.bounds)
        every = "every design of the space was measured"
        if self.foreseen:
            every += f" but {len(self.foreseen):,} that were predicted to be outside"
        return InputError(
            f"search.designs={wanted}: {every}, and {within} have {words}; begin another study by adding name=... with "
            f"search.designs={within}, a wider {keys}, or a larger space"
        )

    def refused_names(self) -> list[str]:
        """The names of known designs that are outside the bounds."""
        return [name for name, found in self.known.items() if self._outside(found)]

    def _has(self, setting: Setting, measure: str) -> bool:
        return any(one.measure == measure for one in self.known.get(setting.name, ()))

    def _found(self, name: str, settings: Sequence[Setting]) -> list[Reading]:
        if READ[name].is_counted:
            values = [one.value(name) for one in settings]
            return [Reading(name, value, value, value) for value in values]
        found = list[Reading]()
        for place in range(0, len(settings), AT_ONCE):
            self._tell(name, place, len(settings))
            some = settings[place : place + AT_ONCE]
            read = self._asked_of(name, some)
            for _ in range(AGAIN if name == "pass_ms" else 0):
                unclear = [place for place, one in enumerate(read) if self._is_unclear(one)]
                if not unclear:
                    break
                for which, again in zip(unclear, self._asked_of(name, [some[one] for one in unclear]), strict=True):
                    read[which] = min(read[which], again, key=lambda one: one.upper - one.lower)
            found += read
            self._asked += len(some)
        return found

    def _asked_of(self, name: str, settings: Sequence[Setting]) -> list[Reading]:
        (answer,) = self.measurer.engine.ask(self._question(name, settings))
        return [Reading(name, *quartiles) for quartiles in cast(Measured | Latencies, answer).quartiles]

    def _is_unclear(self, reading: Reading) -> bool:
        """Whether a bound lies between the quartiles, as where another program disturbed some of the passes."""
        own = self.bounds.get(reading.measure)
        return own is not None and own.holds(reading.lower) != own.holds(reading.upper)

    def _question(self, name: str, settings: Sequence[Setting]) -> Question:
        config, execution = self.measurer.config, self.execution
        designs, task, budget = tuple(one.architecture for one in settings), config.data.task, config.budget
        if name == "pass_ms":
            assert budget.latency is not None
            device, precision = budget.latency.where(execution.device, execution.precision)
            return LatencyQuestion(designs, task, device, precision, budget.latency.batch, budget.latency.runtime)
        if name == "peak_mib":
            assert budget.memory is not None
            runs = tuple(Run(one, task, config.recipe, config.data, "", 0, execution) for one in designs)
            return MemoryQuestion(runs, budget.memory.work, budget.memory.batch or config.recipe.images_a_pass)
        return MeasureQuestion(name, designs, task, execution.device, execution.precision)

    def _tell(self, name: str, done: int, wanted: int) -> None:
        """Say what is measured now: how many of the designs that are given, or of those that a search has looked at."""
        what = f"Measuring {READ[name].words}"
        if self.foreseen:
            what += f" ({len(self.foreseen):,} left out as predicted outside)"
        if not self.measurer.config.search.is_adaptive:
            self.count(what, done, wanted)
        elif self.refused:
            last = "the last design is" if self.refused == 1 else f"the last {self.refused} designs are"
            self.count(f"{what}, {last} outside the limits", self._asked, None)
        else:
            self.count(what, self._asked, None)
