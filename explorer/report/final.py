"""The figures of a search's final round: the errors of its designs, and how the answer stands beside each other one."""

from explorer.analysis.final_round import FinalRound, verdict_word
from explorer.design.name import display_setting
from explorer.host.formatting import points
from explorer.report.error_words import final_seeds_words, interval_words, mean_words
from explorer.report.forest import Forest, ForestRow


def final_forests(found: FinalRound | None) -> dict[str, Forest]:
    """By the name of the figure: `final`, the test errors, and `final-differences`; those that have something to show.

    The answer is the first row of the errors; a difference is its error less that of another design.
    """
    if found is None or not (measured := [one for one in found.summaries if one.came_through]):
        return {}
    rows = [
        ForestRow(
            one.display,
            100 * one.estimate.mean,
            100 * one.estimate.low,
            100 * one.estimate.high,
            f"{mean_words(one)} ({interval_words(one)}), {final_seeds_words(found, one)}"
            if one.estimate.has_interval and not one.failed
            else f"{mean_words(one)}, {final_seeds_words(found, one)}",
            strong=one.setting == found.settings[0],
            more=tuple(100 * error for error in one.measured.values()) if len(one.errors) > 1 else (),
        )
        for one in measured
    ]
    heads = ("Design, the answer first", "Test error, interval, seeds")
    title = "Test errors of the designs of the final round"
    forests = {"final": Forest(title, rows, "Test error (%)", heads=heads, has_zero=False)}
    beside = [one for one in found.comparisons if one.difference.n]
    if beside:
        margin = None if beside[0].margin is None else 100 * beside[0].margin
        forests["final-differences"] = Forest(
            f"{display_setting(found.settings[0])}, the answer, less each other design of the final round",
            [
                ForestRow(
                    f"less {display_setting(one.against)}",
                    100 * one.difference.mean,
                    100 * one.difference.low,
                    100 * one.difference.high,
                    ", ".join((_ends(one.difference.mean, one.difference.low, one.difference.high), verdict_word(one))),
                )
                for one in beside
            ],
            "Difference of the test error (points)",
            margin=margin,
            heads=("The answer", "Difference, interval; it is"),
        )
    return forests


def _ends(mean: float, low: float, high: float) -> str:
    return f"{points(mean)} ({points(low)} to {points(high)})" if low == low else points(mean)
