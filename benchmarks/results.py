"""The results of benchmarks, as plain numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CostSpeed:
    """Speed of one costing method; `disagreements` counts results that differ from the vectorised closed form."""

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
    """Time and peak memory of scanning all points of a space for designs within a budget of two measures."""

    budget: str
    points: int
    feasible: int
    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Usage:
    """How well slots were used by runs; times are seconds.

    utilisation  slot-seconds in which runs were active, divided by slots times the time from the first submission to
                 the last one, while there always was a run to start; filling the slots at first is included
    with_tail    the utilisation until the end of the last run, when more and more slots are unavoidably idle
    seconds      from the first submission to the end of the last run
    ramp         from the first submission until every slot had a run
    tail         from the last submission to the end of the last run
    wait, longest_wait  seconds of a slot from the end of a run to the submission of the next: median, and longest
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
    """Measurements of a study whose runs only take time, and of its coordinator.

    most           largest number of runs at once
    processor      processor seconds per run, including all threads and the start
    parts          the same by part of the work: processor seconds and elapsed seconds per run
    memory         bytes in use after the first runs, after a quarter of them, half, three quarters, and at the end
    bytes_per_run  growth of the memory per run in the second half
    record         bytes of the record's tables per run
    """

    slots: int
    run_seconds: float
    spread: float
    sampler: str
    is_real: bool
    runs: int
    most: int
    usage: Usage
    processor: float
    parts: dict[str, tuple[float, float]]
    memory: tuple[int, ...]
    bytes_per_run: float
    record: float


@dataclass(frozen=True)
class Choices:
    """Seconds of a sampler's choice when it has `told` results: median, and longest."""

    sampler: str
    told: int
    seconds: float
    longest: float


@dataclass(frozen=True)
class Large:
    """One operation on a large study: its seconds, and the peak memory of its process in bytes."""

    kind: str
    runs: int
    what: str
    seconds: float
    memory: int | None


@dataclass(frozen=True)
class PageSpeed:
    """Measurements of the page of a study with `runs` runs of `epochs` epochs each.

    size                bytes of the file
    seconds             to draw it from a record in memory
    memory              peak bytes of the process; None if the system does not report it
    first, interactive  median seconds in a browser until the first view is painted, and until all figures work; None:
                        there is no browser; infinite: it did not happen
    """

    runs: int
    epochs: int
    size: int
    seconds: float
    memory: int | None
    first: float | None = None
    interactive: float | None = None
