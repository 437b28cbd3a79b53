"""The small picture of a study in the index: its most informative figure as a panel."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from explorer.analysis.finding import Finding
from explorer.analysis.population import Distribution, Populations
from explorer.analysis.search_history import SearchHistory
from explorer.analysis.summary import SettingSummary
from explorer.host.formatting import ERROR_NAMES, counted, percent, seed_counts
from explorer.report.colors import CONTRAST, MORE, OTHERS, RIVAL, WIDER
from explorer.report.error_words import claimed
from explorer.report.figures import cardinality_lines
from explorer.report.kinds import kind_of_finding, shapes_of, ways_to_grow
from explorer.report.panel import PALETTE, SYMBOLS, Axis, Mark, Panel, axis_of

MOST_KEYED = 4  # most lines that are told apart at this size
MOST_LISTED = 20  # most designs side by side: more are drawn by their cardinality
MOST_TOLD = 8  # most points whose values are listed in the text for screen readers
MOST_POINTS = 300  # most points of one mark: more would fall on the same pixels and enlarge every index
MOST_BARS = 60
DOT, SMALL = 6.0, 4.0  # diameter in pixels; among many, dots are small rather than faint, which keeps the contrast


@dataclass(frozen=True)
class Spark:
    """The small picture of a study, as plain numbers; errors are fractions.

    panel    what is drawn; its title describes it in words, with n; marks with a legend appear in the key
    caption  how to read the picture
    """

    panel: Panel
    caption: str

    @property
    def key(self) -> list[Mark]:
        """The marks for the key below the picture, one for each text of a legend."""
        return [mark for mark in self.panel.marks if mark.legend]


def spark_of(finding: Finding) -> Spark | None:
    """Choose and make the small picture of a study; None before a run came through.

    By the kind of the study. Spaces: the distributions of their errors. A search, also of two objectives: the best so
    far. Two ways to grow: error against parameters. Settings alike but for their paths, and many designs of several
    cardinalities: against cardinality. A single setting: its seeds. Others: in the study's order.
    """
    found = _of(finding)
    if found is None:
        return None
    panel = found.panel
    some = [f"{MOST_POINTS} of {len(mark.x):,} drawn" for mark in panel.marks if _is_many(mark) and mark.kind == "dots"]
    marks = [_thinned(mark) for mark in panel.marks]
    return Spark(replace(panel, marks=marks), ", ".join([found.caption, *some]))


def _of(finding: Finding) -> Spark | None:
    error = ERROR_NAMES[finding.measure]
    measured = [one for one in finding.summaries if one.came_through]
    if finding.summaries and not measured:
        return None
    if finding.populations is not None:
        return _of_spaces(finding.populations, error, is_declared=finding.has_rivals)
    if finding.measure == "val_error" and finding.imported is None:
        return _of_a_search(finding.search_history) if finding.search_history else None
    if not measured:
        return None
    if len(measured) == 1:
        return _of_seeds(measured[0], error)
    kind = kind_of_finding(finding)
    if kind == "growth":
        return _of_growth(finding.summaries, measured, error)
    several = len({one.cardinality for one in measured}) > 1
    if kind == "paths" or (several and (len(measured) > MOST_LISTED or finding.imported is not None)):
        return _of_cardinalities(finding, error)
    return _of_settings(measured, error)


def _is_many(mark: Mark) -> bool:
    return len(mark.x) > MOST_POINTS


def _thinned(mark: Mark) -> Mark:
    """A mark with at most `MOST_POINTS` points: evenly spread, the first and the last included."""
    if not _is_many(mark):
        return mark
    last = len(mark.x) - 1
    places = [round(last * step / (MOST_POINTS - 1)) for step in range(MOST_POINTS)]
    x, y = [mark.x[place] for place in places], [mark.y[place] for place in places]
    return replace(mark, x=x, y=y, sizes=mark.sizes[:MOST_POINTS])  # all dots of a mark have one size


def _of_spaces(found: Populations, error: str, *, is_declared: bool) -> Spark | None:
    """The distributions of errors by space; the two declared spaces first, if there are too many lines."""
    first = [name for one in found.rivals[:1] for name in (one.space, one.against)]
    names = list(dict.fromkeys([*first, *found.distributions]))[:MOST_KEYED]
    known = {name: one for name, one in found.distributions.items() if one.best == one.best}  # a run came through
    shown = {name: one for name, one in known.items() if name in names}
    if not shown:
        return None
    last = max(float(one.errors[-1]) for one in shown.values())
    # As on the page: the rival of a declared pair is grey, and what is held against it blue.
    pair = dict(zip(first if is_declared else (), (CONTRAST, RIVAL), strict=False))
    left = iter(OTHERS if pair else (CONTRAST, *OTHERS))
    marks = [_shares(found.label(name), one, last, pair.get(name) or next(left)) for name, one in shown.items()]
    values = "; ".join(
        f"{found.label(name)}: mean {percent(one.mean)}, best by validation {percent(one.best)}, n = {one.n}"
        for name, one in shown.items()
    )
    some = f", {len(shown)} of {len(found.distributions)} spaces" if len(shown) < len(found.distributions) else ""
    return Spark(
        Panel(
            f"Share of designs below each {error}{some}. {values}.", _percents(), _percents(low=0.0, high=1.02), marks
        ),
        f"Share of designs at or below each {error}{some}",
    )


def _shares(name: str, one: Distribution, last: float, color: str) -> Mark:
    """The share of designs below each error as steps from 0 to 1, drawn on to `last`, the worst error of all spaces."""
    x, share = [float(value) for value in one.errors], [float(value) for value in one.share]
    return Mark("steps", [x[0], *x, last], [0.0, *share, 1.0], color, legend=f"{name}, n = {one.n}", width=2.0)


def _of_a_search(found: SearchHistory) -> Spark | None:
    known = [(epochs, best) for epochs, best in zip(found.epochs, found.best, strict=True) if math.isfinite(best)]
    if not known:
        return None
    x, y = [float(epochs) for epochs, _ in known], [best for _, best in known]
    what = "Share of the plane that the front covers" if found.is_front else "Lowest validation error so far"
    marks, random = [], found.drawn
    if random is not None:
        legend = f"random designs, n = {len(random.epochs)}"
        marks.append(Mark("line", random.epochs, random.mean, RIVAL, legend=legend, dashed=True, width=2.0))
    legend = f"the search, n = {found.tried}" if marks else ""
    marks.append(Mark("steps", x, y, PALETTE[0], legend=legend, width=2.0))
    marks.append(_dots(x[-1:], y[-1:]))
    designs = counted(found.tried, "design")
    title = (
        f"{what}: {percent(y[0])} after {x[0]:,.0f} epochs of training, {percent(y[-1])} after {found.epochs[-1]:,} "
        f"epochs, n = {designs} tried."
    )
    if random is not None:
        title += f" Random designs: {percent(random.mean[-1])} after {random.epochs[-1]:,.0f} epochs."
    return Spark(Panel(title, Axis("Epochs"), _percents(), marks), f"{what}, against the epochs trained")


def _of_seeds(one: SettingSummary, error: str) -> Spark:
    """The error of each seed, for a study with a single setting."""
    seeds, found = sorted(one.errors), claimed(one.estimate)
    errors = [one.errors[seed] for seed in seeds]
    marks, low_high = [], ""
    if found.has_interval:
        across = [seeds[0] - 0.5, seeds[-1] + 0.5]
        marks.append(Mark("band", across, [found.low] * 2, PALETTE[0], high=[found.high] * 2))
        marks.append(Mark("line", across, [found.mean] * 2, PALETTE[0], width=1.5))
        low_high = f", 95 % interval {percent(found.low)} to {percent(found.high)}"
    marks.append(_dots([float(seed) for seed in seeds], errors, SMALL))
    title = f"{error.capitalize()} of each seed of {one.display}: mean {percent(found.mean)}{low_high}"
    axis = Axis("Seed", ticks=tuple((float(seed), str(seed)) for seed in {seeds[0], seeds[-1]}))
    caption = f"{error.capitalize()} of each seed{'; line and band: mean, 95 % interval' if low_high else ''}"
    return Spark(Panel(f"{title}, {_n([one])}.", axis, _percents(), marks), f"{caption}, {_n([one])}")


def _of_cardinalities(finding: Finding, error: str) -> Spark:
    lines = cardinality_lines(finding)
    designs = [one for line in lines.values() for one in line]
    numbers = sorted({one.cardinality for one in designs})
    axis = Axis("Cardinality", log=True, ticks=tuple((float(number), str(number)) for number in numbers))
    seeds = _n([one for one in finding.summaries if one.came_through])
    if len(lines) > MOST_KEYED:
        means = [fmean(one.estimate.mean for one in designs if one.cardinality == number) for number in numbers]
        marks = [
            _dots([float(one.cardinality) for one in designs], [one.estimate.mean for one in designs], SMALL),
            Mark("line", numbers, means, PALETTE[0], width=2.0),
        ]
        values = [f"{percent(mean)} at {number}" for number, mean in zip(numbers, means, strict=True)]
        title = f"Mean {error} over designs against cardinality: {_few(values)}; {len(designs)} designs, {seeds}"
        caption = f"Mean {error} by cardinality; dots: designs, line: their mean, {seeds}"
        return Spark(Panel(f"{title}.", axis, _percents(), marks), caption)
    marks, parts = [], []
    for index, (rest, line) in enumerate(lines.items()):
        legend, color = f"depth {rest}" if len(lines) > 1 else "", PALETTE[index]
        x, y = [float(one.cardinality) for one in line], [one.estimate.mean for one in line]
        if len(line) > 1:
            marks.append(Mark("line", x, y, color, width=1.5))
        marks += _bars(x, line, color)
        marks.append(Mark("dots", x, y, color, symbol=SYMBOLS[index], sizes=[DOT] * len(x), legend=legend))
        values = [f"{percent(one.estimate.mean)} at {one.cardinality}" for one in line]
        parts.append(f"{legend}{': ' if legend else ''}{_few(values)}")
    bars = _explained(marks)
    title = f"Mean {error} against cardinality: {'; '.join(parts)}{bars}, {seeds} for each."
    return Spark(Panel(title, axis, _percents(), marks), f"Mean {error} by cardinality{bars}, {seeds}")


def _of_growth(every: list[SettingSummary], summaries: list[SettingSummary], error: str) -> Spark:
    """Error against parameters on the two ways that all settings make, of those that have an error."""
    ways, by_name = ways_to_grow(shapes_of(every)), {one.setting: one for one in summaries}
    assert ways is not None
    marks, parts = [], []
    for legend, names, color in zip((WIDER, MORE), ways, (RIVAL, CONTRAST), strict=True):
        way = [by_name[name] for name in names if name in by_name]
        if not way:
            continue
        x, y = [float(one.params) for one in way], [one.estimate.mean for one in way]
        marks.append(Mark("line", x, y, color, legend=legend, width=2.0))
        marks.append(Mark("dots", x, y, color, sizes=[SMALL] * len(x)))
        parts.append(f"{legend}: {_few([f'{percent(one.estimate.mean)} for {one.display}' for one in way])}")
    seeds = _n(summaries)
    title = f"Mean {error} against parameters on two ways to grow: {'; '.join(parts)}, {seeds} for each."
    axis = replace(axis_of("Parameters", [float(one.params) for one in summaries]), title="Parameters")
    return Spark(Panel(title, axis, _percents(), marks), f"Mean {error} by parameters, {seeds}")


def _of_settings(summaries: list[SettingSummary], error: str) -> Spark:
    x, y = [float(place) for place in range(1, len(summaries) + 1)], [one.estimate.mean for one in summaries]
    marks = [*_bars(x, summaries, PALETTE[0]), _dots(x, y)]
    axis = Axis("Setting", ticks=tuple((place, f"{place:.0f}") for place in x))
    values = _few([f"{percent(one.estimate.mean)} for {one.display}" for one in summaries])
    bars = _explained(marks)
    title = f"Mean {error} of {len(summaries)} settings in the study's order: {values}{bars}, {_n(summaries)} for each."
    caption = f"Mean {error} of each setting, in the study's order{bars}, {_n(summaries)}"
    return Spark(Panel(title, axis, _percents(), marks), caption)


def _bars(x: Sequence[float], summaries: list[SettingSummary], color: str) -> list[Mark]:
    """A vertical line for each known interval; none if there are too many to tell apart."""
    known = [(at, claimed(one.estimate)) for at, one in zip(x, summaries, strict=True)]
    known = [(at, one) for at, one in known if one.has_interval]
    if len(known) > MOST_BARS:
        return []
    return [Mark("line", [at, at], [one.low, one.high], color, width=1.5) for at, one in known]


def _explained(marks: list[Mark]) -> str:
    """The part of the caption that explains the bars; "" without bars."""
    return "; bars: 95 % intervals" if any(mark.kind == "line" and len({*mark.x}) == 1 for mark in marks) else ""


def _dots(x: list[float], y: list[float], size: float = DOT) -> Mark:
    return Mark("dots", x, y, PALETTE[0], sizes=[size] * len(x))


def _percents(low: float | None = None, high: float | None = None) -> Axis:
    return Axis("", low=low, high=high, share=True)


def _few(values: list[str]) -> str:
    """All parts joined by commas, or only the first and the last if there are too many."""
    return ", ".join(values) if len(values) <= MOST_TOLD else f"{values[0]} to {values[-1]}"


def _n(summaries: list[SettingSummary]) -> str:
    """The number of seeds behind each mean, as text: `n = 10 seeds`, `n = 2 to 6 seeds, 3 runs as chance`."""
    failed = sum(len(one.failed) for one in summaries)
    chance = f", {counted(failed, 'run')} as chance" if failed else ""
    return f"n = {seed_counts([one.estimate.n for one in summaries])}{chance}"
