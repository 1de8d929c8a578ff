"""Opening an archive: what is missing, wrong or not allowed is one sentence that says what to do."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from archivmail.archive.catalog.dialects import parse_url
from archivmail.archive.catalog.sharing import Share
from archivmail.archive.opening import open_archive
from archivmail.model.errors import ArchiveUnavailable, ArchivmailError, RunInProgress, SpecInvalid
from tests.archive.builders import ALICE, MAIL, archive_in, begin, fill, read


def test_an_archive_is_made_where_there_is_none(tmp_path: Path) -> None:
    """With its parents, closed to others: it is people's mail."""
    with archive_in(tmp_path / "a/b") as archive:
        assert archive.accounts() == []

    assert (tmp_path / "a/b").stat().st_mode & 0o007 == 0
    assert (tmp_path / "a/b/catalog.db").stat().st_mode & 0o007 == 0


def test_nothing_is_made_unless_asked_for(tmp_path: Path) -> None:
    """A wrong --archive must not look like an empty archive."""
    with pytest.raises(ArchiveUnavailable, match="There is no archive at"):
        open_archive(str(tmp_path / "typo"), create=False)
    with pytest.raises(ArchiveUnavailable, match="There is no catalog at"):
        open_archive(str(tmp_path), create=False, read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_archive(tmp_path: Path) -> None:
    """Nor can one be made below it."""
    (tmp_path / "file").write_bytes(b"")
    for create in (True, False):
        with pytest.raises(ArchiveUnavailable) as raised:
            open_archive(str(tmp_path / "file"), create=create)
        assert raised.value.text.endswith(".")


@pytest.mark.parametrize(
    ("archive", "catalog"),
    [
        pytest.param("s3://bucket", None, id="objects-without-a-catalog"),
        pytest.param("data", "sqlite://", id="catalog-in-memory"),
        pytest.param("data", "mysql://host/db", id="another-database"),
        pytest.param("data", "what is this", id="no-url"),
    ],
)
def test_wrong_urls_are_refused(tmp_path: Path, archive: str, catalog: str | None, monkeypatch) -> None:
    """Before anything is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecInvalid) as raised:
        open_archive(archive, catalog, create=True)
    assert raised.value.text.endswith(".")
    assert list(tmp_path.iterdir()) == []


def test_passwords_in_urls_are_not_repeated() -> None:
    """In no error text."""
    with pytest.raises(ArchivmailError) as raised:
        open_archive("memory:///", "postgresql://alice:geheim@127.0.0.1:1/catalog", create=False)
    assert "geheim" not in raised.value.text
    assert "geheim" not in repr(raised.value)


def test_a_relative_directory_stays_the_one_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the process goes elsewhere."""
    monkeypatch.chdir(tmp_path)
    with open_archive("data", create=True) as archive:
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")
        fill(archive, {1: MAIL})
        assert read(archive, MAIL) == MAIL
    assert list((tmp_path / "other").iterdir()) == []


def test_a_catalog_may_lie_elsewhere(tmp_path: Path) -> None:
    """Packs here, SQLite there."""
    url = f"sqlite:///{tmp_path}/there/my.db"
    with open_archive(str(tmp_path / "here"), url, create=True) as archive:
        fill(archive, {1: MAIL})
        assert read(archive, MAIL) == MAIL
    assert not (tmp_path / "here/catalog.db").exists()


def test_a_read_only_archive_is_not_written(tmp_path: Path) -> None:
    """Not even by a program that would like to."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: MAIL})
    with open_archive(str(tmp_path), create=False, read_only=True) as archive:
        assert read(archive, MAIL) == MAIL
        assert archive.verify(full=True).is_clean
        with pytest.raises(ArchiveUnavailable, match="read-only"):
            archive.take(ALICE)
        with pytest.raises(ArchiveUnavailable):
            archive.save_account_status(ALICE, {})


def test_a_newer_catalog_is_refused_however_it_is_opened(tmp_path: Path) -> None:
    """And stays as it is."""
    with archive_in(tmp_path) as archive, archive._database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
    for read_only in (False, True):
        with pytest.raises(ArchiveUnavailable, match="newer version"):
            open_archive(str(tmp_path), create=not read_only, read_only=read_only)


AS_NOBODY = """
import os, sys
from tests.archive.builders import ALICE, MAIL, content_id
from archivmail.archive.opening import open_archive
from archivmail.model.errors import ArchivmailError
os.setgid(65534)
os.setuid(65534)  # only now: another user need not be able to read the interpreter
try:
    with open_archive(sys.argv[1], create=sys.argv[2] == "create", read_only=sys.argv[2] == "read") as archive:
        if sys.argv[2] == "read":
            print(b"".join(archive.octets(content_id(MAIL))) == MAIL, archive.verify(full=True).is_clean)
        else:
            archive.take(ALICE)
except ArchivmailError as error:
    print(type(error).__name__, error.text)
"""


def _as_nobody(directory: Path, what: str) -> str:
    """Tests run as root, whom no permission stops."""
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, directory, what], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory that another user reaches and may read but not write; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "data"
        with archive_in(root) as archive:
            fill(archive, {1: MAIL})
        for path in (Path(directory), root, *root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o444)
        yield root


def test_a_directory_that_cannot_be_written_can_be_read(open_to_all: Path) -> None:
    """As a snapshot or a read-only volume is."""
    assert _as_nobody(open_to_all, "read") == "True True"
    assert sorted(path.name for path in open_to_all.iterdir()) == ["catalog.db", "catalog.db.lock", "locks", "packs"]


def test_a_directory_that_cannot_be_written_is_one_sentence(open_to_all: Path) -> None:
    """For who wants to write."""
    said = _as_nobody(open_to_all, "write")
    assert said.startswith("ArchiveUnavailable The catalog ")
    assert "give this user the right" in said


def test_a_directory_that_cannot_be_made_is_one_sentence(open_to_all: Path) -> None:
    """Permission denied."""
    said = _as_nobody(open_to_all / "new", "create")
    assert said.startswith("ArchiveUnavailable The archive ")
    assert "permission is denied" in said


@pytest.mark.parametrize("what", ["read", "write", "create"])
def test_a_directory_that_cannot_be_reached_is_one_sentence(open_to_all: Path, what: str) -> None:
    """A parent is closed."""
    open_to_all.parent.chmod(0o700)
    said = _as_nobody(open_to_all, what)
    assert said.startswith("ArchiveUnavailable The archive ")
    assert "permission is denied" in said


def test_a_catalog_that_is_being_replaced_waits_for_nobody(tmp_path: Path) -> None:
    """Whoever comes then is told to try again, and whoever has it open keeps it from being replaced."""
    with archive_in(tmp_path):
        other = Share(tmp_path / "catalog.db")
        with pytest.raises(RunInProgress), other.alone():
            pass
    with other.alone(), pytest.raises(ArchiveUnavailable, match="being rebuilt"):
        archive_in(tmp_path)
    other.close()
    archive_in(tmp_path).close()


TAKE = """
import sys, os
from pathlib import Path
from tests.archive.builders import ALICE, archive_in, begin, fetched
archive = archive_in(Path(sys.argv[1]))
writer = archive.take(ALICE)
writer.store(begin(writer), fetched(1))
print("taken", flush=True)
sys.stdin.readline()
os._exit(9)
"""


def test_an_account_is_free_when_its_process_has_died(tmp_path: Path) -> None:
    """Across processes, and whatever way it died."""
    archive_in(tmp_path).close()
    holder = subprocess.Popen([sys.executable, "-c", TAKE, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"taken\n"
    with archive_in(tmp_path) as archive:
        with pytest.raises(RunInProgress):
            archive.take(ALICE)
        holder.stdin.close()
        holder.stdout.close()
        assert holder.wait(timeout=30) == 9
        writer = archive.take(ALICE)
        assert len(writer.archived(begin(writer))) == 0
        writer.close()


def test_two_processes_make_one_catalog(tmp_path: Path) -> None:
    """Whoever is first; nothing half made is left beside it.

    SQLite's own `-wal` and `-shm` may stay: when two connections close at the same moment, neither sees itself as the
    last one, and the next to open the file takes them over (sqlite.org/wal.html, "Persistence of WAL").
    """
    code = (
        "import sys; from pathlib import Path; from tests.archive.builders import archive_in; "
        "archive_in(Path(sys.argv[1])).close()"
    )
    several = [subprocess.Popen([sys.executable, "-c", code, tmp_path], stderr=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate(timeout=60)[1] for process in several] == [b"", b"", b""]
    left = {path.name.removesuffix("-wal").removesuffix("-shm") for path in tmp_path.iterdir()}
    assert left <= {"catalog.db", "catalog.db.lock", "locks"}


def test_the_short_name_of_postgresql_is_understood() -> None:
    """As libpq and many hosting services write it."""
    assert parse_url("postgres://u@h/x") == parse_url("postgresql://u@h/x")
