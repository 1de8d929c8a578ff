"""What a database refuses, as one sentence that says what to do. Its own texts may hold values and are not repeated."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from archivmail.model.errors import ArchiveUnavailable

_AGAIN = {"40001", "40P01"}  # serialization failure, deadlock: PostgreSQL chose this transaction to give way


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Errors of the database within become ArchiveUnavailable."""
    try:
        yield
    except (sqlite3.Error, SQLAlchemyError) as error:
        raise unavailable(url, error) from error


def unavailable(url: URL, error: Exception) -> ArchiveUnavailable:
    """The sentence for an error."""
    if isinstance(error, DBAPIError) and isinstance(error.orig, Exception):
        error = error.orig
    is_file = url.get_backend_name() == "sqlite"
    name = f"The catalog {url.database}" if is_file else f"The catalog database on {url.host or 'this machine'}"
    return ArchiveUnavailable(f"{name} cannot be used: {_advice(error)}.")


def gave_way(error: BaseException | None) -> bool:
    """Whether the server ended the transaction in favour of another one, so that it may simply be done again."""
    while error is not None:
        if getattr(error, "sqlstate", None) in _AGAIN:
            return True
        error = error.__cause__
    return False


def _advice(error: Exception) -> str:
    if isinstance(error, PoolTimeoutError):
        return (
            "all connections of this process are in use; run fewer accounts at once, or look what the server waits for"
        )
    state = getattr(error, "sqlstate", None) or ""
    for sign, advice in _BY_STATE:
        if state.startswith(sign):
            return advice
    said = str(error).strip().lower()
    for sign, advice in _BY_TEXT:
        if sign in said:
            return advice
    return "the database refused a statement; look into its log and report this if it happens again"


# PostgreSQL, "PostgreSQL Error Codes".
_BY_STATE = (
    ("53100", "the disk of the server is full; give it more space"),
    ("53300", "the server has no connection left; raise max_connections, or run fewer accounts at once"),
    ("53", "the server is out of resources; look into its log"),
    ("55P03", "another transaction holds what this one needs; try again when that has ended"),
    ("40", "another transaction was in the way; it is tried again later"),
    ("57014", "a statement took too long and was ended; look what the server is busy with"),
    ("57", "the server is starting or shutting down; it is tried again later"),
    ("25006", "the server is read-only; give the URL of the primary"),
    ("25P03", "a transaction was idle for too long and was ended; it is tried again later"),
    ("28", "the server refuses the user or the password; check the catalog's Secret"),
    ("3D000", "there is no such database; create it, or correct --catalog"),
    ("42501", "the user lacks a right; let it own the database, so that it can make and change tables"),
    ("42P01", "tables are missing; give an empty database, or run archivmail rebuild"),
    ("08", "there is no connection; check that the server runs and can be reached"),
    ("58", "the server reports an error of its disk or system; look into its log"),
    ("XX", "the server reports damage; look into its log before anything else is written there"),
)

# SQLite has no codes in its texts, and without a connection the driver of PostgreSQL has none either.
_BY_TEXT = (
    ("disk is full", "the disk is full; free some space or give the volume more"),
    ("disk i/o", "the disk reports an error; check it before anything else is written there"),
    ("readonly", "it cannot be written; give this user the right to write the file and its directory"),
    ("read-only", "it cannot be written; give this user the right to write the file and its directory"),
    ("unable to open", "the file is missing or permission is denied; check --catalog, or run archivmail rebuild"),
    ("not a database", "it is no catalog or it is damaged; move it away and run archivmail rebuild"),
    ("malformed", "it is damaged; move it away and run archivmail rebuild"),
    ("locked", "another process holds it; try again when that has finished"),
    ("no such table", "tables are missing; move it away and run archivmail rebuild"),
    ("authentication failed", "the server refuses the user or the password; check the catalog's Secret"),
    ("no password", "the server wants a password; check the catalog's Secret"),
    ("invalid connection option", "--catalog has a parameter that PostgreSQL does not know; correct it"),
    ("invalid uri query parameter", "--catalog has a parameter that PostgreSQL does not know; correct it"),
    ("invalid port", "--catalog names a port that does not exist; correct it"),
    ("invalid integer value", "a parameter of --catalog must be a number; correct it"),
    ("too many clients", "the server has no connection left; raise max_connections, or run fewer accounts at once"),
    ("remaining connection slots", "the server has no connection left; raise max_connections, or run fewer accounts"),
    ("does not exist", "there is no such database or user; create it, or correct --catalog"),
    ("starting up", "the server is starting or shutting down; it is tried again later"),
    ("shutting down", "the server is starting or shutting down; it is tried again later"),
    ("connect", "there is no connection; check that the server runs and can be reached"),
    ("timeout", "the server does not answer in time; check that it runs and can be reached"),
    ("server closed", "the connection broke; it is tried again later"),
    ("ssl", "the server and the URL disagree about TLS; check sslmode and sslrootcert of --catalog"),
    ("resolve", "the name of the server is not known; check --catalog and the name server"),
)
