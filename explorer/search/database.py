"""The database of a mirror: its URL and driver, how long it may take to answer, and what its errors mean."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from optuna.storages import RDBStorage
from sqlalchemy import create_engine, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from explorer.host.errors import InputError
from explorer.host.formatting import in_one_line, without_password
from explorer.study.settings import StorageConfig

LOCK_SECONDS = 2.0  # seconds that a synchronisation waits for another process's lock on the file
FIRST_LOOK_SECONDS = 15.0  # seconds that a start waits to learn whether a server accepts its login
_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
# Limits for a connection, an answer and a lost network: a study must not wait for its mirror.
_LIBPQ = {
    "connect_timeout": 5,
    "options": "-c statement_timeout=20s",
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
_BOUNDS: dict[str, dict[str, Any]] = {
    "pysqlite": {"timeout": LOCK_SECONDS},
    "psycopg": _LIBPQ,
    "psycopg2": _LIBPQ,
    "pymysql": {"connect_timeout": 5},
    "mysqldb": {"connect_timeout": 5},
}
# Query parameters that a URL may have: how to connect; not to which server, as which user, or with which files.
_OPTIONS = {
    *("sslmode", "sslrootcert", "channel_binding", "require_auth", "gssencmode", "target_session_attrs", "options"),
    *("connect_timeout", "tcp_user_timeout", "keepalives", "keepalives_idle", "keepalives_interval"),
    *("keepalives_count", "application_name", "client_encoding", "charset"),
}
# SQLite errors that pass when another process, the disk or its owner changes; any other is damage of the database.
_PASSING = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM),
    *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_AUTH),
}
# Exceptions of drivers (PEP 249) for a server that is down, full or busy.
_PASSING_KINDS = {"OperationalError", "InterfaceError", "ReadOnlySqlTransaction"}
# A refused login has no error code, only a message; in another language it gives a warning instead of a refusal.
_REFUSALS = (
    *(
        "authentication failed",
        "no password supplied",
        "no pg_hba.conf entry",
        "does not exist",
        "does not support",
        "certificate",
    ),
    *("not permitted to log in", "permission denied for database", "Access denied", "Unknown database"),
)


def read_url(text: str, key: str = "storage.url", *, connects: bool = True) -> URL:
    """Read the URL of a database. Raises InputError if it is invalid, redirects in its query, or lacks a driver.

    `key` is the setting that holds it, for messages. The driver need not be installed unless `connects`.
    """
    shown = f"{key}={without_password(text)}"
    try:
        url = make_url(text)
        url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
        _refuse_detours(url, shown)
        create_engine(url)
    except InputError:
        raise
    except ModuleNotFoundError as error:
        if not connects:
            return url
        name = "'resnext-explorer[postgres]'" if error.name == "psycopg" else error.name
        raise InputError(f"{shown}: its driver {error.name} is not installed; pip install {name}") from None
    except (ArgumentError, ValueError, TypeError):  # NoSuchModuleError, for an unknown kind, is an ArgumentError
        raise InputError(
            f"{shown}: is no URL of a database; allowed: postgresql://USER@HOST/DATABASE, and others of SQLAlchemy"
        ) from None
    return url


def _refuse_detours(url: URL, shown: str) -> None:
    """Raise InputError for a URL whose query parameters lead to another server or other files than it seems to.

    libpq also reads host, service and files of keys and passwords from the query, and could so send one server the
    password of another.
    """
    if "@" in (url.host or "") or "password" in url.query:
        raise InputError(
            f"{shown}: its password is not where it should be; allowed: between the user and the host, with %40 for @, "
            "or not in the URL but in PGPASSWORD or ~/.pgpass"
        )
    socket = url.query.get("host")  # the usual way to name the folder of a Unix socket
    plain = {*_OPTIONS, "host"} if not url.host and isinstance(socket, str) and socket.startswith("/") else _OPTIONS
    allowed = set() if url.get_backend_name() == "sqlite" else plain
    if foreign := sorted({*url.query} - allowed):
        raise InputError(
            f"{shown}: {foreign[0]} after the question mark decides where it leads; allowed there: "
            f"{', '.join(sorted(allowed)) or 'nothing'}"
        )


def opened(text: str, *, skip_table_creation: bool = False) -> RDBStorage:
    """Open Optuna's storage in a database, with limits on the time of each answer.

    With `skip_table_creation` neither tables nor a file are created.
    """
    url = read_url(text)
    if skip_table_creation and url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise FileNotFoundError(f"there is no file {url.database}")
    options = {"connect_args": _bounds(url)}
    whole = url.render_as_string(hide_password=False)
    return RDBStorage(whole, engine_kwargs=options, skip_table_creation=skip_table_creation)


def opened_to_read(url: URL) -> RDBStorage:
    """Open Optuna's storage in a database that is only read: a file of SQLite is neither made nor changed."""
    options = {"connect_args": _bounds(url)}
    if url.get_backend_name() == "sqlite":
        file = quote(str(Path(url.database or "").expanduser().resolve()))
        url = URL.create("sqlite", database=f"file:{file}", query={"mode": "ro", "uri": "true"})
    whole = url.render_as_string(hide_password=False)
    return RDBStorage(whole, engine_kwargs=options, skip_table_creation=True)


@contextlib.contextmanager
def released(storage: RDBStorage) -> Iterator[None]:
    """Close all connections after the body; a later access opens a new one."""
    try:
        yield
    finally:
        storage.remove_session()
        storage.engine.dispose()


def refuse_closed(config: StorageConfig) -> None:
    """Raise InputError for a database that needs a person: an invalid URL, a missing driver, a refused login.

    A database that is down or does not answer in time is no reason: it is brought up to date when it is back.
    """
    if config.url is None:
        return
    url, found = read_url(config.url), list[str]()

    def look() -> None:
        engine = create_engine(url, connect_args=_bounds(url))
        try:
            with engine.connect():
                pass
        except Exception as error:  # noqa: BLE001 - only a refusal is of interest
            found.append(understood(error)[0])
        finally:
            engine.dispose()

    thread = threading.Thread(target=look, daemon=True)  # in a thread, since looking up the host name has no time limit
    thread.start()
    thread.join(FIRST_LOOK_SECONDS)
    if found and any(words in found[0] for words in _REFUSALS):
        raise InputError(
            f"storage.url={without_password(config.url)}: {found[0]}; the password is taken from PGPASSWORD or "
            "~/.pgpass, or from the URL"
        )


def understood(error: BaseException) -> tuple[str, bool]:
    """Why a database cannot be written, in one line, and whether that may pass without repairing it."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    # Optuna and SQLAlchemy tell of what happened in their own words, and at length.
    own = [one for one in chain if type(one).__module__.partition(".")[0] not in ("optuna", "sqlalchemy")]
    cause = next((one for one in chain if isinstance(one, sqlite3.Error)), (own or chain)[0])
    code = getattr(cause, "sqlite_errorcode", None)
    kinds = {kind.__name__ for kind in type(cause).__mro__}
    if code is not None:
        passes = code & 0xFF in _PASSING
    else:
        passes = isinstance(cause, (OSError, InputError)) or bool(kinds & _PASSING_KINDS)
    return in_one_line(cause), passes


def _bounds(url: URL) -> dict[str, Any]:
    """The time limits for a driver, except those that the URL sets."""
    return {key: value for key, value in _BOUNDS.get(url.get_driver_name(), {}).items() if key not in url.query}
