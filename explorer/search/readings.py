"""What measures of extensions give for designs: known from the record, or measured by a worker now and written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from explorer.design.cost_measures import ADDED
from explorer.host.errors import InputError
from explorer.record import records
from explorer.search.measuring import Measurer
from explorer.study.designs import Reading, Setting, refuse_beyond_bounds
from explorer.study.job import Measured, MeasureQuestion
from explorer.study.run import Execution
from explorer.study.settings import Bounds

AT_ONCE = 8  # designs that are measured in turns, before a person is told how far it is
MOST_REFUSED = 200  # designs in a row that are measured and lie outside the bounds, before the search is given up


@dataclass
class Readings:
    """The readings of a study's designs, by setting.

    known    those that are in the record, or are to be written there
    refused  how many of the designs that were measured last lie outside the bounds
    count    called with what is measured, the number of designs that were, and how many there are, if that is known
    """

    measurer: Measurer
    execution: Execution
    folder: Path
    known: dict[str, tuple[Reading, ...]]
    refused: int = 0
    count: Callable[[str, int, int | None], None] = lambda *_: None
    _asked: int = 0
    _unwritten: list[tuple[str, Reading]] = field(default_factory=list)
    _is_begun: bool = False

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

        Raises InputError if the last 200 were not.
        """
        if not (bounds := self.bounds):
            return True
        (known,) = self.of([setting])
        if all(own.holds(known.value(name)) for name, own in bounds.items()):
            self.refused = 0
            return True
        self.refused += 1
        if self.refused >= MOST_REFUSED:
            name, own = next(iter(bounds.items()))
            least = min(one.median for found in self.known.values() for one in found if one.measure == name)
            raise InputError(
                f"budget.limits.{name}: allowed: {own}; the last {self.refused} designs that were measured are all "
                f"outside, and the least of all has {least:.4g} {ADDED[name].words}; widen it, or take a larger space"
            )
        return False

    def too_few(self, wanted: int) -> InputError:
        """What is said where every design has been measured, and fewer than are wanted lie within the bounds."""
        within = len(self.known) - len(self.refused_names())
        words = " and ".join(f"{own} {ADDED[name].words}" for name, own in self.bounds.items())
        return InputError(
            f"search.designs={wanted}: every design of the space was measured, and {within} have {words}; begin "
            f"another study by adding name=... with search.designs={within}, wider budget.limits or a larger space"
        )

    def refused_names(self) -> list[str]:
        """The names of known designs that are outside the bounds."""
        bounds = self.bounds
        return [
            name
            for name, found in self.known.items()
            if any(one.measure in bounds and not bounds[one.measure].holds(one.median) for one in found)
        ]

    def _has(self, setting: Setting, measure: str) -> bool:
        return any(one.measure == measure for one in self.known.get(setting.name, ()))

    def _found(self, name: str, settings: Sequence[Setting]) -> list[Reading]:
        if ADDED[name].is_counted:
            values = [one.value(name) for one in settings]
            return [Reading(name, value, value, value) for value in values]
        task, found = self.measurer.config.data.task, list[Reading]()
        for place in range(0, len(settings), AT_ONCE):
            self._tell(name, place, len(settings))
            designs = tuple(one.architecture for one in settings[place : place + AT_ONCE])
            question = MeasureQuestion(name, designs, task, self.execution.device, self.execution.precision)
            (answer,) = self.measurer.engine.ask(question)
            found += [Reading(name, *quartiles) for quartiles in cast(Measured, answer).quartiles]
            self._asked += len(designs)
        return found

    def _tell(self, name: str, done: int, wanted: int) -> None:
        """Say what is measured now: how many of the designs that are given, or of those that a search has looked at."""
        what = f"Measuring {ADDED[name].words}"
        if not self.measurer.config.search.is_adaptive:
            self.count(what, done, wanted)
        elif self.refused:
            last = "the last design is" if self.refused == 1 else f"the last {self.refused} designs are"
            self.count(f"{what}, {last} outside the limits", self._asked, None)
        else:
            self.count(what, self._asked, None)
