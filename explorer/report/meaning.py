"""What a verdict means, in plain sentences for a reader who is new to such studies."""

from explorer.analysis.finding import Finding
from explorer.design.cost_measures import MEASURES
from explorer.design.name import display_setting
from explorer.host.formatting import ERROR_NAMES, share
from explorer.report.words import MEANINGS, meaning_of
from explorer.study.settings import StudyConfig


def meaning(finding: Finding, config: StudyConfig) -> list[tuple[str, str]]:
    """What the words of a verdict mean here, as pairs of a term and its sentence; empty where nothing is compared."""
    pair, populations = finding.comparison, finding.populations
    if pair is None and (populations is None or not populations.rivals):
        return []
    error = ERROR_NAMES[finding.measure]
    if pair is not None:
        first, second = display_setting(pair.setting), display_setting(pair.against)
        told = [
            (
                "Compared",
                f"{first} and {second}, by their {error}: the share of images that a network classifies wrongly.",
            ),
        ]
    else:
        assert populations is not None
        rival = populations.rivals[0]
        told = [
            (
                "Compared",
                (
                    f"All designs drawn from {rival.names[0]} and from {rival.names[1]}, by their {error}: the share "
                    "of images that a network classifies wrongly. Not the best design of each, but the mean of all."
                ),
            )
        ]
    if pair is not None and finding.imported is None:
        told.append(("Seed", meaning_of("seed")))
        told.append(("Pair", meaning_of("pair")))
    held = config.budget.held
    if held:
        costs = " and ".join(MEASURES[axis].words for axis in held)
        words = (
            f"The networks have equal numbers of {costs}, within what the budget allows, so that none is better only "
            "because it is larger. Costs that are not named may differ."
        )
        told.append(("Equal budget", words))
    told.append(("Cardinality", meaning_of("cardinality")))
    level = share(1 - pair.alpha) if pair is not None else "95 %"
    own = "" if level == "95 %" else f" Those of the verdict are {level} intervals: as many of them would hold it."
    words = f"{meaning_of('interval')}{own} A difference whose interval contains zero leaves open which is better."
    told.append(("Interval", words))
    margin = pair.margin if pair is not None else None
    if margin:
        words = (
            f"Here {100 * margin:.2f} points: {MEANINGS['margin']}. Two networks are equivalent if the difference is "
            "shown to be smaller than that."
        )
        told.append(("Margin", words))
    words = (
        f"Whether the same holds for other images than {config.data.label}, for other recipes or longer training, "
        "or for larger networks; and not why it is so, except where a check took an explanation away."
    )
    told.append(("Not shown", words))
    return told
