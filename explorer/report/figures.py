"""Figures in two steps: findings to plain numbers, plain numbers to plotly figures without colours.

Colours that depend on light or dark are set by the page; lines and markers use a palette that colour-blind people
can tell apart (Okabe and Ito, 2008), with a marker shape of their own beside it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
import plotly.graph_objects as go

from explorer.analysis.course import Course
from explorer.analysis.finding import Finding
from explorer.analysis.front import Front
from explorer.analysis.population import Distribution, Populations
from explorer.analysis.summary import estimate
from explorer.analysis.trend import shape_of
from explorer.design.name import display_setting, parse_setting, paths_name
from explorer.wording import COST_NAMES, cost

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")
LOWEST_DRAWN = 0.1  # percent; a logarithmic axis has no zero
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")


@dataclass(frozen=True)
class Point:
    """One setting in the key figure: its seeds' errors and their mean with interval, all in percent."""

    name: str
    paths: str
    cardinality: int
    seeds: dict[int, float]
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """Mean over seeds per epoch with a 95 % interval, in percent; `kind` is "val_error" or "train_error"."""

    name: str
    kind: str
    epochs: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]
    n: int


def cardinality_numbers(finding: Finding) -> dict[str, list[Point]]:
    """Points by the rest of the shape (`29` for all of `29-...` at the usual width), ordered by cardinality."""
    shapes = [(shape_of(summary.setting), summary.cardinality) for summary in finding.summaries]
    several = {(rest, cardinality) for rest, cardinality in shapes if shapes.count((rest, cardinality)) > 1}
    lines: dict[str, list[Point]] = {}
    for summary in sorted(finding.summaries, key=lambda summary: (summary.cardinality, summary.bottleneck_width)):
        paths = paths_name(parse_setting(summary.setting)[0])
        point = Point(
            name=display_setting(summary.setting),
            paths=paths,
            cardinality=summary.cardinality,
            seeds={seed: 100 * error for seed, error in summary.errors.items()},
            mean=100 * summary.estimate.mean,
            low=100 * summary.estimate.low,
            high=100 * summary.estimate.high,
        )
        rest = shape_of(summary.setting)
        if (rest, summary.cardinality) in several:
            rest = f"{rest}, {summary.bottleneck_width}d"  # listed widths: a line for each
        lines.setdefault(rest, []).append(point)
    return lines


def curve_numbers(epochs: pd.DataFrame, runs: pd.DataFrame, settings: list[str]) -> list[Curve]:
    """Validation and training error per epoch of every setting, over the seeds that reached the epoch."""
    named = epochs.merge(runs.loc[(runs["status"] == "ok") & (runs["rate"] == 1), ["run", "setting"]], on="run")
    return [
        _curve(named[named["setting"] == setting], setting, kind)
        for setting in settings
        for kind in ("val_error", "train_error")
        if (named["setting"] == setting).any()
    ]


def cardinality_figure(lines: dict[str, list[Point]], ylabel: str = "Test error (%)") -> go.Figure:
    """Error against cardinality: seeds as dots, means as a line, the 95 % interval as a band."""
    figure = go.Figure()
    for index, (rest, points) in enumerate(lines.items()):
        color, symbol = PALETTE[index % len(PALETTE)], SYMBOLS[index % len(SYMBOLS)]
        x = [point.cardinality for point in points]
        banded = [point for point in points if point.low == point.low]
        _add_band(
            figure,
            [point.cardinality for point in banded],
            [point.low for point in banded],
            [point.high for point in banded],
            color,
            name="95 % interval",
            showlegend=True,
        )
        dots = [(point, seed, error) for point in points for seed, error in point.seeds.items()]
        figure.add_scatter(
            x=[point.cardinality for point, _, _ in dots],
            y=[error for _, _, error in dots],
            mode="markers",
            marker={"color": color, "opacity": 0.45, "size": 7, "symbol": symbol},
            name="one seed",
            text=[f"{point.name}, seed {seed}" for point, seed, _ in dots],
            hovertemplate="%{text}<br>error %{y:.2f} %<extra></extra>",
        )
        figure.add_scatter(
            x=x,
            y=[point.mean for point in points],
            mode="lines+markers",
            line={"color": color, "width": 2.5},
            marker={"size": 10, "symbol": symbol},
            name=f"mean, depth {rest}",
            text=[_hover(point) for point in points],
            hovertemplate="%{text}<extra></extra>",
        )
    paths: dict[int, list[str]] = {}
    for point in sorted((point for points in lines.values() for point in points), key=lambda point: point.cardinality):
        if point.paths not in paths.setdefault(point.cardinality, []):
            paths[point.cardinality].append(point.paths)
    figure.update_xaxes(
        type="log",
        tickvals=list(paths),
        ticktext=["<br>".join([str(cardinality), *_few(names)]) for cardinality, names in paths.items()],
        title={"text": "Cardinality (paths per block)", "standoff": 20},
    )
    figure.update_yaxes(title=ylabel, rangemode="normal")
    return _finished(figure)


def _few(names: list[str]) -> list[str]:
    """At most two lines below a mark: the rest of a large search is told by hovering."""
    return names if len(names) <= 2 else [names[0], f"and {len(names) - 1} more"]


def distribution_numbers(found: Populations) -> dict[str, Distribution]:
    """The distributions in percent, with steps drawn from zero."""
    return {
        name: replace(one, errors=100 * one.errors, mean=100 * one.mean, best=100 * one.best)
        for name, one in found.distributions.items()
    }


def distribution_figure(distributions: dict[str, Distribution], xlabel: str = "Test error (%)") -> go.Figure:
    """The share of designs below each error, one line per space, with its bootstrap band."""
    figure = go.Figure()
    for index, (name, one) in enumerate(distributions.items()):
        color = PALETTE[index % len(PALETTE)]
        _add_band(figure, list(one.errors), list(one.low), list(one.high), color, legendgroup=name, showlegend=False)
        figure.add_scatter(
            x=list(one.errors),
            y=list(one.share),
            mode="lines+markers",
            line={"color": color, "width": 2.5, "shape": "hv"},
            marker={"size": 4, "symbol": SYMBOLS[index % len(SYMBOLS)]},
            name=f"{name}: n = {one.n}, mean {one.mean:.2f} %, lowest {one.best:.2f} %",
            legendgroup=name,
            hovertemplate=f"{name}<br>%{{y:.0%}} of the designs are at %{{x:.2f}} % or below<extra></extra>",
        )
    figure.update_xaxes(title=xlabel)
    figure.update_yaxes(title="Share of designs", tickformat=".0%", range=[0, 1.02])
    return _finished(figure)


def front_figure(found: Front, ylabel: str = "Validation error (%)") -> go.Figure:
    """Error against cost: designs on the front joined by steps, the others dimmed, larger where it is surer."""
    figure = go.Figure()
    words = COST_NAMES[found.cost]
    order = sorted(range(len(found.settings)), key=lambda place: found.costs[place])
    for name, places, color, opacity in (
        ("other designs", [place for place in order if not found.ahead[place]], PALETTE[6], 0.5),
        ("on the front", [place for place in order if found.ahead[place]], PALETTE[0], 1.0),
    ):
        figure.add_scatter(
            x=[found.costs[place] for place in places],
            y=[100 * found.errors[place] for place in places],
            mode="lines+markers" if name == "on the front" else "markers",
            line={"color": color, "width": 2, "shape": "hv"},
            marker={
                "color": color,
                "opacity": opacity,
                "size": [6 + 8 * float(found.sure[place]) for place in places],
                "symbol": SYMBOLS[0] if name == "on the front" else SYMBOLS[1],
            },
            name=name,
            text=[
                f"{display_setting(found.settings[place])}<br>{cost(found.cost, found.costs[place])} {words}<br>"
                f"on the front in {found.sure[place]:.0%} of redrawn errors"
                for place in places
            ],
            hovertemplate="%{text}<br>error %{y:.2f} %<extra></extra>",
        )
    figure.update_xaxes(title=f"{words.capitalize()}, logarithmic", type="log")
    figure.update_yaxes(title=ylabel)
    return _finished(figure)


def course_figure(found: Course) -> go.Figure:
    """The best of a search so far against the epochs trained, beside the best of as many random designs."""
    figure, scale = go.Figure(), 1 if found.is_front else 100
    drawn = found.drawn
    if drawn is not None:
        low, high = ([scale * value for value in side] for side in (drawn.low, drawn.high))
        if len(drawn.epochs) > 1:
            _add_band(figure, drawn.epochs, low, high, PALETTE[1], showlegend=False)
        figure.add_scatter(
            x=drawn.epochs,
            y=[scale * value for value in drawn.mean],
            mode="lines+markers",
            line={"color": PALETTE[1], "width": 2, "dash": "dot"},
            marker={"symbol": SYMBOLS[1], "size": 6},
            name="random designs, mean over orders",
            hovertemplate=f"%{{x:,.0f}} epochs<br>%{{y:.2{'%' if found.is_front else 'f'}}}<extra>random</extra>",
        )
    figure.add_scatter(
        x=found.epochs,
        y=[scale * value for value in found.best],
        mode="lines",
        line={"color": PALETTE[0], "width": 2.5, "shape": "hv"},
        name="the search",
        hovertemplate=f"%{{x:,}} epochs<br>%{{y:.2{'%' if found.is_front else 'f'}}}<extra>search</extra>",
    )
    figure.update_xaxes(title="Epochs trained, all designs and seeds together")
    if found.is_front:
        figure.update_yaxes(title="Share of the plane covered", tickformat=".1%")
    else:
        figure.update_yaxes(title="Lowest validation error so far (%)")
    return _finished(figure)


def curves_figure(curves: list[Curve]) -> go.Figure:
    """Error against epoch: validation solid with its interval as a band, training dotted."""
    figure = go.Figure()
    names = list(dict.fromkeys(curve.name for curve in curves))
    for curve in curves:
        index = names.index(curve.name)
        color, is_val = PALETTE[index % len(PALETTE)], curve.kind == "val_error"
        if is_val and curve.n > 1:
            low = [max(value, LOWEST_DRAWN) for value in curve.low]
            _add_band(figure, curve.epochs, low, curve.high, color, legendgroup=curve.name, showlegend=False)
        figure.add_scatter(
            x=curve.epochs,
            y=curve.mean,
            mode="lines+markers" if is_val and len(curve.epochs) <= 30 else "lines",
            line={"color": color, "width": 2 if is_val else 1.5, "dash": "solid" if is_val else "dot"},
            marker={"symbol": SYMBOLS[index % len(SYMBOLS)], "size": 6},
            name=curve.name,
            legendgroup=curve.name,
            showlegend=is_val,
            hovertemplate=f"{curve.name}, {'validation' if is_val else 'training'}<br>epoch %{{x}}: %{{y:.2f}} %, "
            f"mean of {curve.n} seeds<extra></extra>",
        )
    figure.update_xaxes(title="Epoch")
    # Errors fall by a factor of twenty: a linear axis would lay the end of training, which counts, on one line.
    # The frame ends below the lowest validation error; training error that falls further leaves it.
    lowest = min(
        (value for curve in curves if curve.kind == "val_error" for value in curve.mean if value > 0), default=1
    )
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if tick >= lowest / 2]
    bounds = [math.log10(lowest / 2), math.log10(100)]
    figure.update_yaxes(title="Error (%), logarithmic", type="log", tickvals=ticks, range=bounds)
    return _finished(figure)


def _curve(rows: pd.DataFrame, setting: str, kind: str) -> Curve:
    epochs = sorted(int(epoch) for epoch in rows["epoch"].unique())
    estimates = [estimate(100 * rows.loc[rows["epoch"] == epoch, kind].to_numpy()) for epoch in epochs]
    return Curve(
        name=display_setting(setting),
        kind=kind,
        epochs=epochs,
        mean=[value.mean for value in estimates],
        low=[value.low for value in estimates],
        high=[value.high for value in estimates],
        n=int(rows["run"].nunique()),
    )


def _hover(point: Point) -> str:
    band = f"<br>95 % interval {point.low:.2f} to {point.high:.2f} %" if point.low == point.low else ""
    return f"{point.name}<br>mean error {point.mean:.2f} %{band}<br>{len(point.seeds)} seeds"


def _add_band(
    figure: go.Figure, x: Sequence[float], low: list[float], high: list[float], color: str, **options: object
) -> None:
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    figure.add_scatter(
        x=[*x, *reversed(x)],
        y=[*high, *reversed(low)],
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},0.16)",
        line={"width": 0},
        hoverinfo="skip",
        mode="lines",
        **options,
    )


def _finished(figure: go.Figure) -> go.Figure:
    figure.update_layout(
        template="none",
        margin={"l": 64, "r": 16, "t": 8, "b": 72},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0},
        hoverlabel={"align": "left"},
    )
    figure.update_xaxes(automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False)
    return figure
