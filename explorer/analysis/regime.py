"""How far a study's training is from the published one: a verdict of brief training need not hold after a long one."""

import math
from dataclasses import dataclass
from pathlib import Path

from explorer.analysis.imported_sentences import source_sentence
from explorer.analysis.judging import OpenedStudy, open_study, refuse_large
from explorer.analysis.lengths import lengths_of
from explorer.analysis.published_runs import PAPER_STEPS, PublishedPair, data_key, published
from explorer.analysis.ranks import REDRAWN, Agreement, agreement
from explorer.host.errors import InputError
from explorer.host.formatting import counted, number, range_in_words
from explorer.record.folder import CONFIG
from explorer.record.starts import started_study

LAST = 0.1  # of the training, over which the error's slope is taken
PAPER_DATA = {"cifar": "CIFAR", "imagenet": "ImageNet"}


@dataclass(frozen=True)
class Regime:
    """The length of a study's training, beside what is known of longer ones.

    steps      of a run that comes to its end
    paper      key of `PAPER_STEPS` of the recipe that the ResNeXt paper has for such networks
    slope      points by which the validation error changed in each of the last epochs, on the mean over the runs that
               decide; below zero it still fell. NaN before a run of two epochs came through
    last, epochs  the number of these last epochs, and of all
    longest    the name and the steps of the longest other study of the same images that is longer, and has settings
               of this one; None if there is none
    ranks      the rank correlation with that study; None as well if it has no interval
    published  published contrasts of as many paths on the same data set
    is_told    another program trained the runs, and nothing is known of how long
    most       steps of the setting that takes most, where each has its own number and `steps` is the least; else 0
    imported   where imported results come from, in sentences; "" for a study that was trained
    """

    steps: int
    paper: str
    slope: float
    last: int
    epochs: int
    longest: tuple[str, int] | None = None
    ranks: Agreement | None = None
    published: tuple[PublishedPair, ...] = ()
    is_told: bool = False
    imported: str = ""
    most: int = 0


def regime_of(study: OpenedStudy) -> Regime:
    """The regime of a study; reads other records beside it for the longest one of the same images."""
    config, finding = study.config, study.finding
    epochs = config.recipe.epochs_on(int(study.environment["images"][0]))
    last = max(1, round(LAST * epochs))
    template = next((one.design[0].template for one in finding.summaries), "cifar")
    longest, ranks = _longest(study) if finding.complete and not config.is_imported else (None, None)
    pairs: tuple[PublishedPair, ...] = ()
    if (found := finding.comparison) is not None and (key := data_key(config.data.name)) is not None:
        by_name = {one.setting: one.cardinality for one in finding.summaries}
        of_paths = published(by_name[found.setting], by_name[found.against])
        pairs = tuple(pair for pair in of_paths if pair.data == key)
    own = [one.steps for one in lengths_of(study.plan, study.settings) if one.steps is not None]
    return Regime(
        steps=min(own, default=study.steps),
        most=max(own, default=0),
        paper="imagenet" if template.startswith("imagenet") else "cifar",
        slope=_slope(study, epochs, last),
        last=last,
        epochs=epochs,
        longest=longest,
        ranks=ranks,
        published=pairs,
        is_told=config.is_told,
        imported=source_sentence(finding.imported) if finding.imported else "",
    )


def _slope(study: OpenedStudy, epochs: int, last: int) -> float:
    """Points by which the validation error changed in each of the last epochs, on the mean over runs."""
    if epochs <= last or study.finding.trained:  # each setting then has epochs of its own
        return math.nan
    runs, table = study.record.runs, study.record.epochs
    found = study.finding.comparison
    names = [found.setting, found.against] if found else [one.setting for one in study.finding.summaries]
    ended = runs.loc[
        runs["setting"].isin(names) & (runs["status"] == "ok") & (runs["rate"] == 1) & (runs["epochs"] == epochs), "run"
    ]
    own = table[table["run"].isin(ended) & table["epoch"].isin([epochs - last, epochs])]
    ends = own.pivot_table(index="run", columns="epoch", values="val_error").dropna()
    if ends.shape[1] < 2 or ends.empty:
        return math.nan
    return 100 * float((ends[epochs] - ends[epochs - last]).mean()) / last


def _longest(study: OpenedStudy) -> tuple[tuple[str, int] | None, Agreement | None]:
    """The longest other study of the same images that is longer, and the rank correlation with it."""
    if not (study.folder / CONFIG).is_file():  # a shared table stands beside no records
        return None, None
    for steps, folder in sorted(_longer(study), reverse=True):
        try:
            refuse_large(folder)
            other = open_study(folder)
        except InputError:  # a record that cannot be read says so in its own entry of the index
            continue
        if other.finding.complete and (ranks := agreement(study.finding.summaries, other.finding.summaries)):
            return (folder.name, steps), ranks if ranks.was_redrawn else None
    return None, None


def _longer(study: OpenedStudy) -> list[tuple[int, Path]]:
    """The folders beside a study's of studies of the same images that were trained for more steps, with their steps."""
    found, here = [], study.config.data
    for path in study.folder.parent.glob(f"*/{CONFIG}"):
        if path.parent.name == study.folder.name or path.parent.is_symlink():
            continue
        try:
            other = started_study(path.parent)
            if other is None:
                continue
            data, recipe = other.config["data"], other.config["recipe"]
            an_epoch = int(other.environment["images"][0]) // int(recipe["batch_size"])
            steps = int(recipe.get("steps") or int(recipe["epochs"]) * an_epoch)
            alike = (data["name"], data["image_size"], data["classes"]) == (here.name, here.image_size, here.classes)
        except (InputError, OSError, LookupError, TypeError, ValueError, ArithmeticError):
            continue
        if alike and steps > study.steps:
            found.append((steps, path.parent))
    return found


def regime_sentence(regime: Regime) -> str:
    """How long the training was, whether the error still fell, and what is known of longer training."""
    paper = PAPER_STEPS[regime.paper]
    range_ = f"{regime.steps:,} to {counted(regime.most, 'training step')}"
    taken = range_ if regime.most > regime.steps else counted(regime.steps, "training step")
    how_long = f"{taken}, {_share(regime.steps / paper)} the ResNeXt paper's"
    parts = [f"Regime: {how_long} {paper:,} on {PAPER_DATA[regime.paper]}."]
    if regime.imported:
        return regime.imported
    if regime.is_told:
        parts = ["Regime: another program trained the runs; how long, its own account has to say."]
    if not math.isnan(regime.slope):
        what = "the last epoch" if regime.last == 1 else f"the last {regime.last} epochs"
        size = f"{abs(regime.slope):.2f}"
        moved = f"{'fell' if regime.slope < 0 else 'rose'} by {size} points{'' if regime.last == 1 else ' an epoch'}"
        if float(size) == 0:
            moved = "neither fell nor rose"
        parts.append(f"In {what} of {regime.epochs} the validation error {moved}.")
    if regime.longest and (ranks := regime.ranks):
        name, steps = regime.longest
        parts.append(
            f"The order of {counted(ranks.settings, 'setting')} agrees with that after {steps:,} steps ({name}) by "
            f"Kendall's tau {number(ranks.tau)} ({REDRAWN} {number(ranks.low)} to {number(ranks.high)})."
        )
    if regime.published:
        gaps = sorted({pair.gap for pair in regime.published})
        said = range_in_words(gaps[0], gaps[-1])
        sources = ", ".join(dict.fromkeys(pair.source.partition(",")[0] for pair in regime.published))
        names = ", ".join(dict.fromkeys(f"{pair.setting} beside {pair.against}" for pair in regime.published))
        label = regime.published[0].label
        parts.append(f"Published single runs trained to the end on {label}: {names} {said} ({sources}).")
    return " ".join(parts)


def _share(fraction: float) -> str:
    """How much of the paper's training it was: `2.1 % of`, `less than 0.1 % of`, `1.5 times`."""
    if fraction < 0.001:
        return "less than 0.1 % of"
    return f"{100 * fraction:.2g} % of" if fraction < 0.995 else f"{fraction:.3g} times"
