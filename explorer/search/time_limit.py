"""Which runs a start with a time limit begins: those that are expected to end in time, whole seeds before parts of one.

What a run takes is known from this start's epochs and from recorded runs. While nothing is known, a run is begun: what
the end of the time finds unfinished is saved, and the next start continues it.
"""

import heapq
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from explorer.study.designs import Setting
from explorer.study.run import EpochResult, Run

Work = Callable[[Run, Setting], float]


@dataclass
class Pace:
    """Seconds that runs take for each unit of their work, by setting, as far as is known.

    recorded  of runs of earlier starts; not used for a setting that this start has trained
    """

    recorded: dict[str, list[float]] = field(default_factory=dict)
    trained: dict[str, list[float]] = field(default_factory=dict)

    def epoch(self, setting: str, work: float, seconds: float) -> None:
        """Note an epoch that this start has trained, or a part of a run as long as that."""
        self.trained.setdefault(setting, []).append(seconds / work)

    def seconds(self, setting: str, work: float) -> float | None:
        """Expected seconds of work on a setting: as its own, else as all others on the mean; None if none is known."""
        own = self.trained.get(setting) or self.recorded.get(setting)
        known = [own] if own else [*(self.trained or self.recorded).values()]
        return work * sum(map(median, known)) / len(known) if known else None


@dataclass
class TimeLimit:
    """The time that a start of a study has, and what of it is expected to be used by the runs that it has begun.

    left     gives the seconds that are left
    work     of a whole run, in the unit of `pace`
    due      the share of it after which a search judges the design; 1 for a run that goes to its end
    workers  runs at once
    by_seed  whether the runs of one seed belong together, so that all settings get equally many; else those of a design
    """

    left: Callable[[], float]
    work: Work
    due: Callable[[Setting], float]
    workers: int
    by_seed: bool
    pace: Pace = field(default_factory=Pace)
    clock: Callable[[], float] = time.monotonic
    _ends: dict[str, float | None] = field(default_factory=dict)  # when running runs are expected to end
    _begun: set[object] = field(default_factory=set)  # seeds, or designs, of which this start has begun a run
    _usual: list[float] = field(default_factory=list)  # seconds of runs that were begun
    _hopeless: bool = False  # nothing can end in time: what is begun is for the next start to end

    @property
    def is_set(self) -> bool:
        """Whether there is a limit."""
        return self.left() != float("inf")

    def admits(self, waiting: Iterable[tuple[Setting, Run]], kept: Callable[[str], float]) -> bool:
        """Whether the first of the waiting runs is to be begun; `kept` gives the seconds that its checkpoint holds.

        It is if it and all that belongs to it are expected to end in time, or if of these some have begun and it is.
        A start that has begun nothing yet begins what can end, or where nothing can, everything, so that it gets on.
        """
        if not self.is_set or self._hopeless:
            return True
        left, first = self.left(), next(iter(waiting))
        group = self._group(first)
        together = [first] if group in self._begun else [one for one in waiting if self._group(one) == group]
        if self._fit([self._expected(one, kept) for one in together], left):
            return True
        if self._begun:
            return False
        self._hopeless = not self._fit([self._expected(first, kept)], left)
        return True

    def has_time_for_another(self, seeds: int) -> bool:
        """Whether a search may choose another design, of so many runs as long as those before it."""
        if not self.is_set or self._hopeless or not self._usual:
            return True
        return self._fit([sum(self._usual) / len(self._usual)] * seeds, self.left())

    def begin(self, setting: Setting, run: Run, kept: float) -> None:
        """Note that a run was given to a worker."""
        self._begun.add(self._group((setting, run)))
        seconds = self._expected((setting, run), lambda _: kept)
        if seconds is not None:
            self._usual.append(seconds)
        self._ends[run.id] = None if seconds is None else self.clock() + seconds

    def epoch(self, setting: Setting, run: Run, result: EpochResult, share: float) -> None:
        """Note an epoch of a running run, which is this share of its work."""
        work = self.work(run, setting)
        self.pace.epoch(setting.name, work * share, result.seconds)
        seconds = self.pace.seconds(setting.name, work * max(0.0, self.due(setting) - share * result.epoch))
        self._ends[run.id] = None if seconds is None else self.clock() + seconds

    def end(self, run_id: str) -> None:
        """Note that a run ended or paused."""
        self._ends.pop(run_id, None)

    def _group(self, one: tuple[Setting, Run]) -> object:
        return one[1].seed if self.by_seed else one[0].name

    def _expected(self, one: tuple[Setting, Run], kept: Callable[[str], float]) -> float | None:
        setting, run = one
        seconds = self.pace.seconds(setting.name, self.work(run, setting) * self.due(setting))
        return None if seconds is None else max(0.0, seconds - kept(run.id))

    def _fit(self, jobs: Sequence[float | None], left: float) -> bool:
        """Whether jobs that begin now end in time, as far as is known; one of unknown length is left out."""
        if left <= 0:
            return False
        now = self.clock()
        busy = [max(0.0, end - now) for end in self._ends.values() if end is not None]
        return last_end([one for one in jobs if one is not None], self.workers, busy) <= left


def last_end(jobs: Sequence[float], workers: int, busy: Sequence[float] = ()) -> float:
    """Seconds until the last of some jobs ends, which begin in their order, each on the worker that is free first.

    `busy` are the seconds for which workers are not free yet.
    """
    free = sorted(busy, reverse=True)[:workers]
    free += [0.0] * (workers - len(free))
    heapq.heapify(free)
    ends = [0.0]
    for seconds in jobs:
        begins = heapq.heappop(free)
        ends.append(begins + seconds)
        heapq.heappush(free, ends[-1])
    return max(ends)


def that_fit(groups: Sequence[Sequence[float]], workers: int, seconds: float) -> tuple[int, int]:
    """How many jobs of so many seconds, and how many whole groups of them, end in time, begun as `TimeLimit` does.

    If not even the first group fits, as many of its jobs as do are begun.
    """
    taken: list[float] = []
    whole = 0
    for group in groups:
        if last_end([*taken, *group], workers) > seconds:
            break
        taken += group
        whole += 1
    if whole or not groups:
        return len(taken), whole
    for job in groups[0]:
        if last_end([*taken, job], workers) > seconds:
            break
        taken.append(job)
    return len(taken), 0
