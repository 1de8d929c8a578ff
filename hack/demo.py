"""The demo: a local IMAP server filled with examples/mail, and what archivmail does with it.

Needs Python packages only (archivmail and its extra `demo`). Writes to a new folder below ./demo-data, ends the server
it started, and removes nothing.
"""

import contextlib
import imaplib
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Self

from imapclient import imap_utf7

ROOT = Path(__file__).resolve().parent.parent
MAIL = ROOT / "examples" / "mail"
MANIFEST = Path("examples/account.yaml")
HOST = "127.0.0.1"
CRLF = b"\r\n"
MAX_DEMOS = 1000
START_SECONDS = 20
COMMAND_SECONDS = 60
SINCE = datetime(2026, 4, 2, tzinfo=UTC)  # for a draft, which has no date of its own


def main() -> int:
    """Run every step; the code is that of the first step that failed."""
    os.chdir(ROOT)
    text = MANIFEST.read_text(encoding="utf-8")
    account = _account(text)
    folder = _new_folder()
    port = account.port if _is_free(account.port) else _free_port()
    manifest = MANIFEST
    if port != account.port:
        manifest = folder / "account.yaml"
        manifest.write_text(re.sub(r"(?m)^(\s*port:\s*)\d+", rf"\g<1>{port}", text, count=1), encoding="utf-8")
        print(f"# Port {account.port} is in use here, so a copy of {MANIFEST} with port {port} is used: {manifest}")
    with _server(port, account.user, account.password):
        count = _fill(port, account.user, account.password)
        print(f"# An IMAP server on {HOST}:{port} now holds {count} messages of examples/mail.")
        code = _tour(folder, manifest)
    if code == 0:
        _what_next(folder)
    return code


def _tour(folder: Path, manifest: Path) -> int:
    archive = folder / "archive"
    print("\n$ " + shlex.join(["export", f"ARCHIVMAIL_ARCHIVE={archive}"]))
    os.environ["ARCHIVMAIL_ARCHIVE"] = str(archive)
    os.environ.pop("ARCHIVMAIL_CATALOG", None)
    steps = [
        ("Archive the mailbox of a manifest. The same file is for kubectl apply.", ["sync", "-f", str(manifest)]),
        ("Once more: nothing is new, so nothing is fetched.", ["sync", "-f", str(manifest)]),
        ("How complete is it?", ["status"]),
        ("Two messages carry the same Message-ID, with other content. Both are there.", ["search", "minutes"]),
        ("Words, phrases, fields.", ["search", "from:henrik has:attachment"]),
    ]
    for why, arguments in steps:
        if code := _show(why, arguments):
            return code
    found = subprocess.run(
        [*_program(), "search", "予約確認", "--limit", "1", "--json"],
        timeout=COMMAND_SECONDS,
        check=False,
        capture_output=True,
    )
    match = re.search(rb'"id": ?"([0-9a-f]+)"', found.stdout)
    if match is None:
        print("the search for a message to show found none", file=sys.stderr)
        return 3
    steps = [
        ("One message. Ids may be shortened.", ["show", match[1][:12].decode()]),
        (
            "Take it all away again, as a Maildir that any mail program reads.",
            ["export", "--format", "maildir", "--output", str(folder / "maildir")],
        ),
        (
            "Prove it: every message read and hashed. One lies in two folders, so the 17 in the mailbox are 16 here.",
            ["verify", "--full"],
        ),
    ]
    for why, arguments in steps:
        if code := _show(why, arguments):
            return code
    return 0


def _show(why: str, arguments: list[str]) -> int:
    print(f"\n# {why}\n$ {shlex.join(['archivmail', *arguments])}", flush=True)
    return subprocess.run([*_program(), *arguments], timeout=COMMAND_SECONDS, check=False).returncode


def _program() -> list[str]:
    return [sys.executable, "-m", "archivmail"]


def _what_next(folder: Path) -> None:
    program = shutil.which("archivmail", path=os.fspath(Path(sys.executable).parent)) or "archivmail"
    packs = shlex.quote(f"{folder}/archive/packs")
    print(f"""
# The mail server has ended; the archive stays, and everything but sync works without a server. Try next:
export ARCHIVMAIL_ARCHIVE={shlex.quote(str(folder / "archive"))} PATH={shlex.quote(str(Path(program).parent))}:$PATH
archivmail search 'subject:invoice' --json
archivmail search 'folder:旅行'
archivmail show ID --raw
find {packs} -name '*.tar.zst' -exec tar -tf {{}} \\;    # packs are plain tar files
archivmail rebuild                                      # the catalog, from the packs alone
# Your own mailbox: copy examples/account.yaml and put in your host, your user and your password.
# In a cluster: the README. To remove what the demo wrote: rm -r {shlex.quote(str(folder))}""")


# --- the account, as the manifest has it -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Account:
    port: int
    user: str
    password: str


def _account(text: str) -> _Account:
    return _Account(int(_value(text, "port")), _value(text, "username"), _value(text, "password"))


def _value(text: str, key: str) -> str:
    match = re.search(rf"(?m)^\s*{key}:\s*(\S+)", text)
    if match is None:
        sys.exit(f"{MANIFEST} has no {key}")
    return match[1].strip("\"'")


def _new_folder() -> Path:
    """The first free number: each demo begins with an empty archive, and none is removed."""
    parent = Path("demo-data")
    for number in range(1, MAX_DEMOS):
        folder = parent / str(number)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    sys.exit(f"{parent} holds {MAX_DEMOS - 1} demos; remove some of them")


# --- the server ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _server(port: int, user: str, password: str) -> Iterator[None]:
    """A pymap with its mailboxes in memory, for the time of the block."""
    program = [sys.executable, "-c", "from pymap.main import main; main()"]
    listen = ["--host", HOST, "--port", str(port), "--no-tls", "--no-service", "admin"]
    command = [*program, *listen, "dict", "--demo-user", user, "--demo-password", password]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _await(process, port)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"the mail server ended at once (code {process.returncode}); is pymap installed?")
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.05)
    sys.exit(f"the mail server did not answer on {HOST}:{port} within {START_SECONDS} s")


def _fill(port: int, user: str, password: str) -> int:
    """APPEND every file of examples/mail to the folder named by its directory; give back their number."""
    with _Mailbox(port) as mailbox:
        mailbox.ask(f'LOGIN "{user}" "{password}"'.encode())
        paths = sorted(MAIL.rglob("*.eml"))
        for folder in sorted({path.parent for path in paths} - {MAIL / "INBOX"}):
            mailbox.ask(b"CREATE " + _name(folder))
        for path in paths:
            octets = path.read_bytes()
            flag = rb"\Draft" if path.parent.name == "Drafts" else rb"\Seen"
            mailbox.ask(b'APPEND %s (%s) "%s"' % (_name(path.parent), flag, _internal_date(octets)), octets)
        mailbox.ask(b"LOGOUT")
    return len(paths)


def _name(folder: Path) -> bytes:
    """The folder's name as RFC 3501 §5.1.3 has it: modified UTF-7, quoted."""
    encoded: bytes = imap_utf7.encode("/".join(folder.relative_to(MAIL).parts))
    return b'"' + encoded + b'"'


def _internal_date(octets: bytes) -> bytes:
    date = BytesHeaderParser().parsebytes(octets)["Date"]
    when = parsedate_to_datetime(date) if date else SINCE
    return imaplib.Time2Internaldate(when if when.tzinfo else when.replace(tzinfo=UTC)).strip('"').encode()


class _Mailbox:
    """As much IMAP as APPEND needs. imaplib would turn bare line feeds into CRLF, and octets are the point here."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=10)
        self._answers = self._socket.makefile("rb")
        self._answers.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self._socket.close()

    def ask(self, command: bytes, octets: bytes | None = None) -> None:
        """One command, with one literal if it has octets; ends the demo when the server does not say OK."""
        literal = b"" if octets is None else b" {%d}" % len(octets)
        self._socket.sendall(b"a " + command + literal + CRLF)
        answer = self._answers.readline()
        if octets is not None and answer.startswith(b"+"):
            self._socket.sendall(octets + CRLF)
            answer = self._answers.readline()
        while answer.startswith(b"*"):
            answer = self._answers.readline()
        if not answer.startswith(b"a OK"):
            verb = command.split(b" ", 1)[0].decode()
            sys.exit(f"the demo server answered {answer!r} to {verb}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
