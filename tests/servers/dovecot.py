"""Dovecot for one test: unprivileged, on loopback, with a mail store, users and certificate of its own.

What Dovecot 2.3.19 does with octets (seen with sdbox, mdbox and maildir alike, `mail_save_crlf` on or off):
- exact: 8-bit, control characters, lone CR, no final newline, lines of any length, `From ` and `.` lines;
- a bare LF is stored, but FETCH shows it as CRLF, sizes counted accordingly: no message with a bare LF can be shown;
- NUL is stored, BODY[] shows it as 0x80 of the same length, BINARY[] shows the NUL; APPEND takes it in any literal;
- CR CR LF loses one CR unless the format is maildir;
- an empty message is refused ("Can't save a zero byte message").
Compare an archive with `raw` or `all_messages`, which are what BODY.PEEK[] gives, not with what was appended; a message
with a NUL or a bare LF on the wire needs the scripted server.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .binaries import find_program
from .certificates import LOOPBACK_NAMES, authority_of_this_run
from .dovecot_config import DovecotConfig
from .imap_session import ImapSession, PreauthSession
from .lifetime import Lifetime
from .mailboxes import Mailboxes
from .ports import is_open, release_port, reserve_port
from .process import PROBE_PAUSE_S, Identity, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

READY_S = 20.0
DOVEADM_TIMEOUT_S = 60.0
NOTICED_S = 5.0  # the user file is looked at once a second, at most
REGISTERED_S = 0.2  # a session is in the server's list a moment after its log-in was answered
LIBEXEC = Path("/usr/lib/dovecot")

MailFormat = Literal["sdbox", "mdbox", "maildir"]


class Dovecot(Mailboxes, Lifetime):
    """One server. A context manager; `add_user`, then log in at `host`, `port` (plain and STARTTLS) or `tls_port`."""

    host = "127.0.0.1"

    def __init__(
        self,
        *,
        mail_format: MailFormat = "sdbox",
        certificate: tuple[str, str] | None = None,
        extra_config: str = "",
    ) -> None:
        """`certificate`: certificate and key in PEM instead of one for localhost; `extra_config`: lines at the end."""
        self._program = find_program("dovecot")
        self._imap = find_program("imap") if not (LIBEXEC / "imap").exists() else LIBEXEC / "imap"
        self._identity = Identity.unprivileged()
        self.ca_pem = authority_of_this_run().ca_pem
        self._certificate = certificate or authority_of_this_run().issue(*LOOPBACK_NAMES)
        # Not pytest's tmp_path: another user must pass, and the name of a socket is limited to 107 octets.
        self.folder = Path(tempfile.mkdtemp(prefix="archivmail-dovecot-"))
        self.port = reserve_port()
        self.tls_port = reserve_port()
        self._config = DovecotConfig(
            folder=self.folder,
            port=self.port,
            tls_port=self.tls_port,
            user=pwd.getpwuid(self._identity.effective_uid).pw_name,
            group=grp.getgrgid(self._identity.effective_gid).gr_name,
            mail_format=mail_format,
            extra=extra_config,
        )
        self._passwords: dict[str, str] = {}
        self._edition = 0
        self._sessions: dict[str, ImapSession] = {}
        self._session_lock = threading.RLock()
        self._process: ServerProcess | None = None

    def begin(self) -> None:
        self._lay_out()
        self.start()

    def close(self) -> None:
        """End the server and remove its folder."""
        with self._session_lock:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()
        self.stop(grace_s=0)
        shutil.rmtree(self.folder, ignore_errors=True)
        release_port(self.port)
        release_port(self.tls_port)

    # The server: same ports and same mail after a stop.

    def start(self) -> None:
        """Start it; returns when it greets clients."""
        (self._config.run / "master.pid").unlink(missing_ok=True)  # left by a kill; the number may be another's by now
        self._process = ServerProcess(
            [self._program, "-F", "-c", self._config.path],
            log=self.folder / "master.log",
            cwd=Path("/"),
            identity=self._identity,
            remove_if_orphaned=[self.folder],
        )
        self._process.wait_until(lambda: self._greets() and is_open(self.tls_port), deadline_s=READY_S)

    def stop(self, *, grace_s: float = 2) -> None:
        """End it: sessions are dropped, connections refused. Its master takes a second, and five right after a start;
        `grace_s` is the longest that is granted before all its processes are killed."""
        if self._process is not None:
            self._process.stop(grace_s=grace_s)

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stop all its processes in their tracks: connections stay open, nothing answers."""
        assert self._process is not None
        self._process.pause()

    def resume(self) -> None:
        assert self._process is not None
        self._process.resume()

    def kick(self, user: str) -> None:
        """Drop the user's sessions (the server says BYE); returns when there is none."""
        deadline = time.monotonic() + NOTICED_S
        quiet_from = time.monotonic() + REGISTERED_S
        while True:
            if re.search(rf"^{re.escape(user)} ", self.doveadm("who"), re.MULTILINE):
                with suppress(subprocess.CalledProcessError):  # it has just gone by itself
                    self.doveadm("kick", user)
            elif time.monotonic() > quiet_from:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"sessions of {user} did not end in {NOTICED_S:g} s")
            time.sleep(PROBE_PAUSE_S)

    def set_max_connections(self, limit: int) -> None:
        """Let each user have that many sessions at once; restarts the server."""
        self._config.max_connections = limit
        self._config.write()
        self.restart()

    # Users

    def add_user(self, name: str, password: str | None = None) -> str:
        """A user who may log in at once; the password, random unless given."""
        return self.set_password(name, password or secrets.token_urlsafe(18))

    def set_password(self, name: str, password: str) -> str:
        """Change it; returns when the server knows."""
        self._set_passwords({name: password})
        return password

    def add_users(self, *names: str) -> dict[str, str]:
        """Many at the cost of one, which is up to a second; their passwords."""
        passwords = {name: secrets.token_urlsafe(18) for name in names}
        self._set_passwords(passwords)
        return passwords

    def _set_passwords(self, passwords: dict[str, str]) -> None:
        self._passwords |= passwords
        self._edition += 1
        # The edition is an extra field that nothing uses; by it doveadm tells which file the server has read.
        lines = [f"{user}:{{PLAIN}}{value}::::::edition={self._edition}\n" for user, value in self._passwords.items()]
        draft = self._config.users.with_suffix(".new")
        self._write(draft, "".join(lines))
        # Dovecot compares whole seconds and the size: the time of change is set so that it always differs.
        moment = int(self._config.users.stat().st_mtime) + 1
        os.utime(draft, (moment, moment))
        draft.replace(self._config.users)
        if self._process is not None and self._process.is_running:
            self._wait_until_noticed(next(iter(passwords)))

    def login_attempts(self, user: str) -> int:
        """How often somebody tried to log in as that user, with success or without, since the server was made."""
        self._drain_log()
        answers = re.findall(r"client passdb out: (?:OK|FAIL)\t\d+\tuser=([^\t\n]*)", self.log_text())
        return answers.count(user)

    def sessions_opened(self, user: str) -> int:
        """How often somebody succeeded."""
        self._drain_log()
        return len(re.findall(rf"client passdb out: OK\t\d+\tuser={re.escape(user)}[\t\n]", self.log_text()))

    def log_text(self) -> str:
        return self._config.log.read_text(errors="replace") if self._config.log.exists() else ""

    # The hand on the mailboxes

    @contextmanager
    def session(self, user: str) -> Iterator[ImapSession]:
        """See Mailboxes. Needs neither a running server nor the password; kept open for the next call."""
        assert user in self._passwords, f"add_user({user!r}) first"
        with self._session_lock:
            session = self._sessions.get(user)
            if session is None or not session.is_alive:
                session = PreauthSession(
                    [self._imap, "-c", self._config.path],
                    env=self._environment(user),
                    log=self.folder / "sessions.log",
                    identity=self._identity,
                )
                self._sessions[user] = session
            try:
                yield session
            except BaseException:
                # Answers may be left unread.
                self._sessions.pop(user).close()
                raise

    def reset_uidvalidity(self, user: str, folder: str, value: int | None = None, *, renumber: bool = False) -> int:
        """See Mailboxes; the next one, or `value`."""
        value = self.uid_validity(user, folder) + 1 if value is None else value
        if renumber:
            self._copy_into_fresh(user, folder)
        # Names are Unicode here, not modified UTF-7.
        self.doveadm("mailbox", "update", "--uid-validity", str(value), folder, user=user)
        return self.uid_validity(user, folder)

    def forget_session(self, user: str) -> None:
        """End the test's own session of that user, which has files open that a test means to change."""
        with self._session_lock:
            if user in self._sessions:
                self._sessions.pop(user).close()

    def make_virtual(self, user: str, folder: str, rules: str) -> None:
        """A folder of the virtual plugin, loaded by the configuration, with a namespace at `virtual:~/virtual`."""
        home = self._config.mail / user
        place = home / "virtual" / folder
        place.mkdir(parents=True)
        (place / "dovecot-virtual").write_text(rules)
        for path in (home, home / "virtual", place, place / "dovecot-virtual"):
            os.chown(path, self._identity.effective_uid, self._identity.effective_gid)
        self.forget_session(user)

    def doveadm(self, *args: str, user: str | None = None) -> str:
        """Run doveadm, for `user` directly on the store; its output.

        Raises CalledProcessError with doveadm's message in `stderr`.
        """
        return subprocess.run(
            [find_program("doveadm"), "-c", self._config.path, *args],
            env=self._environment(user or ""),
            capture_output=True,
            text=True,
            check=True,
            timeout=DOVEADM_TIMEOUT_S,
            cwd="/",
            user=self._identity.uid,
            group=self._identity.gid,
            extra_groups=self._identity.extra_groups,
        ).stdout

    def _environment(self, user: str) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "USER": user, "HOME": str(self._config.mail / user)}

    def _lay_out(self) -> None:
        for folder in (self.folder, self._config.run, self._config.mail):
            folder.mkdir(exist_ok=True)
            os.chown(folder, self._identity.effective_uid, self._identity.effective_gid)
        certificate, key = self._certificate
        self._write(self._config.certificate, certificate)
        self._write(self._config.key, key)
        self._write(self._config.users, "")
        self._config.write()

    def _write(self, path: Path, text: str) -> None:
        path.touch(mode=0o600)
        path.write_text(text)
        os.chown(path, self._identity.effective_uid, self._identity.effective_gid)

    def _wait_until_noticed(self, name: str) -> None:
        """By a look-up of doveadm, which is no log-in."""
        deadline = time.monotonic() + NOTICED_S
        while self._edition_read(name) != self._edition:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Dovecot did not notice the password of {name} in {NOTICED_S:g} s")
            time.sleep(PROBE_PAUSE_S)

    def _edition_read(self, name: str) -> int:
        try:
            found = re.search(r"edition *: (\d+)", self.doveadm("auth", "lookup", name))
        except subprocess.CalledProcessError:
            return 0  # it does not know the user yet
        return int(found[1]) if found else 0

    def _drain_log(self) -> None:
        """Return when the log holds all that the authentication process has said so far. Its lines keep their order,
        so the trace of a look-up is awaited."""
        if self._process is None or not self._process.is_running:
            return
        marker = f"nobody-{secrets.token_hex(8)}"
        with suppress(subprocess.CalledProcessError):  # it says that there is no such user
            self.doveadm("auth", "lookup", marker)
        self._process.wait_until(lambda: f"PASS\t1\t{marker}\t" in self.log_text(), deadline_s=5)

    def _greets(self) -> bool:
        """True when a client is greeted. Not before: a SIGTERM while the parts still start would take 5 seconds."""
        try:
            with socket.create_connection((self.host, self.port), timeout=5) as connection:
                return connection.recv(100).startswith(b"* OK")
        except OSError:
            return False
