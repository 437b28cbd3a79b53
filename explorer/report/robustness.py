"""The robustness checks of a contrast on its page: forest plot, table, and the gap against the length of training."""

from dataclasses import dataclass

from explorer.analysis.check_sentences import arm_note
from explorer.analysis.checks import filter_means
from explorer.analysis.finding import Finding
from explorer.analysis.intervals import DIFFERENCES, Estimate, estimate
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.robustness import JudgedArm, Robustness
from explorer.design.name import display_setting
from explorer.host.formatting import less, less_interval, p_value
from explorer.report.error_words import claimed
from explorer.report.forest import Forest, ForestRow
from explorer.report.panel import GREY, PALETTE, Axis, Mark, Panel, axis_of, bands
from explorer.study.checks import RIVALS, Side

LEAST_LENGTHS = 2  # fewest lengths of training, the declared one included, that are drawn


@dataclass(frozen=True)
class CheckRow:
    """One row of the table, as text: an arm of a check, or the declared contrast; in points less than the rival."""

    check: str
    words: str
    gap: str
    interval: str
    n: int
    change: str = ""
    p: str = ""
    word: str = ""
    note: str = ""


def declared_gap(finding: Finding) -> Estimate:
    """The declared gap with a 95 % interval, as its checks have, if enough pairs claim one."""
    assert finding.comparison is not None
    return claimed(estimate([*finding.comparison.differences.values()], within=DIFFERENCES))


def gap_interval(gap: Estimate) -> str:
    """Its interval in points less; a dash where too few pairs claim one."""
    found = claimed(gap)
    return less_interval(found.low, found.high) if found.has_interval else "-"


def _words(gap: Estimate) -> str:
    """A gap in points less, with its interval in brackets if it has one."""
    ends = gap_interval(gap)
    return less(gap.mean) if ends == "-" else f"{less(gap.mean)} ({ends})"


def check_rows(finding: Finding, found: Robustness) -> list[CheckRow]:
    """The declared contrast and every arm that was made."""
    gap = declared_gap(finding)
    rows = [CheckRow("-", "as declared", less(gap.mean), gap_interval(gap), gap.n)]
    return rows + [
        CheckRow(
            RIVALS[check.name],
            found.named(arm.arm.name).words,
            less(arm.gap.mean),
            gap_interval(arm.gap),
            arm.gap.n,
            _words(arm.change),
            p_value(arm.p) if arm.p == arm.p else "-",
            word_of(arm),
            arm_note(found, arm),
        )
        for check in found.checks
        for arm in check.arms
    ]


def word_of(arm: JudgedArm) -> str:
    """The rule's word, in brackets for an arm by which its check is not judged."""
    return arm.word if arm.arm.main else f"({arm.word})"


def check_forest(finding: Finding, found: Robustness) -> Forest:
    """The declared gap on top, and below it the gap of every arm that was made, with the rule's word."""
    comparison, gap = finding.comparison, declared_gap(finding)
    assert comparison is not None
    first, second = display_setting(comparison.setting), display_setting(comparison.against)
    arms = [arm for check in found.checks for arm in check.arms]
    rows = [_row("as declared", gap, "", strong=True)]
    rows += [_row(found.named(arm.arm.name).words, arm.gap, word_of(arm)) for arm in arms]
    margin = None if comparison.margin is None else 100 * comparison.margin
    title = f"Points of error that {first} has less than {second}, as declared and in each robustness check"
    return Forest(
        title,
        rows,
        f"Points less than {second}",
        margin=margin,
        heads=("Trained", "Points less, interval, pairs, rule"),
    )


def _row(label: str, gap: Estimate, word: str, *, strong: bool = False) -> ForestRow:
    gap = claimed(gap)
    shown = ", ".join(filter(None, (_words(gap), str(gap.n), word)))
    return ForestRow(label, -100 * gap.mean, -100 * gap.high, -100 * gap.low, shown, strong=strong)


@dataclass(frozen=True)
class FilterRow:
    """One row of the table of filters, as text: what was trained, its filters' squared norms, degrees per epoch."""

    words: str
    setting: str
    start: str
    end: str
    degrees: str


def filter_rows(study: OpenedStudy) -> list[FilterRow]:
    """The filters of both settings as declared and in every arm that was made; empty if none are recorded."""
    found, checks, pair = study.finding.robustness, study.checks, study.plan.contrast
    if found is None or checks is None or pair is None:
        return []
    arms = [found.named(arm.arm.name) for check in found.checks for arm in check.arms]
    trained = [("as declared", (Side("", pair[0].name), Side("", pair[1].name)))]
    trained += [(arm.words, arm.sides) for arm in arms if arm.studies and arm.sides is not None]
    rows = []
    for words, sides in trained:
        for side in sides:
            record = checks.studies[side.study].record if side.study else study.record
            means = filter_means(record, side.setting, study.plan.every_seed) if record is not None else None
            if means is not None:
                numbers = (f"{means.start:.3g}", f"{means.end:.3g}", f"{means.degrees:.3g}")
                rows.append(FilterRow(words, display_setting(side.setting), *numbers))
    return rows


def length_panel(study: OpenedStudy) -> Panel | None:
    """The gap against the number of training steps, with the 95 % intervals as a band; None without other lengths."""
    finding, found = study.finding, study.finding.robustness
    if found is None:
        return None
    images = int(study.environment["images"][0])
    by_steps = {study.config.recipe.steps_on(images): declared_gap(finding)}
    for arm in (arm for check in found.checks if check.name == "length" for arm in check.arms):
        if arm.gap.n:
            by_steps |= {one.recipe.steps_on(images): claimed(arm.gap) for one in found.named(arm.arm.name).studies}
    if len(by_steps) < LEAST_LENGTHS:
        return None
    x = [float(steps) for steps in sorted(by_steps)]
    gaps = [by_steps[steps] for steps in sorted(by_steps)]
    assert finding.comparison is not None
    against = display_setting(finding.comparison.against)
    y = [-100 * gap.mean for gap in gaps]  # as in every table, above zero is better
    words = [f"{at:,.0f} steps\n{_words(gap)}, n = {gap.n}" for at, gap in zip(x, gaps, strict=True)]
    marks = [Mark("line", [x[0], x[-1]], [0.0, 0.0], GREY, dashed=True, width=1.5)]
    low, high = [-100 * gap.high for gap in gaps], [-100 * gap.low for gap in gaps]
    marks += bands(x, low, high, PALETTE[0], legend="95 % interval")
    marks.append(Mark("line", x, y, PALETTE[0]))
    marks.append(Mark("dots", x, y, PALETTE[0], legend="mean difference over seeds", words=words))
    return Panel(
        "The difference against the length of training", axis_of("Steps", x), Axis(f"Points less than {against}"), marks
    )
