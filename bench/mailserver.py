"""A light IMAP server in a process of its own: the scripted server of the tests, with empty folders.

`python -m bench.mailserver` prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.scripted.conversation import Conversation
from tests.servers.scripted.served import Folder
from tests.servers.scripted.server import ScriptedServer

FOLDERS = (b"INBOX", b"Sent", b"Archive")
CAPABILITIES = "IMAP4rev1 NAMESPACE ESEARCH LIST-EXTENDED LIST-STATUS"


def light_server(conversation: type[Conversation] = Conversation) -> ScriptedServer:
    folders = {name: Folder() for name in FOLDERS}
    return ScriptedServer(folders, capabilities=CAPABILITIES, conversation=conversation)


@contextmanager
def served() -> Iterator[int]:
    """The port of a server that runs meanwhile."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.mailserver"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def main() -> None:
    with light_server() as server:
        print(server.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
