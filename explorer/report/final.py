"""The figure of a search's final round: the errors of its designs."""

from explorer.analysis.final_round import FinalRound
from explorer.report.error_words import claimed, final_seeds_words, interval_words, mean_words
from explorer.report.forest import Forest, ForestRow


def final_forests(found: FinalRound | None) -> dict[str, Forest]:
    """By the name of the figure, `final`, the test errors, the answer first; empty where there is nothing to show."""
    if found is None or not (measured := [one for one in found.summaries if one.came_through]):
        return {}
    rows = [
        ForestRow(
            one.display,
            100 * one.estimate.mean,
            100 * claimed(one.estimate).low,
            100 * claimed(one.estimate).high,
            f"{mean_words(one)} ({interval_words(one)}), {final_seeds_words(found, one)}"
            if claimed(one.estimate).has_interval and not one.failed
            else f"{mean_words(one)}, {final_seeds_words(found, one)}",
            strong=one.setting == found.settings[0],
            more=tuple(100 * error for error in one.measured.values()) if len(one.errors) > 1 else (),
        )
        for one in measured
    ]
    heads = ("Design, the answer first", "Test error, interval, seeds")
    title = "Test errors of the designs of the final round"
    return {"final": Forest(title, rows, "Test error (%)", heads=heads, has_zero=False)}
