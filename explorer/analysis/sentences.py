"""The finding in sentences: the verdict with size, interval, n and p."""

import math
from dataclasses import replace

import numpy as np

from explorer.analysis.caveats import (
    failed_words,
    learned_words,
    lost_sentence,
    none_learned,
    runs_failed,
    spaces_failed,
    spaces_learned,
)
from explorer.analysis.check_sentences import under_words
from explorer.analysis.failures import how
from explorer.analysis.final_round import Beside, FinalRound
from explorer.analysis.finding import Finding
from explorer.analysis.front import Front
from explorer.analysis.imported_sentences import KNOWN_BEFORE, imported_sentence
from explorer.analysis.intervals import ROUNDING, Estimate
from explorer.analysis.leading import Leading
from explorer.analysis.paired import ALPHA, MOST_PAIRS, Comparison
from explorer.analysis.population import Populations, Rivals
from explorer.analysis.search_history import Drawn
from explorer.analysis.summary import MIN_PAIRS, SettingSummary, lowest
from explorer.analysis.trend import Optimum
from explorer.design.cost_measures import MEASURES
from explorer.design.name import display_setting
from explorer.host.formatting import (
    ERROR_NAMES,
    cost,
    counted,
    ends_in_words,
    interval,
    millions,
    p_value,
    percent,
    share,
    size_in_words,
)

FEW_VALUES = "no interval, since no two of the values differ"
FEW_DESIGNS = "no interval, which takes two designs of each space, and some within a space that differ"
SURE = 0.9  # share of draws in which a design must be on the front to count as surely on it
OPTIMUM_WORDS = {"cardinality": "cardinality", "group_width": "the middle width D"}


def sentence(finding: Finding) -> str:
    """The verdict in words, with size, interval, n and p.

    What makes the verdict worthless comes first: that every run failed, or that nothing was learned. Runs that count as
    chance come last, and networks of another program that are not equal in cost.
    """
    return _joined(_sentence(finding), finding.unequal)


def _sentence(finding: Finding) -> str:
    if finding.lost is not None:
        return lost_sentence(finding, finding.lost)
    if finding.populations is not None:
        return _populations_sentence(finding, finding.populations)
    if finding.final_round is not None:
        lost = runs_failed(finding)
        return _joined(final_sentence(finding.final_round), f"In the search {lost}" if lost else "")
    if finding.imported is not None and finding.comparison is None:
        return _joined(none_learned(finding), imported_sentence(finding, finding.imported), runs_failed(finding))
    if finding.measure == "val_error" and finding.imported is None:
        return _search_sentence(finding)
    if finding.comparison is not None:
        found = finding.comparison
        return _joined(_both_verdicts(finding, found), KNOWN_BEFORE if finding.imported else "")
    if finding.has_contrast:
        return "No verdict yet: the declared contrast has no pair of finished runs."
    why = "The study declares no contrast"
    if finding.only_some:
        why = "Only some designs are trained (search.only), so the declared contrast is not judged"
    guessed = none_learned(finding)
    if guessed or finding.leading is None:
        words = f"No verdict: {why[0].lower()}{why[1:]}; the settings are listed with their test errors."
        return _joined(guessed, words, runs_failed(finding))
    return _joined(_leading_sentence(finding, finding.leading, why), runs_failed(finding))


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _leading_sentence(finding: Finding, found: Leading, why: str) -> str:
    """Which setting validation chooses, its test error, how far the next one is and whether that is decided.

    It says by what the setting was chosen, of how many seeds its error is, and what the choice does to it.
    """
    best, kind = found.best, ERROR_NAMES[finding.measure]
    name, seeds, failed = display_setting(best.setting), counted(best.estimate.n, "seed"), ""
    if best.failed:
        failed = f", {len(best.failed)} of them as chance"
    if not finding.complete:
        far = f"Preliminary, {finding.final} of {finding.wanted} runs are in"
        ahead = f"has the lowest validation error, {percent(best.validation)}" if found.is_by_validation else "leads"
        return f"{far}: so far {name} {ahead} ({seeds}{failed}). {why}."
    known = best.estimate
    claimed = (
        f"95 % interval {interval(known.low, known.high)}, " if known.has_interval and known.n >= MIN_PAIRS else ""
    )
    numbers = f"{percent(known.mean)} ({claimed}n = {seeds}{failed})"
    if found.beside is None:
        only_some = f" {why}." if finding.only_some else ""
        only = "the study's only setting" if len(finding.summaries) == 1 else "the only setting with a result"
        return f"{name} has a {kind} of {numbers}. It is {only}, so nothing is compared.{only_some}"
    start = (
        f"Of {counted(found.settings, 'setting')}, {name} has the lowest validation error, {percent(best.validation)}"
    )
    if not found.is_by_validation:
        start = f"Of {counted(found.settings, 'setting')}, {name} has the lowest {kind}"
    flattered = (
        "Validation chose the two, the test judges them on the same runs: luck of these seeds favours the first."
        if found.is_by_validation
        else "The error that is told chose it, which flatters it."
    )
    return f"{start}; its {kind} is {numbers}. {_beside_next(found, found.beside)} {why}. {flattered}"


def _beside_next(found: Leading, beside: Comparison) -> str:
    """How far the test error of the leading setting is below that of the next one, and whether that is decided."""
    other, difference = display_setting(beside.against), beside.difference
    next_ = f"{other}, the next by {'validation' if found.is_by_validation else 'that error'}"
    if not difference.n:
        return f"Beside {next_}, nothing can be said, since with no seed both runs came through."
    size = f"That is {size_in_words(difference.mean)} than that of {next_}"
    if abs(difference.mean) < ROUNDING:
        size = f"That of {next_}, is the same"
    if difference.n < MIN_PAIRS:
        pairs = "1 pair of seeds is" if difference.n == 1 else f"{difference.n} pairs of seeds are"
        return f"{size}; {pairs} too few to decide between them."
    family = f", both corrected for all {found.pairs} pairs of settings" if found.pairs > 1 else ""
    numbers = f"{_interval(difference, '95 % interval')}, n = {difference.n} paired seeds, {p_value(found.p)}{family}"
    decided = {
        "beats": "so it is better than the next",
        "loses to": "so on the test images it is worse than the next",
    }.get(beside.verdict, "which does not decide between them")
    if beside.guesses:
        decided = "and neither has learned more than guessing"
    elif beside.held_back:
        decided = "but what fails more often cannot be called better"
    return f"{size} ({numbers}), {decided}."


def _both_verdicts(finding: Finding, found: Comparison) -> str:
    """The verdict; at equal training compute or time that, and what it is at equal epochs."""
    first = _with_caveats(finding, found)
    if not finding.trained:
        return first
    first = f"At equal {finding.trained}: {first}"
    if finding.equal_epochs is None:
        return f"{first} At equal epochs: not trained yet." if finding.complete else first
    alone = replace(finding, comparison=finding.equal_epochs, with_images=None, robustness=None)
    return f"{first} At equal epochs: {_with_caveats(alone, finding.equal_epochs)}"


def _with_caveats(finding: Finding, found: Comparison) -> str:
    """A verdict between what it is worth: before it that a network guesses, after it which runs count as chance."""
    names = (display_setting(found.setting), display_setting(found.against))
    return _joined(learned_words(found, names), _verdict_sentence(finding, found), failed_words(found, names))


def _verdict_sentence(finding: Finding, comparison: Comparison) -> str:
    first, second = (display_setting(name) for name in (comparison.setting, comparison.against))
    difference = comparison.difference
    size = f"{ERROR_NAMES[finding.measure]} is {size_in_words(difference.mean)}"
    far = f"{finding.final} of {finding.wanted} runs are in"
    if not difference.n:
        return "No verdict yet: of no pair of seeds has a run come through."
    if difference.n < MIN_PAIRS:
        pairs = "1 pair of seeds is" if difference.n == 1 else f"{difference.n} pairs of seeds are"
        start = f"Preliminary, {far}" if not finding.complete else "Inconclusive"
        return f"{start}: {pairs} too few for a verdict; so far the {size} for {first} than for {second}."
    numbers = (
        f"{_interval(difference, f'{share(1 - comparison.alpha)} interval')}, "
        f"n = {difference.n} paired seeds{', each with a split of its own' if finding.own_splits else ''}, "
        f"{p_value(comparison.p)}"
    )
    if not finding.complete:
        return f"Preliminary, {far}: so far the {size} for {first} than for {second} ({numbers}); no verdict yet."
    if comparison.guesses:
        return f"No verdict: the {size} for {first} than for {second} ({numbers})."
    if comparison.verdict == "equivalent":
        narrow = _interval(comparison.narrow, f"{share(1 - 2 * comparison.alpha)} interval")
        splits = ", each with a split of its own" if finding.own_splits else ""
        return (
            f"{first} and {second} are equivalent: their {ERROR_NAMES[finding.measure]}s differ by less than the "
            f"margin of {_margin(comparison)}; that of {first} is {size_in_words(difference.mean)} ({narrow}, "
            f"n = {difference.n} paired seeds{splits})."
        )
    if comparison.held_back:
        return (
            f"Inconclusive: the {size} for {first} than for {second} ({numbers}), but what fails more often cannot "
            "beat its rival."
        )
    if comparison.verdict == "inconclusive":
        return (
            f"Inconclusive: {first} does not differ clearly from {second}; its {size} ({numbers}).{_needed(comparison)}"
        )
    less = f", by less than the margin of {_margin(comparison)}" if comparison.within_margin else ""
    where = " on this test set" if finding.on_this_test_set else ""
    return f"{first} {comparison.verdict} {second}{where}{under_words(finding)}{less}: its {size} ({numbers})."


def mood(finding: Finding) -> str:
    """The colour class of a verdict: "yes" if the first side of the contrast is better, "no" if worse, else "open".

    Of a search's final round: "yes" if the answer is better than every other one, "no" if it is worse than one or at
    chance or near it.
    """
    if (final := finding.final_round) is not None and final.complete:
        verdicts = {one.verdict for one in final.comparisons}
        if final.is_poor or "loses to" in verdicts:
            return "no"
        return "yes" if verdicts == {"beats"} else "open"
    judged = [finding.comparison] if not finding.populations else finding.populations.rivals[: finding.has_rivals]
    verdict = judged[0].verdict if judged and judged[0] and finding.complete else "inconclusive"
    if finding.robustness is not None and finding.robustness.found("explains"):
        return "open"
    return {"beats": "yes", "loses to": "no", "equivalent": "open", "inconclusive": "open"}[verdict]


def _populations_sentence(finding: Finding, found: Populations) -> str:
    counts = ", ".join(f"{one.n} of {found.label(name)}" for name, one in found.distributions.items())
    if not finding.complete:
        parts = f", for {counts}" if counts else ""
        return f"Preliminary, {finding.final} of {finding.wanted} runs are in{parts}: no verdict yet."
    if not finding.has_rivals:
        words = f"No verdict: the study declares no contrast of spaces; designs: {counts}."
        return _joined(none_learned(finding), words, runs_failed(finding))
    rivals, distributions = found.rivals[0], found.distributions
    first, second = (distributions[name] for name in (rivals.space, rivals.against))
    name, against = rivals.names
    difference = rivals.difference
    designs = f"n = {first.n} and {second.n} designs"
    numbers = (
        f"mean test error {percent(first.mean)} against {percent(second.mean)}, that is "
        f"{size_in_words(difference.mean)}; {_interval(difference, none=FEW_DESIGNS)}, {designs}, {p_value(rivals.p)}"
    )
    under = f" {finding.under}" if finding.under else ""
    verdicts = {
        "beats": f"Designs of {name} have lower errors on the mean than those of {against}{under}",
        "loses to": f"Designs of {name} have higher errors on the mean than those of {against}{under}",
        "equivalent": f"Designs of {name} and {against} are equivalent within their margin",
        "inconclusive": f"Inconclusive: designs of {name} do not differ clearly from those of {against}",
    }
    start = verdicts[rivals.verdict]
    if rivals.guesses:
        start = f"No verdict on {name} and {against}"
    elif rivals.held_back:
        start = "Inconclusive, since what fails more often cannot beat its rival"
    caveats = spaces_failed(rivals, finding.failures)
    return _joined(spaces_learned(rivals), f"{start}: {numbers}.", _adjusted(rivals), _by_depth(rivals), caveats)


def _adjusted(rivals: Rivals) -> str:
    """The difference of two spaces among designs that are alike in something else; "" if they are alike anyway."""
    parts = [
        f"{size_in_words(one.difference.mean)} among designs of equal {one.held} "
        f"({_interval(one.difference, none=FEW_DESIGNS)})"
        for one in rivals.adjusted
    ]
    *first, last = parts or [""]
    return f"It is {', '.join(first)}{' and ' if first else ''}{last}." if parts else ""


def _by_depth(rivals: Rivals) -> str:
    """That the difference of two spaces depends on depth; "" if that is not shown."""
    found = rivals.by_depth
    if found is None or not found.p < ALPHA:
        return ""
    each = ", ".join(f"{size_in_words(one)} at {depth} layers" for depth, (one, _, _) in found.differences.items())
    return f"It depends on depth ({p_value(found.p)}): {each}."


def _front_sentence(finding: Finding, found: Front) -> str:
    if guessed := none_learned(finding):
        return _joined(guessed, f"No front is reported, of {_tried(finding)}.", runs_failed(finding))
    state = "" if finding.complete else f"So far, with {finding.final} of {finding.wanted} runs in: "
    places = [int(place) for place in np.flatnonzero(found.ahead)]
    ends = sorted(places, key=lambda place: found.costs[place])
    words = [
        f"{display_setting(found.settings[end])} ({cost(found.cost, found.costs[end])} {MEASURES[found.cost].words}, "
        f"{found.errors[end] * 100:.2f} %)"
        for end in (ends[0], ends[-1])
    ]
    sure, words_of_cost = int((found.sure[places] >= SURE).sum()), MEASURES[found.cost].words
    words_of_front = (
        f"{state}Of {_tried(finding)}, {len(places)} are on the front of validation error against "
        f"{words_of_cost}, from {words[0]} to {words[1]}; {sure} of them {'stays' if sure == 1 else 'stay'} on it in "
        f"{share(SURE)} of redrawn errors or more. The front covers {share(found.covered)} of the plane. The "
        "test images have not been looked at: train what you take from it anew (search.only) before you believe it."
    )
    return _joined(words_of_front, runs_failed(finding))


def _tried(finding: Finding) -> str:
    """How many designs a search has tried, and how many of them it stopped early."""
    found = finding.search_history
    stopped = sum(found.stopped.values()) if found else 0
    tried = found.tried if found and finding.complete else len(finding.summaries) + stopped
    some = f" ({stopped} of them stopped early)" if stopped else ""
    return f"{tried} designs tried{some}"


def search_history_sentence(finding: Finding) -> str:
    """Compare a search with designs drawn at random; empty if none were drawn, or no design has learned anything."""
    found = finding.search_history.drawn if finding.search_history else None
    if found is None or np.isnan(found.searched) or none_learned(finding):
        return ""
    count = counted(found.count, "random design")
    if found.likely is None:
        return (
            f"At equal cost, {found.spent:,.0f} epochs, the search's front covers {share(found.searched)} of the plane "
            f"and that of {count} {share(found.best)}. One search is compared, so this has no interval."
            f"{_drawn_failed(found)}"
        )
    likely, low, high = (f"{100 * value:.0f}" for value in found.likely)
    return (
        f"At equal cost, {found.spent:,.0f} epochs, the search's best design has a validation error of "
        f"{100 * found.searched:.2f} %, the best of {count} {100 * found.best:.2f} %: {found.as_good} of the "
        f"{len(found.epochs)} random ones are as good, so that {found.count} draws find one as good in {likely} % of "
        f"cases (95 % interval {low} to {high} %).{_drawn_failed(found)}"
    )


def linear_guess_sentence(finding: Finding) -> str:
    """Hold a search against a linear fit on its random designs; empty if there are too few of these."""
    found = finding.linear_guess
    if found is None or not found.guessed or none_learned(finding):
        return ""
    fit = f"A linear fit of depth, log2 width and log2 D on the {counted(found.random, 'random design')}"
    order = ""
    if found.ranks.is_known:
        ranks = found.ranks
        order = (
            f"; the errors that it predicts order them with Kendall's tau {ranks.tau:.2f} (95 % interval "
            f"{ranks.low:.2f} to {ranks.high:.2f})"
        )
    of = f"of the {counted(found.guessed, 'design')} that the search trained to the end"
    if finding.front is not None:
        return f"{fit} predicts the errors {of}{order}." if order else ""
    worse = abs(found.error - found.best) < ROUNDING
    than = "which is the lowest" if worse else f"{100 * (found.error - found.best):.2f} points above the lowest"
    return (
        f"{fit} would pick {display_setting(found.chosen)} {of}: a validation error of {percent(found.error)}, "
        f"{than}{order}."
    )


def _drawn_failed(found: Drawn) -> str:
    """How many of the random designs failed and count as chance."""
    if not found.failed:
        return ""
    counts = "counts" if found.failed == 1 else "count"
    return f" Of the random ones {found.failed} came to no end and {counts} as chance."


def _margin(comparison: Comparison) -> str:
    assert comparison.margin is not None
    return f"{comparison.margin * 100:.2f} points"


def _needed(comparison: Comparison) -> str:
    """How many pairs of seeds would detect a difference of the margin; "" if that is unknown or reached."""
    if comparison.needed is None or comparison.needed <= comparison.difference.n:
        return ""
    return (
        f" To find a difference of {_margin(comparison)} with 80 % power, {pairs_in_words(comparison.needed)} paired "
        "seeds would be needed, if seeds vary as much as these few may hide."
    )


def pairs_in_words(count: int) -> str:
    """A number of pairs in words, capped at `MOST_PAIRS`: `28`, `more than 100,000`."""
    return f"{count:,}" if count <= MOST_PAIRS else f"more than {MOST_PAIRS:,}"


def _interval(found: Estimate, what: str = "95 % interval", *, none: str = FEW_VALUES) -> str:
    """The interval of a difference in words, counted as its size is: `95 % interval 2.01 to 2.53`.

    `none` says why there is no interval.
    """
    if not found.has_interval:
        return none
    return f"{what} {ends_in_words(found.mean, found.low, found.high)}"


def learning_rate_sentence(finding: Finding) -> str:
    """Whether the verdict holds at the learning rate that suits each setting best; empty while runs are missing."""
    found, comparison = finding.learning_rate_check, finding.comparison
    if found is None or comparison is None or not finding.complete:
        return ""
    names = first, second = display_setting(comparison.setting), display_setting(comparison.against)
    difference, base = found.best.difference, found.base.difference
    if lost := [name for name, rate in zip(names, found.rates, strict=True) if rate is None]:
        return (
            "Which learning rate suits best cannot be said: at none that was tried did a run of "
            f"{' or of '.join(lost)} come through."
        )
    level = f"{share(1 - found.best.alpha)} interval"
    own = f"while it is {size_in_words(base.mean)} ({_interval(base, level)}) at the recipe's own"
    if not base.n:
        own = "while at the recipe's own no pair came through"
    holds = {
        True: "The verdict on validation images is the same",
        False: f"The verdict on validation images changes from {found.base.verdict} to {found.best.verdict}",
    }[found.holds]
    words = (
        f"{holds} when each setting has the learning rate that suits it best, x{found.rates[0]:g} for {first} and "
        f"x{found.rates[1]:g} for {second}: the error of {first} is then {size_in_words(difference.mean)} "
        f"({_interval(difference, level)}, n = {difference.n}), {own}."
    )
    return _joined(words, learned_words(found.best, names), failed_words(found.best, names))


def trend_sentence(finding: Finding) -> str:
    """Whether cardinality helps, over all settings; empty while runs are missing, or if every run failed."""
    found = finding.trend
    if found is None or finding.lost is not None or not finding.complete:
        return ""
    under, slope, cardinalities = finding.under, found.slope, ", ".join(map(str, found.cardinalities))
    if guessed := none_learned(finding):
        return f"{guessed} Over cardinality {cardinalities} no trend is reported."
    left_out = ""
    if found.left_out:
        several = f"In {counted(found.left_out, 'seed')}"
        left_out = f"{several} a run of these diverged or ran out of memory, which has no slope."
    if not slope.n:
        return f"Over cardinality {cardinalities} no trend is reported. {left_out}"
    seeds = counted(slope.n, "seed")
    numbers = f"{seeds}, {_interval(slope)}, {p_value(found.p)}"
    over = f"{cardinalities} {under}" if under else cardinalities
    words = (
        f"Over cardinality {over}, each doubling goes with a test error {size_in_words(slope.mean)} on average "
        f"({numbers if slope.n > 1 else seeds})."
    )
    return _joined(words, left_out, *map(_optimum_sentence, found.optima))


def _optimum_sentence(found: Optimum) -> str:
    """Where along an axis the error is lowest, or that this is not located."""
    axis = OPTIMUM_WORDS[found.axis]
    curvature = f"{counted(found.curvature.n, 'seed')}, curvature {p_value(found.p)}"
    if math.isnan(found.place) and found.p < ALPHA:
        return f"Over {axis} the errors bend downwards, so that none of the values between is the best ({curvature})."
    if not found.is_located:
        return f"Over {axis} the place of the lowest error is not located ({curvature})."
    beyond = "" if found.values[0] <= found.place <= found.values[-1] else ", which is beyond those tried"
    ends = f"95 % set {found.low:.3g} to {found.high:.3g}"
    return f"Over {axis} the error is lowest near {found.place:.3g}{beyond} ({ends}, {curvature})."


def _search_sentence(finding: Finding) -> str:
    if not finding.summaries:
        return "No design has been trained to its end yet."
    if finding.front is not None:
        return _front_sentence(finding, finding.front)
    best = lowest(finding.summaries)
    assert best is not None  # else every run failed, which `lost` reports
    state = "" if finding.complete else f"So far, with {finding.final} of {finding.wanted} runs in: "
    seeds = counted(best.estimate.n, "seed")
    if best.failed:
        seeds += f", {len(best.failed)} of them as chance"
    if guessed := none_learned(finding):
        known = f"of {_tried(finding)} the lowest validation error is {percent(best.estimate.mean)}"
        return _joined(guessed, f"{state or 'No best design: '}{known} ({seeds}).", runs_failed(finding))
    then = "the test images have not been looked at: train it anew (search.only) before you believe it."
    if finding.final_runs:
        then = (
            f"no test image has been looked at yet: the final round, {counted(finding.final_runs, 'run')}, trains the "
            "best anew and tests them."
        )
    words = (
        f"{state}Of {_tried(finding)}, {display_setting(best.setting)} has the lowest "
        f"validation error, {best.estimate.mean * 100:.2f} % ({seeds}). The lowest of many is flattered by chance, and "
        f"{then}"
    )
    return _joined(words, runs_failed(finding))


TRY = (
    "What to try: more images of each class; longer training (recipe.epochs=...); larger images (data.resize=...); and "
    "look whether what lies in each folder is what its name says"
)


def final_sentence(found: FinalRound) -> str:
    """The answer of a search with a final round: the best network, by how much, and how sure.

    That it is at chance or near it is said first, in plain words, with what to try. Runs that did not come through have
    no error and count as none: their number is said.
    """
    names = [display_setting(name) for name in found.settings]
    if not found.complete:
        far = found.fault or f"{found.done} of {found.wanted} runs of the final round are in"
        return f"No answer yet, {far}: by validation {names[0]} is ahead of {_of_tried(found).rstrip(',')}."
    best = found.answer
    assert best is not None
    beside, looks = [_beside(one, found) for one in found.comparisons], looks_sentence(found)
    if not best.came_through:
        start = f"No answer: every run of {names[0]}, the best by validation, failed in the final round"
        return _joined(f"{start} ({_failed(found, best.setting)}).", *_that_learned(found), f"{TRY}.", looks)
    error = final_error_words(found, best)
    cost = f"{best.params:,} parameters, {millions(best.macs)} multiply-adds"
    chosen = f"chosen by validation among {_of_tried(found)} and trained anew"
    guess = f"guessing has {percent(best.chance)}"
    if found.learned == "no":
        others = _that_learned(found)
        start = f"The answer is no better than guessing: {names[0]}"
        if not others:
            start = f"No network of the final round is better than guessing: the best by validation is {names[0]}"
        return _joined(f"{start}, {chosen}: {error}; {guess}. {TRY}.", *(beside if others else []), *others, looks)
    start = f"Best: {names[0]} ({cost}), {chosen}: {error}."
    if found.is_poor:
        start = f"Hardly better than guessing: {names[0]} ({cost}), {chosen}: {error}; {guess}. {TRY}."
    return _joined(start, *beside, _would_decide(found), looks)


def final_error_words(found: FinalRound, one: SettingSummary) -> str:
    """The test error of a design of a final round, with its interval and of how many runs it is measured."""
    if not one.came_through:
        return f"no test error, since no run came through ({_failed(found, one.setting)})"
    known, seeds = one.estimate, counted(found.seeds, "seed")
    over = "over seeds and test images" if known.n > 1 else "over test images alone"
    if known.n < found.seeds:
        seeds = f"{known.n} of {seeds}, {_failed(found, one.setting)}"
    images = f", {counted(found.images, 'test image')}" if found.images is not None else ""
    return f"test error {percent(known.mean)} (95 % interval {over} {interval(known.low, known.high)}; {seeds}{images})"


def looks_sentence(found: FinalRound) -> str:
    """That several final rounds of a search were tested on the same images; "" if this is the only one."""
    if found.looks < 2:
        return ""
    return (
        f"The test images were looked at {found.looks} times, by as many final rounds of this search: an answer that "
        "is taken because it did better than that of another round is flattered."
    )


def _of_tried(found: FinalRound) -> str:
    """How many designs a search tried, and how many of them came to their end."""
    tried = counted(found.tried, "design")
    return tried if found.ended == found.tried else f"{tried}, {found.ended} of which came to their end,"


def _would_decide(found: FinalRound) -> str:
    """What would tell an answer from the designs that it is not distinguishable from; "" where it is from all."""
    open_yet = [one for one in found.undecided if not one.held_back]
    if not open_yet:
        return ""
    if any(one.is_too_few for one in open_yet):
        return f"It takes {MIN_PAIRS} pairs of seeds or more (search.final_seeds, now {found.seeds})."
    needed, margin = max((one.needed or 0 for one in open_yet), default=0), open_yet[0].margin
    if margin is None:
        return "More seeds (search.final_seeds) or more test images may decide."
    if needed <= found.seeds:
        return "More test images may decide."
    find = f"a difference of {margin * 100:.2f} points on as many test images with 80 % power"
    if needed > MOST_PAIRS:
        return f"No number of seeds would find {find}; more test images may."
    return (
        f"To find {find}, {pairs_in_words(needed)} seeds each would be needed (search.final_seeds, now {found.seeds}), "
        "if seeds vary as much as these few may hide; more test images make them vary less."
    )


def _that_learned(found: FinalRound) -> list[str]:
    """Which designs beside an answer without a result have learned more than guessing."""
    return [
        f"Beside it {display_setting(one.setting)} is better than guessing: {final_error_words(found, one)}."
        for one in found.others_that_learned
    ]


def _failed(found: FinalRound, setting: str) -> str:
    """How many runs of a design of a final round did not come through, and how: `2 diverged`, `all 5 diverged`."""
    statuses = found.failed.get(setting, ())
    number = f"all {len(statuses)}" if len(statuses) == found.seeds > 1 else str(len(statuses))
    return f"{number} {how(statuses)}"


def _beside(one: Beside, found: FinalRound) -> str:
    """How the answer of a search stands beside another of its best designs."""
    other, difference = display_setting(one.against), one.difference
    failed = _failed(found, one.against) if one.failed[1] else ""
    if one.failed[1] == found.seeds:
        return f"Of {other} no run came through ({failed})."
    lost = f" Of the {found.seeds} runs of {other} {failed}." if failed else ""
    if not difference.n:
        return f"Beside {other} nothing can be said, since with no seed both runs came through.{lost}"
    if one.is_too_few:
        pairs = "1 pair of seeds is" if difference.n == 1 else f"{difference.n} pairs of seeds are"
        lower = f"so far the answer's test error is {size_in_words(difference.mean)}"
        return f"Beside {other} {pairs} too few to say; {lower}.{lost}"
    family = f", both corrected for {one.family} comparisons" if one.family > 1 else ""
    ends = _interval(difference, "95 % interval over seeds and test images")
    pairs = "" if difference.n == found.seeds else f", {difference.n} pairs of seeds"
    size = f"its test error is {size_in_words(difference.mean)}"
    numbers = f"{size}; {ends}, {p_value(one.p)}{family}{pairs}"
    if one.guesses:
        return f"Neither it nor {other} has learned more than guessing ({numbers}).{lost}"
    if one.held_back:
        own, others = (f"{count} of {found.seeds}" for count in one.failed)
        return (
            f"Between it and {other} nothing is decided ({numbers}), since what fails more often cannot be called "
            f"better: {own} of its runs failed, and {others} of the other's."
        )
    if one.verdict == "beats":
        return f"It is better than {other} ({numbers}).{lost}"
    if one.verdict == "loses to":
        return f"On the test images it is worse than {other} ({numbers}); but nothing is chosen by test images.{lost}"
    if one.verdict == "equivalent":
        assert one.margin is not None
        narrow = ends_in_words(one.narrow.mean, one.narrow.low, one.narrow.high)
        margin = f"the margin of {one.margin * 100:.2f} points"
        numbers = f"{size}; 90 % interval over seeds and test images {narrow}{family}{pairs}"
        return f"It is equivalent to {other} within {margin} ({numbers}).{lost}"
    return f"It is not distinguishable from {other} ({numbers}).{lost}"
