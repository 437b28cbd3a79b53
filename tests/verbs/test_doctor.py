"""`do=doctor` on folders that were damaged in every way: it says what is wrong, asks, repairs, and loses no byte."""

import hashlib
import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from explorer.__main__ import main
from explorer.record import folder as study
from explorer.record import records, table
from explorer.record.folder import checkpoints
from explorer.record.rows import RunRecord
from explorer.search import coordinator
from explorer.search.mirror import mirror_path
from explorer.study.job import Event, Job
from explorer.study.run import EpochResult
from explorer.training.checkpoint import Checkpoint, save
from explorer.verbs.doctor.fault import DAMAGED
from tests.conftest import TINY, broadly, undrawn
from tests.faults.test_full_disk import results
from tests.record.test_records import rewritten
from tests.search.test_coordinator import OK, SEARCH, Engine, finishing
from tests.verbs.test_study import environment

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

FOLDER, PAGE = Path("studies/tiny"), Path("reports/tiny.html")
WELL = finishing(OK)
DOCTOR = ["study=equal_params", "name=tiny", "do=doctor"]


def run(patch: pytest.MonkeyPatch, *overrides: str, answer: Callable[[Job], list[Event]] = WELL) -> int:
    patch.setattr(coordinator, "open_engine", lambda *_: Engine(answer))
    return main([*TINY, *overrides])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tiny study has run, with its database and page."""
    place = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert run(patch) == 0
    return place


@pytest.fixture
def ill(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to be damaged, which is the current folder."""
    shutil.copytree(finished, tmp_path / "ill")
    monkeypatch.chdir(tmp_path / "ill")
    return tmp_path / "ill"


def files() -> dict[Path, bytes]:
    locks = {FOLDER / "local" / name for name in ("lock", "holder.json", "index.json")}
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file() and path not in locks}


def doctor(capsys: pytest.CaptureFixture[str], *overrides: str, names: list[str] = DOCTOR) -> tuple[int, str]:
    capsys.readouterr()
    code = main([*names, *overrides])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_a_healthy_study_is_told_and_left_alone(ill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files()
    for overrides in ([], ["yes=true"], ["recipe.epochs=7", "search.seeds=9"]):
        code, output = doctor(capsys, *overrides)
        assert code == 0
        for part in (
            "runs.csv: 4 rows, epochs.csv: 8 rows, correct.csv: 4 rows",
            "Runs recorded: 4 (4 ok)",
            "some processor, torch 2",
            "Finished: nothing is left to train.",
            "Nothing is wrong.",
        ):
            assert part in output
    assert files() == before


def test_a_folder_is_named_by_its_study_or_by_itself(ill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FOLDER.rename("studies/elsewhere")
    PAGE.rename("reports/elsewhere.html")
    assert doctor(capsys, names=["do=doctor", "name=elsewhere"])[0] == 0
    code, output = doctor(capsys)
    assert code == 2
    assert output == "explorer: studies/tiny: there is no such study; explorer list shows those that there are\n"
    code, output = doctor(capsys, names=["do=doctor"])
    assert (code, "study is missing" in output) == (2, True)
    code, output = doctor(capsys, names=["do=doctor", "name=../ill"])
    assert (code, "allowed are" in output) == (2, True)


def test_consent_belongs_to_the_doctor_alone(ill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output = doctor(capsys, "yes=true", names=TINY)
    assert (code, "yes=True: says that doctor need not ask" in output) == (2, True)
    assert "yes" not in (FOLDER / study.CONFIG).read_text().split(":")


@pytest.mark.real
def test_no_torch_is_loaded_to_look_at_a_study(ill: Path) -> None:
    (FOLDER / study.RUNS).write_bytes((FOLDER / study.RUNS).read_bytes()[:-20])
    code = (
        f"import sys; from explorer.__main__ import main; main({[*DOCTOR, 'yes=true']}); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert "All is repaired." in done.stdout
    assert done.stdout.endswith("False\n")


def flip(name: str, line: int) -> None:
    lines = (FOLDER / name).read_bytes().split(b"\n")
    lines[line - 1] = lines[line - 1][:5] + b"#" + lines[line - 1][6:]
    (FOLDER / name).write_bytes(b"\n".join(lines))


def without(name: str, *numbers: int) -> None:
    lines = (FOLDER / name).read_text().splitlines(keepends=True)
    (FOLDER / name).write_text("".join(line for number, line in enumerate(lines, 1) if number not in numbers))


def torn(name: str, size: int = 15) -> None:
    (FOLDER / name).write_bytes((FOLDER / name).read_bytes()[:-size])


def two_places() -> None:
    flip(study.RUNS, 2)
    torn(study.EPOCHS)


FIRST, LAST = "11-1x4d-w16 seed 0", "11-2x3d-w16 seed 1"
# How a record is damaged, what is said of it, and which runs have to be trained again.
RECORDS: dict[str, tuple[Callable[[], Any], str, list[str]]] = {
    "a torn run": (lambda: torn(study.RUNS), "runs.csv: the last line was not written to its end", [LAST]),
    "a torn epoch": (lambda: torn(study.EPOCHS), f"epochs.csv: rows of 1 run are missing ({LAST})", [LAST]),
    "torn bits": (lambda: torn(study.CORRECT), f"correct.csv: rows of 1 run are missing ({LAST})", [LAST]),
    "torn filters": (lambda: torn(study.FILTERS), f"filters.csv: rows of 1 run are missing ({LAST})", [LAST]),
    "flipped filters": (lambda: flip(study.FILTERS, 2), "filters.csv: 1 line not matching the check (2)", [FIRST]),
    "lost filters": (lambda: without(study.FILTERS, 2), f"filters.csv: rows of 1 run are missing ({FIRST})", [FIRST]),
    "a lost line break": (lambda: torn(study.RUNS, 1), "runs.csv: the last line was not written to its end", []),
    "a flipped run": (lambda: flip(study.RUNS, 2), "runs.csv: 1 line not matching the check (2)", [FIRST]),
    "a flipped epoch": (lambda: flip(study.EPOCHS, 3), "epochs.csv: 1 line not matching the check (3)", [FIRST]),
    "flipped bits": (lambda: flip(study.CORRECT, 5), "correct.csv: 1 line not matching the check (5)", [LAST]),
    "an error that is no number": (
        lambda: rewritten(FOLDER / study.RUNS, "test_error", "nan"),
        "runs.csv: line 2: test_error='nan' is not a finite number from 0 to 1",
        [FIRST],
    ),
    "a lost run": (lambda: without(study.RUNS, 2), f"runs.csv: rows of 1 run are missing ({FIRST})", [FIRST]),
    "all runs lost": (lambda: without(study.RUNS, 2, 3, 4, 5), "runs.csv: rows of 4 runs", [FIRST, LAST]),
    "a lost epoch": (lambda: without(study.EPOCHS, 2), f"epochs.csv: rows of 1 run are missing ({FIRST})", [FIRST]),
    "damage in two places": (
        two_places,
        f"runs.csv: 1 line not matching the check (2); {FOLDER}/runs.csv: rows of 1 run are missing ({FIRST}); ",
        [FIRST, LAST],
    ),
}


@pytest.mark.parametrize(("damage", "words", "again"), broadly(RECORDS.values(), fast=3), ids=RECORDS)
def test_a_damaged_record_keeps_what_checks_and_the_rest_is_trained_again(
    ill: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[], Any],
    words: str,
    again: list[str],
) -> None:
    undrawn(monkeypatch)
    undisturbed = results()
    damage()
    before = files()
    code, output = doctor(capsys)
    assert (code, files()) == (1, before)
    assert words in output
    assert "Nothing was changed; add --yes to repair." in output
    assert all(run in output.partition("to be trained again: ")[2] for run in again) or not again
    code, output = doctor(capsys, "yes=true")
    assert code == 0, output
    assert "All is repaired." in output
    assert doctor(capsys)[0] == 0
    assert run(monkeypatch) == 0
    assert results() == undisturbed


def test_a_table_of_filters_that_is_gone_is_a_fault_and_one_that_never_was_is_none(
    ill: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (FOLDER / study.FILTERS).unlink()
    code, output = doctor(capsys, "yes=true")
    assert (code, "filters.csv: cannot be read (No such file or directory); restore it" in output) == (1, True)
    assert main([*TINY]) == 2
    assert "studies/tiny: filters.csv missing; restore them, or start anew with name=..." in capsys.readouterr().err
    # As schema 2 had it: neither the table nor the column that speaks of it.
    environment = json.loads((FOLDER / study.ENVIRONMENT).read_text())
    (FOLDER / study.ENVIRONMENT).write_text(json.dumps(environment | {"schema": 2}))
    rows = records.as_records(table.read(FOLDER / study.RUNS, RunRecord))
    path = FOLDER / study.RUNS
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    table.append(path, [replace(row, filter_layers=0) for row in rows])
    assert doctor(capsys)[0] == 0
    assert main([*TINY]) == 0
    assert not (FOLDER / study.FILTERS).exists()


def test_what_is_set_aside_is_there_to_the_byte(ill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(study.EPOCHS, 3)
    before = {name: (FOLDER / name).read_bytes() for name in (*study.TABLES, study.FILTERS)}
    assert doctor(capsys, "yes=true")[0] == 0
    (place,) = (FOLDER / DAMAGED).iterdir()
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def _age(page: Path) -> None:
    """Make it a page of an earlier record."""
    page.write_text(page.read_text().replace("<!-- runs: ", "<!-- runs: 0"))
    os.utime(page, (0, 0))


OTHERS: dict[str, tuple[Callable[[], Any], str]] = {
    "a damaged database": (
        lambda: os.truncate(mirror_path(FOLDER), 5000),
        "local/optuna.db: ",
    ),
    "an empty database": (lambda: os.truncate(mirror_path(FOLDER), 0), "local/optuna.db: "),
    "a part of a file": (
        lambda: (FOLDER / f".{study.CONFIG}.123.partial").write_text("half"),
        ".config.yaml.123.partial: left by an interrupted write",
    ),
    "a part of a page": (
        lambda: Path("reports/.tiny.html.123.partial").write_text("half"),
        ".tiny.html.123.partial: left by an interrupted write",
    ),
    "old checkpoints": (
        lambda: kept(records.load(FOLDER).runs["run"][0], 1),
        "checkpoints of a run that has ended",
    ),
}


PAGES: dict[str, tuple[Callable[[], Any], str]] = {
    "missing": (PAGE.unlink, "is not there"),
    "before the last runs": (lambda: _drawn_of(PAGE, 1), "is behind the record by 3 runs"),
    "before the first run": (lambda: _drawn_of(PAGE, None), "is behind the record by 4 runs"),
    "of another record": (lambda: _age(PAGE), "is older than the record"),
}


def _drawn_of(page: Path, runs: int | None) -> None:
    """Make it a page that was drawn when so many runs were recorded, or before the record was begun."""
    lines = (FOLDER / study.RUNS).read_bytes().splitlines(keepends=True)
    now = study.runs_digest(FOLDER)
    then = "" if runs is None else hashlib.sha256(b"".join(lines[: runs + 1])).hexdigest()[:16]
    page.write_text(page.read_text().replace(f"<!-- runs: {now} -->", f"<!-- runs: {then} -->"))
    os.utime(page, (0, 0))


@pytest.mark.parametrize(("age", "words"), PAGES.values(), ids=PAGES)
def test_a_page_behind_the_record_is_told_and_is_no_fault(
    ill: Path, capsys: pytest.CaptureFixture[str], age: Callable[[], Any], words: str
) -> None:
    age()
    before = files()
    code, output = doctor(capsys)
    assert (code, files()) == (0, before)
    assert f"reports/tiny.html: {words}\n  No fault: explorer report tiny draws it from the record" in output
    assert "Nothing is wrong." in output
    code, output = doctor(capsys, "yes=true")
    assert (code, "All is repaired." in output, study.is_stale(PAGE, FOLDER)) == (0, True, False)


def kept(run_id: str, epochs: int, steps: int = 0) -> Path:
    """A checkpoint as training leaves it."""
    results = tuple(EpochResult(number, 0.1, 1.0, 0.5, 0.5, 0.1) for number in range(1, epochs + 1))
    save(checkpoints(FOLDER) / run_id, run_id, Checkpoint(results, 1.0, 1.0, {"network.weight": torch.ones(9)}, steps))
    return max((checkpoints(FOLDER) / run_id).iterdir())


@pytest.mark.parametrize(("damage", "words"), broadly(OTHERS.values(), fast=3), ids=OTHERS)
def test_what_lies_beside_the_record_is_put_in_order(
    ill: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[], Any], words: str
) -> None:
    healthy = files()
    damage()
    before = files()
    code, output = doctor(capsys)
    assert (code, words in output, files()) == (1, True, before)
    code, output = doctor(capsys, "yes=true")
    assert (code, "All is repaired." in output) == (0, True)
    after = files()
    assert {path: after.get(path) for path in healthy if "local" not in path.parts} == {
        path: content for path, content in healthy.items() if "local" not in path.parts
    }
    assert set(after) == set(healthy)
    assert doctor(capsys)[0] == 0


LOST: dict[str, tuple[Callable[[], Any], str]] = {
    "no runs": ((FOLDER / study.RUNS).unlink, "runs.csv: cannot be read (No such file or directory); restore it"),
    "no epochs": ((FOLDER / study.EPOCHS).unlink, "epochs.csv: cannot be read"),
    "no bits": ((FOLDER / study.CORRECT).unlink, "correct.csv: cannot be read"),
    "empty runs": (lambda: (FOLDER / study.RUNS).write_text(""), "runs.csv: the file has no header line"),
    "junk": (lambda: (FOLDER / study.EPOCHS).write_bytes(bytes(range(256))), "epochs.csv: written with other columns"),
    "no settings": ((FOLDER / study.CONFIG).unlink, "config.yaml: is missing"),
    "unreadable settings": (lambda: (FOLDER / study.CONFIG).write_text("a: ["), "config.yaml: is not a YAML mapping"),
    "other settings": (lambda: (FOLDER / study.CONFIG).write_text("a: 1"), "a=1: unknown key"),
    "no plan": ((FOLDER / study.EXECUTION).unlink, "execution.json: is missing"),
    "no environment": (lambda: (FOLDER / study.ENVIRONMENT).write_text("{"), "environment.json: is not a JSON object"),
}


@pytest.mark.parametrize(("damage", "words"), LOST.values(), ids=LOST)
def test_what_only_a_person_can_restore_is_said_and_nothing_is_changed(
    ill: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[], Any], words: str
) -> None:
    damage()
    before = files()
    code, output = doctor(capsys, "yes=true")
    assert (code, words in output, "To do: " in output) == (1, True, True)
    assert files() == before


@pytest.mark.real
def test_a_study_on_its_way_says_what_is_left_and_from_where_it_goes_on(
    ill: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = list(records.load(FOLDER).runs["run"])
    without(study.RUNS, 4, 5)
    without(study.EPOCHS, 6, 7, 8, 9)
    without(study.CORRECT, 4, 5)
    kept(ids[2], 1, 3)
    assert "(goes" not in doctor(capsys, "yes=true")[1]
    code, output = doctor(capsys)
    assert (code, "Left to train, when it is started again: 2 runs" in output) == (0, True)
    assert "11-1x4d-w16 seed 1: goes on after step 3 of epoch 2" in output
    assert "11-2x3d-w16 seed 1: from its beginning" in output


@pytest.mark.parametrize(
    ("damage", "words"),
    broadly(
        [
            (lambda path: os.truncate(path, path.stat().st_size - 1), "it is cut short"),
            (lambda path: os.truncate(path, 100), "it is no safetensors file, or cut short"),
            (lambda path: path.write_bytes(b"\xff" * 1000), "it is no safetensors file"),
            (lambda path: path.write_bytes(b""), "its header cannot be read"),
            (lambda path: path.write_bytes((5).to_bytes(8, "little") + b"[1,2]"), "its header cannot be read"),
            (lambda path: path.write_bytes((9**5).to_bytes(8, "little") + b"[" * 9**5), "its header cannot be read"),
            (lambda path: shutil.copy(kept("another", 2), path), "it is of run another"),
        ],
        fast=2,
    ),
)
def test_a_checkpoint_that_cannot_be_used_is_set_aside_for_the_one_before(
    ill: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], object], words: str
) -> None:
    run_id = records.load(FOLDER).runs["run"][3]
    without(study.RUNS, 5)
    kept(run_id, 1)
    damage(newest := kept(run_id, 1, 2))
    content = newest.read_bytes()
    _, output = doctor(capsys)
    assert f"{newest}: cannot be used ({words}" in output
    assert "set it aside; the run goes on after epoch 1" in output
    assert doctor(capsys, "yes=true")[0] == 0
    assert not newest.exists()
    assert content in [path.read_bytes() for path in (FOLDER / DAMAGED).rglob("*.safetensors")]
    assert f"{LAST}: goes on after epoch 1" in doctor(capsys)[1]


def test_nothing_is_repaired_while_a_study_runs(ill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with study.locked(FOLDER):
        code, output = doctor(capsys)
        assert (code, f"It is being run by process {os.getpid()} on " in output) == (0, True)
        torn(study.RUNS)  # as a row that is on its way
        code, output = doctor(capsys, "yes=true")
        assert (code, "Nothing is wrong." in output) == (0, True)
        flip(study.RUNS, 3)
        before = files()
        code, output = doctor(capsys, "yes=true")
        assert (code, "nothing is repaired before that ends" in output, files()) == (1, True, before)
    assert doctor(capsys, "yes=true")[0] == 0


@pytest.mark.real
def test_on_a_terminal_every_repair_is_asked_for(ill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def asked(*answers: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "explorer", *DOCTOR]
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment()) as process:
            os.close(theirs)
            os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
            output = b""
            try:
                while part := os.read(ours, 4096):
                    output += part
            except OSError:  # the other end is closed
                pass
        os.close(ours)
        return process.returncode, " ".join(output.decode().split())

    flip(study.RUNS, 2)
    before = files()
    code, output = asked("n")
    assert (code, files()) == (1, before)
    assert "[y/n]" in output
    assert "1 left: studies/tiny/runs.csv: 1 line not matching" in output
    code, output = asked("y", "y", "y")
    assert (code, "All is repaired." in output) == (0, True)
    assert doctor(capsys)[0] == 0


@pytest.mark.real
def test_a_search_whose_decisions_are_damaged_goes_on(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    undrawn(monkeypatch)
    searched = finishing(replace(OK, test_error=None, correct=b"", test_images=0))
    assert run(monkeypatch, *SEARCH, "search.designs=3", answer=searched) == 0
    assert doctor(capsys, "yes=true")[0] == 0
    chosen = records.load(FOLDER).chosen()
    before = (FOLDER / study.DECISIONS).read_bytes()
    with (FOLDER / study.DECISIONS).open("ab") as file:
        file.write(before.splitlines(keepends=True)[-1])
    code, output = doctor(capsys, "yes=true")
    assert (code, "there twice" in output, "no run is lost" in output) == (0, True, True)
    assert (FOLDER / study.DECISIONS).read_bytes() == before
    flip(study.DECISIONS, 3)
    code, output = doctor(capsys)
    assert code == 1
    assert f"to be trained again: {chosen[1]} seed 0, {chosen[1]} seed 1" in output
    assert doctor(capsys, "yes=true")[0] == 0
    assert records.load(FOLDER).chosen() == [chosen[0], chosen[2]]
    assert "Left to train, when it is started again: 0 runs, and 1 design yet to be chosen" in doctor(capsys)[1]
    assert run(monkeypatch, *SEARCH, "search.designs=3", answer=searched) == 0
    assert len(records.load(FOLDER).chosen()) == 3
    assert len(records.load(FOLDER).runs) == 6


def test_a_study_without_a_row_yet_says_from_where_its_runs_go_on(
    ill: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = list(records.load(FOLDER).runs["run"])
    for name in (*study.TABLES, study.FILTERS):
        path = FOLDER / name
        path.write_text(path.read_text().splitlines(keepends=True)[0])
    kept(ids[2], 1, 3)
    path = checkpoints(FOLDER) / ids[0] / "0001.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"none")
    code, output = doctor(capsys)
    assert "Left to train, when it is started again: 4 runs" in output
    assert "11-1x4d-w16 seed 1: goes on after step 3 of epoch 2" in output
    assert (code, f"{path}: cannot be used" in output) == (1, True)


def test_a_study_that_was_never_started_has_nothing_to_repair(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FOLDER.mkdir(parents=True)
    code, output = doctor(capsys)
    assert (code, "Nothing has been recorded yet." in output) == (0, True)
    assert "It holds no study: explorer run study=equal_params name=tiny begins one in it" in output
    (FOLDER / study.ENVIRONMENT).write_text(json.dumps([]))
    assert doctor(capsys)[0] == 1
