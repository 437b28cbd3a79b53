"""Values of an axis of a design space, as a list or as a range."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, combinations_with_replacement

import numpy as np
import numpy.typing as npt

MOST_VALUES = 1_000_000
MOST_SEQUENCES = 20_000_000


@dataclass(frozen=True)
class Range:
    """Whole numbers from `low` to `high`, both included: in steps of `step`, or each `factor` times the last one."""

    low: int
    high: int
    step: int = 1
    factor: int = 1

    def __post_init__(self) -> None:
        if self.step != 1 and self.factor != 1:
            raise ValueError(f"step {self.step} and factor {self.factor} are both given; a range takes one of them")
        if self.low > self.high or min(self.step, self.factor) < 1 or (self.factor > 1 and self.low < 1):
            raise ValueError(
                f"low {self.low}, high {self.high}, step {self.step}, factor {self.factor}: allowed is low <= high, "
                "step and factor at least 1, and with a factor low at least 1"
            )
        _refuse_too_many((self.high - self.low) // self.step + 1 if self.factor == 1 else 64)

    @property
    def values(self) -> tuple[int, ...]:
        """All of them, ascending."""
        if self.factor == 1:
            return tuple(range(self.low, self.high + 1, self.step))
        found = [self.low]
        while found[-1] * self.factor <= self.high:
            found.append(found[-1] * self.factor)
        return tuple(found)


@dataclass(frozen=True)
class RealRange:
    """Numbers from `low` to `high` in steps of `step`, each rounded to nine decimals."""

    low: float
    high: float
    step: float

    def __post_init__(self) -> None:
        if not (0 < self.step < math.inf and -math.inf < self.low <= self.high < math.inf):
            raise ValueError(
                f"low {self.low}, high {self.high}, step {self.step}: allowed is low <= high and step above 0"
            )
        _refuse_too_many(int((self.high - self.low) / self.step) + 1)

    @property
    def values(self) -> tuple[float, ...]:
        """All of them, ascending."""
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        return tuple(round(self.low + place * self.step, 9) for place in range(count))


Axis = tuple[int, ...] | Range
RealAxis = tuple[float, ...] | RealRange


def values_of(name: str, axis: Axis | RealAxis) -> tuple[float, ...]:
    """The values of an axis in the order given. Raises ValueError for an empty list, and for a repeated value."""
    values = axis.values if isinstance(axis, (Range, RealRange)) else axis
    refuse_repeats(name, values)
    return values


def refuse_repeats(name: str, values: tuple[object, ...]) -> None:
    """Raise ValueError for an empty list and for a repeated value."""
    if not values:
        raise ValueError(f"{name} is empty; give at least one value")
    if len(set(values)) != len(values):
        raise ValueError(f"{name} {list(values)} names a value twice")


def whole_values(name: str, axis: Axis) -> tuple[int, ...]:
    """The values of an axis of whole numbers, in the order given. Raises ValueError as `values_of` does."""
    return tuple(int(value) for value in values_of(name, axis))


@dataclass(frozen=True)
class Factor:
    """One independent choice of a space, between `options` rows of numbers, one number per name.

    Several names stand for numbers that depend on each other, such as widths that may not fall. The rows are computed
    when first needed, since the size of a space is needed more often than its points.
    """

    names: tuple[str, ...]
    options: int
    make: Callable[[], npt.NDArray[np.float64] | npt.NDArray[np.int64]]

    def __len__(self) -> int:
        return self.options

    @cached_property
    def table(self) -> npt.NDArray[np.float64] | npt.NDArray[np.int64]:
        """All rows, of shape `(options, len(names))`."""
        return self.make()


def single(name: str, values: tuple[float, ...]) -> Factor:
    """A factor of one number."""
    return Factor((name,), len(values), lambda: np.array(values)[:, None])


def rising(names: tuple[str, ...], values: tuple[int, ...]) -> Factor:
    """All non-decreasing sequences of the values, one number per name. Raises ValueError if there are too many."""
    count = math.comb(len(values) + len(names) - 1, len(names))
    if count > MOST_SEQUENCES:
        raise ValueError(f"{names[0]}: {count:,} rising sequences; allowed are {MOST_SEQUENCES:,}; give fewer values")

    def make() -> npt.NDArray[np.int64]:
        sequences = combinations_with_replacement(sorted(values), len(names))
        flat = np.fromiter(chain.from_iterable(sequences), dtype=np.int64, count=count * len(names))
        return flat.reshape(count, len(names))

    return Factor(names, count, make)


def _refuse_too_many(count: int) -> None:
    if count > MOST_VALUES:
        raise ValueError(f"{count:,} values; allowed are {MOST_VALUES:,}; choose a larger step")
