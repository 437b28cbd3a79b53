"""The verdict as one picture, in plain numbers: two blocks to scale, and how much less error there is than the rival's.

Every difference is counted in one direction, in points of error less than the rival: right of zero is better. With
fewer than five pairs the pairs are shown, and no interval is claimed, as no verdict is.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from explorer.analysis.caveats import failed_words, learned_words, spaces_failed, spaces_learned
from explorer.analysis.claims import Claim
from explorer.analysis.claims_beside import claims_beside
from explorer.analysis.final_round import Beside, FinalRound, verdict_word
from explorer.analysis.finding import Finding
from explorer.analysis.intervals import Estimate
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.paired import Comparison
from explorer.analysis.population import Rivals
from explorer.analysis.published_runs import NEARLY_EQUAL, PublishedPair, published
from explorer.analysis.robustness import JudgedArm, Robustness
from explorer.analysis.sentences import mood
from explorer.analysis.summary import MIN_PAIRS, SettingSummary, by_validation, lowest
from explorer.design.name import display_setting, paths_name
from explorer.host.formatting import ERROR_NAMES, less, less_interval, p_value, share
from explorer.report.error_words import claimed
from explorer.report.panel import Axis, ends
from explorer.report.robustness import word_of
from explorer.report.scaled_blocks import ScaledDesign, scaled_design, scaled_summary

Kind = Literal["declared", "other", "epochs", "check", "alike", "published", "data"]
MOST_OTHERS = 8  # most settings beside the declared one that have a row of their own: else the best and worst few
FEW_OTHERS = 3  # of either
LONGEST_END, LONGEST_NAME = 18, 60  # characters of a name that people choose, at the end of an axis and elsewhere
FEW = "Square: their mean; fewer than five pairs have no interval."
HEADS = {
    "epochs": "The same contrast at equal epochs",
    "check": "Trained again, one rival explanation taken away",
    "alike": "Among designs that are alike in something else",
    "data": "The same contrast on other data sets",
    "published": "Published: other recipes, one run each",
}


@dataclass(frozen=True)
class Effect:
    """One row: how many points less error there is, with its interval; NaN where there is none.

    label    what has less error, or how it was trained
    kind     declared: what the study was made to judge; other: a further setting; epochs: the declared contrast at
             equal epochs, where it is judged at equal training compute or time; check: of a robustness check;
             alike: of the declared spaces, among designs alike in something; published: by others; data: another
             recorded study of this contrast
    n        how many pairs, or designs, it is the mean of
    marks    single pairs, or single published differences; `chance` are those in which a failed run counts as chance
    word     what the rule of a robustness check says
    p, verdict, caveat  as text; "" where nothing is judged
    setting  the setting of the study whose row it is, by which figures are linked; "" for none
    """

    label: str
    mean: float
    low: float
    high: float
    kind: Kind
    n: int
    marks: Sequence[float] = ()
    chance: Sequence[float] = ()
    word: str = ""
    p: str = ""
    verdict: str = ""
    caveat: str = ""
    setting: str = ""

    @property
    def has_interval(self) -> bool:
        """Whether an interval is claimed."""
        return math.isfinite(self.low)

    @property
    def mean_words(self) -> str:
        """The mean as text, or the range of single published differences."""
        if self.kind == "published":
            first, last = less(-max(self.marks) / 100), less(-min(self.marks) / 100)
            return first if first == last else f"{last} to {first}"
        return less(-self.mean / 100) if math.isfinite(self.mean) else "-"

    @property
    def interval_words(self) -> str:
        """The interval as text; a dash where none is claimed."""
        return less_interval(-self.high / 100, -self.low / 100) if self.has_interval else "-"

    @property
    def words(self) -> str:
        """The mean and its interval: `2.27 (2.01 to 2.53)`."""
        return f"{self.mean_words} ({self.interval_words})" if self.has_interval else self.mean_words


@dataclass(frozen=True)
class VerdictPicture:
    """The picture of a verdict.

    blocks   the compared designs, the first one of the contrast before its rival
    effects  the rows, the declared contrast first; empty where nothing is compared
    title    of the axis, with the unit and the rival
    better   what it means to lie left and right of zero, in words
    margin   the largest difference that does not matter, in points; None: none was declared
    mood     that of the verdict: yes, no or open
    complete  whether all runs are in: else it is "so far"
    notes    what a reader needs to know of the blocks and of the rows, for its caption
    """

    blocks: tuple[ScaledDesign, ...]
    effects: tuple[Effect, ...] = ()
    title: str = ""
    better: tuple[str, str] = ("", "")
    margin: float | None = None
    mood: str = "open"
    complete: bool = True
    notes: tuple[str, str] = ("", "")

    @property
    def hidden(self) -> int:
        """How many further settings have no row in the picture, but one in the table of its numbers."""
        others = sum(one.kind == "other" for one in self.effects)
        return others - 2 * FEW_OTHERS if others > MOST_OTHERS else 0

    @property
    def shown(self) -> list[Effect | int]:
        """The rows from the top; a number stands for so many settings that are only in the table."""
        if not self.hidden:
            return [*self.effects]
        others = [one for one in self.effects if one.kind == "other"]
        drawn: list[Effect | int] = [*others[:FEW_OTHERS], self.hidden, *others[-FEW_OTHERS:]]
        first = [one for one in self.effects if one.kind == "declared"]
        return [*first, *drawn, *(one for one in self.effects if one.kind not in ("declared", "other"))]

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the axis, which holds zero and the margin."""
        rows = [one for one in self.shown if isinstance(one, Effect)]
        values = [value for one in rows for value in (one.mean, one.low, one.high, *one.marks) if math.isfinite(value)]
        return ends(Axis(self.title), [*values, 0.0, *([-self.margin, self.margin] if self.margin is not None else [])])

    @property
    def name(self) -> str:
        """What it shows, in one line."""
        return self.title or "Blocks to scale"

    @property
    def blocks_words(self) -> str:
        """Its blocks as text, for screen readers."""
        return f"Blocks to scale. {'. '.join(one.words for one in self.blocks)}."

    @property
    def effects_words(self) -> str:
        """Its rows as text, for screen readers; the table of numbers has all of them."""
        rows = "; ".join(
            f"{one.label}: {one.words}" if isinstance(one, Effect) else f"{one} more in the table of numbers"
            for one in self.shown
        )
        return f"{self.title}: {rows}. Right of zero: {self.better[1]}."

    @property
    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Its rows as numbers: the columns, and a line for each mean and each single pair; points of error less."""
        columns = ["row", "kind", "what", "points_less", "low", "high", "n"]
        rows = list[list[Any]]()
        for one in self.effects:
            if math.isfinite(one.mean):
                rows.append([one.label, one.kind, "mean", one.mean, one.low, one.high, one.n])
            rows += [[one.label, one.kind, "single", value, math.nan, math.nan, 1] for value in one.marks]
        return columns, rows

    @property
    def caption(self) -> str:
        """How to read it."""
        return " ".join(filter(None, self.notes))


def verdict_picture(study: OpenedStudy) -> VerdictPicture | None:
    """The picture of a study's verdict; None where there is no design to draw yet."""
    finding, round_ = study.finding, study.finding.final_round
    blocks = _blocks(study)
    if not blocks:
        return None
    picture = VerdictPicture(blocks, mood=mood(finding), complete=finding.complete, notes=(_blocks_note(blocks), ""))
    if finding.lost is not None:
        return picture
    if round_ is not None and round_.comparisons:
        return _of_final(picture, round_)
    if finding.populations is not None and finding.has_rivals and finding.populations.rivals:
        return _of_spaces(picture, study, finding.populations.rivals)
    if finding.comparison is not None and finding.comparison.differences:
        return _of_contrast(picture, study, finding.comparison)
    return picture


# ---------------------------------------------------------------- what is drawn to scale


def _blocks(study: OpenedStudy) -> tuple[ScaledDesign, ...]:
    """The two designs that are compared; where nothing is, the ends of what was tried."""
    finding, task = study.finding, study.config.data.task
    known = {one.setting: one for one in finding.summaries}
    if study.plan.contrast is not None and finding.imported is None:
        pair = study.plan.contrast
        return tuple(
            scaled_summary(known[one.name], task)
            if one.name in known
            else scaled_design(one.name, (one.cost.params, one.cost.macs), task)
            for one in pair
        )
    if finding.comparison is not None:
        names = (finding.comparison.setting, finding.comparison.against)
        return tuple(scaled_summary(known[name], task) for name in names)
    return tuple(scaled_summary(one, task, role) for one, role in _ends(study))


def _ends(study: OpenedStudy) -> list[tuple[SettingSummary, str]]:
    """Two designs that stand for what was compared, each with what it is there."""
    finding = study.finding
    measured = [one for one in finding.summaries if one.came_through]
    if finding.populations is not None and finding.populations.rivals:
        rivals = finding.populations.rivals[0]
        spaces = {one.name: one.spaces for one in study.settings}
        own = [(space, [one for one in measured if space in spaces[one.setting]]) for space in _pair(rivals)]
        return [
            (best, f"best by validation of {_cut(finding.populations.label(space), LONGEST_NAME)}")
            for space, its in own
            if (best := lowest(its)) is not None
        ]
    if finding.final_round is not None and finding.final_round.summaries:
        roles = ("the answer" if finding.final_round.complete else "the best by validation", "the next by validation")
        return [*zip(finding.final_round.summaries, roles, strict=False)]
    if finding.front is not None:
        ahead = [place for place in finding.front.costs.argsort(kind="stable") if finding.front.ahead[place]]
        by_name = {one.setting: one for one in measured}
        names = [finding.front.settings[place] for place in (ahead[-1], ahead[0])] if ahead else []
        roles = ("lowest error of the front", "cheapest of the front")
        found = [(by_name[name], role) for name, role in zip(names, roles, strict=False) if name in by_name]
        return found[: len(set(names))]
    ranked = by_validation(measured)
    error = "validation error" if finding.measure == "val_error" else "error on validation images"
    if finding.imported is not None and not (ranked and ranked[0].is_chosen):
        error = ERROR_NAMES[finding.measure]
    found = [
        (one, f"{word} {error}") for one, word in zip(ranked[:1] + ranked[1:][-1:], ("lowest", "highest"), strict=False)
    ]
    return found if len(found) > 1 else [(one, "") for one, _ in found]


def _pair(rivals: Rivals) -> tuple[str, str]:
    return rivals.space, rivals.against


def _blocks_note(blocks: Sequence[ScaledDesign]) -> str:
    stages = max(len(design.stages) for design in blocks)
    each = f"one block of each of {stages} stages" if stages > 1 else "the convolutions"
    where = ", in both designs and all stages" if len(blocks) > 1 else ""
    words = (
        f"Blocks: {each}, to scale, the input on top. A box is a convolution, as wide as the channels it gives and as "
        f"tall as the weights of one channel: the same area is the same number of parameters{where}."
    )
    if any(conv.paths > 1 for design in blocks for block in design.stages for conv in block.convs):
        words += " A strip is one path, or several where one would be too thin to see."
    left_out = ["batch norms, projections in shortcuts, stem and classifier", *(one.note for one in blocks if one.note)]
    return f"{words} Not drawn: {'; '.join(dict.fromkeys(left_out))}."


# ---------------------------------------------------------------- what is compared


def _title(words: str, finding: Finding) -> str:
    return f"{words[0].upper()}{words[1:]}" if finding.complete else f"So far: {words}"


def _effect(label: str, found: Estimate, kind: Kind, marks: Iterable[float] = (), **more: object) -> Effect:
    """A row of a difference, below zero for less error. With few pairs no interval is claimed."""
    mean, high, low = (-100 * value + 0.0 for value in (found.mean, claimed(found).low, claimed(found).high))
    turned = tuple(-100 * value + 0.0 for value in marks)
    return Effect(label, mean, low, high, kind, found.n, turned, **more)  # type: ignore[arg-type]


def _margin_note(picture: VerdictPicture) -> str:
    return "" if picture.margin is None else f"Shaded: the margin of {picture.margin:.2f} points."


def _of_contrast(picture: VerdictPicture, study: OpenedStudy, declared: Comparison) -> VerdictPicture:
    finding = study.finding
    known = {one.setting: one for one in finding.summaries}
    error, rival = ERROR_NAMES[finding.measure], display_setting(declared.against)
    others = sorted(finding.others, key=lambda one: (not one.difference.n, one.difference.mean))
    rows = [
        _of_pair(one, known, finding, "other" if place else "declared") for place, one in enumerate((declared, *others))
    ]
    if finding.equal_epochs is not None:
        second = _of_pair(finding.equal_epochs, known, finding, "epochs")
        rows.append(replace(second, label=f"{second.label}, at equal epochs"))
    if (checks := finding.robustness) is not None and checks.is_begun:
        rows += [_of_arm(checks, arm) for check in checks.checks for arm in check.arms]
    beside = claims_beside(study)
    rows += [_effect(one.data, one.gap, "data") for one in beside]
    rows += _published_rows(known[declared.setting], known[declared.against])
    short = _short_names(known[declared.setting], known[declared.against])
    right = f"{short[0]} better" if len(rows) == 1 else f"better than {short[1]}"
    picture = replace(
        picture,
        effects=tuple(rows),
        title=_title(f"points of {error} less than {rival}", finding),
        better=(f"{short[1]} better", right),
        margin=None if declared.margin is None else 100 * declared.margin,
    )
    note = " ".join([_effects_note(picture, declared, finding), *([_data_note(beside)] if beside else [])])
    return replace(picture, notes=(picture.notes[0], note))


def _data_note(beside: Sequence[Claim]) -> str:
    names = ", ".join(f"{one.study} (n = {one.gap.n})" for one in beside)
    drawn = [one for one in beside if claimed(one.gap).has_interval]
    images = " and test images" if any(one.images for one in drawn) else ""
    intervals = f"95 % intervals over seeds{images}"
    return (
        f"Other data sets: recorded studies that lay beside this one when it was drawn, {names}, "
        f"{_drawn_words(len(drawn), len(beside), intervals)}."
    )


def _drawn_words(drawn: int, of: int, intervals: str) -> str:
    """What is drawn of some rows: their intervals, those that they have, or means alone."""
    if not drawn:
        return "by their means alone, since fewer than five pairs have no interval"
    return f"with {intervals}{'' if drawn == of else ', where there are five pairs or more'}"


def _of_pair(found: Comparison, known: Mapping[str, SettingSummary], finding: Finding, kind: Kind) -> Effect:
    first, second = known[found.setting], known[found.against]
    names = first.display, second.display
    few = found.difference.n < MIN_PAIRS
    row = _effect(
        first.display,
        found.difference,
        kind,
        [value for seed, value in found.differences.items() if seed not in found.as_chance],
        chance=tuple(-100 * value for seed, value in found.differences.items() if seed in found.as_chance),
        p="" if few else p_value(found.p),
        verdict="none yet" if not finding.complete else "too few pairs" if few else found.verdict,
        caveat=f"{learned_words(found, names)} {failed_words(found, names)}".strip(),
        setting=found.setting,
    )
    return replace(row, marks=(*row.marks, *row.chance))


def _of_arm(found: Robustness, arm: JudgedArm) -> Effect:
    own = found.named(arm.arm.name)
    return _effect(
        own.words,
        arm.gap,
        "check",
        arm.arm.gaps.values(),
        word=word_of(arm),
        p=p_value(arm.p) if arm.p == arm.p else "",
        caveat=found.caveats.get(arm.arm.name, ""),
    )


def _published_rows(first: SettingSummary, second: SettingSummary) -> list[Effect]:
    """Published differences of as many paths at nearly equal parameters, where the study's contrast is of that kind."""
    sides = first.design[0], second.design[0]
    plain = ("bottleneck", True, "plain", "conv", "none", 1)
    alike = first.shape == second.shape and all(
        (one.block, one.shortcut, one.stem, one.projection, one.attention, one.scale) == plain for one in sides
    )
    if not alike or second.cardinality != 1 or abs(first.params / second.params - 1) >= NEARLY_EQUAL:
        return []
    if any(isinstance(one.cardinality, tuple) for one in sides):
        return []
    groups: dict[str, list[PublishedPair]] = {}
    for pair in published(first.cardinality, second.cardinality):
        source = "the ResNeXt paper, Table 3" if pair.source == "the ResNeXt paper" else pair.source.partition(",")[0]
        groups.setdefault(f"{pair.label}: {source}", []).append(pair)
    ordered = sorted(groups.items(), key=lambda one: "Table 3" not in one[0])
    return [
        Effect(label, math.nan, math.nan, math.nan, "published", len(pairs), tuple(-100 * one.gap for one in pairs))
        for label, pairs in ordered
    ]


def _short_names(first: SettingSummary, second: SettingSummary) -> tuple[str, str]:
    """Names for the ends of the axis: `32x4d` and `1x64d` where the rest of the shape is the same."""
    if first.shape == second.shape and first.setting != second.setting:
        found = tuple(paths_name(one.design[0]) for one in (first, second))
        if found[0] != found[1]:
            return found[0], found[1]
    return _cut(first.setting), _cut(second.setting)


def _cut(name: str, longest: int = LONGEST_END) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _of_spaces(picture: VerdictPicture, study: OpenedStudy, rivals: Sequence[Rivals]) -> VerdictPicture:
    """Every pair of spaces that the declared second one is in: the difference of their means over designs."""
    finding, declared, margin = study.finding, rivals[0], study.config.study.margin
    rows = []
    for place, one in enumerate(rivals):
        if declared.against not in _pair(one) or one.lost:
            continue
        turned = one.space == declared.against
        sign, name = (-1, one.names[1]) if turned else (1, one.names[0])
        few = one.difference.n < MIN_PAIRS
        verdict = {"beats": "lower", "loses to": "higher"}.get(one.verdict, one.verdict)
        if turned:
            verdict = {"lower": "higher", "higher": "lower"}.get(verdict, verdict)
        rows.append(
            _effect(
                _cut(name, LONGEST_NAME),
                _times(one.difference, sign),
                "other" if place else "declared",
                p=p_value(one.p),
                verdict="none yet" if not finding.complete else "too few designs" if few else verdict,
                caveat=f"{spaces_learned(one)} {spaces_failed(one, finding.failures)}".strip(),
            )
        )
    rows += [_effect(f"of equal {one.held}", one.difference, "alike") for one in declared.adjusted]
    if not rows:
        return picture
    error, against = ERROR_NAMES[finding.measure], _cut(declared.names[1], LONGEST_NAME)
    right = f"{_cut(declared.names[0])} better" if len(rows) == 1 else f"better than {_cut(declared.names[1])}"
    picture = replace(
        picture,
        effects=tuple(rows),
        title=_title(f"points of mean {error} less than {against}", finding),
        better=(f"{_cut(declared.names[1])} better", right),
        margin=None if margin is None else 100 * margin,
    )
    line = "; line: Welch's 95 % interval" if any(one.has_interval for one in rows) else ""
    words = [
        f"Differences: right of zero, designs of a space have a lower mean {error} than those of {against}.",
        f"Square: difference of the means over designs{line}.",
        _margin_note(picture),
        "Below the rule: the same among designs that are alike in something else." if declared.adjusted else "",
    ]
    return replace(picture, notes=(picture.notes[0], " ".join(filter(None, words))))


def _times(found: Estimate, sign: int) -> Estimate:
    return found if sign > 0 else Estimate(found.n, -found.mean, -found.high, -found.low)


def _of_final(picture: VerdictPicture, found: FinalRound) -> VerdictPicture:
    """The answer of a search beside each other design of its final round."""
    answer = found.summaries[0]
    by_name = {one.setting: one for one in found.summaries}
    rows = [_beside(one, answer, by_name[one.against]) for one in found.comparisons]
    if not any(one.n for one in rows):
        return picture
    margin = found.comparisons[0].margin
    picture = replace(
        picture,
        effects=tuple(rows),
        title=f"Points of test error that {answer.display}, the answer, has less",
        better=("the other better", "the answer better"),
        margin=None if margin is None else 100 * margin,
    )
    family, has_any = max(one.family for one in found.comparisons), any(one.has_interval for one in rows)
    corrected = f", corrected for {family} comparisons" if family > 1 else ""
    words = [
        "Differences: the answer beside each other design of the final round; right of zero it has the lower error.",
        _marks_note(rows, "pairs of seeds"),
        f"Square: their mean; line: 95 % interval over seeds and test images{corrected}." if has_any else FEW,
        _margin_note(picture),
    ]
    return replace(picture, notes=(picture.notes[0], " ".join(filter(None, words))))


def _beside(one: Beside, answer: SettingSummary, other: SettingSummary) -> Effect:
    both = sorted(answer.measured.keys() & other.measured.keys())
    return _effect(
        f"than {display_setting(one.against)}",
        one.difference,
        "declared",
        [answer.errors[seed] - other.errors[seed] for seed in both],
        p=p_value(one.p) if one.p == one.p else "",
        verdict=verdict_word(one),
        setting=one.against,
    )


# ---------------------------------------------------------------- captions


def _marks_note(rows: Sequence[Effect], what: str) -> str:
    numbers = sorted({one.n for one in rows if one.kind in ("declared", "other", "epochs", "check") and one.marks})
    if not numbers:
        return ""
    n = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    return f"Small circles: single {what} (n = {n})."


def _effects_note(picture: VerdictPicture, declared: Comparison, finding: Finding) -> str:
    rows = picture.effects
    kinds = {one.kind for one in rows if one.has_interval}
    level = share(1 - declared.alpha)
    first = "Differences" if picture.complete else "Differences so far"
    words = [
        f"{first}: right of zero the error is lower than that of {display_setting(declared.against)}.",
        _marks_note(rows, "pairs of seeds"),
        "Crosses: pairs in which a run failed and counts as chance." if any(one.chance for one in rows) else "",
        f"Square: their mean; line: {level} interval." if "declared" in kinds else FEW,
        "Grey: other settings, not declared, with intervals that hold for all of them together."
        if "other" in kinds
        else "",
        _margin_note(picture),
    ]
    if finding.trained:
        words.append(f"All were trained for equal {finding.trained}, those at equal epochs excepted.")
    if checks := [one.has_interval for one in rows if one.kind == "check"]:
        drawn = _drawn_words(sum(checks), len(checks), "their 95 % intervals")
        words.append(f"Below the first rule: robustness checks {drawn}, and the rule's word.")
    if any(one.kind == "published" for one in rows):
        words.append(
            "Hollow: published differences of as many paths at nearly equal parameters, single runs of other recipes, "
            "data and resolutions, which count for nothing here."
        )
    return " ".join(filter(None, words))
