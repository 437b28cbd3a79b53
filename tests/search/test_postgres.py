"""Studies whose trials are copied to a PostgreSQL server: it may refuse, stop and come back, and is shared with others.

Whole commands, with an engine that answers at once where nothing depends on the time.
"""

import logging
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from explorer.__main__ import main
from explorer.record import folder as study
from explorer.record.starts import identity
from explorer.search import coordinator, mirror
from explorer.search.database import FIRST_LOOK_SECONDS
from explorer.search.mirror import Mirror, Writer, mirror_path, own_mirror, problem
from explorer.search.trials import open_trials
from explorer.study.plan import plan_of
from explorer.study.settings import StudyConfig
from tests.conftest import PATIENCE, TINY, undrawn
from tests.faults.processes import command, free_port
from tests.faults.record import differences, record_of
from tests.search.postgres import IS_THERE, PASSWORD, QUOTED, Server, server
from tests.search.test_coordinator import OK, Engine, finishing
from tests.search.test_trials import record
from tests.stored import opened

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not IS_THERE and "EXPLORER_REQUIRE_REAL" not in os.environ, reason="no PostgreSQL server on this machine"
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

FOLDER = Path("studies/tiny")
DOCTOR = ["study=equal_params", "name=tiny", "do=doctor"]
NUMBERS = count(1)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    assert IS_THERE, "EXPLORER_REQUIRE_REAL is set and there is no PostgreSQL server"
    with server() as made:
        yield made


@pytest.fixture
def database(running: Server) -> str:
    """The name of an empty database."""
    name = f"d{next(NUMBERS)}"
    running.sql(f"CREATE DATABASE {name} OWNER me")
    return name


@pytest.fixture
def url(running: Server, database: str) -> str:
    return running.url(database)


@pytest.fixture
def start(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the tiny study with an engine that answers at once; gives the exit code."""
    monkeypatch.setattr(coordinator, "open_engine", lambda *_: Engine(finishing(OK)))
    undrawn(monkeypatch)
    return lambda *overrides: main([*TINY, *overrides])


def shared(url: str) -> list[str]:
    return ["storage=postgres", f"storage.url={url}"]


def driven(url: str) -> str:
    """The URL as Optuna's own commands take it."""
    return url.replace("postgresql://", "postgresql+psycopg://")


def stored(url: str, name: str = "tiny") -> list[FrozenTrial]:
    with opened(driven(url), name) as study:
        return study.get_trials()


def deleted(url: str) -> None:
    """Somebody deletes the study in the dashboard."""
    storage = optuna.storages.RDBStorage(driven(url))
    optuna.delete_study(study_name="tiny", storage=storage)
    storage.engine.dispose()


def names(running: Server, database: str) -> list[str]:
    return [name for (name,) in running.sql("SELECT study_name FROM studies ORDER BY study_name", database)]


def content(trials: list[FrozenTrial]) -> list[tuple[object, ...]]:
    fields = ("number", "state", "values", "params", "user_attrs", "intermediate_values")
    return [tuple(getattr(trial, name) for name in fields) for trial in trials]


def owner(name: str) -> str:
    return identity(name, study.stored_environment(study.study_folder(name)) or {})


def doctor(capsys: pytest.CaptureFixture[str], *overrides: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main([*DOCTOR, *overrides])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def line(capsys: pytest.CaptureFixture[str]) -> str:
    (found,) = capsys.readouterr().err.splitlines()
    return found


def test_a_study_is_the_same_on_a_server_as_in_its_own_file(start: Callable[..., int], url: str) -> None:
    assert start(*shared(url)) == 0
    there = content(stored(url))
    shutil.rmtree(FOLDER)
    assert start("storage=sqlite") == 0
    assert there == content(stored(own_mirror(FOLDER).url))
    assert [state for _, state, *_ in there] == [TrialState.COMPLETE] * 2


def test_a_password_is_written_nowhere(
    start: Callable[..., int], url: str, capfd: pytest.CaptureFixture[str], workplace: Path
) -> None:
    begin = url.partition(":p%2F")[0]
    assert start(*shared(url)) == 0
    assert start(*shared(url), "do=report") == 0
    for wrong in ("space.depth=7", "nonsense=1", "search.seeds=1"):
        assert start(*shared(url), wrong) == 2
    assert start("storage=sqlite", f"storage.url={url}") == 2
    assert start("storage=postgres", f"storage.urll={url}") == 2
    assert start("storage=postgres", f"storage.url={url}?a=b", "search.seeds=3") == 2
    assert start("storage=postgres", f"storage.url=[{url}]", "name=other") == 2
    assert start(*shared(url), "--cfg", "job") == 0
    assert main([*DOCTOR, *shared(url)]) == 0
    assert start("do=move", "storage=sqlite", f"from={url}", "--cfg", "job") == 0
    assert start("do=move", "storage=sqlite", f"from={url}") == 0
    assert main(DOCTOR) == 0
    captured = capfd.readouterr()
    said = captured.out + captured.err
    files = {path: path.read_bytes() for path in workplace.rglob("*") if path.is_file()}
    for secret in (PASSWORD, QUOTED):
        assert secret not in said
        assert not [path for path, held in files.items() if secret.encode() in held]
    assert f"url: {begin}@127.0.0.1" in said


def test_the_settings_name_the_server_without_its_password(start: Callable[..., int], url: str) -> None:
    assert start(*shared(url)) == 0
    settings = yaml.safe_load((FOLDER / study.CONFIG).read_text())["storage"]
    assert settings == {"mirror": "url", "weights": "none", "url": url.replace(f":{QUOTED}", "")}


def test_a_password_may_come_from_the_environment(
    start: Callable[..., int], running: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert start(*shared(running.url(database, password=""))) == 0
    assert len(stored(running.url(database))) == 2


REFUSED = {
    "a wrong password": ({"password": "wrong"}, 'password authentication failed for user "me"'),
    "no password": ({"password": ""}, "no password supplied"),
    "an unknown role": ({"user": "nobody_known"}, 'password authentication failed for user "nobody_known"'),
    "an unknown database": ({"database": "unknown"}, 'database "unknown" does not exist'),
}


@pytest.mark.parametrize(("changes", "words"), REFUSED.values(), ids=REFUSED)
def test_a_refused_login_is_one_line_and_nothing_is_begun(
    start: Callable[..., int],
    running: Server,
    database: str,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str],
    words: str,
) -> None:
    began = time.monotonic()
    assert start(*shared(running.url(**{"database": database, **changes}))) == 2
    assert time.monotonic() - began < PATIENCE
    said = line(capsys)
    assert words in said
    assert said.startswith("explorer: storage.url=postgresql://")
    assert not FOLDER.exists()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["storage=postgres"], "storage.url is missing"),
        (["storage=postgres", "storage.url=nonsense"], "storage.url=nonsense: is no URL of a database"),
        (["storage=postgres", "storage.url=redis://localhost"], "is no URL of a database"),
        (["storage=postgres", "storage.url=postgresql://me@h:port/d"], "is no URL of a database"),
        (["storage=postgres", "storage.url=mysql+pymysql://h/d"], "its driver pymysql is not installed; pip install"),
        (["storage=postgres", "storage.url=postgresql://me:a@b@h/d"], "url=postgresql://me@h/d: its password is not"),
        (["storage=postgres", "storage.url='postgresql://h/d?password=a'"], "its password is not where it should be"),
        (["storage=postgres", "storage.url='postgresql://me:a b@h/d'"], "holds white space"),
        (["storage=none", "storage.url=sqlite:///a.db"], "storage.mirror=none has no URL; say storage=postgres"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_line(
    start: Callable[..., int], capsys: pytest.CaptureFixture[str], overrides: list[str], words: str
) -> None:
    assert start(*overrides) == 2
    assert words in line(capsys)
    assert not FOLDER.exists()


def test_a_missing_driver_is_named_with_the_extra_that_has_it(
    start: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert start(*shared("postgresql://me@127.0.0.1/d")) == 2
    assert "its driver psycopg is not installed; pip install 'resnext-explorer[postgres]'" in line(capsys)


def test_a_server_that_is_down_stops_nothing_is_told_once_and_caught_up_with_by_the_next_start(
    start: Callable[..., int],
    running: Server,
    url: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    running.stop()
    began = time.monotonic()
    try:
        assert start(*shared(url)) == 0
        assert time.monotonic() - began < PATIENCE
        away, late = (told.getMessage() for told in caplog.records)
        assert "cannot be written now: connection failed" in away
        assert late.endswith(mirror.LATE)
        code, output = doctor(capsys, *shared(url))
        assert code == 0
        assert "which cannot be looked at now" in output
    finally:
        running.start()
    record = (FOLDER / study.RUNS).read_bytes()
    assert start() == 0  # the folder may be of others: only where the command names the server is it written
    assert (FOLDER / study.BEHIND).exists()
    assert start(*shared(url)) == 0
    assert len(stored(url)) == 2
    assert (FOLDER / study.RUNS).read_bytes() == record
    assert not (FOLDER / study.BEHIND).exists()


def test_a_server_that_never_answers_holds_a_start_up_for_seconds(start: Callable[..., int]) -> None:
    began = time.monotonic()
    assert start(*shared("postgresql://me@192.0.2.1/d")) == 0  # an address that nobody has (RFC 5737)
    assert time.monotonic() - began < FIRST_LOOK_SECONDS + mirror.LAST_SECONDS + PATIENCE


def test_studies_of_one_name_leave_each_other_alone(
    start: Callable[..., int],
    running: Server,
    database: str,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    owners = []
    for place in ("mine", "yours"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        assert start(*shared(url), f"search.seeds={2 if place == 'mine' else 1}") == 0
        owners.append(owner("tiny"))
    mine, yours = "tiny", f"tiny-{owners[1][:6]}"
    assert names(running, database) == [mine, yours]
    assert f"has a study tiny of somebody else; this one is called {yours} there" in caplog.text
    before = stored(url, mine)
    assert start(*shared(url), "search.seeds=3") == 0  # a told trial is opened again, so the study is written anew
    assert names(running, database) == [mine, yours]
    assert content(stored(url, mine)) == content(before)
    assert len([key for key in stored(url, yours)[0].user_attrs if key.startswith("seed ")]) == 3
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert start("do=move", "storage=none", f"from={url}") == 0
    assert names(running, database) == [mine]
    assert content(stored(url, mine)) == content(before)


def test_a_study_that_is_deleted_there_is_written_again(tiny: StudyConfig, url: str, tmp_path: Path) -> None:
    trials = open_trials("tiny", plan_of(tiny).settings, seeds=2)
    writer = Writer(trials, Mirror(tmp_path, url, "owner"))
    assert writer.catch_up()
    deleted(url)
    assert problem(trials, writer.mirror) == ("it lacks the study", False)
    trials.add(record("11-1x4d-w16", 0, 0.1))
    assert writer.catch_up()
    assert content(stored(url)) == content(trials.frozen())


PASSING = {
    "a server for reading alone": (
        "ALTER DATABASE {0} SET default_transaction_read_only = on",
        "ALTER DATABASE {0} RESET default_transaction_read_only",
        "read-only transaction",
    ),
    "too many connections": (
        "ALTER DATABASE {0} CONNECTION LIMIT 0",
        "ALTER DATABASE {0} CONNECTION LIMIT -1",
        "too many connections",
    ),
    "a right that is missing": (
        "REVOKE ALL ON trials FROM me; ALTER TABLE trials OWNER TO owner",
        "ALTER TABLE trials OWNER TO me; GRANT ALL ON trials TO me",
        "permission denied for table trials",
    ),
}


@pytest.mark.parametrize(("begin", "end", "words"), PASSING.values(), ids=PASSING)
def test_what_passes_is_told_once_and_caught_up_with(
    tiny: StudyConfig,
    running: Server,
    database: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    begin: str,
    end: str,
    words: str,
) -> None:
    trials = open_trials("tiny", plan_of(tiny).settings, seeds=2)
    writer = Writer(trials, Mirror(tmp_path, running.url(database), "owner"))
    assert writer.catch_up()
    there = "postgres" if begin.startswith("ALTER DATABASE") else database
    running.sql(begin.format(database), there)
    trials.add(record("11-1x4d-w16", 0, 0.1))
    with caplog.at_level(logging.WARNING, logger=mirror.__name__):
        assert [writer.catch_up() for _ in range(2)] == [False, False]
    (told,) = caplog.records
    assert words in told.getMessage()
    running.sql(end.format(database), there)
    assert writer.catch_up()
    assert content(stored(running.url(database))) == content(trials.frozen())


def test_a_study_moves_to_a_server_and_back_and_to_nothing(
    start: Callable[..., int],
    running: Server,
    database: str,
    url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert start("storage.weights=last") == 0
    expected = content(stored(own_mirror(FOLDER).url))
    capsys.readouterr()
    assert start("do=move", *shared(url)) == 0
    shown = url.replace(f":{QUOTED}", "")
    assert capsys.readouterr().out.splitlines() == [
        f"Written: {shown}, 2 trials as the record has them",
        f"Recorded in {FOLDER}/config.yaml: storage.mirror=url, {shown}",
        f"Removed: the mirror {FOLDER}/local/optuna.db",
    ]
    assert content(stored(url)) == expected
    assert not mirror_path(FOLDER).exists()
    settings = yaml.safe_load((FOLDER / study.CONFIG).read_text())["storage"]
    assert settings == {"mirror": "url", "weights": "last", "url": shown, "trackers": []}
    assert start("do=move", *shared(url)) == 0  # to where it is
    assert content(stored(url)) == expected
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    code, output = doctor(capsys, *shared(shown))
    assert (code, f"Mirror: {shown}\n" in output) == (0, True)
    assert start("do=move", "storage=sqlite", f"from={shown}") == 0
    assert f"Removed: the mirror {shown}" in capsys.readouterr().out
    assert names(running, database) == []
    assert start("do=move", "storage=sqlite", f"from={shown}") == 0
    assert f"Nothing to remove: {shown} lacks the study" in capsys.readouterr().out
    assert content(stored(own_mirror(FOLDER).url)) == expected
    assert start("do=move", "storage=none") == 0
    assert not mirror_path(FOLDER).exists()
    assert start("search.seeds=2") == 0


def test_what_cannot_be_moved_is_one_line_and_left_as_it_is(
    start: Callable[..., int], running: Server, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start("do=move", *shared(url)) == 2
    assert "there is no such study yet" in line(capsys)
    assert start() == 0
    before = mirror_path(FOLDER).read_bytes()
    settings = (FOLDER / study.CONFIG).read_bytes()
    capsys.readouterr()
    assert start("do=move") == 2
    assert "move: say where to; allowed: storage=sqlite" in line(capsys)
    with study.locked(FOLDER):
        assert start("do=move", *shared(url)) == 2
    assert "is being run by process" in line(capsys)
    assert start("do=move", *shared(url.replace(QUOTED, "wrong"))) == 2
    assert "password authentication failed" in line(capsys)
    running.stop()
    try:
        assert start("do=move", *shared(url)) == 2
    finally:
        running.start()
    assert "nothing has been moved" in line(capsys)
    assert (mirror_path(FOLDER).read_bytes(), (FOLDER / study.CONFIG).read_bytes()) == (before, settings)


def test_a_study_leaves_a_server_that_is_gone(
    start: Callable[..., int], running: Server, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(*shared(url)) == 0
    running.stop()
    try:
        assert start("do=move", "storage=sqlite", f"from={url}") == 0
    finally:
        running.start()
    assert "cannot be removed now: connection failed" in capsys.readouterr().out
    assert len(stored(own_mirror(FOLDER).url)) == 2


def test_a_start_says_where_the_mirror_was_until_now(
    start: Callable[..., int], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start() == 0
    assert "The dashboard's database" not in capsys.readouterr().out
    assert start(*shared(url), "search.seeds=3") == 0
    shown = url.replace(f":{QUOTED}", "")
    words = (
        f"has been {own_mirror(FOLDER).path}, which stays as it is; this start writes to {shown} (explorer move tiny "
    )
    assert words in capsys.readouterr().out
    assert start("search.seeds=4") == 0
    words = (
        f"has been {shown}, which stays as it is; this start writes to {own_mirror(FOLDER).path} (explorer move tiny "
        "storage=sqlite takes it along)"
    )
    assert words in capsys.readouterr().out


def test_the_doctor_sees_what_a_server_lacks_and_writes_it(
    start: Callable[..., int],
    running: Server,
    database: str,
    url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert start(*shared(url)) == 0
    code, output = doctor(capsys, f"storage.url={url.replace(f':{QUOTED}', '')}", "storage=postgres")
    assert (code, "no password supplied" in output) == (0, True)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    running.sql("UPDATE trial_values SET value = 0.5", database)
    code, output = doctor(capsys, *shared(url))
    assert (code, "it is not what the record says" in output) == (1, True)
    assert doctor(capsys, *shared(url), "yes=true")[0] == 0
    deleted(url)
    assert "it lacks the study" in doctor(capsys, *shared(url))[1]
    assert doctor(capsys, *shared(url), "yes=true")[0] == 0
    assert [trial.value for trial in stored(url)] == [OK.val_error] * 2


def test_a_database_is_made_by_no_doctor_and_looked_at_where_the_command_names_it(
    start: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path("elsewhere.db")
    assert start(*shared(f"sqlite:///{other}")) == 0
    assert len(stored(f"sqlite:///{other}")) == 2
    other.unlink()
    assert (
        f"sqlite:///{other}, which is looked at where the command says storage.url=sqlite:///{other}"
        in doctor(capsys)[1]
    )
    code, output = doctor(capsys, "yes=true", *shared(f"sqlite:///{other}"))
    assert (code, f"sqlite:///{other}, which cannot be looked at now: there is no file {other}" in output) == (0, True)
    assert not other.exists()


def test_a_server_that_the_folder_alone_names_is_told_no_password(
    start: Callable[..., int],
    running: Server,
    url: str,
    database: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert start(*shared(url)) == 0
    shown = url.replace(f":{QUOTED}", "")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)

    def reached(*_: object) -> None:
        raise AssertionError("it was connected to")

    with monkeypatch.context() as patch:
        patch.setattr(RDBStorage, "__init__", reached)
        code, output = doctor(capsys)
        assert (code, f"Mirror: {shown}, which is looked at where the command says" in output) == (0, True)
        assert doctor(capsys, "storage=postgres", "storage.url=postgresql://me@127.0.0.1:1/d")[0] == 0
        assert main(["name=tiny", "do=doctor"]) == 0
    assert start("do=move", "storage=sqlite") == 0
    assert f"Left where it is: the old mirror {shown}; the same command with from={shown}" in capsys.readouterr().out
    assert names(running, database) == ["tiny"]


LONGER = [*TINY, "recipe.epochs=40", "search.seeds=4", "engine.save_every=0"]


def runs(place: Path) -> int:
    path = place / FOLDER / study.RUNS
    return path.read_bytes().count(b"\n") - 1 if path.exists() else 0


def test_a_server_that_restarts_in_the_middle_of_a_study_changes_nothing_and_is_caught_up_with(
    running: Server, database: str, url: str, tmp_path: Path
) -> None:
    words = [*LONGER, *shared(url)]
    with command(tmp_path / "undisturbed", words) as one:
        assert one.ended() == 0, one.told()
    with command(tmp_path / "disturbed", words) as one:
        one.until(lambda: len(names(running, database)) == 2 and runs(tmp_path / "disturbed") > 1, 120.0)
        running.stop()
        try:
            before = runs(tmp_path / "disturbed")
            one.until(lambda: runs(tmp_path / "disturbed") > before + 1, 120.0)
        finally:
            running.start()
        assert one.ended() == 0, one.told()
    found = differences(record_of(tmp_path / "disturbed" / FOLDER), record_of(tmp_path / "undisturbed" / FOLDER))
    assert not found, found
    first, second = names(running, database)
    assert content(stored(url, first)) == content(stored(url, second))
    assert sorted(stored(url, second)[0].intermediate_values) == [*range(1, 41)]


def test_two_coordinators_write_different_studies_at_once(
    running: Server, database: str, url: str, tmp_path: Path
) -> None:
    words = [*TINY, *shared(url)]
    with command(tmp_path, [*words, "name=one"]) as one, command(tmp_path, [*words, "name=two"]) as two:
        assert (one.ended(), two.ended()) == (0, 0), one.told() + two.told()
    # Of two that make the tables of an empty database at once, one may have to leave its mirror to its next start.
    for name in {"one", "two"} - {*names(running, database)}:
        with command(tmp_path, [*words, f"name={name}"]) as again:
            assert again.ended() == 0, again.told()
    assert names(running, database) == ["one", "two"], one.told() + two.told()
    assert content(stored(url, "one")) == content(stored(url, "two"))


def test_the_dashboard_shows_a_study_of_a_server(
    start: Callable[..., int], url: str, tmp_path: Path, running: Server
) -> None:
    assert start(*shared(url)) == 0
    port = free_port()
    words = [driven(url), "--port", str(port)]
    code = f"import sys; from optuna_dashboard._cli import main; sys.argv[1:] = {words}; main()"
    if subprocess.run([sys.executable, "-c", "import optuna_dashboard"], capture_output=True).returncode:
        assert "EXPLORER_REQUIRE_REAL" not in os.environ, "optuna-dashboard is not installed"
        pytest.skip("optuna-dashboard is not installed")
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        try:
            for _ in range(100):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies") as answer:
                        shown = answer.read().decode()
                    break
                except OSError:
                    time.sleep(0.2)
        finally:
            process.terminate()
    assert '"study_name": "tiny"' in shown
