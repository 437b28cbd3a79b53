"""The declared gaps between recorded studies of one dose and the same seeds, from csv files, numpy and scipy alone.

    python studies/gaps.py            every declared family whose studies are recorded
    python studies/gaps.py literal    those whose name begins so

Each family is declared in the header of its first study, in `conf/study/`, before that study's first run. A gap is the
mean of differences of the test error, paired by seed, with a two-sided t interval of 95 %. A study continued on another
processor is recorded as NAME-2, NAME-3, ... with seeds of its own: only runs of one processor make a pair, and whole
pairs are pooled. Nothing of the explorer is imported, so that its figures are computed twice.

Two conditions are not in the declarations, and can only take a sentence away: fewer than five pairs have none, and the
initialisation explains only a gap that is there as drawn and changes towards the side of one path.
"""

import base64
import csv
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TypeAlias

import numpy as np
from scipy.stats import t as student

ROOT = Path(__file__).parent
LEAST = 5  # pairs of a sentence
MARGIN = 0.5  # points, below which a difference does not matter
DRAWN = "as drawn"
csv.field_size_limit(2**24)

Wrong: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True)
class Arm:
    """One side of a gap: a setting of a study, both by name."""

    study: str
    setting: str


@dataclass(frozen=True)
class Family:
    """Gaps that answer one question: is the gap `as drawn` there at equal filter norm, or under a stronger recipe?

    gaps     by the name they have in the declaration: the error of the first arm less that of the second
    primary  the one that decides, and `change` what it does to the gap as drawn
    own      images of the set's own test part, which come first; all others were left over of its training part
    seeds    that it was declared with
    between  if it is how a gap differs from an earlier one that decides: the earlier one's name and its own
    later    a gap that was declared when the others were known, with a sentence of its own (`alone`)
    """

    gaps: dict[str, tuple[Arm, Arm]]
    primary: str
    change: str
    own: int
    seeds: int = 10
    between: tuple[str, str] | None = None
    later: str | None = None


def _family(
    stem: str, one: str, several: str, primary: str, later: str | None = None, **more: tuple[Arm, Arm]
) -> Family:
    drawn, groups = stem, f"{stem.removesuffix('_fan_out')}_groups"
    gaps = {
        DRAWN: (Arm(drawn, several), Arm(drawn, one)),
        primary: (Arm(groups, several), Arm(drawn, one)),
        **more,
        "change": (Arm(groups, several), Arm(drawn, several)),
    }
    return Family(gaps, primary, "change", own=10_000, later=later)


def _strength(stem: str, one: str, several: str, arms: dict[str, str]) -> Family:
    gaps = {name: (Arm(f"{stem}{tail}", several), Arm(f"{stem}{tail}", one)) for name, tail in arms.items()}
    first, *_, last = gaps
    return Family(gaps, last, last, own=10_000, seeds=6, between=(first, last))


_LITERAL = "literal_16px_cifar10_jpeg"
_NARROW, _ONE, _SEVERAL = "init_narrow_cifar10_jpeg", "29-1x16d-w64", "29-16x2d-w64"
FAMILIES = {
    "init_narrow_cifar10_jpeg": _family(
        f"{_NARROW}_fan_out",
        _ONE,
        _SEVERAL,
        "both at 2.0",
        **{
            "both at 0.125": (Arm(f"{_NARROW}_fan_out", _SEVERAL), Arm(f"{_NARROW}_quarter", _ONE)),
            "fan_in": (Arm(f"{_NARROW}_fan_in", _SEVERAL), Arm(f"{_NARROW}_fan_in", _ONE)),
        },
    ),
    _LITERAL: _family(
        _LITERAL,
        "29-1x64d",
        "29-32x4d",
        "equal norm",
        "equal turning",
        **{"equal turning": (Arm(f"{_LITERAL}_turn", "29-32x4d"), Arm(_LITERAL, "29-1x64d"))},
    ),
    "literal_cifar10_jpeg": _family("literal_cifar10_jpeg", "29-1x64d", "29-32x4d", "equal norm"),
    "recipe_strength_16px_cifar10_jpeg": _strength(
        "recipe_strength_16px_cifar10_jpeg",
        _ONE,
        _SEVERAL,
        {"plain 8": "", "plain 32": "_32", "mixed 32": "_mixed", "averaged 96": "_ema"},
    ),
}
FEW = "too few pairs for a sentence, which takes five"
SENTENCES = {
    "too few": FEW,
    "holds": "holds: at equal filter norm several paths are better too",
    "explains": "explains: at equal filter norm the gap no longer holds, so it was the initialisation",
    "cannot tell": "cannot tell: neither does the gap hold at equal filter norm, nor is it known to have changed",
}
ALONE = {
    "too few": FEW,
    "equal": "equal: the difference is smaller than the margin",
    "better": "better: several paths are better",
    "worse": "worse: several paths are worse",
    "cannot tell": "cannot tell: neither is the difference known to be there, nor to be smaller than the margin",
}
STRENGTHS = {
    "too few": FEW,
    "shrinks": "shrinks: under the strongest recipe the gap is smaller than under the plain one",
    "grows": "grows: under the strongest recipe the gap is larger than under the plain one",
    "cannot tell": "cannot tell: the gap is not known to differ between the strongest recipe and the plain one",
}


@dataclass(frozen=True)
class Gap:
    """A gap in points of test error: `differences` by processor and seed, and of how many seeds a run did not end."""

    differences: dict[tuple[str, int], float]
    lost: int

    @property
    def n(self) -> int:
        """Pairs of seeds."""
        return len(self.differences)

    @property
    def mean(self) -> float:
        """Mean difference."""
        return fmean(self.differences.values())

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval; NaN for one pair, or pairs that do not vary."""
        return self._interval(0.95)

    def is_within(self, margin: float) -> bool:
        """Whether the 90 % interval lies within the margin on both sides of zero."""
        low, high = self._interval(0.9)
        return -margin < low and high < margin

    def _interval(self, level: float) -> tuple[float, float]:
        if not self._spread:
            return (math.nan, math.nan)
        half = float(student.ppf((1 + level) / 2, self.n - 1)) * self._spread / math.sqrt(self.n)
        return (self.mean - half, self.mean + half)

    @property
    def p(self) -> float:
        """Two-sided p of no difference; NaN where the differences do not vary."""
        if not self._spread:
            return math.nan
        return float(2 * student.sf(abs(self.mean) / (self._spread / math.sqrt(self.n)), self.n - 1))

    @property
    def _spread(self) -> float:
        """Standard deviation of the differences; 0 for one pair."""
        return stdev(self.differences.values()) if self.n > 1 else 0.0


@dataclass(frozen=True)
class _Ended:
    """A run that ended: its status, the processor, and which test images it got wrong, those of the set's own first."""

    ok: bool
    wrong: Wrong


def gap(arms: tuple[Arm, Arm], part: slice, root: Path = ROOT) -> Gap:
    """The gap of two arms over a part of the test images, in points."""
    first, second = (_runs(arm, root) for arm in arms)
    shared = sorted(set(first) & set(second))
    whole = [key for key in shared if first[key].ok and second[key].ok]
    found = {key: 100 * (_error(first[key].wrong[part]) - _error(second[key].wrong[part])) for key in whole}
    return Gap(found, len(shared) - len(whole))


def moved(family: Family, part: slice, root: Path = ROOT) -> Gap:
    """How far a family's last gap is above its first one, pair by pair: a difference of differences, in points."""
    assert family.between is not None
    first, last = (gap(family.gaps[name], part, root) for name in family.between)
    shared = sorted(set(first.differences) & set(last.differences))
    return Gap({key: last.differences[key] - first.differences[key] for key in shared}, first.lost + last.lost)


def verdict(family: Family, root: Path = ROOT) -> str:
    """What the declaration says: `holds`, `explains` or `cannot tell`; between two gaps `shrinks` or `grows`.

    `too few` below five pairs.
    """
    if family.between is not None:
        change = moved(family, slice(None), root)
        if change.n < LEAST:
            return "too few"
        if not (change.interval[0] > 0 or change.interval[1] < 0):
            return "cannot tell"
        # Of the pairs that both have, since the change is over these.
        ends = [gap(family.gaps[name], slice(None), root).differences for name in family.between]
        first, last = (abs(fmean(one[key] for key in change.differences)) for one in ends)
        return "shrinks" if last < first else "grows"
    drawn, primary, change = (
        gap(family.gaps[name], slice(None), root) for name in (DRAWN, family.primary, family.change)
    )
    if min(primary.n, change.n) < LEAST:
        return "too few"
    if primary.interval[1] < 0:
        return "holds"
    return "explains" if drawn.interval[1] < 0 < change.interval[0] else "cannot tell"


def alone(found: Gap) -> str:
    """What the declaration of a gap on its own says: `equal`, `better`, `worse`, `cannot tell` or `too few`."""
    low, high = found.interval
    if found.n < LEAST:
        return "too few"
    if found.is_within(MARGIN):
        return "equal"
    return "better" if high < 0 else "worse" if low > 0 else "cannot tell"


def lines(name: str, family: Family, root: Path = ROOT) -> Iterator[str]:
    """The family's gaps as a table of text, and its sentence."""
    yield f"{name}: points of test error, paired by seed, t interval of 95 %"
    parts = {"all": slice(None), "own test part": slice(family.own), "left over": slice(family.own, None)}
    for label, arms in family.gaps.items():
        told = f"  {label}: {arms[0].setting} ({arms[0].study}) less {arms[1].setting} ({arms[1].study})"
        for part, images in parts.items():
            found = gap(arms, images, root)
            if not found.n:
                yield f"{told}: no pair yet"
                break
            numbers = _numbers(found)
            if part == "all":
                yield told
                devices = sorted({device for device, _ in found.differences})
                pairs = "1 pair" if found.lost == 1 else f"{found.lost} pairs"
                lost = f"; {pairs} with a run that did not end left out" if found.lost else ""
                numbers += f", on {' and '.join(devices)}{lost}"
            yield f"    {part}: {numbers}"
    whole = min(gap(family.gaps[one], slice(None), root).n for one in (family.primary, family.change))
    sentences = SENTENCES
    if family.between is not None:
        sentences, whole = STRENGTHS, moved(family, slice(None), root).n
        yield f"  change: {family.between[1]} less {family.between[0]}, seed by seed{'' if whole else ': no pair yet'}"
        for part, images in parts.items() if whole else ():
            yield f"    {part}: {_numbers(moved(family, images, root))}"
    so_far = f"preliminary, {whole} of {family.seeds} declared pairs: " if whole < family.seeds else ""
    yield f"  {so_far}{sentences[verdict(family, root)]}"
    if family.later is not None and (found := gap(family.gaps[family.later], slice(None), root)).n:
        yield f"  {family.later}, declared later: {ALONE[alone(found)]}"
    if family.between is not None and whole >= LEAST:  # not declared, and beside the sentence, which is of sizes alone
        (low, high), (other_low, other_high) = (
            gap(family.gaps[name], slice(None), root).interval for name in family.between
        )
        if (low > 0 and other_high < 0) or (high < 0 and other_low > 0):
            yield "  the two gaps, each of which excludes zero, have opposite signs"


def _numbers(found: Gap) -> str:
    if found.n < 2:
        return f"{found.mean:+.2f}, n = 1: an interval needs 2 pairs"
    (low, high), p = found.interval, found.p
    if math.isnan(p):
        return f"{found.mean:+.2f}, n = {found.n}, no interval: the differences do not vary"
    return f"{found.mean:+.2f} ({low:+.2f} to {high:+.2f}), n = {found.n}, p = {p:.4f}"


def _runs(arm: Arm, root: Path) -> dict[tuple[str, int], _Ended]:
    """The runs of an arm by processor and seed, from its study and those that continue it."""
    found: dict[tuple[str, int], _Ended] = {}
    pattern = re.compile(rf"{re.escape(arm.study)}(-\d+)?")
    for folder in sorted(path for path in root.glob(f"{arm.study}*") if pattern.fullmatch(path.name)):
        wrong = {row["run"]: _wrong(row) for row in _table(folder / "correct.csv")}
        for row in _table(folder / "runs.csv"):
            if row["setting"] == arm.setting and row["status"] in ("ok", "diverged", "out_of_memory"):
                own = wrong.get(row["run"], np.zeros(0, np.bool_))
                found[(row["device"], int(row["seed"]))] = _Ended(row["status"] == "ok", own)
    return found


def _table(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _wrong(row: dict[str, str]) -> Wrong:
    right = np.frombuffer(base64.b64decode(row["bits"]), np.uint8)
    return np.unpackbits(right, count=int(row["images"])) == 0


def _error(wrong: Wrong) -> float:
    return int(wrong.sum()) / len(wrong)


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    for title, declared in FAMILIES.items():
        recorded = (ROOT / next(iter(declared.gaps.values()))[0].study / "runs.csv").exists()
        if title.startswith(asked) and recorded:
            print("\n".join(lines(title, declared)))
