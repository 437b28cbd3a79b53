"""search.seeds=auto: looks at the results at declared numbers of seeds only, each at a third of the threshold."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.record.records import Record, load
from explorer.record.rows import EpochRecord, RunRecord
from explorer.search import coordinator
from explorer.study.designs import Setting
from explorer.study.job import Counted, Event, Job, RunDone
from explorer.study.plan import plan_of
from explorer.study.settings import LOOKS, StudyConfig
from explorer.verbs.command_line import read_command
from tests.conftest import TINY, broadly, undrawn
from tests.made_up import made_up
from tests.opened import judge
from tests.record.test_records import RECORD
from tests.search.test_coordinator import OK, Engine, epochs

AUTO = [
    *(argument for argument in TINY if not argument.startswith("search.seeds")),
    "search.seeds=auto",
    "study.margin=null",
]


@pytest.fixture
def config() -> StudyConfig:
    return read_command(AUTO).study


def row(setting: str, seed: int, error: float) -> RunRecord:
    known = replace(RECORD, macs_deviation=0.0, activations_deviation=0.0)
    return replace(known, run=f"{setting}/{seed}", setting=setting, seed=seed, test_error=error)


def record(differences: Sequence[float]) -> Record:
    """Runs of both settings whose test errors differ by so much, seed by seed."""
    rows = []
    for seed, difference in enumerate(differences):
        for setting, error in (("11-1x4d-w16", 0.3), ("11-2x3d-w16", 0.3 + difference)):
            rows.append(row(setting, seed, error))
    epochs = pd.DataFrame(columns=list(EpochRecord.__dataclass_fields__))
    columns = list(RunRecord.__dataclass_fields__)
    return Record(pd.DataFrame(rows, columns=columns), epochs)


def spread(mean: float, n: int) -> list[float]:
    return [mean + 0.01 * (-1) ** seed for seed in range(n)]


def test_auto_means_three_looks_and_is_stored_as_it_was_said(config: StudyConfig, workplace: Path) -> None:
    assert config.search.looks == LOOKS == (6, 12, 20)
    folder = made_up(config, lambda *_: "")
    assert yaml.safe_load((folder / "config.yaml").read_text())["search"]["seeds"] == "auto"


@pytest.mark.parametrize(("looks", "due", "seeds"), [([6, 12, 20], 20, "auto"), ([6, 12, 20], 6, "auto"), ([], 6, 6)])
def test_a_record_of_an_earlier_version_held_the_looks_beside_the_seeds_then_due(
    looks: list[int], due: int, seeds: object, config: StudyConfig, workplace: Path
) -> None:
    made_up(config, lambda _, seed: "ok" if seed < 5 else "")
    folder = workplace / "studies" / "tiny"
    path = folder / "config.yaml"
    tree = yaml.safe_load(path.read_text())
    tree["search"] |= {"looks": looks, "seeds": due}
    path.write_text(yaml.safe_dump(tree))
    found = open_study(folder)
    assert (found.config.search.seeds, found.plan.seeds) == (seeds, 6)
    assert main([*AUTO, f"search.seeds={seeds}", "do=plan"]) == 0
    assert main([*AUTO, f"search.seeds={20 if looks else 'auto'}", "do=plan"]) == 2


def test_a_clear_study_stops_at_the_first_look(config: StudyConfig) -> None:
    found, finding = judge(config, record(spread(-0.1, 6)))
    assert found.seeds == 6
    assert finding.complete
    assert finding.comparison is not None
    assert finding.comparison.verdict == "beats"
    assert finding.comparison.alpha == pytest.approx(0.05 / 3)


@pytest.mark.parametrize(("runs", "due"), [(0, 6), (3, 6), (6, 12), (9, 12), (12, 20), (20, 20)])
def test_an_open_study_goes_on_to_the_next_look(config: StudyConfig, runs: int, due: int) -> None:
    found, finding = judge(config, record(spread(0.0, runs)))
    assert found.seeds == due
    assert finding.complete == (runs == 20)


def test_seeds_beyond_the_look_that_decided_are_not_used(config: StudyConfig) -> None:
    found, finding = judge(config, record(spread(-0.1, 9)))
    assert found.seeds == 6
    assert finding.comparison is not None
    assert len(finding.comparison.differences) == 6


@pytest.mark.parametrize(("first", "due", "verdict"), [(0.9, 6, "beats"), (1.1, 12, "inconclusive")])
def test_a_look_decides_at_a_third_of_the_threshold(config: StudyConfig, first: float, due: int, verdict: str) -> None:
    """Differences whose p is just below, and just above, 0.05 / 3."""
    apart = np.array([0.010, -0.006, 0.012, -0.011, 0.004, -0.009])
    apart -= apart.mean()
    wanted = stats.t.isf(first * 0.05 / 3 / 2, 5) * apart.std(ddof=1) / 6**0.5
    found, finding = judge(config, record([*(apart - wanted)]))
    assert finding.comparison is not None
    assert found.seeds == due
    assert finding.complete == (due == 6)
    assert finding.comparison.p == pytest.approx(first * 0.05 / 3)
    assert finding.comparison.verdict == verdict


def test_an_equivalent_study_stops_at_its_look_too(config: StudyConfig) -> None:
    with_margin = replace(config, study=replace(config.study, margin=0.05))
    found, finding = judge(with_margin, record(spread(0.0, 20)))
    assert found.seeds == 6
    assert finding.comparison is not None
    assert finding.comparison.verdict == "equivalent"


@pytest.mark.real
def test_looking_thrice_at_nothing_finds_something_at_most_as_often_as_looking_once(config: StudyConfig) -> None:
    rng, decided = np.random.default_rng(0), 0
    for _ in range(200):
        _, finding = judge(config, record(list(rng.normal(0, 0.01, 20))))
        assert finding.comparison is not None
        decided += finding.comparison.verdict in ("beats", "loses to")
    assert decided / 200 < 0.05 + 0.035


@pytest.mark.parametrize(("apart", "seeds"), [(20, 6), (0, 20)])
def test_a_study_with_looks_trains_to_the_one_that_decides_and_no_further(
    apart: int, seeds: int, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Job] = []

    def answer(job: Job) -> list[Event]:
        """Of 100 test images the second setting gets so many more right, and each seed a few more or fewer."""
        jobs.append(job)
        shift = apart * (job.run.architecture.cardinality == 2) + (job.run.seed * (1 + apart % 2)) % 3
        right = 50 + shift + (job.run.architecture.cardinality == 2) * (job.run.seed % 2 * 2 - 1)
        bits = np.packbits(np.arange(100) < right).tobytes()
        outcome = replace(OK, test_error=(100 - right) / 100, correct=bits)
        return [Counted(job.run.id, 1), *epochs(job, 1, 2), RunDone(job.run.id, outcome)]

    monkeypatch.setattr(coordinator, "open_engine", lambda *_: Engine(answer))
    undrawn(monkeypatch)
    small = [*AUTO, "storage=none"]
    assert main(small) == 0
    folder = workplace / "studies" / "tiny"
    assert sorted(load(folder).runs["seed"]) == sorted([*range(seeds)] * 2)
    assert len(jobs) == 2 * seeds
    assert main(small) == 0  # a study that has decided trains nothing
    assert len(jobs) == 2 * seeds
    assert open_study(folder).plan.seeds == seeds


@pytest.mark.parametrize(
    ("last", "done", "wanted"),
    broadly(
        [
            (20, 12, 12),  # begun when 20 seeds were due, as other rules or a row that is gone by now said
            (8, 12, 12),
            (12, 11, 12),  # do=doctor dropped a damaged row below a look that was over
        ]
    ),
)
def test_a_record_with_more_seeds_than_the_look_that_is_due_goes_on(
    last: int, done: int, wanted: int, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = [*AUTO, "study.margin=0.9"]  # which all differences are within
    config = read_command(wide).study
    lost = {("11-2x3d-w16", 3)} if done < wanted else set()

    def end(setting: Setting, seed: int) -> str:
        return "ok" if seed < last and (setting.name, seed) not in lost else ""

    made_up(config, end)
    assert main([*wide, "do=plan"]) == 0
    assert f"{wanted - done} of {wanted} runs to do" in capsys.readouterr().out
    if done == wanted:
        assert main(wide) == 0
        assert "n = 6 paired seeds" in capsys.readouterr().out
    assert main([*wide, "search.seeds=20"]) == 2
    assert (
        "(search.seeds was auto, now 20); continue it as it is with explorer tiny, begin another study"
        in capsys.readouterr().err
    )
    assert main([*wide, "search.seeds=20", "fork=true", "do=plan"]) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("search.looks=[6,12,20]", "search.looks=[6, 12, 20]: unknown key"),
        ("search.seeds=auto2", "search.seeds=\"auto2\": must be a whole number or 'auto'"),
    ],
)
def test_looks_are_not_for_people_to_set(change: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, change]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("study.contrast=null", "stops when the contrast is decided"),
        ("search.only=[11-1x4d-w16]", "search.only compares nothing; allowed: a number of seeds"),
    ],
)
def test_auto_without_a_contrast_is_refused(
    more: str, reason: str, capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    assert main([*AUTO, more]) == 2
    assert f"search.seeds=auto: {reason}" in capsys.readouterr().err
    assert not (workplace / "studies").exists()


def test_a_plan_tells_the_least_and_the_most_that_looking_may_train(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def planned() -> str:
        assert main([*AUTO, "do=plan"]) == 0
        return " ".join(capsys.readouterr().out.split())

    # Two epochs of 80 images forwards and backwards (thrice a forward pass), evaluated on 40 each, and 100 at the end.
    config = read_command(AUTO).study
    each = sum((3 * 2 * 80 + 2 * 40 + 100) * setting.cost.macs for setting in plan_of(config).settings)
    told = planned()
    assert "looks at 6, 12 and 20 seeds and stops when the contrast is decided. To do are at least 12 runs" in told
    assert f"at least 12 runs ({6 * each:.1e} multiply-adds, about " in told
    assert f"at most 40 runs ({20 * each:.1e} multiply-adds, about " in told
    made_up(config, lambda _, seed: "ok" if seed < 6 else "")
    told = planned()
    assert "12 of 24 runs to do" in told
    assert "To do are at least 12 runs (" in told
    assert "at most 28 runs (" in told
    runs, _, checks = told.partition("Robustness checks")
    assert checks  # each with its own time
    assert runs.count("about") == 3  # the time of the look that is due, and of the least and the most
