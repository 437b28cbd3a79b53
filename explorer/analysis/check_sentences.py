"""What robustness checks say of a contrast, in sentences."""

from explorer.analysis.finding import DECIDED, Finding
from explorer.analysis.intervals import Estimate
from explorer.analysis.paired import MOST_PAIRS
from explorer.analysis.robustness import JudgedArm, JudgedCheck, Robustness, declared_side
from explorer.design.name import display_setting
from explorer.host.formatting import counted, ends_in_words, size_in_words
from explorer.study.checks import RIVALS

# What a verdict depends on where the check of this name explains the difference.
CONDITIONS = {
    "init": "under its initialisation",
    "rate": "at the recipe's learning rate",
    "length": "at this length of training",
    "cost": "at these costs",
    "width": "at these middle widths",
    "time": "at equally many epochs",
    "precision": "in the precision of its runs",
    "split": "on this split",
}


def under_words(finding: Finding) -> str:
    """The conditions under which a verdict holds, with a space before them; "" if it has none.

    That is the initialisation, unless the difference holds under others, and whatever explains the difference.
    """
    words = {check.name: check.word for check in finding.robustness.checks} if finding.robustness else {}
    known = {**CONDITIONS, "init": finding.under or CONDITIONS["init"]}
    explained = [condition for name, condition in known.items() if words.get(name) == "explains"]
    found = f" {_listed(explained)}, which {'explain' if len(explained) > 1 else 'explains'} it" if explained else ""
    if not finding.under or words.get("init") in ("holds", "explains"):
        return found
    return f"{found}{',' if found else ''} {finding.under}"


def robustness_sentence(finding: Finding) -> str:
    """What the checks say of the declared contrast, and which were not made; "" if there is nothing to check."""
    found, declared = finding.robustness, finding.comparison
    if found is None or declared is None or not (found.is_begun or declared.verdict in DECIDED):
        return ""
    parts = _judged(found) if declared_side(declared.differences, declared.alpha) else _unclear(found)
    if found.far:
        far = (f"{RIVALS[name]} ({counted(done, 'run')} so far)" for name, done in found.far.items())
        parts.append(f"not finished: {', '.join(far)}")
    if found.faults:
        parts.append(f"not usable: {', '.join(found.faults)}")
    if found.undone:
        parts.append(f"not checked: {', '.join(RIVALS[name] for name in found.undone)}")
    words = "; ".join(parts)
    return f"{words[0].upper()}{words[1:]}."


def _judged(found: Robustness) -> list[str]:
    """What the checks say of a clear difference."""
    parts = []
    if held := [words for check in found.found("holds") for words in _main_words(found, check)]:
        parts.append(f"the difference holds {_listed(held)}")
    if explained := found.found("explains"):
        start = "it is" if parts else "the difference is"
        parts.append(f"{start} explained by {_listed([_explained(found, check) for check in explained])}")
    return parts + [_open(found, check) for check in found.found("cannot tell")]


def _unclear(found: Robustness) -> list[str]:
    """What was measured where there is no clear difference that a check could explain."""
    arms = [arm for check in found.checks for arm in check.arms if arm.arm.main]
    gaps = [f"{found.named(arm.arm.name).words} {_gap(found, arm)}" for arm in arms]
    return ["there is no clear difference that a check could explain", *gaps]


def arm_note(found: Robustness, arm: JudgedArm) -> str:
    """What is to be known of an arm besides its numbers."""
    notes = [found.named(arm.arm.name).detail, found.caveats.get(arm.arm.name, ""), needed_words(arm)]
    return "; ".join(filter(None, notes))


def needed_words(arm: JudgedArm) -> str:
    """How many pairs of seeds would tell; "" if it is told, or not known."""
    if arm.needed is None or arm.needed <= arm.gap.n:
        return ""
    return f"{arm.needed:,} pairs would tell" if arm.needed <= MOST_PAIRS else "no number of pairs here would tell"


def interval_words(gap: Estimate, more: str = "") -> str:
    """How much lower an error is with its interval, and `more` about it: `0.30 points lower (0.10 to 0.50)`."""
    ends = ends_in_words(gap.mean, gap.low, gap.high) if gap.has_interval else ""
    inside = "; ".join(filter(None, (ends, more)))
    return f"{size_in_words(gap.mean)}{f' ({inside})' if inside else ''}"


def _main_words(found: Robustness, check: JudgedCheck) -> list[str]:
    return [found.named(one.arm.name).words for one in check.arms if one.arm.main]


def _explained(found: Robustness, check: JudgedCheck) -> str:
    """The rival explanation and what was measured without it: `the initialisation: at equal filter norm ...`."""
    arm = next(one for one in check.arms if one.arm.main and one.word == "explains")
    return f"{RIVALS[check.name]}: {found.named(arm.arm.name).words} {_gap(found, arm)}"


def _gap(found: Robustness, arm: JudgedArm) -> str:
    """Which side of an arm is better and by how much, or the gap where that is not known."""
    sides, gap = found.named(arm.arm.name).sides, arm.gap
    if not gap.n or sides is None:
        why = found.caveats.get(arm.arm.name, "")
        return f"nothing is known{f', since {why}' if why else ''}"
    if not gap.has_interval or gap.low <= 0 <= gap.high:
        return f"the error is {interval_words(gap)}"
    better = display_setting(sides[0 if gap.mean < 0 else 1].setting)
    low, high = sorted((abs(100 * gap.low), abs(100 * gap.high)))
    return f"{better} is better by {abs(100 * gap.mean):.2f} points ({low:.2f} to {high:.2f})"


def _open(found: Robustness, check: JudgedCheck) -> str:
    """Why it cannot be told whether a rival explanation explains the difference."""
    each = []
    for one in (one for one in check.arms if one.arm.main and one.word == "cannot tell"):
        gap = found.caveats.get(one.arm.name, "no pair of runs came through")
        if one.gap.n:
            gap = interval_words(one.gap, needed_words(one))
        each.append(f"{found.named(one.arm.name).words} {gap}")
    return f"whether {RIVALS[check.name]} explains it cannot be told: {_listed(each)}"


def _listed(parts: list[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
