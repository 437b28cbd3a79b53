"""Which URLs of databases are taken: where one leads is what a person reads in it."""

import pytest
from sqlalchemy import make_url

from explorer.errors import InputError
from explorer.search.database import read_url

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
