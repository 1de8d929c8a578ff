r"""Cyrus IMAP for one test: unprivileged, on loopback, with a mail store, users and certificate of its own.

Debian's package conflicts with Dovecot's, so hack/cyrus.sh unpacks it into the cache. Its only log is syslog.

What Cyrus 3.6.1 does, as seen:
- exact: 8-bit, lone CR, CR CR LF, no final newline, lines of any length, `From ` lines;
- refused by APPEND: NUL, a bare LF, a message without a valid header line at its start, an empty one;
- refused as folder names: `"`, `%`, `\\`, control characters; RENAME of INBOX ends the session;
- parents of a folder are made, and can be opened; RENAME keeps UIDVALIDITY, a folder made anew gets the next one;
- EMAILID (RFC 8474) is made from the octets, so equal messages have an equal one.
"""

from __future__ import annotations

import base64
import grp
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .binaries import MissingProgramError, cache_folder
from .certificates import LOOPBACK_NAMES, authority_of_this_run
from .cyrus_config import ADMIN, CyrusConfig
from .imap_session import ImapRefusedError, ImapSession, encoded_name, quoted
from .lifetime import Lifetime
from .mailboxes import Mailboxes
from .ports import is_open, release_port, reserve_port
from .process import Identity, ServerProcess
from .saslauthd import PasswordCheck

if TYPE_CHECKING:
    from collections.abc import Iterator

READY_S = 20.0
TOOL_TIMEOUT_S = 60.0
SPECIAL_USE = ("Archive", "Drafts", "Junk", "Sent", "Trash")  # those that the Dovecot of the tests marks, too


class Cyrus(Mailboxes, Lifetime):
    """One server. A context manager; `add_user`, then log in at `host`, `port` (plain and STARTTLS) or `tls_port`."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        tree = cache_folder() / "cyrus"
        if not (tree / "usr/lib/cyrus/bin/master").exists():
            raise MissingProgramError("Cyrus is missing: run `make tools` in the checkout, which unpacks it")
        self._identity = Identity.unprivileged()
        self.ca_pem = authority_of_this_run().ca_pem
        # Not pytest's tmp_path: another user must pass, and the name of a socket is limited to 107 octets.
        self.folder = Path(tempfile.mkdtemp(prefix="archivmail-cyrus-"))
        self.port = reserve_port()
        self.tls_port = reserve_port()
        self._config = CyrusConfig(
            folder=self.folder,
            programs=(tree := self._reachable(tree)) / "usr/lib/cyrus/bin",
            port=self.port,
            tls_port=self.tls_port,
            user=pwd.getpwuid(self._identity.effective_uid).pw_name,
            group=grp.getgrgid(self._identity.effective_gid).gr_name,
        )
        self._environment = _environment(tree)
        self._sessions: dict[str, ImapSession] = {}
        self._session_lock = threading.RLock()
        self._process: ServerProcess | None = None
        self._lay_out()
        self._check = PasswordCheck(self._config.passwords)
        self._check.passwords[ADMIN] = secrets.token_urlsafe(18)

    def begin(self) -> None:
        self.start()

    def close(self) -> None:
        """End the server and remove its folder."""
        with self._session_lock:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()
        self.stop(grace_s=0)
        self._check.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        release_port(self.port)
        release_port(self.tls_port)

    # The server: same ports and same mail after a stop.

    def start(self) -> None:
        """Start it; returns when it listens."""
        config = self._config
        self._process = ServerProcess(
            [
                config.programs / "master", "-C", config.settings, "-M", config.services,
                "-p", self.folder / "master.pid", "-D",
            ],
            log=self.folder / "master.log",
            env=self._environment,
            cwd=Path("/"),
            identity=self._identity,
            remove_if_orphaned=[self.folder],
        )  # fmt: skip
        self._process.wait_until(lambda: is_open(self.port) and is_open(self.tls_port), deadline_s=READY_S)

    def stop(self, *, grace_s: float = 2) -> None:
        """End it: sessions are dropped, connections refused."""
        if self._process is not None:
            self._process.stop(grace_s=grace_s)

    def restart(self) -> None:
        self.stop()
        self.start()

    # Users

    def add_user(self, name: str, password: str | None = None) -> str:
        """A user who may log in at once; the password, random unless given."""
        password = self.set_password(name, password or secrets.token_urlsafe(18))
        with self.session(ADMIN) as session:
            session.command(b"CREATE", quoted(encoded_name(f"user/{name}")))
        return password

    def set_password(self, name: str, password: str) -> str:
        self._check.passwords[name] = password
        return password

    def login_attempts(self, user: str) -> int:
        """How often somebody tried to log in as that user, with success or without, since the server was made."""
        return sum(name == user for name, _ in self._check.attempts)

    def sessions_opened(self, user: str) -> int:
        """How often somebody succeeded."""
        return self._check.attempts.count((user, True))

    # The hand on the mailboxes

    @contextmanager
    def session(self, user: str) -> Iterator[ImapSession]:
        """See Mailboxes. The administrator acts as the user, so no log-in of the user is counted."""
        with self._session_lock:
            session = self._sessions.get(user)
            if session is not None and not session.is_alive:
                session.close()
                session = None
            if session is None:
                session = self._sessions[user] = self._logged_in(user)
            try:
                yield session
            except BaseException:
                # Answers may be left unread.
                self._sessions.pop(user).close()
                raise

    def create_folder(self, user: str, folder: str | bytes) -> None:
        name = encoded_name(folder)
        if folder in SPECIAL_USE:
            # RFC 6154 §3; refused while another folder has this use.
            with suppress(ImapRefusedError), self.session(user) as session:
                session.command(b"CREATE", quoted(name), b"(USE (\\%b))" % name)
                return
        super().create_folder(user, folder)

    def reset_uidvalidity(self, user: str, folder: str, *, renumber: bool = True) -> int:
        """See Mailboxes. Cyrus 3.6 keeps UIDVALIDITY over RENAME and `reconstruct` alike: only a folder that is deleted
        and made anew gets another one. So the messages are always numbered anew, and INBOX cannot be reset."""
        assert renumber, "Cyrus gives no other UIDVALIDITY to messages that keep their UIDs"
        self._copy_into_fresh(user, folder)
        return self.uid_validity(user, folder)

    def tool(self, program: str, *args: str) -> str:
        """Run one of Cyrus' programs on the store (reconstruct and the like); its output."""
        return subprocess.run(
            [self._config.programs / program, "-C", self._config.settings, *args],
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=TOOL_TIMEOUT_S,
            cwd="/",
            user=self._identity.uid,
            group=self._identity.gid,
            extra_groups=self._identity.extra_groups,
        ).stdout

    def _logged_in(self, user: str) -> ImapSession:
        session = ImapSession(socket.create_connection((self.host, self.port)))
        acting_as = "" if user == ADMIN else user
        response = f"{acting_as}\0{ADMIN}\0{self._check.passwords[ADMIN]}".encode()
        try:
            session.command(b"AUTHENTICATE PLAIN", base64.b64encode(response))  # RFC 4959: no round trip for it
        except ImapRefusedError:
            session.close()
            raise
        return session

    def _reachable(self, tree: Path) -> Path:
        """The programs where the unprivileged user may go: the cache can be in the home of root."""
        if self._identity.uid is None:
            return tree
        copy = self.folder / "tree"
        shutil.copytree(tree, copy, symlinks=True)
        self.folder.chmod(0o755)
        return copy

    def _lay_out(self) -> None:
        for folder in (self.folder, self._config.state, self._config.spool):
            folder.mkdir(exist_ok=True)
            os.chown(folder, self._identity.effective_uid, self._identity.effective_gid)
        certificate, key = authority_of_this_run().issue(*LOOPBACK_NAMES)
        for path, text in ((self._config.certificate, certificate), (self._config.key, key)):
            path.touch(mode=0o600)
            path.write_text(text)
            os.chown(path, self._identity.effective_uid, self._identity.effective_gid)
        self._config.write()


def _environment(tree: Path) -> dict[str, str]:
    libraries = [str(folder) for folder in sorted(tree.glob("**/lib/*-linux-*")) if folder.is_dir()]
    plugins = [*(f"{folder}/sasl2" for folder in libraries), *map(str, Path("/usr/lib").glob("*-linux-*/sasl2"))]
    return {
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
        "LD_PRELOAD": str(next(tree.glob("**/libeatmydata.so"))),  # no fsync: nothing here outlives the test
        "SASL_PATH": os.pathsep.join(plugins),
    }
