"""What benchmarks measure, as plain numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CostSpeed:
    """Designs costed per second by one method; `disagreements` with the vectorised closed form."""

    method: str
    designs: int
    seconds: float
    disagreements: int

    @property
    def per_second(self) -> float:
        """Designs per second."""
        return self.designs / self.seconds


@dataclass(frozen=True)
class ScanSpeed:
    """All points of a space held to a budget of two measures; `peak_bytes` of memory were taken at most."""

    budget: str
    points: int
    feasible: int
    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Usage:
    """How well so many slots were used; times are seconds.

    utilisation  slot-seconds that runs were under way over slots times the time from the first submission to the last,
                 while there always was a run to start; filling the slots at first is part of it
    with_tail    the same until the end of the last run: the last ones leave ever more slots idle, whatever is done
    seconds      from the first submission to the end of the last run
    ramp         from the first submission until every slot had a run
    tail         from the last submission to the end of the last run
    wait, longest_wait  of a slot from the end of a run to the submission of the next: median, and the longest
    """

    utilisation: float
    with_tail: float
    seconds: float
    ramp: float
    tail: float
    wait: float
    longest_wait: float


@dataclass(frozen=True)
class Scale:
    """A study of runs that only took time, and what its coordinator cost.

    most           runs at once
    wall           seconds of the whole command, by the clock on the wall
    processor      seconds of the processor for each run, all threads and the start included
    parts          of them by what was done: seconds of the processor, and seconds that passed, for each run
    memory         bytes in use after the first runs, after a quarter of them, half, three quarters, and at the end
    bytes_per_run  by which the memory grew with each run of the second half
    record         bytes of the record's tables for each run
    """

    slots: int
    run_seconds: float
    spread: float
    sampler: str
    is_real: bool
    runs: int
    most: int
    usage: Usage
    wall: float
    processor: float
    parts: dict[str, tuple[float, float]]
    memory: tuple[int, ...]
    bytes_per_run: float
    record: float


@dataclass(frozen=True)
class Choices:
    """Seconds of a sampler's choice when it knows so many results: the median, and the longest."""

    sampler: str
    told: int
    seconds: float
    longest: float


@dataclass(frozen=True)
class Large:
    """What somebody does with a large study: seconds, and bytes of memory the process had at its peak."""

    kind: str
    runs: int
    what: str
    seconds: float
    memory: int | None


@dataclass(frozen=True)
class PageSpeed:
    """The page of a study of so many runs and epochs each.

    size                bytes of the file
    seconds             to draw it of a record in memory
    memory              bytes that the process had at its peak; None where the system does not tell
    first, interactive  median seconds in a browser until the first view is painted, and until all figures are live;
                        None: there is no browser; infinite: it did not happen
    """

    runs: int
    epochs: int
    size: int
    seconds: float
    memory: int | None
    first: float | None = None
    interactive: float | None = None
