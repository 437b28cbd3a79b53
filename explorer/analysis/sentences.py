"""What a study found, in sentences: the verdict with size, interval, n and p."""

import numpy as np

from explorer.analysis.finding import Finding
from explorer.analysis.front import Front
from explorer.analysis.paired import MIN_PAIRS, MOST_PAIRS, Comparison
from explorer.analysis.population import Populations
from explorer.analysis.summary import Estimate
from explorer.analysis.trend import Trend
from explorer.design.name import display_setting
from explorer.wording import COST_NAMES, cost, interval_points, p_value, points, share

SURE = 0.9  # share of redrawn errors in which a design is taken to be on the front


def sentence(finding: Finding) -> str:
    """The verdict in one sentence, with size, interval, n and p."""
    comparison = finding.comparison
    if finding.populations is not None:
        return _populations_sentence(finding, finding.populations)
    if finding.measure == "val_error":
        return _search_sentence(finding)
    if comparison is None and not finding.has_contrast:
        return "No verdict: the study declares no contrast; the settings are listed with their test errors."
    if comparison is None:
        return "No verdict yet: the declared contrast has no pair of finished runs."
    first, second = (display_setting(name) for name in (comparison.setting, comparison.against))
    difference = comparison.difference
    size = f"test error is {abs(difference.mean) * 100:.2f} points {'lower' if difference.mean < 0 else 'higher'}"
    if difference.n < MIN_PAIRS:
        pairs = "1 pair of seeds is" if difference.n == 1 else f"{difference.n} pairs of seeds are"
        return f"Inconclusive: {pairs} too few for a verdict; so far the {size} for {first} than for {second}."
    numbers = (
        f"{_interval(difference, f'{share(1 - comparison.alpha)} interval of the difference')}, "
        f"n = {difference.n} paired seeds, {p_value(comparison.p)}"
    )
    if not finding.complete:
        runs = f"{finding.final} of {finding.wanted} runs are in"
        return f"Preliminary, {runs}: so far the {size} for {first} than for {second} ({numbers}); no verdict yet."
    if comparison.verdict == "equivalent":
        narrow = _interval(comparison.narrow, f"{share(1 - 2 * comparison.alpha)} interval")
        return (
            f"{first} and {second} are equivalent: their test errors differ by less than the margin of "
            f"{_margin(comparison)} ({narrow}, n = {difference.n} paired seeds)."
        )
    if comparison.held_back:
        return (
            f"Inconclusive: the {size} for {first} than for {second} ({numbers}), but {comparison.failed[0]} runs of "
            f"the first failed and {comparison.failed[1]} of the second, and what fails more often cannot beat its "
            "rival."
        )
    if comparison.verdict == "inconclusive":
        return (
            f"Inconclusive: {first} does not differ clearly from {second}; its {size} ({numbers}).{_needed(comparison)}"
        )
    less = f", by less than the margin of {_margin(comparison)}" if comparison.within_margin else ""
    where = " on this test set" if finding.on_this_test_set else ""
    return f"{first} {comparison.verdict} {second}{where}{less}: its {size} ({numbers})."


def mood(finding: Finding) -> str:
    """How the verdict is coloured: "yes" where what was declared first is better, "no" where worse, else "open"."""
    judged = finding.populations.rivals[:1] if finding.populations else [finding.comparison]
    verdict = judged[0].verdict if judged and judged[0] and finding.complete else "inconclusive"
    return {"beats": "yes", "loses to": "no", "equivalent": "open", "inconclusive": "open"}[verdict]


def _populations_sentence(finding: Finding, found: Populations) -> str:
    counts = ", ".join(f"{one.n} of {name}" for name, one in found.distributions.items())
    if not finding.complete:
        parts = f", for {counts}" if counts else ""
        return f"Preliminary, {finding.final} of {finding.wanted} runs are in{parts}: no verdict yet."
    if not finding.has_rivals:
        return f"No verdict: the study declares no contrast of spaces; designs: {counts}."
    rivals, distributions = found.rivals[0], found.distributions
    first, second = (distributions[name] for name in (rivals.space, rivals.against))
    difference = rivals.difference
    size = f"{abs(difference.mean) * 100:.2f} points {'lower' if difference.mean < 0 else 'higher'}"
    designs = f"n = {first.n} and {second.n} designs"
    numbers = (
        f"mean test error {first.mean * 100:.2f} % against {second.mean * 100:.2f} %, that is {size}; "
        f"{_interval(difference)}, {designs}, {p_value(rivals.p)}; "
        f"their distributions lie {rivals.distance.distance:.2f} apart (Kolmogorov-Smirnov)"
    )
    words = {
        "beats": f"Designs of {rivals.space} are better than those of {rivals.against}",
        "loses to": f"Designs of {rivals.space} are worse than those of {rivals.against}",
        "equivalent": f"Designs of {rivals.space} and {rivals.against} are equivalent within their margin",
        "inconclusive": f"Inconclusive: designs of {rivals.space} do not differ clearly from those of {rivals.against}",
    }
    return f"{words[rivals.verdict]}: {numbers}."


def _front_sentence(finding: Finding, found: Front) -> str:
    state = "" if finding.complete else f"So far, with {finding.final} of {finding.wanted} runs in: "
    places = [int(place) for place in np.flatnonzero(found.ahead)]
    ends = sorted(places, key=lambda place: found.costs[place])
    words = [
        f"{display_setting(found.settings[end])} ({cost(found.cost, found.costs[end])} {COST_NAMES[found.cost]}, "
        f"{found.errors[end] * 100:.2f} %)"
        for end in (ends[0], ends[-1])
    ]
    sure, words_of_cost = int((found.sure[places] >= SURE).sum()), COST_NAMES[found.cost]
    return (
        f"{state}Of {_tried(finding)}, {len(places)} are on the front of validation error against "
        f"{words_of_cost}, from {words[0]} to {words[1]}; {sure} of them {'stays' if sure == 1 else 'stay'} on it in "
        f"{share(SURE)} of redrawn errors or more. The front covers {share(found.covered)} of the plane. The "
        "test images have not been looked at: train what you take from it anew (search.only) before you believe it."
    )


def _tried(finding: Finding) -> str:
    """How many designs a search has tried, and how many of them it stopped on their way."""
    found = finding.course
    stopped = sum(found.stopped.values()) if found else 0
    tried = found.tried if found and finding.complete else len(finding.summaries) + stopped
    some = f" ({stopped} of them stopped early)" if stopped else ""
    return f"{tried} designs tried{some}"


def course_sentence(finding: Finding) -> str:
    """How a search stands against designs drawn at random; empty where there are none."""
    found = finding.course.drawn if finding.course else None
    if found is None or np.isnan(found.searched):
        return ""
    count = "1 random design" if found.count == 1 else f"{found.count} random designs"
    if found.likely is None:
        return (
            f"At equal cost, {found.spent:,.0f} epochs, the search's front covers {share(found.searched)} of the plane "
            f"and that of {count} {share(found.best)}. One search is compared, so this has no interval."
        )
    likely, low, high = (f"{100 * value:.0f}" for value in found.likely)
    return (
        f"At equal cost, {found.spent:,.0f} epochs, the search's best design has a validation error of "
        f"{100 * found.searched:.2f} %, the best of {count} {100 * found.best:.2f} %: {found.as_good} of the "
        f"{len(found.epochs)} random ones are as good, so that {found.count} draws find one as good in {likely} % of "
        f"cases (95 % interval {low} to {high} %)."
    )


def _margin(comparison: Comparison) -> str:
    assert comparison.margin is not None
    return f"{comparison.margin * 100:.2f} points"


def _needed(comparison: Comparison) -> str:
    """How many seeds would have told, where that can be said."""
    if comparison.needed is None or comparison.needed <= comparison.difference.n:
        return ""
    return (
        f" To find a difference of {_margin(comparison)} with 80 % power, {told_pairs(comparison.needed)} paired seeds "
        "would do, even if seeds vary as much as these few may hide."
    )


def told_pairs(count: int) -> str:
    """A number of pairs, of which beyond some number only that is known: `28`, `more than 100,000`."""
    return f"{count:,}" if count <= MOST_PAIRS else f"more than {MOST_PAIRS:,}"


def _interval(found: Estimate, what: str = "95 % interval") -> str:
    """`95 % interval -1.50 to +0.22`, or that there is none, and why."""
    if not found.has_interval:
        return "no interval, since no two of the values differ"
    return f"{what} {interval_points(found.low, found.high)}"


def fair_sentence(finding: Finding) -> str:
    """Whether the verdict holds when each setting is trained at the learning rate that suits it best."""
    found, comparison = finding.fair, finding.comparison
    if found is None or comparison is None:
        return ""
    first, second = (display_setting(name) for name in (comparison.setting, comparison.against))
    difference, base = found.best.difference, found.base.difference
    level = f"{share(1 - found.best.alpha)} interval"
    holds = {
        True: "The verdict on validation images is the same",
        False: f"The verdict on validation images changes from {found.base.verdict} to {found.best.verdict}",
    }[found.holds]
    return (
        f"{holds} when each setting has the learning rate that suits it best, x{found.rates[0]:g} for {first} and "
        f"x{found.rates[1]:g} for {second}: a difference of {points(difference.mean)} points "
        f"({_interval(difference, level)}, n = {difference.n}), against {points(base.mean)} ({_interval(base, level)}) "
        "at the recipe's own."
    )


def trend_sentence(found: Trend) -> str:
    """Whether cardinality helps, over all settings."""
    slope = found.slope
    size = f"{abs(slope.mean) * 100:.2f} points {'lower' if slope.mean < 0 else 'higher'}"
    seeds = "1 seed" if slope.n == 1 else f"{slope.n} seeds"
    numbers = f"{seeds}, {_interval(slope)}, {p_value(found.p)}"
    return (
        f"Over cardinality {', '.join(map(str, found.cardinalities))}, each doubling goes with a test error {size} "
        f"on average ({numbers if slope.n > 1 else seeds})."
    )


def _search_sentence(finding: Finding) -> str:
    if not finding.summaries:
        return "No design has been trained to its end yet."
    if finding.front is not None:
        return _front_sentence(finding, finding.front)
    best = min(finding.summaries, key=lambda summary: summary.estimate.mean)
    state = "" if finding.complete else f"So far, with {finding.final} of {finding.wanted} runs in: "
    seeds = "1 seed" if best.estimate.n == 1 else f"{best.estimate.n} seeds"
    return (
        f"{state}Of {_tried(finding)}, {display_setting(best.setting)} has the lowest "
        f"validation error, {best.estimate.mean * 100:.2f} % ({seeds}). The lowest of many is flattered by chance, and "
        "the test images have not been looked at: train it anew (search.only) before you believe it."
    )
