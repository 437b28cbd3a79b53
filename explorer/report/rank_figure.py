"""How early the order of the designs is known, as a figure and in words."""

from collections.abc import Sequence

from explorer.analysis.ranks import RankHistory
from explorer.report.panel import PALETTE, Axis, Mark, Panel, bands

MOST_TOLD = 8  # most epochs whose correlation is told in words


def rank_panel(found: RankHistory) -> Panel:
    """Kendall's tau between the errors after each epoch and the last ones, with its band."""
    known = found.correlations
    words = [
        f"epoch {epoch}\ntau {one.tau:.2f} ({one.low:.2f} to {one.high:.2f})"
        for epoch, one in zip(found.epochs, known, strict=True)
    ]
    tau = [one.tau for one in known]
    marks = [
        *bands(
            found.epochs,
            [one.low for one in known],
            [one.high for one in known],
            PALETTE[0],
            legend="95 % interval over designs",
        ),
        Mark("line", found.epochs, tau, PALETTE[0]),
        Mark("dots", found.epochs, tau, PALETTE[0], legend=f"{found.designs} designs", words=words),
    ]
    low = min([0.0, *(one.low for one in known if one.low == one.low)])
    title = "Rank correlation of validation errors after each epoch with the last ones"
    return Panel(
        title,
        Axis("Epoch", whole=True),
        Axis("Kendall's tau", low=low, high=1.0),
        marks,
    )


def rank_words(found: RankHistory | None, rungs: Sequence[int]) -> str:
    """The correlations at the rungs of a search, or at a few epochs; "" without any."""
    if found is None:
        return ""
    by_epoch = dict(zip(found.epochs, found.correlations, strict=True))
    told = [epoch for epoch in rungs if epoch in by_epoch]
    if not told:
        step = -(-len(found.epochs) // MOST_TOLD)
        told = [*found.epochs[::step]]
    each = ", ".join(
        f"{by_epoch[epoch].tau:.2f} after epoch {epoch} ({by_epoch[epoch].low:.2f} to {by_epoch[epoch].high:.2f})"
        for epoch in told
    )
    return f"Kendall's tau with the last validation errors, over {found.designs} designs: {each}."
