"""From a study's folder to its answer: read the record, judge it, draw it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from explorer.analysis.finding import Finding, find
from explorer.analysis.paired import ALPHA
from explorer.analysis.summary import SettingSummary
from explorer.host.errors import InputError
from explorer.record import folder as study
from explorer.record import records
from explorer.record.progress import settings_so_far
from explorer.study.contrast import contrast_of
from explorer.study.plan import Setting, designs_wanted
from explorer.study.run import BASELINE
from explorer.study.settings import StudyConfig
from explorer.study.tree import to_config

if TYPE_CHECKING:
    pass

Images = tuple[int, int] | None  # to validate and to test on
# What is read for the index alone: some seconds.
MOST_BESIDE = 2**26  # bytes of a record
MOST_DESIGNS_BESIDE = 10_000


def load_finding(folder: Path) -> tuple[StudyConfig, records.Record, Finding]:
    """A study's own settings, its record and what it found. Raises InputError when it was never started."""
    study.refuse_gaps(folder)
    tree = study.stored_config(folder)
    if tree is None:
        raise InputError(f"{folder}: there is no such study yet; start it with do=run")
    config = to_config(tree, lambda _: f" (in {folder / study.CONFIG})")
    record = records.load(folder)
    environment = study.stored_environment(folder)
    right = records.load_correct(folder, _contrasted(config, record)) if config.study.contrast else {}
    config, found = judged(config, record, right, images_of(environment))
    return config, record, replace(found, note=study.note(folder))


def _contrasted(config: StudyConfig, record: records.Record) -> set[str]:
    """The runs of the two settings that are compared: of no others does it matter which images they got right."""
    pair = contrast_of(config, settings_so_far(config, record)) or ()
    return set(record.runs.loc[record.runs["setting"].isin([setting.name for setting in pair]), "run"])


def at_look(config: StudyConfig, folder: Path) -> StudyConfig:
    """The settings with the number of seeds that the study is to have now, where it looks at its results on the way."""
    if not config.search.looks or not (folder / study.RUNS).exists():
        return replace(config, search=replace(config.search, seeds=min((*config.search.looks, config.search.seeds))))
    return judged(config, records.load(folder), {}, images_of(study.stored_environment(folder)))[0]


def images_of(environment: Mapping[str, Any] | None) -> Images:
    """How many images a study validates and tests on; None before its first start."""
    return (int(environment["images"][1]), int(environment["images"][2])) if environment else None


def judged(
    config: StudyConfig,
    record: records.Record,
    right: dict[str, npt.NDArray[np.bool_]],
    images: Images = None,
) -> tuple[StudyConfig, Finding]:
    """The finding at the first look that is not over yet, or has decided; without looks, that of all seeds.

    A look at which no run has come through is the last one: more seeds would only fail as well. `right` says by run
    which test images it got right, `images` is how many a run was validated and tested on, if that is known; the
    settings come back with the number of seeds of that look.
    """
    for look in config.search.looks or (config.search.seeds,):
        config = replace(config, search=replace(config.search, seeds=look))
        found = _at(config, record, right, images)
        decided = found.comparison is not None and found.comparison.verdict != "inconclusive"
        if decided or found.lost or not found.complete:
            break
    return config, found


def _at(
    config: StudyConfig, record: records.Record, right: dict[str, npt.NDArray[np.bool_]], images: Images
) -> Finding:
    settings = settings_so_far(config, record)
    spaces = {} if config.search.only else config.spaces
    pair = contrast_of(config, settings)
    contrast = (pair[0].name, pair[1].name) if pair else None
    names = [setting.name for setting in settings]
    measure = "val_error" if config.search.is_adaptive else "test_error"
    found = find(
        record.runs,
        names,
        contrast,
        config.search.seeds,
        first_seed=config.search.first_seed,
        designs=designs_wanted(config, settings),
        measure=measure,
        margin=config.study.margin,
        alpha=ALPHA / max(1, len(config.search.looks)),
        right=right,
        cost=None if config.search.only else config.search.cost,
        val_images=images[0] if images else None,
        test_images=images[1] if images else None,
        random=record.chosen(BASELINE),
        spaces={space: [one.name for one in settings if space in one.spaces] for space in spaces},
        rivals=(config.study.contrast.setting, config.study.contrast.against)
        if spaces and config.study.contrast
        else None,
        under=_under(config, pair or settings),
    )
    return replace(found, only_some=bool(config.search.only) and config.study.contrast is not None)


def _under(config: StudyConfig, settings: tuple[Setting, ...]) -> str:
    """Under which initialisation designs with unlike numbers of paths were compared; "" where all have the same.

    Most rules let the norm of a filter hang on the number of paths, and brief training hangs on that norm.
    """
    if len({setting.architecture.cardinalities for setting in settings}) < 2:
        return ""
    init, gain = config.recipe.init, config.recipe.init_gain
    if (init, gain) == ("fan_out", 1):
        return "under the paper's initialisation"
    return f"under initialisation {init}" + (f" with gain {gain:g}" if gain != 1 else "")


def only_setting(name: str) -> tuple[SettingSummary, int | None, str]:
    """The summary of a study of one setting, its number of test images, and what studies that are compared must share.

    Raises InputError for a study that was never started, has no run yet, or has several settings.
    """
    folder = study.study_folder(name)
    config, _, finding = load_finding(folder)
    if finding.wanted != config.search.seeds or config.search.is_adaptive:
        raise InputError(f"{folder}: has several settings; allowed: a study of one")
    environment = study.stored_environment(folder)
    assert environment is not None
    common = [asdict(part) for part in (config.space, config.recipe)]
    if not finding.summaries:
        raise InputError(f"{folder}: none of its runs has ended yet; start it with study={config.name}")
    return finding.summaries[0], finding.images, json.dumps([common, environment["data_hash"]], sort_keys=True)


def _refuse_large(folder: Path) -> None:
    """Raise InputError for a record that would take long to read beside another study, which it could come with."""
    size = sum((folder / name).stat().st_size for name in (*study.TABLES, study.DECISIONS) if (folder / name).exists())
    search = (study.stored_config(folder) or {}).get("search")
    designs = search.get("designs") if isinstance(search, dict) else None
    what = f"its record of {size / 2**20:,.0f} MiB" if size > MOST_BESIDE else ""
    if isinstance(designs, int) and designs > MOST_DESIGNS_BESIDE:
        what = f"its list of {designs:,} designs"
    if what:
        raise InputError(
            f"{what} is too large to be read beside another; study={folder.name} do=report draws its page, and the "
            "index keeps what it says"
        )
