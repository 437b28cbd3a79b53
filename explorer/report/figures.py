"""The figures of a page as panels: plain numbers with labels, made from a finding."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from explorer.analysis.finding import Finding
from explorer.analysis.front import Front
from explorer.analysis.intervals import ERRORS, Estimate, estimate
from explorer.analysis.paired import Comparison
from explorer.analysis.population import Distribution, Populations
from explorer.analysis.search_history import SearchHistory
from explorer.analysis.summary import SettingSummary
from explorer.design.cost_measures import COUNTED, MEASURES
from explorer.design.name import display_setting, paths_name
from explorer.design.shape_axes import SHOWN
from explorer.host.formatting import cost, interval, millions, percent
from explorer.report.error_words import mean_words, seed_words, seeds_words
from explorer.report.panel import FEW, PALETTE, SYMBOLS, Axis, Mark, Panel, bands
from explorer.report.paper_table_3 import table_3
from explorer.report.parallel import Parallel

MOST_LINES = len(PALETTE)
LEAST_GROWTH = 3  # fewest networks in one way to grow: two are a contrast
LEAST_BANDED = 4  # fewest designs of a cardinality with a band: an interval of fewer is several times their spread
MOST_MARKED = 12  # most cardinalities with a tick of their own
LONGEST_LEGEND = 60  # most characters of a name that people choose; hovering shows the whole


def cardinality_lines(finding: Finding) -> dict[str, list[SettingSummary]]:
    """Settings by the rest of the shape (`29` for all of `29-...` at the usual width), ordered by cardinality.

    A setting of which every run failed has no error to show and is left out.
    """
    known = [summary for summary in finding.summaries if summary.came_through]
    several = Counter((summary.shape, summary.cardinality) for summary in known)
    lines: dict[str, list[SettingSummary]] = {}
    for one in sorted(known, key=lambda summary: (summary.cardinality, summary.bottleneck_width)):
        # One line for each listed width.
        width = f", {one.bottleneck_width}d" if several[one.shape, one.cardinality] > 1 else ""
        lines.setdefault(f"{one.shape}{width}", []).append(one)
    return lines


def cardinality_panel(lines: dict[str, list[SettingSummary]], error: str = "Test error (%)") -> Panel:
    """Error against cardinality: seeds as dots, means as a line, the 95 % interval as a band.

    If there are more lines than can be told apart, one line shows the mean over all designs of a cardinality.
    """
    every = [one for line in lines.values() for one in line]
    marks = [] if len(lines) <= MOST_LINES else _cloud(every)
    for index, (rest, line) in enumerate(lines.items() if not marks else ()):
        color, symbol = PALETTE[index % len(PALETTE)], SYMBOLS[index % len(SYMBOLS)]
        x, y = [one.cardinality for one in line], [100 * one.estimate.mean for one in line]
        marks += _interval(x, [one.estimate for one in line], color)
        dots = [(one, seed) for one in line for seed in one.errors]
        marks.append(
            Mark(
                "dots",
                [one.cardinality for one, _ in dots],
                [100 * one.errors[seed] for one, seed in dots],
                color,
                symbol=symbol,
                legend="one seed",
                settings=[one.setting for one, _ in dots],
                words=[f"{one.display}, seed {seed}\nerror {seed_words(one, seed)}" for one, seed in dots],
                quiet=True,
            )
        )
        own, words = [one.setting for one in line], [hover_text(one) for one in line]
        if len(line) > 1:
            marks.append(Mark("line", x, y, color))
        legend = f"mean, depth {rest}"
        marks.append(Mark("dots", x, y, color, symbol=symbol, legend=legend, settings=own, words=words))
    grown = [line for line in lines.values() if len(line) > 1 and line[0].cardinality == 1]
    if grown and len(lines) <= MOST_LINES:
        marks += table_3(100 * grown[0][0].estimate.mean)
    paths: dict[int, dict[str, None]] = {}
    for one in sorted(every, key=lambda one: one.cardinality):
        paths.setdefault(one.cardinality, {})[paths_name(one.design[0])] = None
    marked = tuple((number, "\n".join([str(number), *_few([*names])])) for number, names in paths.items())
    x_axis = Axis("Cardinality (paths per block)", log=True, ticks=marked)
    return Panel(f"{error} against cardinality", x_axis, Axis(error), marks)


def deviation_panel(summaries: list[SettingSummary], allowed: dict[str, tuple[float, float]]) -> Panel:
    """How far each design's costs lie from the budget's reference, with what is allowed of those that are held equal.

    `allowed` are the lowest and the highest deviation, fractions, by name of the cost. Drawn against cardinality, or
    against parameters if all designs have the same cardinality.
    """
    by_paths = len({one.cardinality for one in summaries}) > 1
    places = [float(one.cardinality if by_paths else one.params) for one in summaries]
    room = 1.06
    across = [min(places) / room, max(places) * room] if places else []
    marks = []
    for number, (axis, words) in enumerate((name, measure.words) for name, measure in COUNTED.items()):
        color = PALETTE[number]
        if axis in allowed and across:
            low, high = (100 * end for end in allowed[axis])
            marks.append(Mark("band", across, [low, low], color, high=[high, high], legend=f"allowed, {words}"))
        known = [
            (place, one, 100 * deviation)
            for place, one in zip(places, summaries, strict=True)
            if (deviation := one.deviation(axis)) == deviation
        ]
        marks.append(
            Mark(
                "dots",
                [place for place, _, _ in known],
                [deviation for _, _, deviation in known],
                color,
                symbol=SYMBOLS[number],
                legend=words,
                settings=[one.setting for _, one, _ in known],
                words=[
                    f"{one.display}\n{getattr(one, axis):,} {words}, {deviation:+.2f} %" for _, one, deviation in known
                ],
                quiet=len(summaries) > MOST_MARKED,
            )
        )
    numbers = sorted({one.cardinality for one in summaries})
    marked = tuple((float(number), str(number)) for number in numbers) if len(numbers) <= MOST_MARKED else ()
    x_axis = Axis("Cardinality (paths per block)", log=True, ticks=marked) if by_paths else Axis("Parameters", log=True)
    return Panel("Deviation of each design's costs from the budget's reference", x_axis, Axis("Deviation (%)"), marks)


def growth_panel(summaries: list[SettingSummary], error: str = "Test error (%)") -> Panel | None:
    """Error against parameters along two ways to grow from one network: one wider path, or more paths of its width.

    After the ResNeXt paper's figure 7. None if either way has fewer than three networks, or if they differ in more.
    """
    summaries = [one for one in summaries if one.came_through]
    alike = {one.shape for one in summaries}
    ordered = sorted(summaries, key=lambda one: one.params)
    if len(alike) != 1 or not ordered or ordered[0].cardinality != 1:
        return None
    ways = {
        "one wider path": [one for one in ordered if one.cardinality == 1],
        "more paths": [one for one in ordered if one.bottleneck_width == ordered[0].bottleneck_width],
    }
    if any(len(way) < LEAST_GROWTH for way in ways.values()):
        return None
    marks = []
    for number, (legend, way) in enumerate(ways.items()):
        color, x = PALETTE[number], [float(one.params) for one in way]
        marks += _interval(x, [one.estimate for one in way], color)
        y = [100 * one.estimate.mean for one in way]
        marks.append(Mark("line", x, y, color))
        names, words = [one.setting for one in way], [hover_text(one) for one in way]
        marks.append(Mark("dots", x, y, color, symbol=SYMBOLS[number], legend=legend, settings=names, words=words))
    return Panel(f"{error} against parameters on two ways to grow", Axis("Parameters", log=True), Axis(error), marks)


def parallel(axes: pd.DataFrame, summaries: list[SettingSummary], error: str = "Test error (%)") -> Parallel:
    """Parallel axes: all axes and costs in which the designs differ, and their error; `axes` has a row per setting."""
    rows = axes.loc[[one.setting for one in summaries]]
    found, columns = [], []
    shape = ((axis.label, [float(value) for value in rows[axis.name]]) for axis in SHOWN)
    measures = [*COUNTED.values(), *(MEASURES[name] for name in summaries[0].added if name in MEASURES)]
    costs = ((one.words[0].upper() + one.words[1:], [own.value(one.name) for own in summaries]) for one in measures)
    for label, values in (*shape, *costs):
        if len(set(values)) > 1:
            found.append(Axis(label, log=_spread(values)))
            columns.append(values)
    found.append(Axis(error))
    columns.append([100 * one.estimate.mean for one in summaries])
    names = [one.display for one in summaries]
    return Parallel("Every design across its axes, costs and error", found, columns, list(rows.index), names)


def _spread(values: list[float]) -> bool:
    """Whether the ratio of largest to smallest value is so large that only a logarithmic axis shows the small ones."""
    return min(values) > 0 and max(values) > FEW * min(values)


def _cloud(designs: list[SettingSummary]) -> list[Mark]:
    """Every design as a dot, and the mean over designs of each cardinality with its interval."""
    by_cardinality: dict[int, list[float]] = {}
    for one in designs:
        by_cardinality.setdefault(one.cardinality, []).append(one.estimate.mean)
    at = sorted(by_cardinality)
    means = [estimate(by_cardinality[number], within=ERRORS) for number in at]
    mean = [100 * one.mean for one in means]
    banded = [one if one.n >= LEAST_BANDED else replace(one, low=math.nan, high=math.nan) for one in means]
    words = [f"cardinality {x}\nmean of {one.n} designs {percent(one.mean)}" for x, one in zip(at, means, strict=True)]
    return [
        *_interval(at, banded, PALETTE[0]),
        Mark(
            "dots",
            [one.cardinality for one in designs],
            [100 * one.estimate.mean for one in designs],
            PALETTE[0],
            legend="one design, mean over seeds",
            settings=[one.setting for one in designs],
            words=[hover_text(one) for one in designs],
            quiet=True,
        ),
        Mark("line", at, mean, PALETTE[0], legend="mean over designs", words=words),
    ]


def _interval(at: Sequence[float], means: Sequence[Estimate], color: str) -> list[Mark]:
    """The bands of the means' 95 % intervals along a logarithmic axis, with a gap at a mean that has none."""
    low, high = [100 * one.low for one in means], [100 * one.high for one in means]
    return bands(at, low, high, color, log=True, legend="95 % interval")


def _few(names: list[str]) -> list[str]:
    """At most two lines of text below a tick; hovering shows the rest."""
    return names if len(names) <= 2 else [names[0], f"and {len(names) - 1} more"]


def pairs_panel(found: Comparison) -> Panel:
    """The difference of the two settings' errors, seed by seed, with its mean and interval."""
    seeds = sorted(found.differences)
    points = [100 * found.differences[seed] for seed in seeds]
    first, second = display_setting(found.setting), display_setting(found.against)
    mean, low, high = (100 * value for value in (found.difference.mean, found.difference.low, found.difference.high))
    across = [seeds[0] - 0.5, seeds[-1] + 0.5]
    marks = [Mark("line", across, [0.0, 0.0], PALETTE[6], dashed=True, width=1.5)]
    if found.difference.has_interval:
        interval = f"{100 * (1 - found.alpha):.3g} % interval"
        marks.append(Mark("band", across, [low, low], PALETTE[0], high=[high, high], legend=interval))
    marks.append(Mark("line", across, [mean, mean], PALETTE[0], legend=f"mean, {mean:+.2f} points"))
    words = [f"seed {seed}: {value:+.2f} points" for seed, value in zip(seeds, points, strict=True)]
    marks.append(Mark("dots", seeds, points, PALETTE[1], symbol="diamond", legend="one pair of seeds", words=words))
    shown = seeds if len(seeds) <= 24 else seeds[:: math.ceil(len(seeds) / 12)]
    title = f"{first} less {second}"
    x_axis = Axis("Seed", ticks=tuple((float(seed), str(seed)) for seed in shown), low=across[0], high=across[1])
    return Panel(f"{title}, seed by seed", x_axis, Axis("Difference (points)"), marks)


def distribution_numbers(found: Populations) -> dict[str, Distribution]:
    """The distributions of spaces in percent; a space of which every run failed has no error to draw (NaN)."""
    return in_percent({name: one for name, one in found.distributions.items() if one.best == one.best})


def in_percent(found: Mapping[str, Distribution]) -> dict[str, Distribution]:
    """Distributions with their errors in percent."""
    return {
        name: replace(one, errors=100 * one.errors, mean=100 * one.mean, best=100 * one.best)
        for name, one in found.items()
    }


def distribution_panel(distributions: dict[str, Distribution], error: str = "Test error (%)") -> Panel:
    """The share of designs below each error, one line per space, with the intervals of its shares as a band."""
    marks = []
    for index, (name, one) in enumerate(distributions.items()):
        color = PALETTE[index % len(PALETTE)]
        x, share = [float(value) for value in one.errors], [float(value) for value in one.share]
        # A space has no design below its best one: the line begins at zero.
        marks.append(Mark("band", x, one.low.tolist(), color, high=one.high.tolist()))
        short = name if len(name) <= LONGEST_LEGEND else f"{name[: LONGEST_LEGEND - 1]}…"
        legend = f"{short}, n = {one.n}"
        words = [
            f"{name}\n{part:.0%} of the designs are at {at:.2f} % or below" for at, part in zip(x, share, strict=True)
        ]
        marks.append(Mark("steps", [x[0], *x], [0.0, *share], color, legend=legend, words=[words[0], *words]))
    y_axis = Axis("Share of designs", low=0.0, high=1.02, share=True)
    return Panel(f"Share of designs below each {error.lower()}", Axis(error), y_axis, marks)


def front_panel(found: Front, summaries: list[SettingSummary], error: str = "Validation error (%)") -> Panel:
    """Error against cost: designs on the front joined by steps, others faint; the surer on the front, the larger."""
    words, by_name = MEASURES[found.cost].words, {one.setting: one for one in summaries}
    order = sorted(range(len(found.settings)), key=lambda place: found.costs[place])
    marks = []
    for legend, ahead in (("other designs", False), ("on the front", True)):
        places = [place for place in order if bool(found.ahead[place]) == ahead]
        x, y = [float(found.costs[place]) for place in places], [100 * float(found.errors[place]) for place in places]
        color = PALETTE[0] if ahead else PALETTE[6]
        if ahead and len(places) > 1:
            marks.append(Mark("steps", x, y, color, width=2.0))
        marks.append(
            Mark(
                "dots",
                x,
                y,
                color,
                symbol=SYMBOLS[0] if ahead else SYMBOLS[1],
                legend=legend,
                settings=[found.settings[place] for place in places],
                words=[
                    "\n".join([hover_text(by_name[found.settings[place]]), *_sure_words(float(found.sure[place]))])
                    for place in places
                ],
                # Where nothing is known of the errors' uncertainty, all marks of a kind are of one size.
                sizes=[8 + 6 * (float(ahead) if math.isnan(sure) else sure) for sure in map(float, found.sure[places])],
                quiet=not ahead and len(places) > MOST_MARKED,
            )
        )
    is_log = bool((found.costs > 0).all())  # a measure of an extension may be zero
    x_axis = Axis(f"{words[0].upper()}{words[1:]}{', logarithmic' if is_log else ''}", log=is_log)
    return Panel(f"{error} against {words} of all designs", x_axis, Axis(error), marks)


def _sure_words(sure: float) -> list[str]:
    return [] if math.isnan(sure) else [f"on the front in {sure:.0%} of redrawn errors"]


def search_history_panel(found: SearchHistory) -> Panel:
    """The best result of a search against the epochs trained, with the best of as many random designs."""
    marks, scale = [], 1 if found.is_front else 100
    drawn = found.drawn
    if drawn is not None:
        mean, low, high = ([scale * value for value in side] for side in (drawn.mean, drawn.low, drawn.high))
        if len(drawn.epochs) > 1:
            marks.append(Mark("band", drawn.epochs, low, PALETTE[1], high=high, legend="95 % of orders"))
        legend = "random designs, mean over orders"
        words = [
            f"{count} random designs, {epochs:,.0f} epochs\n{_best(value, found)} on average"
            for count, (epochs, value) in enumerate(zip(drawn.epochs, mean, strict=True), start=1)
        ]
        line = Mark("line", drawn.epochs, mean, PALETTE[1], legend=legend, words=words, dashed=True, width=2.0)
        marks.append(line)
    known = [(x, scale * y) for x, y in zip(found.epochs, found.best, strict=True) if y == y]
    words = [f"{epochs:,} epochs\n{_best(value, found)}" for epochs, value in known]
    x, y = [epochs for epochs, _ in known], [value for _, value in known]
    marks.append(Mark("steps", x, y, PALETTE[0], legend="the search", words=words))
    x_axis = Axis("Epochs trained, all designs and seeds together")
    y_axis = Axis("Share of the plane covered", share=True) if found.is_front else Axis("Lowest validation error (%)")
    return Panel("The best found so far against the epochs trained", x_axis, y_axis, marks)


def _best(value: float, found: SearchHistory) -> str:
    return f"{value:.1%} of the plane" if found.is_front else f"lowest error {value:.2f} %"


def hover_text(summary: SettingSummary) -> str:
    """The text shown on hovering over a design: its name, what follows from its axes, its costs, its error and n."""
    found = summary.estimate
    lines = [
        summary.display,
        *(f"{axis.label} = {axis.of(summary.design[0])}" for axis in SHOWN if axis.product),
        f"{summary.params:,} parameters, {millions(summary.macs)} multiply-adds",
        f"{summary.activations:,} activations",
        f"mean error {mean_words(summary)}, n = {seeds_words(summary)}",
    ]
    if summary.latency is not None:
        lines.insert(-1, f"{summary.latency:.3g} ms")
    for name, value in summary.added.items():
        lines.insert(-1, f"{cost(name, value)} {MEASURES[name].words}")
    if found.has_interval:
        lines.append(f"95 % interval {interval(found.low, found.high)}")
    return "\n".join(lines)
