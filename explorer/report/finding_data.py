"""A study and its finding as plain data, in the glossary's words, for programs that read `--json`.

Errors and their differences are fractions; an interval has `n`, `mean`, `low` and `high`, whose ends are null where
none is claimed. What a study does not have, such as the contrast of a search, is null.
"""

from dataclasses import asdict
from typing import Any

from explorer.analysis.disagreement import Disagreement, OneSided
from explorer.analysis.final_round import Beside, FinalRound
from explorer.analysis.finding import Finding
from explorer.analysis.imported import ImportedFinding
from explorer.analysis.intervals import Estimate
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.leading import Leading
from explorer.analysis.lengths import lengths_of
from explorer.analysis.paired import Comparison
from explorer.analysis.pooled_studies import PooledStudies, pooled_sentence, published_sentence
from explorer.analysis.population import Populations
from explorer.analysis.regime import regime_of, regime_sentence
from explorer.analysis.robustness import JudgedArm, Robustness
from explorer.analysis.sentences import sentence
from explorer.analysis.summary import MIN_PAIRS, SettingSummary
from explorer.design.cost_measures import COUNTED
from explorer.record.folder import REPORTS, is_stale
from explorer.record.starts import stop_of
from explorer.report.disagreement import class_name

Data = dict[str, Any]


def study_data(study: OpenedStudy) -> Data:
    """A study, its verdict and the numbers of its finding; `page` is null where it is not drawn or behind the record.

    The verdict's `word` is beats, loses to, equivalent, inconclusive or preliminary; null where nothing is judged.
    """
    finding, page = study.finding, REPORTS / f"{study.folder.name}.html"
    return {
        "study": study.config.name,
        "folder": study.folder,
        "question": study.config.study.question,
        "verdict": {"word": verdict_word(finding), "sentence": sentence(finding)},
        "runs": {
            "done": finding.final,
            "wanted": finding.wanted,
            "failed": finding.failures.counts,
        },
        "measure": finding.measure,
        "settings": [_setting(one, finding.measure) for one in finding.summaries],
        "contrast": None if finding.comparison is None else _contrast(finding.comparison, finding),
        "lengths": lengths_of(study.plan, study.settings),
        "equal_epochs": None if finding.equal_epochs is None else _contrast(finding.equal_epochs, None),
        "others": [_contrast(one, None) for one in finding.others],
        "leading": None if finding.leading is None else _leading(finding.leading),
        "spaces": None if finding.populations is None else _spaces(finding.populations),
        "trend": None
        if (trend := finding.trend) is None
        else {"slope": _interval(trend.slope), "p": trend.p, "cardinalities": trend.cardinalities},
        "front": None
        if (front := finding.front) is None
        else [
            {"setting": setting, front.cost: cost, finding.measure: error, "sure": sure}
            for setting, cost, error, ahead, sure in zip(
                front.settings, front.costs, front.errors, front.ahead, front.sure, strict=True
            )
            if ahead
        ],
        "final_round": None if finding.final_round is None else _final(finding.final_round),
        "robustness": None if finding.robustness is None else _robustness(finding.robustness),
        "disagreement": None if study.disagreement is None else _disagreement(study, study.disagreement),
        "told_costs": finding.has_told_costs,
        "imported": None if finding.imported is None else _imported(finding.imported),
        "regime": regime_sentence(regime_of(study)),
        "note": finding.note or None,
        "stopped": None if finding.complete else stop_of(study.environment),
        "spent": None if study.spent is None else asdict(study.spent),
        "page": None if is_stale(page, study.folder) else page,
    }


def _imported(found: ImportedFinding) -> Data:
    """Where imported results come from, and the mean error of designs by group, at any and at equal cost."""
    weighted = found.weighted.distributions if found.weighted else {}
    groups = [
        {
            "group": name,
            "designs": one.n,
            "mean": one.mean,
            "mean_at_equal_cost": weighted[name].mean if name in weighted else None,
        }
        for name, one in found.distributions.items()
    ]
    return {**asdict(found.source), "single": found.single, "grouped_by": found.grouped_by or None, "groups": groups}


def _leading(found: Leading) -> Data:
    """The setting with the lowest validation error, beside the next one; p is corrected for all pairs of settings."""
    beside = None if found.beside is None else {**_contrast(found.beside, None), "p": found.p}
    return {
        "setting": found.best.setting,
        "by": "val_error" if found.is_by_validation else "test_error",
        "pairs": found.pairs,
        "beside": beside,
    }


def verdict_word(finding: Finding) -> str | None:
    """The verdict in one word; None where the study declares nothing that is judged, or nothing could be."""
    rivals = finding.populations.rivals[:1] if finding.populations and finding.has_rivals else []
    judged = rivals[0] if rivals else finding.comparison
    if judged is None or finding.lost is not None or judged.guesses:
        return None
    if not finding.complete:
        return "preliminary"
    return judged.verdict


def pool_data(pool: PooledStudies) -> Data:
    """Several studies of one contrast, and what they say together."""
    found = pool.found
    return {
        "setting": pool.setting,
        "against": pool.against,
        "sentence": pooled_sentence(pool),
        "difference": _interval(found.mean),
        "prediction": {"low": found.low, "high": found.high},
        "spread": found.spread,
        "same_sign": found.same_sign,
        "studies": [
            {
                "study": part.name,
                "data": part.label,
                "difference": _interval(part.gap),
                "weight": part.weight,
                "steps": part.steps,
                "explained_by": part.explained_by,
            }
            for part in pool.parts
        ],
        "published": published_sentence(pool) or None,
    }


def _interval(found: Estimate) -> Data:
    return {"n": found.n, "mean": found.mean, "low": found.low, "high": found.high}


def _setting(one: SettingSummary, measure: str) -> Data:
    """A setting with its exact cost; a run that failed counts as chance in its mean, and is named in `failed`."""
    return {
        "setting": one.setting,
        "display": one.display,
        "cardinality": one.cardinality,
        "bottleneck_width": one.bottleneck_width,
        **{axis: getattr(one, axis) for axis in COUNTED},
        **{f"{axis}_deviation": one.deviation(axis) for axis in COUNTED},
        **({} if one.latency is None else {"latency": one.latency}),
        measure: _interval(one.estimate),
        "errors": one.measured,
        "failed": one.failed,
        "validation": one.validation,
        "seconds": one.seconds,
    }


def _contrast(found: Comparison, finding: Finding | None) -> Data:
    """A contrast; of the declared one also the interval over seeds and test images together."""
    own = {} if finding is None else {"with_images": finding.with_images and _interval(finding.with_images)}
    return {
        **_pair(found),
        "differences": found.differences,
        "alpha": found.alpha,
        **own,
        "effect": found.effect,
        "correlation": _interval(found.correlation),
    }


def _pair(found: Comparison | Beside) -> Data:
    """What a contrast and a comparison of a final round have alike: two settings over pairs of seeds."""
    return {
        "setting": found.setting,
        "against": found.against,
        "verdict": found.verdict,
        "too_few": found.difference.n < MIN_PAIRS,
        "difference": _interval(found.difference),
        "n": found.difference.n,
        "p": found.p,
        "margin": found.margin,
        "narrow": _interval(found.narrow),
        "needed": found.needed,
        "failed": found.failed,
    }


def _spaces(found: Populations) -> Data:
    return {
        "spaces": [
            {
                "space": name,
                "label": found.label(name),
                "designs": one.n,
                "mean": one.mean,
                "best": one.best,
                "failed": one.failed,
                "feasible": found.feasible.get(name),
            }
            for name, one in found.distributions.items()
        ],
        "contrasts": [
            {
                "setting": one.space,
                "against": one.against,
                "verdict": one.verdict,
                "difference": _interval(one.difference),
                "p": one.p,
                "distance": one.distance,
                "designs": one.designs,
                "failed": one.failed,
            }
            for one in found.rivals
        ],
    }


def _final(found: FinalRound) -> Data:
    """The final round of a search; its `answer` is null until all its runs are in."""
    return {
        "runs": {"done": found.done, "wanted": found.wanted},
        "seeds": found.seeds,
        "images": found.images,
        "looks": found.looks,
        "answer": None if found.answer is None else found.answer.setting,
        "settings": [
            {**_setting(one, "test_error"), "validation": found.validation[one.setting]} for one in found.summaries
        ],
        "contrasts": [_pair(one) for one in found.comparisons],
        "fault": found.fault or None,
    }


def _robustness(found: Robustness) -> Data:
    """The robustness checks that are made, how far others are, and why some cannot be made."""
    return {
        "checks": [
            {"check": check.name, "verdict": check.word, "arms": [_arm(one) for one in check.arms]}
            for check in found.checks
        ],
        "begun": found.far,
        "not_made": found.undone,
        "faults": found.faults,
    }


def _arm(one: JudgedArm) -> Data:
    return {
        "arm": one.arm.name,
        "main": one.arm.main,
        "verdict": one.word,
        "difference": _interval(one.gap),
        "change": _interval(one.change),
        "p": one.p,
        "needed": one.needed,
    }


def _disagreement(study: OpenedStudy, found: Disagreement) -> Data:
    """What the two settings of the contrast disagree on; what the record cannot tell is null, or an empty list."""
    churn, cells = found.churn, found.cells
    return {
        "seeds": found.seeds,
        "images": found.images,
        "both_right": _interval(cells.both),
        "only_setting": _interval(cells.setting),
        "only_against": _interval(cells.against),
        "neither": _interval(cells.neither),
        "disagree": _interval(found.disagree),
        "churn": None
        if churn is None
        else {
            "setting": _interval(churn.setting),
            "against": _interval(churn.against),
            "across": _interval(churn.across),
            "excess": _interval(churn.excess),
        },
        "classes": [
            {
                "class": class_name(study, one.number),
                "images": one.images,
                "setting": _interval(one.setting),
                "against": _interval(one.against),
                "difference": _interval(one.difference),
                "p": one.p,
            }
            for one in found.classes
        ],
        "only_setting_images": None if found.setting is None else _one_sided(study, found, found.setting),
        "only_against_images": None if found.against is None else _one_sided(study, found, found.against),
    }


def _one_sided(study: OpenedStudy, found: Disagreement, one: OneSided) -> Data:
    """Test images that one setting alone gets right: how many, how many by chance, and which."""
    labels = study.labels.of(found.seeds[0])
    return {
        "least": found.least,
        "most": found.most,
        "count": len(one.images),
        "expected": one.expected,
        "p": one.p,
        "images": [
            {
                "image": image,
                "class": None if labels is None else class_name(study, int(labels[image])),
                "right_setting": right[0],
                "right_against": right[1],
            }
            for image, right in zip(one.images, one.right, strict=True)
        ],
    }
