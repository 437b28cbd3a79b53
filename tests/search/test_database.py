"""Which URLs of databases are taken: where one leads is what a person reads in it."""

import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url

from explorer.__main__ import main
from explorer.host.errors import InputError
from explorer.search.database import read_url
from explorer.verbs.command_line import read_command
from tests.made_up import made_up

DETOURS = [
    ("postgresql://h/d?host=/tmp", "host"),
    ("postgresql:///d?host=evil", "host"),
    ("postgresql:///d?host=/tmp&host=evil", "host"),
    ("postgresql://h/d?hostaddr=10.0.0.1", "hostaddr"),
    ("postgresql://h/d?sslmode=prefer&service=x", "service"),
    ("postgresql://h/d?servicefile=x", "servicefile"),
    ("postgresql://h/d?port=1", "port"),
    ("postgresql://h/d?user=x", "user"),
    ("postgresql://h/d?dbname=x", "dbname"),
    ("postgresql://h/d?passfile=x", "passfile"),
    ("postgresql://h/d?sslcert=x&sslkey=x", "sslcert"),
    ("postgresql+psycopg2://h/d?sslkey=x", "sslkey"),
    ("mysql+pymysql://h/d?read_default_file=x", "read_default_file"),
    ("sqlite:///file:x?uri=true", "uri"),
    ("postgresql://h/d?plugin=x", "plugin"),
]


@pytest.mark.parametrize(("url", "option"), DETOURS)
def test_a_url_leads_nowhere_but_to_its_host(url: str, option: str) -> None:
    with pytest.raises(InputError, match=f"^from=.*: {option} after the question mark decides where it leads; allowed"):
        read_url(url, "from")


@pytest.mark.parametrize(
    "url", ["postgresql://h/d?sslmode=verify-full&sslrootcert=system", "postgresql:///d?host=/run/x", "sqlite:///a.db"]
)
def test_a_url_says_how_to_connect(url: str) -> None:
    pytest.importorskip("psycopg")
    assert read_url(url).query == make_url(url).query


def test_no_verb_takes_a_url_that_leads_elsewhere_even_where_nothing_is_left_to_run(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = ["study=fast_path", "recipe.epochs=3"]
    folder = made_up(read_command(study).study)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    bad = "postgresql://h/d?hostaddr=10.0.0.1"
    for key, *command in (
        *(("storage.url", f"do={do}", f"storage.url={bad}") for do in ("run", "plan", "report", "tabulate", "doctor")),
        ("storage.url", "do=move", f"storage.url={bad}"),
        ("from", "do=move", "storage.url=postgresql://h/d", f"from={bad}"),
    ):
        assert main([*study, "storage=postgres", *command]) == 2
        assert capsys.readouterr().err.startswith(f"explorer: {key}={bad}: hostaddr after the question mark decides")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert not Path("reports").exists()
    # What connects to nothing asks for no driver.
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert main([*study, "storage=postgres", "storage.url=postgresql://h/d", "do=report"]) == 0
    with pytest.raises(InputError, match="its driver psycopg is not installed"):
        read_url("postgresql://h/d")
