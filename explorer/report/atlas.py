"""The effects of all studies as one picture: a row each, on one axis of points less error, by data set and budget."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from explorer.analysis.claims import Claim, alike_claims, pool_of, side_names
from explorer.analysis.finding import Finding
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.pooling import LEAST_STUDIES
from explorer.analysis.summary import MIN_PAIRS
from explorer.design.cost_measures import COUNTED
from explorer.design.name import display_setting
from explorer.host.formatting import ERROR_NAMES, counted, less, less_interval, millions, share
from explorer.report.error_words import claimed
from explorer.report.panel import Axis, ticks
from explorer.study.checks import RIVALS

MOST_VALUES = 30  # single differences that an effect without an interval keeps
NO_BUDGET = "no budget"
OVER_DATA = "Over data sets"


@dataclass(frozen=True)
class Effect:
    """The declared difference of a study; differences are fractions, below zero where `setting` has the lower error.

    low, high  ends of its interval at `level`; NaN where none is claimed, as with fewer than five pairs of seeds
    n          number of pairs of seeds, or of designs of both spaces
    values     the single differences where there is no interval
    margin     the largest difference that does not matter; None where none was declared
    error      which error it is a difference of
    word       the verdict in short
    """

    setting: str
    against: str
    mean: float
    low: float
    high: float
    n: int
    of: str
    word: str
    error: str
    level: float = 0.95
    margin: float | None = None
    values: tuple[float, ...] = ()


def effect_of(finding: Finding) -> Effect | None:
    """The declared difference of a study, of two settings or of two spaces; None where nothing can be compared yet."""
    error = ERROR_NAMES[finding.measure]
    if finding.populations is not None:
        rivals = finding.populations.rivals[:1] if finding.has_rivals else []
        if not rivals or rivals[0].lost:
            return None
        found = rivals[0]
        gap = found.difference
        word = _word(finding, found.verdict, guesses=found.guesses)
        ends = gap.mean, gap.low, gap.high
        return Effect(*found.names, *ends, sum(found.designs), "design", word, error)
    if (one := finding.comparison) is None or math.isnan(one.difference.mean):
        return None
    gap, few = one.difference, one.difference.n < MIN_PAIRS
    return Effect(
        display_setting(one.setting),
        display_setting(one.against),
        gap.mean,
        claimed(gap).low,
        claimed(gap).high,
        gap.n,
        "pair",
        "too few pairs" if few and finding.complete else _word(finding, one.verdict, guesses=one.guesses),
        error,
        1 - one.alpha,
        one.margin,
        () if not few and gap.has_interval else tuple(one.differences.values())[:MOST_VALUES],
    )


def _word(finding: Finding, verdict: str, *, guesses: bool) -> str:
    if not finding.complete:
        return "so far"
    if guesses:
        return "no more than guessing"
    checks = finding.robustness
    explained = [RIVALS[check.name] for check in checks.found("explains")] if checks else []
    return f"explained by {' and '.join(explained)}" if explained else verdict


def budget_of(study: OpenedStudy) -> str:
    """What the designs of a study have in common, with its amount: `0.17 M parameters`; `no budget` for nothing."""
    budget, targets = study.config.budget, study.plan.scope.targets
    held = [
        f"{'at most ' if limit.at_most else ''}{_amount(limit.target or targets.get(axis))}{COUNTED[axis].words}"
        for axis, limit in budget.held.items()
    ]
    held += [budget.bound_words(name) for name, bounds in budget.bounds.items() if bounds.has_any]
    return " and ".join(held) or NO_BUDGET


def _amount(target: int | None) -> str:
    if target is None:
        return ""
    return f"{millions(target)} " if target >= 10_000 else f"{target:,} "


@dataclass(frozen=True)
class Row:
    """One row of the picture: a study, a mean over several, or one that cannot be read.

    about   what is compared, or what was found where nothing is
    words   the difference with its interval; "" for none
    beside  what belongs to it: number of pairs, verdict in short
    effect  what is drawn; None for nothing
    link    the page that it opens; None for none
    """

    name: str
    about: str
    mood: str = "open"
    words: str = ""
    beside: str = ""
    effect: Effect | None = None
    link: str | None = None
    done: int = 0
    wanted: int = 0
    is_mean: bool = False


@dataclass(frozen=True)
class Group:
    """The rows of one data set and budget."""

    data: str
    budget: str
    rows: list[Row]


@dataclass(frozen=True)
class Atlas:
    """The picture as plain numbers.

    low, high  ends of its axis, in points by which an error is less; longer intervals are cut there
    errors     which errors the differences are of
    """

    groups: list[Group]
    low: float
    high: float
    errors: list[str] = field(default_factory=list)

    @property
    def has_effects(self) -> bool:
        """Whether any study has a difference to draw."""
        return any(row.effect for group in self.groups for row in group.rows)

    @property
    def has_margin(self) -> bool:
        """Whether any row has a margin."""
        return any(row.effect and row.effect.margin for group in self.groups for row in group.rows)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Places on the axis in per cent of its width, and their labels."""
        found = ticks(Axis(""), self.low, self.high)
        return [(self.place(-value / 100), words) for value, words in found]

    def place(self, difference: float) -> float:
        """The place of a difference on the axis, in per cent of its width: of a lower error on the right.

        Beyond an end it is the end.
        """
        share_of = (-100 * difference - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, share_of)), 2)

    def cut(self, effect: Effect) -> tuple[bool, bool]:
        """Whether an interval goes beyond the left end of the axis, and beyond the right one."""
        return -100 * effect.high < self.low - 1e-9, -100 * effect.low > self.high + 1e-9


def atlas_of(groups: Sequence[Group]) -> Atlas:
    """The picture of these groups: its axis has zero, all means and margins, and intervals that are not too long."""
    effects = [row.effect for group in groups for row in group.rows if row.effect]
    low, high = _ends(effects)
    return Atlas([*groups], low, high, list(dict.fromkeys(one.error for one in effects)))


def _ends(effects: Sequence[Effect]) -> tuple[float, float]:
    means = [-100 * value for one in effects for value in (one.mean, *one.values)]
    inner = [0.0, *means, *(100 * sign * one.margin for one in effects if one.margin for sign in (-1, 1))]
    reach = sorted(100 * max(abs(one.low), abs(one.high)) for one in effects if one.low == one.low)
    # One study of a few seeds would press all others together.
    longest = max(2.5 * max(map(abs, inner)), 1.5 * reach[len(reach) // 2] if reach else 0.0) or 1.0
    ends = [-100 * value for one in effects if one.low == one.low for value in (one.low, one.high)]
    values = [*inner, *(min(longest, max(-longest, value)) for value in ends)]
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 1.0
    return low - room, high + room


def effect_words(effect: Effect) -> tuple[str, str]:
    """An effect as text: its size with the interval, and what stands beside it."""
    size = less(effect.mean)
    if effect.low == effect.low:
        size += f" ({less_interval(effect.low, effect.high)})"
    level = "" if abs(effect.level - 0.95) < 1e-9 or effect.low != effect.low else f", {share(effect.level)} interval"
    error = "" if effect.error == "test error" else f", {effect.error}"
    many = counted(effect.n, effect.of) + (" of seeds" if effect.of == "pair" else "")
    return size, f"{effect.word}; {many}{level}{error}"


def pooled_rows(claims: Sequence[Claim], pages: dict[frozenset[str], str]) -> list[Row]:
    """A row for the mean of each group of contrasts that are alike; `pages` are the pages of pools by their studies."""
    rows = []
    for own in alike_claims(claims):
        found, (setting, against) = pool_of(own), side_names(own)
        mean, names = found.mean, sorted(one.study for one in own)
        effect = Effect(setting, against, mean.mean, mean.low, mean.high, found.n, "data set", "mean", "test error")
        beside = f"mean of {counted(found.n, 'data set')}; same sign in {found.same_sign} of {found.n}"
        if found.n >= LEAST_STUDIES:
            beside += f"; of a further one {less_interval(found.low, found.high)}"
        rows.append(
            Row(
                name=" + ".join(names),
                about=f"{setting} against {against}{f', {own[0].under}' if own[0].under else ''}",
                mood="yes" if mean.high < 0 else "no" if mean.low > 0 else "open",
                words=f"{less(mean.mean)} ({less_interval(mean.low, mean.high)})",
                beside=beside,
                effect=effect,
                link=pages.get(frozenset(names)),
                is_mean=True,
            )
        )
    return rows
