"""The test's hand on the mailboxes of a server: append, expunge, folders, UIDVALIDITY, and what is in them.

Everything that reads uses EXAMINE and PEEK, so that looking changes nothing, \\Recent included.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .imap_session import ImapSession, Response, decoded_name, encoded_name, expanded, quoted, uid_sets, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

_LIST = re.compile(rb'\* LIST \(([^)]*)\) (?:"(?:[^"\\]|\\.)*"|NIL) ?(.*)$')
_UID = re.compile(rb"UID (\d+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_INTERNAL_DATE = re.compile(rb'INTERNALDATE "([^"]*)"')
_STATUS_ITEM = re.compile(rb"([A-Z]+) (\d+)")


@dataclass(frozen=True, slots=True)
class FolderState:
    """What a reader must leave as it is."""

    uid_validity: int
    uid_next: int
    recent: int
    highest_modseq: int
    flags: dict[int, frozenset[str]]
    internal_dates: dict[int, str]


class Mailboxes(ABC):
    """Operations on the mailboxes of any user. Folder names are Unicode, or octets to be sent as they are.

    They raise ImapRefusedError with the server's answer.
    """

    @abstractmethod
    def session(self, user: str) -> AbstractContextManager[ImapSession]:
        """A session of that user, for one thread at a time; for what the methods below do not offer."""

    @abstractmethod
    def reset_uidvalidity(self, user: str, folder: str, *, renumber: bool = False) -> int:
        """Give the folder another UIDVALIDITY, which is returned. The messages keep their UIDs, unless `renumber` is
        set: then they are numbered from 1, as after a restore from a backup."""

    # Messages

    def append(
        self,
        user: str,
        folder: str | bytes,
        octets: bytes,
        flags: Sequence[str] = (),
        internaldate: datetime | None = None,
    ) -> int:
        """Append one message; its UID."""
        return self.bulk_append(user, folder, [octets], flags, internaldate)[0]

    def bulk_append(
        self,
        user: str,
        folder: str | bytes,
        messages: Iterable[bytes],
        flags: Sequence[str] = (),
        internaldate: datetime | None = None,
    ) -> list[int]:
        """Append all of them, thousands in a second; their UIDs. Holds a few MiB of them at a time."""
        with self.session(user) as session:
            return session.append(encoded_name(folder), messages, flags, internaldate)

    def expunge(self, user: str, folder: str | bytes, uids: Iterable[int]) -> None:
        with self._opened(user, folder, b"SELECT") as session:
            for wanted in uid_sets(uids):
                session.command(b"UID STORE", wanted, rb"+FLAGS.SILENT (\Deleted)")
                session.command(b"UID EXPUNGE", wanted)

    def set_flags(self, user: str, folder: str | bytes, uids: Iterable[int], flags: Sequence[str]) -> None:
        """Replace the flags of those messages."""
        with self._opened(user, folder, b"SELECT") as session:
            for wanted in uid_sets(uids):
                session.command(b"UID STORE", wanted, b"FLAGS.SILENT (" + " ".join(flags).encode() + b")")

    def uids(self, user: str, folder: str | bytes) -> list[int]:
        with self._opened(user, folder) as session:
            # RFC 4731: ranges, so that the line stays short.
            _, answers = session.command(b"UID SEARCH RETURN (ALL) ALL")
        found = re.search(rb" ALL ([\d:,]+)", answers[-1].text)
        return expanded(found[1]) if found else []

    def raw(self, user: str, folder: str | bytes, uid: int) -> bytes:
        """The octets as BODY.PEEK[] gives them. Raises KeyError when there is no such UID."""
        with self._opened(user, folder) as session:
            return _bodies(session, b"%d" % uid)[uid]

    def messages(self, user: str, folder: str | bytes) -> dict[int, bytes]:
        """The octets of every message, by UID."""
        with self._opened(user, folder) as session:
            return _bodies(session, b"1:*")

    def all_messages(self, user: str) -> dict[str, dict[int, bytes]]:
        """The octets of every message in every selectable folder."""
        return {folder: self.messages(user, folder) for folder in self.folders(user)}

    def flags(self, user: str, folder: str | bytes) -> dict[int, frozenset[str]]:
        """The flags by UID, without \\Recent, which is a property of the session."""
        return self.state(user, folder).flags

    def state(self, user: str, folder: str | bytes) -> FolderState:
        """Everything of that folder that a reader could change by mistake."""
        items = self.status(user, folder)
        with self._opened(user, folder) as session:
            _, answers = session.command(b"UID FETCH 1:* (FLAGS INTERNALDATE)")
        fetched = [(_uid(answer), answer.text) for answer in answers if b" FETCH " in answer.text]
        return FolderState(
            uid_validity=items["UIDVALIDITY"],
            uid_next=items["UIDNEXT"],
            recent=items["RECENT"],
            highest_modseq=items["HIGHESTMODSEQ"],
            flags={uid: _flags(text) for uid, text in fetched},
            internal_dates={uid: _found(_INTERNAL_DATE, text).decode() for uid, text in fetched},
        )

    def states(self, user: str) -> dict[str, FolderState]:
        """The state of every selectable folder."""
        return {folder: self.state(user, folder) for folder in self.folders(user)}

    # Folders

    def folders(self, user: str, *, selectable: bool = True) -> list[str]:
        """The names of all folders, sorted; with `selectable=False` also those that only hold others."""
        with self.session(user) as session:
            _, answers = session.command(b'LIST "" "*"')
        names = []
        for answer in answers:
            found = _LIST.match(answer.text)
            assert found, answer
            if selectable and (b"\\Noselect" in found[1] or b"\\NonExistent" in found[1]):
                continue
            names.append(decoded_name(answer.literals[0] if answer.literals else unquoted(found[2])))
        return sorted(names)

    def create_folder(self, user: str, folder: str | bytes) -> None:
        self._on_folder(user, b"CREATE", folder)

    def delete_folder(self, user: str, folder: str | bytes) -> None:
        self._on_folder(user, b"DELETE", folder)

    def rename_folder(self, user: str, folder: str | bytes, new_name: str | bytes) -> None:
        self._on_folder(user, b"RENAME", folder, new_name)

    def subscribe(self, user: str, folder: str | bytes) -> None:
        self._on_folder(user, b"SUBSCRIBE", folder)

    def status(self, user: str, folder: str | bytes) -> dict[str, int]:
        """MESSAGES, UIDNEXT, UIDVALIDITY, RECENT, UNSEEN and HIGHESTMODSEQ."""
        with self.session(user) as session:
            _, answers = session.command(
                b"STATUS", quoted(encoded_name(folder)), b"(MESSAGES UIDNEXT UIDVALIDITY RECENT UNSEEN HIGHESTMODSEQ)"
            )
        items = answers[-1].text.rpartition(b"(")[2]
        return {name.decode(): int(value) for name, value in _STATUS_ITEM.findall(items)}

    def uid_validity(self, user: str, folder: str | bytes) -> int:
        return self.status(user, folder)["UIDVALIDITY"]

    def _copy_into_fresh(self, user: str, folder: str) -> None:
        aside = f"{folder}-aside"
        self.rename_folder(user, folder, aside)
        if folder.upper() != "INBOX":  # RFC 3501 §6.3.5: renaming INBOX leaves an empty one
            self.create_folder(user, folder)
        if self.uids(user, aside):
            with self._opened(user, aside) as session:
                session.command(b"UID COPY 1:*", quoted(encoded_name(folder)))
        self.delete_folder(user, aside)

    def _on_folder(self, user: str, verb: bytes, *folders: str | bytes) -> None:
        with self.session(user) as session:
            session.command(verb, *(quoted(encoded_name(folder)) for folder in folders))

    @contextmanager
    def _opened(self, user: str, folder: str | bytes, verb: bytes = b"EXAMINE") -> Iterator[ImapSession]:
        with self.session(user) as session:
            session.command(verb, quoted(encoded_name(folder)))
            try:
                yield session
            finally:
                session.command(b"UNSELECT")


def _bodies(session: ImapSession, uids: bytes) -> dict[int, bytes]:
    _, answers = session.command(b"UID FETCH", uids, b"(BODY.PEEK[])")
    return {_uid(answer): answer.literals[0] for answer in answers if answer.literals}


def _uid(answer: Response) -> int:
    return int(_found(_UID, answer.text))


def _flags(text: bytes) -> frozenset[str]:
    return frozenset(_found(_FLAGS, text).decode().split()) - {"\\Recent"}


def _found(pattern: re.Pattern[bytes], text: bytes) -> bytes:
    match = pattern.search(text)
    assert match, text
    return match[1]
