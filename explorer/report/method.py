"""How a study was made, from its record: a reviewer's checklist, what was tried, and where it ran."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from explorer.analysis.cost_predictor import fitted_to
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.sentences import looks_sentence
from explorer.design.budget import least_within
from explorer.design.cost_measures import COUNTED
from explorer.design.name import display_setting
from explorer.host import formatting as wording
from explorer.record.starts import starts_of, unlike
from explorer.report.error_words import TOLD_COSTS
from explorer.study.checks import RIVALS
from explorer.study.run import BASELINE, Convolution
from explorer.study.settings import TRAINED, BudgetConfig, DataConfig, LimitConfig

ENOUGH_SEEDS = 5  # with fewer a paired verdict is always inconclusive
MOST_FAILURES = 100  # most failed runs that are listed one by one
MOST_HOSTS = 8  # most machines whose numbers of runs are listed
_OF_NO_USE = ("host", "commit", "engine")  # no hardware or software: names, and facts that are shown elsewhere
_ENGINES = {"local": "processes of one machine", "ray": "tasks of a Ray cluster", "slurm": "jobs of a Slurm cluster"}


Answer = Literal["yes", "in part", "no", "does not apply"]


@dataclass(frozen=True)
class ChecklistItem:
    """One question of the checklist, whether the record answers yes, and the answer in words."""

    asks: str
    answer: Answer
    words: str


def _final_runs(study: OpenedStudy) -> pd.DataFrame | None:
    """The runs of a search's final round; None before it has a record."""
    record = study.final.study.record if study.final is not None else None
    return None if record is None else record.runs


def _runs(study: OpenedStudy) -> pd.DataFrame:
    """All runs of a study, those of a search's final round after its own."""
    final = _final_runs(study)
    return study.record.runs if final is None else pd.concat([study.record.runs, final], ignore_index=True)


def _is_complete(study: OpenedStudy) -> bool:
    """Whether a search is finished, its final round included."""
    final = study.finding.final_round
    return final.complete if final is not None else study.finding.complete and not study.finding.final_runs


def _code(study: OpenedStudy) -> tuple[Answer, str]:
    under = list(_starts_used(study).values())
    commits = list(dict.fromkeys(start.get("commit") for start in under))
    clean = [commit for commit in commits if commit and not str(commit).endswith("+")]
    if len(commits) > 1:
        same = under[0].get("sources") is not None and len({start.get("sources") for start in under}) == 1
        words = f"Commits {', '.join(str(commit or 'unknown') for commit in commits)}; the sources that "
        words += f"decide a number {'are the same in all' if same else 'may differ: not all starts recorded them'}."
        return "yes" if clean and same else "in part", words
    if clean:
        return "yes", f"Commit {clean[0]}."
    if commits[0]:
        return "in part", f"Commit {str(commits[0])[:-1]}, with changes that were not committed."
    return "in part", "It was not run from a checkout: only the versions below are known."


def _alike(study: OpenedStudy) -> tuple[Answer, str]:
    runs = study.record.runs
    lengths = sorted({int(number) for number in runs.loc[runs["status"] == "ok", "epochs"]})
    split = "a split for each seed and in it one" if study.finding.own_splits else "one split, one"
    words = (
        f"One recipe, {split} order of the images{'' if study.finding.own_splits else ' for each seed'}; the error "
        "after the last epoch counts, never the best one."
    )
    if steps := study.config.recipe.steps:
        words += f" Each run takes {steps:,} steps; with these its last epoch ends, be it whole or not."
    if study.finding.final_runs:
        words += " The final round trains on training and validation images together."
    if study.finding.trained:
        words += f" Each setting has steps of its own, so that all have equal {study.finding.trained}."
    elif len(lengths) > 1:
        return "in part", f"{words} But epochs differ: {', '.join(map(str, lengths))}."
    return "yes", words


def _costs(study: OpenedStudy) -> tuple[Answer, str]:
    held = budget_words(study.config.budget)
    if len(study.finding.summaries) < 2:
        return "does not apply", "Nothing is compared here."
    if not held:
        return "no", "No budget was set; the figures show error against cost."
    if not study.config.budget.held:
        return "in part", f"{held[0].upper()}{held[1:]}; their other costs differ."
    most = {
        axis: max(known)
        for axis in COUNTED
        if (known := [abs(value) for one in study.finding.summaries if (value := one.deviation(axis)) == value])
    }
    found = ", ".join(
        f"{COUNTED[axis].words} by at most {wording.percent(deviation)}" for axis, deviation in most.items()
    )
    widest = max(limit.tolerance for limit in study.config.budget.held.values())
    answer: Answer = "yes" if all(deviation <= widest for deviation in most.values()) else "in part"
    told = f" {TOLD_COSTS}" if study.finding.has_told_costs else ""
    return answer, f"{held[0].upper()}{held[1:]}." + (f" They deviate: {found}." if found else "") + told


def _hardware(study: OpenedStudy) -> tuple[Answer, str]:
    devices = sorted({str(name) for name in _runs(study)["device"]})
    words = f"{', '.join(devices) or 'No run yet'}; one plan of execution for all, with the versions below."
    first, *others = _starts_used(study).values()
    different = dict.fromkeys(key for start in others for key, _, _ in unlike(first, start) if key not in _OF_NO_USE)
    if different:
        words += f" But starts differ in: {', '.join(different)}."
    return "yes" if len(devices) < 2 and not different else "in part", words


def _starts_used(study: OpenedStudy) -> dict[int, dict[str, Any]]:
    """The starts of the study during which recorded runs ended, by number; the first start if there is no run."""
    runs, starts = study.record.runs, starts_of(study.environment)
    numbers = sorted({int(number) for number in runs["start"]}) if "start" in runs else []
    return {number: starts[number] if number < len(starts) else {} for number in numbers or [0]}


def starts(study: OpenedStudy) -> list[tuple[int, str]]:
    """Each later start during which recorded runs ended: its number, and how it differed from the first start."""
    first, found = starts_of(study.environment)[0], []
    for number, start in _starts_used(study).items():
        if number:
            count = int((study.record.runs["start"] == number).sum())
            words = [f"{start.get('when', 'unknown')}: {wording.counted(count, 'run')}"]
            words += [f"{key} {now}" for key, _, now in unlike(first, start) if key != "host"]
            found.append((number, "; ".join(words)))
    return found


def places(study: OpenedStudy) -> str:
    """Which engine executed the runs, and how many ran on each machine, without names; "" if unknown."""
    runs = study.record.runs
    engines = dict.fromkeys(start.get("engine") for start in _starts_used(study).values())
    words = [_ENGINES[engine] for engine in engines if engine in _ENGINES]
    hosts = [int(number) for host, number in runs["host"].value_counts().items() if host] if "host" in runs else []
    if len(hosts) > 1:
        shown = ", ".join(f"{number:,}" for number in hosts[:MOST_HOSTS])
        shown += f" and {sum(hosts[MOST_HOSTS:]):,} on the others" if len(hosts) > MOST_HOSTS else ""
        words.append(f"{len(hosts):,} machines, with {shown} runs (column host of runs.csv)")
    return "; ".join(words)


def _seeds(study: OpenedStudy) -> tuple[Answer, str]:
    if runs := study.finding.final_runs:
        fresh = study.finding.final_round.seeds if study.finding.final_round else study.config.search.final_seeds
        first = "one seed" if study.plan.seeds == 1 else wording.counted(study.plan.seeds, "seed")
        done = "" if _is_complete(study) else f", of whose {runs} runs some are to come"
        words = (
            f"{first[0].upper()}{first[1:]} each in the search; {wording.counted(fresh, 'fresh seed')} each in the "
            f"final round, which judges the answer, paired between designs, with 95 % intervals{done}."
        )
        return "yes" if fresh >= ENOUGH_SEEDS and not done else "in part", words
    n, times = study.plan.seeds, "one seed" if study.plan.seeds == 1 else wording.counted(study.plan.seeds, "seed")
    if study.finding.populations is not None:
        designs = study.config.search.designs
        words = f"{designs} designs stand for each space, with intervals over designs; {times} each."
        return "yes" if n > 1 else "in part", words
    if n >= ENOUGH_SEEDS:
        paired = ", paired between settings" if len(study.finding.summaries) > 1 else ""
        return "yes", f"{n} seeds{paired}, with 95 % intervals."
    words = f"{times} each: too few to decide a contrast, which takes {ENOUGH_SEEDS} pairs."
    return "in part" if n > 1 else "no", words


def _test(study: OpenedStudy) -> tuple[Answer, str]:
    if study.config.search.is_adaptive:
        if not study.finding.final_runs:
            return "yes", "The search was led by validation images; the test images were not looked at."
        judges = "judged" if _is_complete(study) else "judges"
        if (found := study.finding.final_round) is not None and found.looks > 1:
            return (
                "in part",
                f"The search was led by validation images, which chose the answer. {looks_sentence(found)}",
            )
        return "yes", (
            "The search was led by validation images, which chose the answer too; the test was looked at once per run "
            f"of the final round, which {judges} it and chose nothing."
        )
    return "yes", "Designs were fixed before the first run; the test was looked at once per run, at its end."


def _beforehand(study: OpenedStudy) -> tuple[Answer, str]:
    margin = study.config.study.margin
    within = f" with a margin of {100 * margin:.2f} points" if margin else ""
    if study.finding.final_runs:
        return "yes", (
            f"The answer, which validation chose, against each other design of the final round{within}, corrected "
            "together (Bonferroni): declared before the first run, and settled before the first test."
        )
    if study.config.study.contrast is None:
        return "does not apply", "No contrast is declared, and nothing is judged."
    if study.finding.only_some:
        return "does not apply", "Only some designs are trained, so the declared contrast is not judged."
    family = "Holm" if study.finding.populations else "by the largest of their t statistics"
    return "yes", f"One contrast{within}; all others are corrected as one family ({family})."


def _chance(study: OpenedStudy) -> tuple[Answer, str]:
    search = study.config.search
    if not search.is_adaptive:
        return "does not apply", "Nothing was searched: no result decided what was trained next."
    if search.sampler == "random":
        return "does not apply", "The search draws at random itself."
    if not search.baseline:
        return "no", "No designs were drawn at random beside it (search.baseline)."
    return "yes", f"{wording.share(search.baseline)} of the designs were drawn at random and trained in full."


def _tuning(study: OpenedStudy) -> tuple[Answer, str]:
    if rates := study.config.search.rates:
        tried = ", ".join(f"{rate:g} times" for rate in sorted({1.0, *rates}))
        return "yes", f"Both settings of the contrast were trained at {tried} the recipe's learning rate."
    words = "One recipe for all, tuned for none of them; search.rates repeats the contrast at other learning rates."
    return "in part", words


def _robustness(study: OpenedStudy) -> tuple[Answer, str]:
    found = study.finding.robustness
    if study.finding.comparison is None or not study.finding.complete:
        return "does not apply", "There is no finished contrast of two settings to be checked."
    if found is None:
        return "no", "No robustness check is kept here; a study's own folder has them."
    made = {check.name: check.word for check in found.checks}
    words = [f"{RIVALS[name]}: {made.get(name, 'no')}" for name in RIVALS]
    answer: Answer = "no" if not made else "yes" if len(made) == len(RIVALS) else "in part"
    return answer, f"{'; '.join(words)}."


def _failed(study: OpenedStudy) -> tuple[Answer, str]:
    final = _final_runs(study)
    of_final = _listed(_failures(final)) if final is not None else ""
    parts = [f"{of_final} in the final round, whose means leave them out"] if of_final else []
    if words := _listed(failures(study)):
        chance = "diverged and out-of-memory runs count as chance error, or for nothing where both of a pair did"
        parts.insert(0, f"{words}; {chance}")
    return "yes", f"{'. '.join(parts)}." if parts else "Every run came through."


def _time(study: OpenedStudy) -> tuple[Answer, str]:
    runs, final = _runs(study), len(_runs(study)) - len(study.record.runs)
    spent, count = wording.duration(float(runs["seconds"].sum())), wording.counted(len(runs), "run")
    of_them = f", {final:,} of them of the final round" if final else ""
    held = study.spent.words(str(study.execution.get("device"))) if study.spent else ""
    all_of_it = f" Its starts held {held}; they note it once a minute." if held else ""
    return "yes", f"{spent} of training and evaluation in {count}{of_them}.{all_of_it}"


_QUESTIONS: dict[str, Callable[[OpenedStudy], tuple[Answer, str]]] = {
    "Is the code that was run known?": _code,
    "Is the training pipeline given with all its hyperparameters?": lambda _: (
        "yes",
        "The recipe below and config.yaml beside the record hold every one.",
    ),
    "Were all designs trained and judged alike?": _alike,
    "Do the designs that are compared cost the same?": _costs,
    "Did all runs use the same hardware and software?": _hardware,
    "Are results repeated, and given with their uncertainty?": _seeds,
    "Was the test set kept out of every choice?": _test,
    "Was the tested contrast declared before the first run?": _beforehand,
    "Is the search held against random designs at equal cost?": _chance,
    "Was tuning kept from favouring one side?": _tuning,
    "Were rival explanations of the difference checked?": _robustness,
    "Are failed runs reported and counted?": _failed,
    "Is the computing time reported?": _time,
    "Can the numbers be used without training?": lambda _: (
        "yes",
        "Every run and epoch is in the record beside config.yaml; explorer tabulate makes a tabular benchmark of it.",
    ),
}


def checklist(study: OpenedStudy) -> list[ChecklistItem]:
    """A checklist of good practice in architecture search, answered from the record.

    After Lindauer and Hutter, "Best practices for scientific research on neural architecture search" (JMLR 21(243),
    2020), in our words, with what fixed budgets and paired seeds add.
    """
    return [ChecklistItem(asks, *answered(study)) for asks, answered in _QUESTIONS.items()]


def budget_words(budget: BudgetConfig) -> str:
    """What the budget holds equal, as text: `equal parameters within 5.0 %`; "" without a budget.

    With a target that is the most: `950,000 to 1,000,000 parameters`.
    """
    near = [
        f"{COUNTED[axis].words} within {wording.percent(limit.tolerance, 1)}"
        for axis, limit in budget.held.items()
        if not limit.at_most
    ]
    below = [_at_most(COUNTED[axis].words, limit) for axis, limit in budget.held.items() if limit.at_most]
    bounded = [budget.bound_words(name) for name, bounds in budget.bounds.items() if bounds.has_any]
    trained = [f"equal {TRAINED[budget.train]}"] if budget.train in TRAINED else []
    held = [*([f"equal {' and '.join(near)}"] if near else []), *below, *bounded, *trained]
    tight = ", widths solved stage by stage" if budget.match == "tight" else ""
    return f"{' and '.join(held)}{tight}" if held else ""


def _at_most(words: str, limit: LimitConfig) -> str:
    if limit.target is None:
        return f"{words} at most those of the reference and {wording.percent(limit.tolerance, 1)} below"
    return f"{least_within(limit.target, limit.tolerance):,} to {limit.target:,} {words}"


def failures(study: OpenedStudy) -> list[tuple[str, int]]:
    """The number of failed runs of the study's settings, by status; those of a final round are none of them."""
    return _failures(study.record.runs)


def _listed(failures: list[tuple[str, int]]) -> str:
    return ", ".join(f"{number} {status}" for status, number in failures)


def _failures(runs: pd.DataFrame) -> list[tuple[str, int]]:
    counts = runs["status"].value_counts()  # a run that a search stopped early has not failed
    return [(str(status), int(number)) for status, number in counts.items() if status not in ("ok", "pruned")]


def failed_runs(study: OpenedStudy) -> list[dict[str, Any]]:
    """The failed runs one by one: setting, seed, status, epochs and message."""
    runs = _runs(study)
    poor = runs[~runs["status"].isin(("ok", "pruned"))].head(MOST_FAILURES)
    return [
        {
            "setting": display_setting(str(row["setting"])),
            "seed": int(row["seed"]),
            "status": str(row["status"]).replace("_", " "),
            "epochs": int(row["epochs"]),
            "message": str(row.get("message") or ""),
        }
        for row in poor.to_dict("records")
    ]


def tried(study: OpenedStudy) -> list[str]:
    """What a search chose, stopped and finished, in sentences."""
    by = Counter(one.by for one in study.record.decisions if one.decision == "chosen")
    stops = Counter(one.epochs for one in study.record.decisions if one.decision == "stopped")
    kinds = dict.fromkeys(str(start["sampler"]) for start in starts_of(study.environment) if "sampler" in start)
    added = f", {' and '.join(kinds)}" if kinds else ""
    parts = [
        f"{number:,} at random, as the baseline" if name == BASELINE else f"{number:,} by {name}{added}"
        for name, number in by.items()
    ]
    chosen = f"{wording.counted(by.total(), 'design')} {_were(by.total())} chosen: {', '.join(parts)}."
    stopped = [f"{number:,} {_were(number)} stopped after epoch {epochs}." for epochs, number in sorted(stops.items())]
    left_out = len(study.record.readings.keys() - {*study.record.chosen()}) if by else 0
    words = f"{wording.counted(left_out, 'design')} {_were(left_out)} measured and left out, as outside the bounds."
    return [chosen, *([words] if left_out else []), *_foreseen(study), *stopped] if by else stopped


def _foreseen(study: OpenedStudy) -> Iterator[str]:
    """For each measured limit of a search, how well it was predicted which designs need no measurement."""
    for name, bounds in study.config.budget.bounds.items():
        if name not in study.config.measured or bounds.most is None:
            continue
        if found := fitted_to(study.record.readings, name, study.plan.scope):
            above = study.config.budget.bound_words(name).removeprefix("at most ")
            yield (
                f"Designs whose cost puts them clearly above {above} were not measured: the prediction, fitted to "
                f"those that were, is off by {found.percent:.2g} %, leaving each of them out in turn."
            )


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def images(environment: dict[str, Any], data: DataConfig) -> str:
    """How many images each part of the data has, and how many could not be used, as text."""
    parts = zip(environment["images"], ("to train", "to validate", "to test"), strict=True)
    words = ", ".join(f"{count:,} {what}" for count, what in parts)
    if rest := environment.get("rest_images"):
        own = environment["images"][2] - rest
        words += f" ({own:,} of the set's own test part, then {rest:,} left over from its training part)"
    elif data.test_images == "rest":
        words += " (every labelled image that is neither trained nor validated on)"
    if by_seed := environment.get("test_by_seed"):
        words += f"; every seed has a split, and so {by_seed:,} test images, of its own"
    skipped = environment.get("skipped", [])
    return f"{words}; {len(skipped):,} left out as unusable" if skipped else words


def convolutions(execution: dict[str, Any]) -> str:
    """Which grouped convolutions are executed in another form: `128>128_k3_s1_g32_32px as 16 groups`."""
    choices = [Convolution(**choice) for choice in execution.get("convolutions", [])]
    changed = [
        choice.described(-1)
        for choice in choices
        if f"_g{choice.groups}_" not in choice.layer or choice.layout != "same"
    ]
    return "; ".join(changed) or "as they are"
