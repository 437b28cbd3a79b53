"""A panel as a plotly figure without colours of text and background, which the page sets for light and dark."""

import math

import plotly.graph_objects as go

from explorer.host.formatting import visible
from explorer.report.layout import LEADER, TITLE, apart, beside, fitted, margins_of, tick_choices
from explorer.report.panel import BAR, Axis, Mark, Panel, even_step, ticks
from explorer.report.svg import end_boxes, frame_of, line_ends, scales


def plot(panel: Panel) -> go.Figure:
    """The plotly figure of a panel; each point's `customdata` is its setting, by which the page links its figures.

    Words stand as in the still picture of the same size; `layout.meta` holds what a page needs to fit them to another:
    the choices of ticks below the figure, and the ends of its axis.
    """
    figure, frame = go.Figure(), frame_of(panel)
    across, up = scales(panel, frame)
    seen: set[str] = set()
    marks = panel.ordered
    points = [[(across(x), up(y)) for x, y in zip(mark.x, mark.y, strict=True)] for mark in marks]
    taken = end_boxes([mark for mark in marks if not mark.optional], across, up, frame)
    for mark, names in zip(marks, beside(marks, points, frame.box, taken), strict=True):
        shown = bool(mark.legend) and mark.legend not in seen
        seen.add(mark.legend)
        trace = _trace(mark, shown=shown)
        if any(names):
            trace.update(
                mode="markers+text",
                cliponaxis=False,
                text=[name.words if name else "" for name in names],
                textposition=[name.position if name else "middle right" for name in names],
            )
        if mark.optional:
            trace.update(visible=False, meta="optional")
        figure.add_trace(trace)
    own = margins_of(panel)
    tall = panel.height - own.top - own.bottom
    figure.update_layout(
        template="none",
        margin={"l": own.left, "r": own.right, "t": TITLE + 6, "b": own.bottom},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1 + (TITLE + 4) / tall, "x": 0},
        hoverlabel={"align": "left"},
        hovermode="closest",
        annotations=_ends(panel, [mark for mark in marks if not mark.optional]),
    )
    x_ends, y_ends = panel.ends
    figure.update_xaxes(**_axis(panel.x, *x_ends), tickangle=0)
    figure.update_yaxes(**_axis(panel.y, *y_ends))
    if figure.layout.annotations:  # for whose words plotly would else make the axes longer
        figure.update_xaxes(range=[_scaled(panel.x, end) for end in x_ends])
        figure.update_yaxes(range=[_scaled(panel.y, end) for end in y_ends])
    if panel.x.ticks or panel.x.log:
        marked = ticks(panel.x, *x_ends)
        best = fitted(marked, [across(value) for value, _ in marked])
        figure.update_xaxes(tickvals=[value for value, _ in best], ticktext=[text(words) for _, words in best])
        choices = [[[value for value, _ in one], [text(words) for _, words in one]] for one in tick_choices(marked)]
        figure.update_layout(meta={"ticks": choices, "ends": [_scaled(panel.x, end) for end in x_ends]})
    return figure


def _scaled(axis: Axis, value: float) -> float:
    """A value in the unit in which plotly has places on an axis."""
    return math.log10(value) if axis.log else value


def _ends(panel: Panel, marks: list[Mark]) -> list[dict[str, object]]:
    """The names at the ends of lines as annotations, each with a leader from its line."""
    frame = frame_of(panel)
    _, up = scales(panel, frame)
    found = line_ends(marks)
    heights = [up(y) for _, _, y in found]
    return [
        {
            "x": _scaled(panel.x, x),
            "y": _scaled(panel.y, y),
            "text": text(mark.end),
            "name": "end",
            "xanchor": "left",
            "ax": LEADER,
            "ay": round(height - at, 1),
            "arrowhead": 0,
            "arrowwidth": 1,
            "arrowcolor": mark.color,
            "borderpad": 0,
        }
        for (mark, x, y), at, height in zip(
            found, heights, apart(heights, frame.box.top, frame.box.bottom), strict=True
        )
    ]


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
    elif axis.whole:
        options |= {"tick0": 0, "dtick": even_step(low, high, whole=True)}
    if axis.low is not None or axis.high is not None or axis.within != Axis("").within:
        options["range"] = [math.log10(low), math.log10(high)] if axis.log else [low, high]
    return options


def text(words: str) -> str:
    """Escape text, since plotly interprets some HTML in it."""
    return visible(words).replace("&", "&amp;").replace("<", "&lt;").replace("\n", "<br>")


def _trace(mark: Mark, *, shown: bool) -> go.Scatter:
    if mark.kind == "band" and len(mark.x) == 1:
        return go.Scatter(
            x=[*mark.x, *mark.x],
            y=[*mark.y, *mark.high],
            mode="lines",
            line={"color": mark.color, "width": BAR},
            opacity=0.25,
            hoverinfo="skip",
            name=text(mark.legend),
            showlegend=shown,
        )
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
        options |= {"hovertext": [text(words) for words in mark.words], "hovertemplate": "%{hovertext}<extra></extra>"}
    else:
        options["hoverinfo"] = "skip"  # otherwise a line would capture hovering over its dots
    if mark.kind == "dots":
        size = list(mark.sizes) if mark.sizes else 7 if mark.quiet else 10
        marker = {"color": mark.color, "symbol": mark.symbol, "size": size, "opacity": 1, "line": {"width": 0}}
        return go.Scatter(mode="markers", marker=marker, **options)
    line: dict[str, object] = {"color": mark.color, "width": mark.width}
    if mark.dashed:
        line["dash"] = "dot"
    if mark.kind == "steps":
        line["shape"] = "hv"
    return go.Scatter(mode="lines", line=line, **options)
