import logging
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import event
from sqlalchemy.engine import Engine

from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.search.mirror import LAST_SECONDS, LATE, OWNER, Mirror, Writer, mirror_path, mirrored, own_mirror, problem
from explorer.search.state import replayed
from explorer.search.trials import Trials, open_trials
from explorer.study.plan import plan_of
from explorer.study.settings import StudyConfig
from explorer.verbs.command_line import read_command
from tests.conftest import PATIENCE, TINY, broadly
from tests.made_up import made_up
from tests.search.test_trials import record
from tests.stored import noted, opened, trials_of

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "local").mkdir()
    return tmp_path


@pytest.fixture
def trials(tiny: StudyConfig) -> Trials:
    return open_trials("tiny", plan_of(tiny).settings, seeds=2)


def assert_equal(folder: Path, trials: Trials) -> None:
    for copy, original in zip(trials_of(folder), trials.frozen(), strict=True):
        for name in ("number", "state", "values", "params", "user_attrs", "intermediate_values"):
            assert getattr(copy, name) == getattr(original, name), name


def test_a_study_that_was_being_created_when_the_connection_broke_is_taken_up(tmp_path: Path, trials: Trials) -> None:
    mirror = Mirror(tmp_path, f"sqlite:///{tmp_path / 'shared.db'}", "0123456789abcdef")
    optuna.create_study(storage=mirror.url, study_name="tiny").set_user_attr(OWNER, "somebody else")
    optuna.create_study(storage=mirror.url, study_name="tiny-012345")
    assert Writer(trials, mirror).catch_up()
    assert sorted(optuna.get_all_study_names(mirror.url)) == ["tiny", "tiny-012345"]
    written = optuna.load_study(storage=mirror.url, study_name="tiny-012345")
    assert (written.user_attrs, len(written.trials)) == ({OWNER: mirror.owner}, 2)
    assert problem(trials, mirror) == ("", False)


def test_the_mirror_follows_trials_as_they_go_on(folder: Path, trials: Trials) -> None:
    Writer(trials, own_mirror(folder)).catch_up()
    assert [trial.state for trial in trials_of(folder)] == [TrialState.RUNNING] * 2
    for seed, error in ((0, 0.1), (1, 0.3)):
        trials.add(record("11-1x4d-w16", seed, error))
        Writer(trials, own_mirror(folder)).catch_up()
        assert_equal(folder, trials)
    assert trials_of(folder)[0].value == pytest.approx(0.2)


def test_the_note_follows_the_study_and_a_persons_own_is_left_alone(folder: Path, trials: Trials) -> None:
    long = "x" * 5000
    from optuna_dashboard import save_note  # here: other tests of this file run where it is not installed

    for words in ("first", long, "short"):
        assert Writer(trials, own_mirror(folder), note=words).catch_up()
        assert noted(folder) == words
    with opened(own_mirror(folder).url, "tiny") as study:
        save_note(study, "mine")
    assert Writer(trials, own_mirror(folder), note="later").catch_up()
    assert noted(folder) == "mine"


def test_a_deleted_or_damaged_mirror_is_made_anew(folder: Path, trials: Trials) -> None:
    trials.add(record("11-1x4d-w16", 0, 0.1))
    Writer(trials, own_mirror(folder)).catch_up()
    database = folder / "local" / "optuna.db"
    for damage in (database.unlink, lambda: database.write_bytes(b"not a database" * 100)):
        damage()
        Writer(trials, own_mirror(folder)).catch_up()
        assert_equal(folder, trials)


@pytest.mark.real
def test_seeds_added_later_open_a_told_trial_again(folder: Path, tiny: StudyConfig) -> None:
    for seeds in (1, 2):
        trials = open_trials("tiny", plan_of(tiny).settings, seeds)
        trials.add(record("11-1x4d-w16", 0, 0.1))
        Writer(trials, own_mirror(folder)).catch_up()
        assert_equal(folder, trials)
    assert [trial.state for trial in trials_of(folder)] == [TrialState.RUNNING] * 2


def test_all_designs_of_a_search_are_mirrored_and_say_what_chose_them(workplace: Path) -> None:
    overrides = ["search=tpe", "search.designs=9", "search.objectives=[error]", "search.baseline=0.3"]
    config = read_command(["study=pareto", *overrides, "recipe.epochs=3", "name=tiny"]).study
    folder = made_up(config)
    found_study = open_study(folder)
    finding = found_study.finding
    trials = replayed(plan_of(config), found_study.settings, found_study.record)
    Writer(trials, own_mirror(folder)).catch_up()
    assert_equal(folder, trials)
    assert trials.frozen()[-1] is trials.frozen()[-1]
    means = {one.setting: one.estimate.mean for one in finding.summaries}
    assert {trial.user_attrs["setting"]: trial.value for trial in trials_of(folder)} == pytest.approx(means)
    chosen_by = {one.setting: one.by for one in found_study.record.decisions}
    assert {trial.user_attrs["setting"]: trial.user_attrs["chosen_by"] for trial in trials_of(folder)} == chosen_by
    assert Counter(chosen_by.values()) == {"baseline": 3, "tpe": 6}


def test_a_synchronised_mirror_is_left_alone(folder: Path, tiny: StudyConfig) -> None:
    for _ in range(2):
        trials = open_trials("tiny", plan_of(tiny).settings, seeds=1)
        trials.add(record("11-1x4d-w16", 0, 0.1))
        Writer(trials, own_mirror(folder)).catch_up()
    first, *_ = trials_of(folder)
    assert first._trial_id == 1


def test_trials_that_have_not_changed_are_neither_read_nor_written(folder: Path, trials: Trials) -> None:
    writer, statements = Writer(trials, own_mirror(folder)), list[str]()
    assert writer.catch_up()

    def note(connection: object, cursor: object, statement: str, *others: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert writer.catch_up()
        assert len(statements) == 2
        assert not [statement for statement in statements if "trial" in statement]
        trials.add(record("11-1x4d-w16", 0, 0.1))
        assert writer.catch_up()
        assert len(statements) > 4
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert_equal(folder, trials)


def test_a_mirror_that_cannot_be_written_is_warned_of_and_stops_nothing(
    folder: Path, trials: Trials, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "local").rmdir()
    with caplog.at_level(logging.WARNING), mirrored(trials, own_mirror(folder)):
        trials.add(record("11-1x4d-w16", 0, 0.1))
    assert "cannot be written now" in caplog.text


def test_what_is_left_is_written_when_the_study_ends(folder: Path, trials: Trials) -> None:
    with mirrored(trials, own_mirror(folder)):
        trials.add(record("11-1x4d-w16", 0, 0.1))
    assert_equal(folder, trials)


@pytest.fixture
def database(folder: Path, trials: Trials) -> Path:
    """A database that has all trials but one result."""
    trials.add(record("11-1x4d-w16", 0, 0.1))
    assert Writer(trials, own_mirror(folder)).catch_up()
    trials.add(record("11-1x4d-w16", 1, 0.3))
    return mirror_path(folder)


def cut(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: cut(path, 0),
    "only its first bytes": lambda path: cut(path, 16),
    "half a header": lambda path: cut(path, 50),
    "only its header": lambda path: cut(path, 100),
    "one page": lambda path: cut(path, 4096),
    "cut within a page": lambda path: cut(path, path.stat().st_size // 2 + 123),
    "without its last page": lambda path: cut(path, path.stat().st_size - 4096),
    "without its last byte": lambda path: cut(path, path.stat().st_size - 1),
    "of a later version": lambda path: change(path, "UPDATE alembic_version SET version_num = 'v99.0.0.a'"),
    "of another schema": lambda path: change(path, "UPDATE version_info SET schema_version = 99"),
    "without a table": lambda path: change(path, "DROP TABLE trial_values"),
    "without a column": lambda path: change(path, "ALTER TABLE trial_user_attributes DROP COLUMN value_json"),
    "with nonsense in a cell": lambda path: change(path, "UPDATE trial_user_attributes SET value_json = '{'"),
    "beside the journal of another": lambda path: path.with_name("optuna.db-journal").write_bytes(b"junk" * 5000),
    "deleted beside its journal": lambda path: path.rename(path.with_name("optuna.db-journal")),
}


@pytest.mark.parametrize("damage", broadly(DAMAGE.values(), fast=3), ids=DAMAGE)
def test_a_database_that_cannot_be_used_is_made_anew(
    folder: Path, trials: Trials, database: Path, damage: Callable[[Path], object]
) -> None:
    damage(database)
    assert Writer(trials, own_mirror(folder)).catch_up()
    assert_equal(folder, trials)


ENDLESS = "WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) SELECT n AS"
CRAFTED = {
    "a view in the place of a table": f"DROP TABLE studies; CREATE VIEW studies AS {ENDLESS} study_id FROM endless",
    "a view beside": f"CREATE VIEW more AS {ENDLESS} n FROM endless",
    "a trigger": "CREATE TRIGGER more AFTER INSERT ON trials BEGIN DELETE FROM studies; END",
    "a column that computes": "ALTER TABLE trials ADD COLUMN more GENERATED ALWAYS AS (zeroblob(1000000000)) VIRTUAL",
    "more rows than a record": "UPDATE studies SET study_name = zeroblob(20000000)",
}


@pytest.mark.parametrize("script", broadly(CRAFTED.values(), fast=2), ids=[*CRAFTED])
def test_a_database_that_others_have_made_up_is_made_anew_without_being_read(
    folder: Path, trials: Trials, script: str
) -> None:
    Writer(trials, own_mirror(folder)).catch_up()
    with closing(sqlite3.connect(mirror_path(folder))) as crafted:
        crafted.executescript(script)
    began = time.process_time()
    wrong, is_away = problem(trials, own_mirror(folder))
    assert wrong.startswith(("its tables are not those that Optuna", "it is far larger than the record"))
    assert not is_away
    assert Writer(trials, own_mirror(folder)).catch_up()
    assert time.process_time() - began < 20
    assert problem(trials, own_mirror(folder)) == ("", False)
    assert_equal(folder, trials)


def test_a_journal_that_names_another_file_is_not_played_back(folder: Path, trials: Trials, tmp_path: Path) -> None:
    Writer(trials, own_mirror(folder)).catch_up()
    precious = tmp_path / "precious"
    precious.write_text("as it was")
    name, journal = str(precious).encode(), folder / "local" / "optuna.db-journal"
    end = len(name).to_bytes(4, "big") + sum(name).to_bytes(4, "big") + bytes.fromhex("d9d505f920a163d7")
    journal.write_bytes(bytes.fromhex("d9d505f920a163d7") + bytes(504) + bytes(4) + name + end)
    assert problem(trials, own_mirror(folder)) == ("its journal names another file", False)
    assert Writer(trials, own_mirror(folder)).catch_up()
    assert precious.read_text() == "as it was"
    assert problem(trials, own_mirror(folder)) == ("", False)


@pytest.mark.real
def test_flipped_bytes_are_found_or_do_not_matter(folder: Path, trials: Trials, database: Path) -> None:
    whole, rng = database.read_bytes(), random.Random(0)
    for _ in range(40):
        flipped = bytearray(whole)
        for _ in range(rng.choice((1, 20))):
            flipped[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        database.write_bytes(flipped)
        assert Writer(trials, own_mirror(folder)).catch_up()
        assert_equal(folder, trials)


@contextmanager
def held(path: Path, begin: str) -> Iterator[None]:
    """Another process holds the database."""
    code = (
        f"import sqlite3; held = sqlite3.connect({str(path)!r}, isolation_level=None); held.execute({begin!r}); "
        "held.execute('SELECT * FROM studies').fetchall(); print(flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


@pytest.mark.real
@pytest.mark.parametrize("begin", broadly(["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE", "BEGIN"]))
def test_a_locked_database_is_told_once_left_alone_and_caught_up_with_later(
    folder: Path, trials: Trials, database: Path, caplog: pytest.LogCaptureFixture, begin: str
) -> None:
    before = database.read_bytes()
    with held(database, begin):
        began = time.monotonic()
        with mirrored(trials, own_mirror(folder)):
            pass
        assert time.monotonic() - began < LAST_SECONDS + PATIENCE
        writer = Writer(trials, own_mirror(folder))
        assert [writer.catch_up() for _ in range(2)] == [False, False]
    assert database.read_bytes() == before
    lines = [record.getMessage() for record in caplog.records]
    locked, late = f"the mirror {database} cannot be written now: database is locked", f"the mirror {database} {LATE}"
    assert lines == [locked, late, locked]  # once in each turn, and that it ends so
    assert writer.catch_up()
    assert_equal(folder, trials)


def test_a_folder_in_its_place_is_told_once_and_left_alone(
    folder: Path, trials: Trials, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database.unlink()
    (database / "something").mkdir(parents=True)
    writer = Writer(trials, own_mirror(folder))
    assert [writer.catch_up() for _ in range(3)] == [False] * 3
    assert "it is not a file; move away what is there" in caplog.text
    assert len(caplog.records) == 1
    assert (database / "something").is_dir()
    shutil.rmtree(database)
    assert writer.catch_up()
    assert_equal(folder, trials)


def test_a_read_only_database_is_told_once_and_left_alone(
    folder: Path, trials: Trials, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = database.read_bytes()
    if os.geteuid():
        database.chmod(0o444)
    else:  # to whom rights are nothing: another file system, for reading alone
        mount = ["mount", "--bind", "-o", "ro", str(database), str(database)]
        if (done := subprocess.run(mount, capture_output=True, text=True)).returncode:
            reason = f"nothing can be mounted here: {done.stderr.strip()}"
            assert "EXPLORER_REQUIRE_REAL" not in os.environ, reason
            pytest.skip(reason)
    writer = Writer(trials, own_mirror(folder))
    try:
        assert [writer.catch_up() for _ in range(3)] == [False] * 3
    finally:
        if os.geteuid():
            database.chmod(0o644)
        else:
            subprocess.run(["umount", "--lazy", database], check=True)
    assert "readonly database" in caplog.text
    assert len(caplog.records) == 1
    assert database.read_bytes() == before
    assert writer.catch_up()
    assert_equal(folder, trials)


def test_a_finished_study_without_a_database_says_what_makes_one(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made_up(read_command([*TINY, "storage=none"]).study)
    assert main([*TINY, "storage=sqlite"]) == 0
    assert "explorer move tiny storage=sqlite makes one" in " ".join(capsys.readouterr().out.split())
    assert not mirror_path(folder).exists()
    assert main(["move", "tiny", "storage=sqlite"]) == 0
    assert mirror_path(folder).exists()
    capsys.readouterr()
    assert main([*TINY, "storage=sqlite"]) == 0
    assert "makes one" not in capsys.readouterr().out
