"""PostgreSQL for the tests: a cluster of our own, unprivileged, on loopback, with a database for each test.

Debian keeps the programs off the PATH, one folder for each major version; the newest that is installed is used.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from .binaries import MissingProgramError, find_program
from .lifetime import Lifetime
from .ports import release_port, reserve_port
from .process import Identity, ServerProcess

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

READY_S = 30.0
INITDB_S = 120.0
DEBIAN = Path("/usr/lib/postgresql")
OWNER = "archivmail"

# What only a power cut would show is left out, and little memory is taken: a cluster runs beside every test process.
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
SMALL = {
    "shared_buffers": "32MB",
    "max_connections": "60",
    "max_wal_size": "256MB",
    "jit": "off",
    "autovacuum_max_workers": "1",
    "max_parallel_workers": "0",
    "log_min_duration_statement": "-1",
    "timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class PostgreSqlDatabase:
    """One database of a cluster; `url` is what `--catalog` takes and holds the password."""

    server: PostgreSql
    name: str

    @property
    def url(self) -> str:
        return self.url_at(self.server.port)

    def url_at(self, port: int) -> str:
        """The same through another port, such as a proxy's."""
        return f"postgresql://{OWNER}:{self.server.password}@127.0.0.1:{port}/{self.name}"

    def connect(self) -> psycopg.Connection[TupleRow]:
        """The test's own hand on it, each statement a transaction."""
        return psycopg.connect(self.url, autocommit=True)


class PostgreSql(Lifetime):
    """One cluster. A context manager; `create_database` gives a fresh database."""

    host = "127.0.0.1"

    def __init__(self, *, is_durable: bool = False) -> None:
        """`is_durable`: as in production, for what is about durability; otherwise nothing is forced to the disk."""
        self._postgres = _program("postgres")
        self._identity = Identity.unprivileged()
        self._settings = {**SMALL, **({} if is_durable else QUICK)}
        self.folder = Path(tempfile.mkdtemp(prefix="archivmail-postgresql-"))
        self.port = reserve_port()
        self.password = secrets.token_hex(16)
        self._process: ServerProcess | None = None

    def begin(self) -> None:
        self._lay_out()
        self.start()

    def close(self) -> None:
        """End the server at once, for nothing of it is kept, and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        release_port(self.port)

    # The server: same port and same data after a stop.

    def start(self) -> None:
        """Start it; returns when it answers."""
        self._process = ServerProcess(
            [self._postgres, "-D", self._data],
            log=self.folder / "postgresql.log",
            cwd=self.folder,
            identity=self._identity,
            remove_if_orphaned=[self.folder],
        )
        self._process.wait_until(self.is_ready, deadline_s=READY_S)

    def stop(self) -> None:
        """End it as an administrator does ("fast"): transactions are rolled back, connections dropped."""
        if self._process is not None and self._process.is_running:
            self._process.signal(signal.SIGINT)
            self._process.wait(READY_S)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None and self._process.is_running:
            self._process.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stop all its processes in their tracks: connections stay open, nothing answers."""
        for pid in self._pids():
            _signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self._pids():
            _signal(pid, signal.SIGCONT)

    def is_ready(self) -> bool:
        try:
            self._admin().close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def process(self) -> ServerProcess:
        assert self._process is not None
        return self._process

    # Databases

    def create_database(self, *, template: str = "template0") -> PostgreSqlDatabase:
        """An empty database, or a copy of `template`, to which nobody may be connected."""
        name = f"archivmail_{secrets.token_hex(6)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        with self._admin() as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return PostgreSqlDatabase(self, name)

    def drop_database(self, database: PostgreSqlDatabase) -> None:
        """Remove it with its connections."""
        with self._admin() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} (FORCE)").format(sql.Identifier(database.name)))

    def _admin(self) -> psycopg.Connection[TupleRow]:
        return psycopg.connect(
            host=self.host, port=self.port, user=OWNER, password=self.password, dbname="postgres", autocommit=True
        )

    # Setting up

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _lay_out(self) -> None:
        uid, gid = self._identity.effective_uid, self._identity.effective_gid
        shutil.chown(self.folder, uid, gid)
        secret = self.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        shutil.chown(secret, uid, gid)
        done = subprocess.run(
            [
                _program("initdb"), "--pgdata", self._data, "--username", OWNER, "--pwfile", secret,
                "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8",
                "--no-sync", "--no-instructions",
            ],
            cwd=self.folder,
            user=self._identity.uid,
            group=self._identity.gid,
            extra_groups=self._identity.extra_groups,
            capture_output=True,
            text=True,
            check=False,
            timeout=INITDB_S,
        )  # fmt: skip
        secret.unlink()
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr.strip()}")
        settings = {
            **self._settings,
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _pids(self) -> list[int]:
        """The postmaster, then its children: each has a process group of its own."""
        postmaster = self.process.pid
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [postmaster, *map(int, children)]


def _signal(pid: int, signum: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signum)


def _program(name: str) -> Path:
    """Of the newest version that Debian's packages installed; elsewhere from the PATH. Raises MissingProgramError."""
    versions = sorted((int(folder.name) for folder in DEBIAN.glob("[1-9]*") if folder.name.isdigit()), reverse=True)
    for version in versions:
        candidate = DEBIAN / str(version) / "bin" / name
        if candidate.is_file():
            return candidate
    try:
        return find_program(name)
    except MissingProgramError:
        raise MissingProgramError(f"{name} of PostgreSQL is missing: run `make tools`, which installs it") from None
