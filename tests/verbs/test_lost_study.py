"""Studies of which no run, or not every run, came through: what each place tells that people read from them."""

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import explorer
from benchmarks.__main__ import main as measure
from explorer.__main__ import main
from explorer.analysis.finding import find
from explorer.analysis.judging import OpenedStudy
from explorer.record.folder import study_folder
from explorer.record.records import Record, load
from explorer.report.index import entry_of, write_index
from explorer.report.page import render_page
from explorer.report.terminal import print_verdict
from explorer.search import coordinator
from explorer.study.job import Event, Job
from explorer.verbs.command_line import read_command
from tests.analysis.test_failures import CARDINALITIES, GUESS, Errors, runs
from tests.analysis.test_looks import AUTO, row
from tests.analysis.test_looks import record as looked
from tests.analysis.test_statistics import R, X
from tests.conftest import TINY, broadly, undrawn
from tests.opened import judge
from tests.report.test_page import study as page_study
from tests.search.test_coordinator import LOST, OK, Engine, finishing

WHY = "No verdict: all {} runs diverged (the loss was not finite in epoch 1); lower recipe.learning_rate."
Start = Callable[..., tuple[int, Engine]]


@pytest.fixture
def start(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Run a command with workers that answer as told; gives its exit code and the engine."""
    undrawn(monkeypatch)

    def start(answer: Callable[[Job], list[Event]], command: list[str]) -> tuple[int, Engine]:
        engine = Engine(answer)
        monkeypatch.setattr(coordinator, "open_engine", lambda *_: engine)
        return main([*command, "storage=none"]), engine

    return start


def test_a_study_of_which_no_run_came_through_ends_with_exit_code_1_and_says_why_wherever_it_is_read(
    start: Start, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*TINY, "search.seeds=5", "study.margin=0.05"]
    for jobs in (10, 0):  # the second time it is finished, and has no verdict still
        code, engine = start(finishing(LOST), command)
        assert (code, len(engine.jobs)) == (1, jobs)
        said = capsys.readouterr()
        assert WHY.format(10) in said.out
        assert "explorer: tiny: no run came through that could be judged; see the verdict above" in said.err
    told = " ".join(said.out.split())
    assert "- - 5 (all diverged)" in told
    assert "90.00" not in told
    assert explorer.open_study("tiny").verdict == WHY.format(10)
    assert set(explorer.open_study("tiny").figures) <= {"deviation", "curves"}
    assert main([*command, "do=report"]) == 0  # what was asked for is there
    assert main([*command, "do=tabulate"]) == 0
    answer = explorer.open_study(workplace / "tables" / "tiny").query("11-2x3d-w16")
    assert (answer.errors, answer.failed) == ({}, dict.fromkeys(range(5), "diverged"))
    assert math.isnan(answer.error.mean)


def test_a_table_tells_which_runs_of_a_setting_count_as_chance(start: Start, workplace: Path) -> None:
    code, _ = start(lambda job: finishing(LOST if job.run.seed == 1 else OK)(job), TINY)
    assert code == 0
    assert main([*TINY, "do=tabulate"]) == 0
    answer = explorer.open_study(workplace / "tables" / "tiny").query("11-2x3d-w16")
    assert (answer.errors, answer.failed) == ({0: 0.3}, {1: "diverged"})
    assert answer.error.mean == pytest.approx(0.6)
    assert math.isnan(answer.error.low)


def test_networks_that_guess_are_a_verdict_and_end_with_exit_code_0(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = start(finishing(replace(OK, test_error=0.9, correct=bytes(13))), [*TINY, "search.seeds=5"])
    assert code == 0
    assert "Neither network has learned more than guessing (chance error is 90.00 %). No verdict" in " ".join(
        capsys.readouterr().out.split()
    )


def test_two_ways_of_training_that_all_diverged_are_not_called_equivalent(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    only = [*TINY, "search.seeds=6", "space.cardinality=[1]", "study.contrast=null"]
    for name in ("fast", "plain"):
        assert start(finishing(LOST), [*only, f"name={name}"])[0] == 1
    capsys.readouterr()
    assert measure(["accuracy", "fast=fast", "plain=plain", "margin=0.01"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "inconclusive: - points" in said
    assert "In 6 of 6 pairs both runs diverged, and these decide nothing." in said
    assert "pass" not in said


def lost(seeds: int) -> Record:
    made = looked([0.0] * seeds)
    return Record(made.runs.assign(status="diverged", test_error=None, message="boom"), made.epochs)


def test_a_study_with_looks_trains_no_more_seeds_once_none_has_come_through(start: Start) -> None:
    config = read_command(AUTO).study
    found, finding = judge(config, lost(6))
    assert (found.seeds, finding.complete, finding.lost is None) == (6, True, False)
    code, engine = start(finishing(LOST), AUTO)
    assert (code, len(engine.jobs)) == (1, 12)
    assert set(load(study_folder("tiny")).runs["seed"]) == set(range(6))


def test_a_look_that_lost_pairs_leave_open_is_followed_by_the_next_one() -> None:
    config = read_command(AUTO).study
    rows = [row(setting, seed, 0.3 + 0.01 * seed) for seed in range(6) for setting in ("11-1x4d-w16", "11-2x3d-w16")]
    rows = [replace(one, status="diverged", test_error=None) if one.seed < 5 else one for one in rows]
    made = Record(pd.DataFrame(rows), lost(1).epochs)
    found, finding = judge(replace(config, study=replace(config.study, margin=0.05)), made)
    assert (found.seeds, finding.complete) == (12, False)


def shown(errors: Errors, **more: object) -> tuple[OpenedStudy, str, str, str]:
    """A synthetic study with its page as text, its lines on the terminal and its entry in the index."""
    made = runs(errors, finished="2026-01-02T03:04:05Z").assign(start=0, host="")
    names = list(errors)
    seeds = max(map(len, errors.values()))
    options = {"contrast": (X, R), **more}
    contrast = options.pop("contrast")
    finding = find(made, names, contrast, seeds, test_images=1000, **options)  # type: ignore[arg-type]
    study = replace(page_study(), finding=finding, record=Record(made, page_study().record.epochs))
    output = io.StringIO()
    print_verdict(finding, "Which?", Console(file=output, width=200))
    write_index([entry_of(study)], Path("index.html"))
    return study, plain(render_page(study)), " ".join(output.getvalue().split()), plain(Path("index.html").read_text())


def plain(page: str) -> str:
    """The words of a page, as far as no script makes them."""
    words = re.sub(r"<[^>]*>", " ", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL))
    return " ".join(words.split())


KINDS: dict[str, dict[str, object]] = {
    "contrast": {},
    "spaces": {
        "contrast": None,
        "spaces": {"one": list(CARDINALITIES)[:2], "many": list(CARDINALITIES)[2:]},
        "rivals": ("many", "one"),
    },
    "none": {"contrast": None},
    "search": {"contrast": None, "measure": "val_error", "designs": 4},
    "front": {"contrast": None, "measure": "val_error", "designs": 4, "cost": "params"},
}


@pytest.mark.parametrize("kind", broadly(KINDS, 2))
def test_where_all_diverged_no_place_shows_an_error_a_best_design_or_equivalence(kind: str, workplace: Path) -> None:
    errors: Errors = {name: [None] * 6 for name in (*list(CARDINALITIES)[:3], X)}
    more = KINDS[kind]
    if kind == "spaces":
        more = {**more, "spaces": {"one": list(errors)[:2], "many": list(errors)[2:]}}
    _, page, terminal, index = shown(errors, **more)
    for place in (page, terminal, index):
        assert f"all {6 * len(errors)} runs diverged (the loss was not finite in epoch 1); lower" in place
        for words in ("are equivalent", "has the lowest", "beats", "nan", "90.00 to"):
            assert words not in place
    assert "6 (all diverged)" in page
    assert "6 (all diverged)" in terminal
    assert "none: no run came through" in index
    assert "90.00 %" not in terminal
    assert "90.00 %" not in index


@pytest.mark.parametrize("kind", broadly(KINDS, 2))
def test_where_some_diverged_every_place_says_how_many_count_as_chance(kind: str, workplace: Path) -> None:
    errors: dict[str, Sequence[float | None]] = {name: [0.2, 0.21, 0.19, 0.2, 0.22, 0.2] for name in CARDINALITIES}
    errors = {R: [None, None, 0.3, 0.29, 0.31, 0.3], **{name: own for name, own in errors.items() if name != R}}
    errors[X] = [None, 0.25, 0.26, 0.25, 0.26, 0.25]
    more = KINDS[kind]
    if kind == "spaces":
        more = {**more, "spaces": {"one": list(errors)[:2], "many": list(errors)[2:]}}
    _, page, terminal, index = shown(errors, **more)
    for place in (page, terminal, index):
        assert "as chance" in place
        assert "diverged" in place
        assert "nan" not in place
    assert "6 (2 as chance)" in page
    assert "6 (2 as chance)" in terminal
    if kind == "contrast":
        assert "0 diverged diverged - " in page  # the pair that both lost, in the table of pairs
        assert "1 25.00 % diverged 65.00" in page
        assert "n = 5 paired seeds" in page


def test_two_networks_that_guess_are_told_first_on_every_place(workplace: Path) -> None:
    _, page, terminal, index = shown({R: list(GUESS), X: [one - 0.004 for one in GUESS]})
    for place in (page, terminal, index):
        assert "Neither network has learned more than guessing (chance error is 90.00 %). No verdict: " in place
    assert "No more than guessing, whose error is 90.00 %." in index


@pytest.mark.parametrize("kind", ["contrast", "spaces"])
def test_no_table_of_an_unfinished_study_tells_a_verdict(kind: str, workplace: Path) -> None:
    own = [0.2, 0.21, 0.19, 0.2, 0.22, 0.2]
    errors = {name: [one + 0.05 * place for one in own] for place, name in enumerate((X, *CARDINALITIES))}
    more = {} if kind == "contrast" else {**KINDS[kind], "spaces": {"many": [X], "one": list(CARDINALITIES)}}
    if kind == "spaces":
        names = [f"29-{paths}x{width}d" for paths in (1, 4) for width in range(1, 7)]
        errors = {name: [0.3 + 0.2 * (name[3] == "1") + 0.001 * place] for place, name in enumerate(names)}
        more = {**more, "spaces": {"one": names[:6], "many": names[6:]}}
    for missing in (0, 1):
        _, page, _, _ = shown(errors, **more, designs=len(errors) + missing)
        told = [page[head.end() :][:150] for head in re.finditer(r" p (?:Distance )?Verdict ", page)]
        assert len(told) == (2 if kind == "spaces" else 1)
        for told_row in told:
            judged = re.search(" (beats|loses to|lower|higher)", told_row) is not None
            assert ("none yet" in told_row, judged) == (missing, not missing)
