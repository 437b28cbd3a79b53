"""What imported results say, in sentences: how many there are, the lowest error, the front; single runs say so."""

import numpy as np

from explorer.analysis.finding import Finding
from explorer.analysis.imported import ImportedFinding
from explorer.analysis.summary import lowest
from explorer.design.cost_measures import MEASURES
from explorer.design.name import display_setting
from explorer.host.formatting import ERROR_NAMES, cost, counted, percent

KNOWN_BEFORE = "The contrast was declared when the results were there: had they led to it, p would be too small."
MOST_NAMED = 3  # designs that do not exist here, in a sentence


def imported_sentence(finding: Finding, found: ImportedFinding) -> str:
    """How many results there are, the design of the lowest error, and the front of error against cost."""
    error, best = ERROR_NAMES[finding.measure], lowest(finding.summaries)
    designs = counted(len(finding.summaries), "design")
    if best is None:
        return f"Imported: {counted(finding.final, 'run')} of {designs}, of which none came through."
    each = "one run each, so no intervals" if found.single else counted(finding.final, "run")
    words = (
        f"Imported results of {designs}, {each}: the lowest {error} is {percent(best.estimate.mean)}, of {best.display}"
    )
    if finding.measure == "test_error" and best.is_chosen:
        words = (
            f"Imported results of {designs}, {each}: the design with the lowest validation error, {best.display}, has "
            f"a {error} of {percent(best.estimate.mean)}"
        )
    return f"{words}.{_front(finding, error)}"


def _front(finding: Finding, error: str) -> str:
    found = finding.front
    if found is None or not found.ahead.any() or len(found.settings) < 2:
        return ""
    measure = MEASURES[found.cost].words
    places = sorted((int(place) for place in np.flatnonzero(found.ahead)), key=lambda place: found.costs[place])
    ends = [
        f"{display_setting(found.settings[end])} ({cost(found.cost, found.costs[end])}, {percent(found.errors[end])})"
        for end in (places[0], places[-1])
    ]
    if len(places) == 1:
        return f" No other is better in {error} or in {measure}: {ends[0]} alone is on their front."
    return f" {len(places)} designs are on the front of {error} against {measure}, from {ends[0]} to {ends[1]}."


def source_sentence(found: ImportedFinding) -> str:
    """Where the results come from, and what they do not say: recipe, number of runs, designs that were left out."""
    source = found.source
    recipe = f"recipe {source.recipe}" if source.recipe else "recipe not said"
    parts = [f"From {source.file}: {source.used:,} of {counted(source.rows, 'row')}, {recipe}."]
    if source.epochs:
        ends = dict.fromkeys((source.epochs[0], source.epochs[-1]))
        parts.append(f"Trained {' to '.join(map(str, ends))} epochs.")
    if found.single:
        parts.append("Single runs: how far other seeds would move them is not known, and no interval is made up.")
    if source.unread:
        named = ", ".join(one.name for one in source.unread[:MOST_NAMED])
        more = f" and {len(source.unread) - MOST_NAMED} more" if len(source.unread) > MOST_NAMED else ""
        parts.append(
            f"Left out, since they do not exist here: {counted(len(source.unread), 'design')} ({named}{more})."
        )
    if source.compared:
        parts.append(f"{_params_words(found)}.")
    return " ".join(parts)


def _params_words(found: ImportedFinding) -> str:
    source = found.source
    if source.compared == 1 and not source.different:
        return "The one number of parameters in the file is the exact one"
    if not source.different:
        return f"All {source.compared} numbers of parameters in the file are the exact ones"
    first, are = source.different[0], "is not the exact one" if len(source.different) == 1 else "are not the exact ones"
    return (
        f"Of {source.compared} numbers of parameters in the file {len(source.different)} {are}, such "
        f"as {first.given} for {first.setting}, which has {first.ours:,}"
    )
