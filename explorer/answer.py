"""From a study's folder to its answer: read the record, judge it, draw it."""

import json
import os
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from explorer import folder as study
from explorer import records
from explorer.analysis.finding import Finding, find
from explorer.analysis.paired import ALPHA
from explorer.analysis.summary import SettingSummary
from explorer.config import to_config
from explorer.contrast import contrast_of
from explorer.errors import InputError, StudyStoppedError
from explorer.planning import Setting, designs_wanted
from explorer.progress import settings_so_far
from explorer.run import BASELINE
from explorer.settings import StudyConfig

if TYPE_CHECKING:
    from explorer.report.index import Entry
    from explorer.report.study import Study

Images = tuple[int, int] | None  # to validate and to test on
FAULT = "page.log"  # in `local/`: where the program failed when it last could not draw the page
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


def load_study(folder: Path) -> "Study":
    """Everything that a page is made of. Raises InputError for a study that was never started."""
    from explorer.report.study import Study

    config, record, finding = load_finding(folder)
    environment, execution = study.stored_environment(folder), study.stored_execution(folder)
    assert environment is not None
    assert execution is not None
    return Study(config, record, finding, environment, execution)


def draw(folder: Path) -> Path:
    """Draw a study's page and the index anew from the records, and return the page.

    The page gets the time of the record it shows: a row that comes while it is being drawn makes it stale.
    Raises InputError for a record that cannot be read, and StudyStoppedError where a page cannot be made of a good one.
    """
    try:
        return _drawn(folder)
    except (InputError, OSError):
        raise
    except Exception as error:
        words = f"{folder}: the page cannot be drawn ({' '.join(f'{type(error).__name__}: {error}'.split())[:200]})"
        with suppress(OSError):
            study.make_folder(folder / "local")
            (folder / "local" / FAULT).write_text(traceback.format_exc(), encoding="utf-8")
            words += f"; {folder / 'local' / FAULT} says where"
        raise StudyStoppedError(f"{words}; this is a defect of the program, and the record is whole") from error


def _drawn(folder: Path) -> Path:
    from explorer.report.index import entry_of, write_index
    from explorer.report.kept import keep, key_of
    from explorer.report.page import write_page

    study.refuse_links(folder)  # the entry in the index is kept in it
    runs = folder / study.RUNS
    seen, digest = runs.stat().st_mtime_ns if runs.exists() else 0, study.runs_digest(folder)
    key = key_of(folder)
    drawn = load_study(folder)
    study.make_folder(study.REPORTS)
    page = study.REPORTS / f"{folder.name}.html"
    write_page(drawn, page, digest)
    os.utime(page, ns=(seen, seen))
    entry = entry_of(drawn.config, drawn.record, drawn.finding)
    keep(folder, key, entry)
    write_index(entries({folder: entry}), study.REPORTS / "index.html")
    return page


def entries(known: dict[Path, "Entry"]) -> list["Entry"]:
    """One entry per study folder; one that cannot be read says so in its verdict. `known` need not be read again."""
    folders = sorted(path for path in study.STUDIES.glob("*") if (path / study.CONFIG).exists())
    entries = [(folder, known[folder] if folder in known else _entry(folder)) for folder in folders]
    pages = {folder: f"{folder.name}.html" for folder in folders}
    return [
        replace(entry, page=pages[folder] if (study.REPORTS / pages[folder]).exists() else None)
        for folder, entry in entries
    ]


def _entry(folder: Path) -> "Entry":
    """A study's entry, without its page: as it was kept, or from its record where that has changed since."""
    from explorer.report.index import broken, entry_of
    from explorer.report.kept import keep, kept, key_of

    try:
        study.refuse_links(folder)
    except (InputError, OSError) as error:
        return broken(folder.name, error)
    key = key_of(folder)
    if entry := kept(folder, key):
        return entry
    try:
        _refuse_large(folder)
        entry = entry_of(*load_finding(folder))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one folder, the others are in the index
        return broken(folder.name, error)
    keep(folder, key, entry)
    return entry


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
