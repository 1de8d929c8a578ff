"""Fill a mailbox for the benchmark."""

from __future__ import annotations

from tests.corpus.realistic import messages
from tests.servers.dovecot import Dovecot

USER = "bench"
PASSWORD = "bench-password"
FOLDERS = ("INBOX", "Archive", "Lists")


def filled_server(server: Dovecot, count: int, folders: tuple[str, ...] = FOLDERS) -> int:
    """Append `count` messages spread over the folders; gives the sum of their octets."""
    server.add_user(USER, PASSWORD)
    octets = 0
    for number, folder in enumerate(folders):
        if folder != "INBOX":
            server.create_folder(USER, folder)
        share = count // len(folders) + (count % len(folders) if number == 0 else 0)

        def counted(share: int = share, number: int = number):
            nonlocal octets
            for octets_of_one in messages(share, seed=number):
                octets += len(octets_of_one)
                yield octets_of_one

        server.bulk_append(USER, folder, counted())
    return octets


def many_folders(server: Dovecot, count: int) -> None:
    """So many folders with two small messages each."""
    server.add_user(USER, PASSWORD)
    for number in range(count):
        name = "INBOX" if not number else f"Folder {number:03}"
        if number:
            server.create_folder(USER, name)
        server.bulk_append(USER, name, messages(2, seed=number))
