"""The figures of a page as panels: plain numbers with labels, made from a finding."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from explorer.analysis.finding import Finding
from explorer.analysis.front import Front
from explorer.analysis.intervals import ERRORS, Estimate, estimate
from explorer.analysis.population import Distribution, Populations
from explorer.analysis.search_history import SearchHistory
from explorer.analysis.summary import SettingSummary
from explorer.design.cost_measures import COUNTED, MEASURES
from explorer.design.name import paths_name
from explorer.design.shape_axes import SHOWN
from explorer.host.formatting import cost, interval, millions, percent
from explorer.report.colors import MORE, RANDOM, SEARCHED, WIDER, Colors
from explorer.report.error_words import claimed, mean_words, seed_words, seeds_words
from explorer.report.kinds import MOST_LINES, line_names, shapes_of, ways_to_grow
from explorer.report.panel import GREY, PALETTE, SYMBOLS, Axis, Mark, Panel, axis_of, bands, error_axis, is_wide
from explorer.report.paper_table_3 import table_3
from explorer.report.parallel import Parallel
from explorer.report.short_labels import short_labels

LEAST_BANDED = 5  # fewest designs of a cardinality with a band: an interval of fewer is several times their spread
LEAST_TABLE_3 = 3  # fewest cardinalities beside which the paper's are laid
MOST_MARKED = 12  # most designs whose marks are not faint, and most cardinalities with a tick of their own
MOST_NAMED = 8  # most marks that are named directly
LONGEST_LEGEND = 60  # most characters of a name that people choose; hovering shows the whole
CARDINALITY = "Cardinality (paths per block)"


def cardinality_lines(finding: Finding) -> dict[str, list[SettingSummary]]:
    """Settings by the rest of the shape (`29` for all of `29-...` at the usual width), ordered by cardinality.

    A setting of which every run failed has no error to show and is left out.
    """
    known = [summary for summary in finding.summaries if summary.came_through]
    names = line_names(shapes_of(known))  # one line for each width where several are listed
    lines: dict[str, list[SettingSummary]] = {}
    for one in sorted(known, key=lambda summary: (summary.cardinality, summary.bottleneck_width)):
        lines.setdefault(names[one.setting], []).append(one)
    return lines


def cardinality_panel(
    lines: dict[str, list[SettingSummary]],
    error: str = "Test error (%)",
    colors: Colors | None = None,
    *,
    at_equal_cost: bool = False,
) -> Panel:
    """Error against cardinality: seeds as small dots, means joined by a line, the 95 % interval as a band.

    If there are more lines than can be told apart, one line shows the mean over all designs of a cardinality. With
    `at_equal_cost` the ResNeXt paper's Table 3, which is at equal cost too, can be laid over a line from one path on.
    """
    colors = colors or Colors()
    every = [one for line in lines.values() for one in line]
    marks = [] if len(lines) <= MOST_LINES else _cloud(every, colors)
    for index, (rest, line) in enumerate(lines.items() if not marks else ()):
        color = colors.group(rest) if len(lines) > 1 else GREY
        symbol = SYMBOLS[index % len(SYMBOLS)]
        x, y = [float(one.cardinality) for one in line], [100 * one.estimate.mean for one in line]
        marks += _interval(x, [one.estimate for one in line], color)
        if len(line) > 1:
            marks.append(Mark("line", x, y, color, width=1.5, end=_line_name(rest) if len(lines) > 1 else ""))
        for one in line:
            own = colors.of(one.setting)
            if len(one.errors) > 1:
                marks.append(
                    Mark(
                        "dots",
                        [float(one.cardinality)] * len(one.errors),
                        [100 * value for value in one.errors.values()],
                        own,
                        symbol=symbol,
                        settings=[one.setting] * len(one.errors),
                        words=[f"{one.display}, seed {seed}\nerror {seed_words(one, seed)}" for seed in one.errors],
                        quiet=True,
                    )
                )
            at, mean = [float(one.cardinality)], [100 * one.estimate.mean]
            marks.append(Mark("dots", at, mean, own, symbol=symbol, settings=[one.setting], words=[hover_text(one)]))
    grown = [line for line in lines.values() if len(line) >= LEAST_TABLE_3 and line[0].cardinality == 1]
    if at_equal_cost and grown and len(lines) == 1:
        marks += table_3(100 * grown[0][0].estimate.mean)
    paths: dict[int, dict[str, None]] = {}
    for one in sorted(every, key=lambda one: one.cardinality):
        paths.setdefault(one.cardinality, {})[paths_name(one.design[0])] = None
    is_single = all(len(names) == 1 for names in paths.values())
    # Below each number the paths of the design, where there is one.
    marked = tuple((float(at), f"{at}\n{next(iter(names))}" if is_single else str(at)) for at, names in paths.items())
    x_axis = Axis(CARDINALITY, log=is_wide([*paths]), ticks=marked if len(marked) <= MOST_MARKED else ())
    return Panel(f"{error} against cardinality", x_axis, error_axis(error), marks)


def _line_name(rest: str) -> str:
    """The name of a line of settings alike but for their paths: what else their shape is."""
    return f"depth {rest}" if rest.isdigit() else rest


def deviation_panel(
    summaries: list[SettingSummary], allowed: dict[str, tuple[float, float]], colors: Colors | None = None
) -> Panel:
    """How far the costs of many designs that a budget holds lie from its reference, with what it allows.

    `allowed` are the lowest and the highest deviation, fractions, by name of the cost. Drawn against cardinality, or
    against parameters if all designs have the same cardinality.
    """
    colors = colors or Colors()
    by_paths = len({one.cardinality for one in summaries}) > 1
    places = [float(one.cardinality if by_paths else one.params) for one in summaries]
    room = 1.06
    across = [min(places) / room, max(places) * room] if places else []
    marks = []
    for number, axis in enumerate(allowed):
        words = COUNTED[axis].words
        if across:
            low, high = (100 * end for end in allowed[axis])
            marks.append(Mark("band", across, [low, low], GREY, high=[high, high], legend=f"allowed, {words}"))
        known = [place for place, one in enumerate(summaries) if one.deviation(axis) == one.deviation(axis)]
        for (color, group), own in colors.grouped([summaries[place].setting for place in known]).items():
            shown = [known[place] for place in own]
            marks.append(
                Mark(
                    "dots",
                    [places[place] for place in shown],
                    [100 * summaries[place].deviation(axis) for place in shown],
                    color,
                    symbol=SYMBOLS[number],
                    legend=", ".join(filter(None, [group, words if len(allowed) > 1 or not group else ""])),
                    settings=[summaries[place].setting for place in shown],
                    words=[
                        f"{summaries[place].display}\n{getattr(summaries[place], axis):,} {words}, "
                        f"{100 * summaries[place].deviation(axis):+.2f} %"
                        for place in shown
                    ],
                    quiet=len(summaries) > MOST_MARKED,
                )
            )
    numbers = sorted({one.cardinality for one in summaries})
    marked = tuple((float(number), str(number)) for number in numbers) if len(numbers) <= MOST_MARKED else ()
    x_axis = Axis(CARDINALITY, log=is_wide(numbers), ticks=marked) if by_paths else axis_of("Parameters", places)
    held = " and ".join(COUNTED[axis].words for axis in allowed)
    title = f"Deviation of each design's {held} from the budget's reference"
    return Panel(title, x_axis, Axis("Deviation (%)"), marks)


def growth_panel(
    summaries: list[SettingSummary],
    error: str = "Test error (%)",
    colors: Colors | None = None,
    ways: tuple[list[str], list[str]] | None = None,
) -> Panel | None:
    """Error against parameters along two ways to grow from one network: one wider path, or more paths of its width.

    After the ResNeXt paper's figure 7. None if the settings are no such ways; by default it is seen from those that
    have a run.
    """
    ways = ways or ways_to_grow(shapes_of(summaries))
    if ways is None:
        return None
    colors = colors or Colors({}, {MORE: PALETTE[0], WIDER: PALETTE[1]})
    by_name = {one.setting: one for one in summaries if one.came_through}
    labels, marks, named = short_labels([*by_name]), list[Mark](), set[str]()
    for number, (legend, names) in enumerate(zip((WIDER, MORE), ways, strict=True)):
        way = [by_name[name] for name in names if name in by_name]
        if not way:
            continue
        color, x = colors.group(legend), [float(one.params) for one in way]
        marks += _interval(x, [one.estimate for one in way], color)
        y = [100 * one.estimate.mean for one in way]
        marks.append(Mark("line", x, y, color, end=legend))
        marks += _seeds(way, x, color, SYMBOLS[number])
        marks.append(
            Mark(
                "dots",
                x,
                y,
                color,
                symbol=SYMBOLS[number],
                settings=[one.setting for one in way],
                words=[hover_text(one) for one in way],
                # The network from which both ways begin is named once.
                names=["" if one.setting in named else labels[one.setting] for one in way],
            )
        )
        named |= {one.setting for one in way}
    x_axis = axis_of("Parameters", [float(one.params) for one in by_name.values()])
    return Panel(f"{error} against parameters on two ways to grow", x_axis, error_axis(error), marks)


def _seeds(summaries: Sequence[SettingSummary], x: Sequence[float], color: str, symbol: str) -> list[Mark]:
    """The seeds of settings that have so few that no interval is claimed, as small marks."""
    few = [
        (at, one)
        for at, one in zip(x, summaries, strict=True)
        if len(one.errors) > 1 and not claimed(one.estimate).has_interval
    ]
    dots = [(at, one, seed) for at, one in few for seed in one.errors]
    if not dots:
        return []
    return [
        Mark(
            "dots",
            [at for at, _, _ in dots],
            [100 * one.errors[seed] for _, one, seed in dots],
            color,
            symbol=symbol,
            settings=[one.setting for _, one, _ in dots],
            words=[f"{one.display}, seed {seed}\nerror {seed_words(one, seed)}" for _, one, seed in dots],
            quiet=True,
        )
    ]


def parallel(
    axes: pd.DataFrame,
    summaries: list[SettingSummary],
    error: str = "Test error (%)",
    colors: Colors | None = None,
) -> Parallel:
    """Parallel axes: all axes and costs in which the designs differ, and their error; `axes` has a row per setting.

    Lines are coloured by the error, or where the designs are in groups, such as populations, by these.
    """
    rows = axes.loc[[one.setting for one in summaries]]
    found, columns = [], []
    shape = ((axis.label, [float(value) for value in rows[axis.name]]) for axis in SHOWN)
    measures = [*COUNTED.values(), *(MEASURES[name] for name in summaries[0].added if name in MEASURES)]
    costs = ((one.words[0].upper() + one.words[1:], [own.value(one.name) for own in summaries]) for one in measures)
    whole = {axis.label for axis in SHOWN}
    for label, values in (*shape, *costs):
        if len(set(values)) > 1:
            found.append(Axis(label, log=is_wide(values), whole=label in whole))
            columns.append(values)
    found.append(error_axis(error))
    columns.append([100 * one.estimate.mean for one in summaries])
    names = [one.display for one in summaries]
    own = []
    if colors is not None and len({colors.group_of.get(one.setting) for one in summaries}) > 1:
        own = [colors.of(one.setting) for one in summaries]
    title = "Every design across its axes, costs and error"
    return Parallel(title, found, columns, list(rows.index), names, own)


def _cloud(designs: list[SettingSummary], colors: Colors) -> list[Mark]:
    """Every design as a dot, and the mean over designs of each cardinality with its interval."""
    by_cardinality: dict[int, list[float]] = {}
    for one in designs:
        by_cardinality.setdefault(one.cardinality, []).append(one.estimate.mean)
    at = sorted(by_cardinality)
    means = [estimate(by_cardinality[number], within=ERRORS) for number in at]
    mean = [100 * one.mean for one in means]
    banded = [one if one.n >= LEAST_BANDED else replace(one, low=math.nan, high=math.nan) for one in means]
    words = [f"cardinality {x}\nmean of {one.n} designs {percent(one.mean)}" for x, one in zip(at, means, strict=True)]
    dots = [
        Mark(
            "dots",
            [float(designs[place].cardinality) for place in own],
            [100 * designs[place].estimate.mean for place in own],
            color,
            legend=f"one design{f', {group}' if group else ''}",
            settings=[designs[place].setting for place in own],
            words=[hover_text(designs[place]) for place in own],
            quiet=True,
        )
        for (color, group), own in colors.grouped([one.setting for one in designs]).items()
    ]
    line = Mark("line", at, mean, GREY, legend="mean over designs", words=words)
    return [*_interval(at, banded, GREY), *dots, line]


def _interval(at: Sequence[float], means: Sequence[Estimate], color: str) -> list[Mark]:
    """The bands of the means' 95 % intervals, with a gap at a mean that has none."""
    known = [claimed(one) for one in means]
    return bands(at, [100 * one.low for one in known], [100 * one.high for one in known], color)


def distribution_numbers(found: Populations) -> dict[str, Distribution]:
    """The distributions in percent, by what the spaces are called; one of which every run failed has none (NaN)."""
    return in_percent({found.label(name): one for name, one in found.distributions.items() if one.best == one.best})


def in_percent(found: Mapping[str, Distribution]) -> dict[str, Distribution]:
    """Distributions with their errors in percent."""
    return {
        name: replace(one, errors=100 * one.errors, mean=100 * one.mean, best=100 * one.best)
        for name, one in found.items()
    }


def distribution_panel(
    distributions: dict[str, Distribution], error: str = "Test error (%)", colors: Colors | None = None
) -> Panel:
    """The share of designs below each error, one line per space, with the intervals of its shares as a band."""
    colors, marks = colors or Colors(), []
    for name, one in distributions.items():
        color = colors.group(name)
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
    return Panel(f"Share of designs below each {error.lower()}", error_axis(error), y_axis, marks)


def front_panel(
    found: Front,
    summaries: list[SettingSummary],
    error: str = "Validation error (%)",
    colors: Colors | None = None,
) -> Panel:
    """Error against cost: designs on the front joined by steps, others faint; the surer on the front, the larger.

    Designs are named where there are few of them, or few on the front.
    """
    colors = colors or Colors()
    words, by_name = MEASURES[found.cost].words, {one.setting: one for one in summaries}
    order = sorted(range(len(found.settings)), key=lambda place: found.costs[place])
    ahead = [place for place in order if found.ahead[place]]
    named = order if len(order) <= MOST_NAMED else ahead if len(ahead) <= MOST_NAMED else []
    labels = short_labels([found.settings[place] for place in named])
    groups = {colors.group_of.get(found.settings[place], "") for place in order}
    is_grouped = len(groups) > 1 and all(
        colors.of(name) == colors.group(colors.group_of.get(name, "")) for name in found.settings
    )
    marks = []
    if len(ahead) > 1:
        x = [float(found.costs[place]) for place in ahead]
        marks.append(Mark("steps", x, [100 * float(found.errors[place]) for place in ahead], GREY, width=1.5))
    for is_ahead in (False, True):
        kept = [place for place in order if bool(found.ahead[place]) == is_ahead]
        legend = "on the front" if is_ahead else "other designs"
        for (color, group), own in colors.grouped([found.settings[place] for place in kept]).items():
            places = [kept[place] for place in own]
            # Where nothing is known of the errors' uncertainty, all marks of a kind are of one size.
            sure = [float(is_ahead) if math.isnan(one) else one for one in map(float, found.sure[places])]
            marks.append(
                Mark(
                    "dots",
                    [float(found.costs[place]) for place in places],
                    [100 * float(found.errors[place]) for place in places],
                    color,
                    symbol=SYMBOLS[0] if is_ahead else SYMBOLS[1],
                    legend=f"{group}, {legend}" if is_grouped and group else legend if len(ahead) < len(order) else "",
                    settings=[found.settings[place] for place in places],
                    words=[
                        "\n".join([hover_text(by_name[found.settings[place]]), *_sure_words(float(found.sure[place]))])
                        for place in places
                    ],
                    sizes=[8 + 6 * share for share in sure],
                    quiet=not is_ahead and len(order) > MOST_MARKED,
                    names=[labels.get(found.settings[place], "") for place in places] if named else (),
                )
            )
    x_axis = axis_of(f"{words[0].upper()}{words[1:]}", [float(value) for value in found.costs])
    return Panel(f"{error} against {words} of all designs", x_axis, error_axis(error), marks)


def _sure_words(sure: float) -> list[str]:
    return [] if math.isnan(sure) else [f"on the front in {sure:.0%} of redrawn errors"]


def search_history_panel(found: SearchHistory, colors: Colors | None = None) -> Panel:
    """The best result of a search against the epochs trained, with the best of as many random designs."""
    colors = colors or Colors({}, {SEARCHED: PALETTE[0], RANDOM: GREY})
    marks, scale = [], 1 if found.is_front else 100
    drawn = found.drawn
    if drawn is not None:
        mean, low, high = ([scale * value for value in side] for side in (drawn.mean, drawn.low, drawn.high))
        if len(drawn.epochs) > 1:
            marks.append(Mark("band", drawn.epochs, low, colors.group(RANDOM), high=high, legend="95 % of orders"))
        legend = "random designs, mean over orders"
        words = [
            f"{count} random designs, {epochs:,.0f} epochs\n{_best(value, found)} on average"
            for count, (epochs, value) in enumerate(zip(drawn.epochs, mean, strict=True), start=1)
        ]
        color = colors.group(RANDOM)
        line = Mark("line", drawn.epochs, mean, color, legend=legend, words=words, dashed=True, width=2.0)
        marks.append(line)
    known = [(x, scale * y) for x, y in zip(found.epochs, found.best, strict=True) if y == y]
    words = [f"{epochs:,} epochs\n{_best(value, found)}" for epochs, value in known]
    x, y = [epochs for epochs, _ in known], [value for _, value in known]
    marks.append(Mark("steps", x, y, colors.group(SEARCHED), legend=SEARCHED, words=words))
    x_axis = Axis("Epochs trained, all designs and seeds together", whole=True)
    y_axis = (
        Axis("Share of the plane covered", share=True) if found.is_front else error_axis("Lowest validation error (%)")
    )
    return Panel("The best found so far against the epochs trained", x_axis, y_axis, marks)


def time_panel(runs: pd.DataFrame, shown: Mapping[str, str], colors: Colors | None = None) -> Panel:
    """Seconds of each run against its network's multiply-adds; `shown` has the name that pages show of each setting."""
    ok = runs[(runs["status"] == "ok") & (runs["rate"] == 1)].sort_values("macs")
    settings = [str(name) for name in ok["setting"]]
    rows = list(zip(settings, ok["seed"], ok["macs"], ok["seconds"], strict=True))
    marks = [
        Mark(
            "dots",
            [float(rows[place][2]) for place in own],
            [float(rows[place][3]) for place in own],
            color,
            legend=group,
            settings=[rows[place][0] for place in own],
            words=[f"{shown[rows[place][0]]}, seed {rows[place][1]}\n{rows[place][3]:.1f} s" for place in own],
            quiet=True,
        )
        for (color, group), own in (colors or Colors()).grouped(settings).items()
    ]
    x_axis = axis_of("Multiply-adds", [float(macs) for _, _, macs, _ in rows])
    return Panel("Seconds of each run against its multiply-adds", x_axis, Axis("Seconds of a run", low=0.0), marks)


def _best(value: float, found: SearchHistory) -> str:
    return f"{value:.1%} of the plane" if found.is_front else f"lowest error {value:.2f} %"


def hover_text(summary: SettingSummary) -> str:
    """The text shown on hovering over a design: its name, what follows from its axes, its costs, its error and n."""
    found = claimed(summary.estimate)
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
