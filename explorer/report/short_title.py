"""The verdict in a few words, as the title of a page: what a tab of a browser and a bookmark show."""

from explorer.analysis.finding import Finding
from explorer.analysis.summary import lowest
from explorer.design.name import display_setting
from explorer.host.formatting import percent


def short_title(finding: Finding, name: str) -> str:
    """The verdict in a few words and the study's name: `A beats B by 2.27 points | name`; the name alone for none."""
    words = _words(finding)
    return f"{words} | {name}" if words else name


def _words(finding: Finding) -> str:
    final = finding.final_round
    if finding.lost is not None:
        return ""
    if not finding.complete:
        return f"{finding.final:,} of {finding.wanted:,} runs so far"
    if final is not None:
        if not final.complete:
            return f"Final round, {final.done} of {final.wanted} runs so far"
        best = final.answer
        if best is None or not best.came_through or final.is_poor or final.learned == "no":
            return "No answer"
        return f"Best: {best.display}, {percent(best.estimate.mean)} test error"
    if finding.populations is not None and finding.populations.rivals and finding.has_rivals:
        pair = finding.populations.rivals[0]
        guesses = pair.guesses
        return _judged(*pair.names, "" if guesses else pair.verdict, pair.difference.mean)
    if (found := finding.comparison) is not None:
        names = (display_setting(found.setting), display_setting(found.against))
        explained = finding.robustness is not None and bool(finding.robustness.found("explains"))
        words = _judged(*names, "" if found.guesses else found.verdict, found.difference.mean)
        return f"{words}, which a check explains" if explained else words
    if (leads := finding.leading) is not None:
        chosen = "Lowest validation error: " if leads.settings > 1 and leads.is_by_validation else ""
        return f"{chosen}{leads.best.display}, {percent(leads.best.estimate.mean)} test error"
    if finding.measure == "val_error" and (best := lowest(finding.summaries)) is not None:
        return f"Lowest validation error: {best.display}, {percent(best.estimate.mean)}"
    return ""


def _judged(first: str, second: str, verdict: str, difference: float) -> str:
    if verdict in ("beats", "loses to"):
        return f"{first} {verdict} {second} by {abs(100 * difference):.2f} points"
    if verdict == "equivalent":
        return f"{first} and {second} are equivalent"
    return f"{'Inconclusive' if verdict else 'No verdict'}: {first} against {second}"
