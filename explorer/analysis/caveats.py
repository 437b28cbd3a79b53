"""Sentences on what makes a verdict worthless: runs without a result, and networks that learned nothing."""

from explorer.analysis.chance import Learned, learned
from explorer.analysis.failures import WORDS, Failures, how
from explorer.analysis.finding import Finding
from explorer.analysis.paired import Comparison
from explorer.analysis.population import Rivals
from explorer.design.name import display_setting
from explorer.host.formatting import percent

REMEDIES = {"diverged": "recipe.learning_rate", "out_of_memory": "recipe.micro_batch"}


def lost_sentence(finding: Finding, lost: Failures) -> str:
    """Say that none of the runs that decide the verdict came through, why, and which setting helps."""
    start, far = f"No {'best design' if finding.measure == 'val_error' else 'verdict'}", ""
    if not finding.complete:
        start, far = f"{start} yet, {finding.final} of {finding.wanted} runs are in", " so far"
    of = ""
    if lost.of < finding.failures.of:
        pair = finding.comparison
        of = (
            f" of {display_setting(pair.setting)} and {display_setting(pair.against)}" if pair else " that are compared"
        )
    elif lost.of < finding.final:
        of = " that were not stopped early"
    runs = f"the only run{of}{far}" if lost.of == 1 else f"all {lost.of} runs{of}{far}"
    several = len(lost.counts) > 1
    parts = [
        f"{f'{number} ' if several else ''}{WORDS[status]}{f' ({reason})' if (reason := lost.reasons[status]) else ''}"
        for status, number in lost.counts.items()
    ]
    what = f"failed, {' and '.join(parts)}" if several else parts[0]
    return f"{start}: {runs} {what}; lower {' and '.join(REMEDIES[status] for status in lost.counts)}."


def learned_words(found: Comparison, names: tuple[str, str]) -> str:
    """Say which of two networks may have learned no more than guessing; empty if both have learned more.

    A network without any completed run has no error to judge: `failed_words` reports that.
    """
    if found.lost == found.pairs:
        return ""
    if found.guesses:
        return f"Neither network has learned more than guessing (chance error is {percent(found.chance)})."
    sides = zip(names, found.learned, found.failed, strict=True)
    known: list[tuple[str, Learned]] = [(name, one) for name, one, failed in sides if failed + found.lost < found.pairs]
    return _each(known, found.chance)


def spaces_learned(rivals: Rivals) -> str:
    """Say of which of two spaces the designs may have learned no more than guessing; empty if both learned more."""
    if rivals.lost:
        return ""
    if rivals.guesses:
        return (
            f"The designs of neither space have learned more than guessing (chance error is {percent(rivals.chance)})."
        )
    names = (f"The mean design of {name}" for name in rivals.names)
    return _each(list(zip(names, rivals.learned, strict=True)), rivals.chance)


def _each(known: list[tuple[str, Learned]], chance: float) -> str:
    words = {
        "no": f"{{}} has not learned more than guessing (chance error is {percent(chance)}).",
        "in part": f"{{}}: the 95 % interval of the error holds that of chance ({percent(chance)}), so not every run "
        "may have learned more than guessing.",
    }
    return " ".join(words[one].replace("{}", name) for name, one in known if one in words)


def none_learned(finding: Finding) -> str:
    """Say that no setting at all has learned more than guessing; empty if one has."""
    if not finding.summaries:
        return ""
    if any(learned(one.measured.values(), one.chance, finding.images) != "no" for one in finding.summaries):
        return ""
    what = "design" if finding.measure == "val_error" else "network"
    return f"No {what} has learned more than guessing (chance error is {percent(finding.chance)})."


def failed_words(found: Comparison, names: tuple[str, str]) -> str:
    """Say how many runs of two networks failed, of how many, and what they count as; empty if all came through."""
    what = how(found.statuses)
    words = (
        [f"In {found.lost} of {found.pairs} pairs both runs {what}, and these decide nothing."] if found.lost else []
    )
    sides = zip(names, found.failed, strict=True)
    alone = [f"{number} of {found.pairs} runs of {name}" for name, number in sides if number]
    if alone:
        counts = "counts" if sum(found.failed) == 1 else "count"
        where = ", where the other did not," if found.lost else ""
        words.append(f"{' and '.join(alone)} {what}{where} and {counts} as chance ({percent(found.chance)}).")
    return " ".join(words)


def spaces_failed(rivals: Rivals, failures: Failures) -> str:
    """Say of how many designs of two spaces a run failed; empty if all runs came through."""
    sides = zip(rivals.names, rivals.failed, rivals.designs, strict=True)
    words = " and ".join(f"of {failed} of {of} designs of {name}" for name, failed, of in sides if failed)
    if not words:
        return ""
    what, chance = how(failures.counts), percent(rivals.chance)
    return f"{words[0].upper()}{words[1:]} a run {what}, which counts as chance ({chance})."


def runs_failed(finding: Finding) -> str:
    """Say how many of all runs failed, for a study without a contrast; empty if all came through."""
    found = finding.failures
    number = sum(found.counts.values())
    if not number:
        return ""
    counts = "counts" if number == 1 else "count"
    return f"{number} of {found.of} runs {how(found.counts)} and {counts} as chance ({percent(finding.chance)})."
