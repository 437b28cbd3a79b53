"""A panel as a plotly figure without colours of text and background, which the page sets for light and dark."""

import math

import plotly.graph_objects as go

from explorer.host.formatting import visible
from explorer.report.panel import Axis, Mark, Panel, ticks


def plot(panel: Panel) -> go.Figure:
    """The plotly figure of a panel; each point's `customdata` is its setting, by which the page links its figures."""
    figure = go.Figure()
    seen: set[str] = set()
    for mark in panel.ordered:
        shown = bool(mark.legend) and mark.legend not in seen
        seen.add(mark.legend)
        trace = _trace(mark, shown=shown)
        if mark.optional:
            trace.update(visible=False, meta="optional")
        figure.add_trace(trace)
    figure.update_layout(
        template="none",
        margin={"l": 64, "r": 16, "t": 8, "b": 72},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0},
        hoverlabel={"align": "left"},
        hovermode="closest",
    )
    x_ends, y_ends = panel.ends
    figure.update_xaxes(**_axis(panel.x, *x_ends))
    figure.update_yaxes(**_axis(panel.y, *y_ends))
    return figure


def _axis(axis: Axis, low: float, high: float) -> dict[str, object]:
    options: dict[str, object] = {
        "title": {"text": text(axis.title), "standoff": 20 if axis.ticks else 12},
        "automargin": True,
        "zeroline": False,
        "type": "log" if axis.log else "linear",
    }
    if axis.ticks or axis.log:
        marked = ticks(axis, low, high)
        options["tickvals"] = [value for value, _ in marked]
        options["ticktext"] = [text(words) for _, words in marked]
    elif axis.share:
        options["tickformat"] = ".0%"
    if axis.low is not None or axis.high is not None:
        options["range"] = [math.log10(low), math.log10(high)] if axis.log else [low, high]
    return options


def text(words: str) -> str:
    """Escape text, since plotly interprets some HTML in it."""
    return visible(words).replace("&", "&amp;").replace("<", "&lt;").replace("\n", "<br>")


def _trace(mark: Mark, *, shown: bool) -> go.Scatter:
    if mark.kind == "band":
        red, green, blue = (int(mark.color[start : start + 2], 16) for start in (1, 3, 5))
        return go.Scatter(
            x=[*mark.x, *reversed(mark.x)],
            y=[*mark.high, *reversed(mark.y)],
            fill="toself",
            fillcolor=f"rgba({red},{green},{blue},0.16)",
            line={"width": 0},
            hoverinfo="skip",
            mode="lines",
            name=text(mark.legend),
            showlegend=shown,
        )
    options: dict[str, object] = {
        "x": list(mark.x),
        "y": list(mark.y),
        "name": text(mark.legend),
        "showlegend": shown,
        "opacity": 0.45 if mark.quiet else 1.0,
    }
    if mark.settings:
        options["customdata"] = list(mark.settings)
    if mark.words:
        options |= {"text": [text(words) for words in mark.words], "hovertemplate": "%{text}<extra></extra>"}
    else:
        options["hoverinfo"] = "skip"  # otherwise a line would capture hovering over its dots
    if mark.kind == "dots":
        size = list(mark.sizes) if mark.sizes else 7 if mark.quiet else 10
        return go.Scatter(mode="markers", marker={"color": mark.color, "symbol": mark.symbol, "size": size}, **options)
    line: dict[str, object] = {"color": mark.color, "width": mark.width}
    if mark.dashed:
        line["dash"] = "dot"
    if mark.kind == "steps":
        line["shape"] = "hv"
    return go.Scatter(mode="lines", line=line, **options)
