"""The results of the ResNeXt paper's table 3, to draw over a study's own figure."""

from explorer.analysis.published_runs import TABLE_3
from explorer.report.panel import PALETTE, SYMBOLS, Mark


def table_3(one_path: float) -> list[Mark]:
    """Table 3's errors shifted so that cardinality 1 lies at `one_path` percent: only the changes, in points, compare.

    The paper's own errors are at another level, since they are of another data set and longer training.
    """
    marks = []
    for place, (depth, errors) in enumerate(TABLE_3.items()):
        x, change = list(errors), [value - errors[1] for value in errors.values()]
        words = [
            f"Table 3, depth {depth}, cardinality {paths}\nImageNet top-1 error {errors[paths]:.1f} %\n"
            f"{points:+.1f} points from one path"
            for paths, points in zip(x, change, strict=True)
        ]
        y = [one_path + points for points in change]
        symbol = SYMBOLS[-1 - place]
        legend = f"Table 3, depth {depth}: change from one path"
        marks.append(Mark("line", x, y, PALETTE[6], dashed=True, width=1.5, optional=True))
        marks.append(Mark("dots", x, y, PALETTE[6], symbol=symbol, legend=legend, words=words, optional=True))
    return marks
