"""Every folder of an account, and what STATUS says of it (RFC 9051 §6.3.9, §6.3.11, RFC 5819, RFC 2342)."""

from collections.abc import Iterable

from archivmail.imap import names, replies
from archivmail.imap.dialogue import Dialogue
from archivmail.imap.faults import Faults, violation
from archivmail.imap.limits import Limits
from archivmail.imap.replies import Data, Namespaces, Status
from archivmail.imap.tokens import words
from archivmail.model.folder import Folder, FolderName, Snapshot
from archivmail.model.uidset import MAX_UID, Uid, UidValidity

_STATUS_ITEMS = b"(MESSAGES UIDNEXT UIDVALIDITY)"
_MANY = 8  # from this many folders on, LIST-STATUS is cheaper than a STATUS for each


class Listing:
    """LIST and STATUS on one dialogue."""

    def __init__(self, dialogue: Dialogue, faults: Faults, limits: Limits, capabilities: frozenset[str]) -> None:
        self._dialogue = dialogue
        self._faults = faults
        self._limits = limits
        self._capabilities = capabilities

    def folders(self) -> list[Folder]:
        """Each folder of one's own namespaces once, in the server's order. Others' folders are left out (trap 61)."""
        spaces = self._namespaces()
        found: dict[FolderName, Folder] = {}
        for pattern in _patterns(spaces):
            for folder in self._list(pattern):
                if not _is_foreign(folder.name, spaces):
                    found.setdefault(folder.name, folder)
        return list(found.values())

    def status(self, folders: Iterable[Folder], opened: FolderName | None) -> dict[FolderName, Snapshot]:
        """Snapshots of those folders for which the server gives all that is needed (trap 26).

        The opened folder is left out: STATUS of it may be stale.
        """
        wanted = {folder.name: folder for folder in folders if folder.name != opened}
        found: dict[FolderName, Snapshot] = {}

        def hear(response: Status | Data) -> None:
            if isinstance(response, Data) and response.word == b"STATUS":
                self._keep(response, wanted, found)

        if "LIST-STATUS" in self._capabilities and len(wanted) >= _MANY:
            answer = self._dialogue.run(b'LIST "" "*" RETURN (STATUS ' + _STATUS_ITEMS + b")", hear)
            if answer.is_ok:
                return found
            self._raise_if_over(answer)
        quoted = (names.quoted(name) for name in wanted if name not in found)
        commands = [b"STATUS %b %b" % (name, _STATUS_ITEMS) for name in quoted if name is not None]
        for answer in self._dialogue.run_all(commands, hear, depth=self._limits.status_depth):
            self._raise_if_over(answer)
        return found

    # --- steps -------------------------------------------------------------------------------------------------------

    def _namespaces(self) -> Namespaces:
        if not self._capabilities & {"NAMESPACE", "IMAP4REV2"}:
            return Namespaces()
        heard: list[Namespaces] = []

        def hear(response: Status | Data) -> None:
            if isinstance(response, Data) and response.word == b"NAMESPACE":
                heard.append(replies.namespaces(response.values or words(response.text)))

        self._raise_if_over(self._dialogue.run(b"NAMESPACE", hear))
        return heard[-1] if heard else Namespaces()

    def _list(self, pattern: bytes) -> list[Folder]:
        command = b'LIST "" ' + pattern
        # RFC 6154 §2: without RETURN a server may keep the special uses to itself.
        if {"SPECIAL-USE", "LIST-EXTENDED"} <= self._capabilities:
            folders, answer = self._answers_to(command + b" RETURN (SPECIAL-USE)")
            if answer.is_ok:
                return folders
            self._raise_if_over(answer)
        folders, answer = self._answers_to(command)
        if not answer.is_ok:
            raise self._faults.listing_refused(answer)
        return folders

    def _answers_to(self, command: bytes) -> tuple[list[Folder], Status]:
        folders: list[Folder] = []

        def hear(response: Status | Data) -> None:
            if not isinstance(response, Data) or response.word != b"LIST":
                return
            folder = _folder(response)
            if folder is None:
                return
            if len(folder.name) > self._limits.name_bytes or len(folders) >= self._limits.folders:
                raise violation(
                    f"listed more than {self._limits.folders} folders, or a name of more than "
                    f"{self._limits.name_bytes} octets"
                )
            folders.append(folder)

        return folders, self._dialogue.run(command, hear)

    def _keep(self, response: Data, wanted: dict[FolderName, Folder], found: dict[FolderName, Snapshot]) -> None:
        told = replies.folder_status(response.values or words(response.text))
        if told is None:
            return
        name = FolderName(b"INBOX" if told[0].upper() == b"INBOX" else told[0])
        snapshot = snapshot_of(told[1], self._capabilities)
        if name in wanted and snapshot is not None:
            found[name] = snapshot

    def _raise_if_over(self, answer: Status) -> None:
        error = None if answer.is_ok else self._faults.whole_session(answer)
        if error is not None:
            raise error


def snapshot_of(numbers: dict[bytes, int], capabilities: frozenset[str]) -> Snapshot | None:
    """A snapshot when nothing is missing and nothing is zero that cannot be."""
    messages, uid_next, validity = (numbers.get(key) for key in (b"MESSAGES", b"UIDNEXT", b"UIDVALIDITY"))
    if messages is None or not uid_next or not validity or uid_next > MAX_UID or validity > MAX_UID:
        return None
    return Snapshot(UidValidity(validity), Uid(uid_next), messages, limited=is_limited(messages, capabilities))


def is_limited(messages: int, capabilities: frozenset[str]) -> bool:
    """Does the folder end exactly where the server stops showing messages (RFC 9738, Yahoo: 10,000; trap 31)?"""
    return messages > 0 and f"MESSAGELIMIT={messages}" in capabilities


def _folder(response: Data) -> Folder | None:
    literal = None
    if response.values:
        # Attributes, delimiter and name, one of them as a literal: the name, for all that was ever seen.
        last = response.values[2] if len(response.values) > 2 else b""
        literal = bytes(last) if isinstance(last, bytes) else b""
    return replies.listed(response.text, literal)


def _patterns(spaces: Namespaces) -> list[bytes]:
    if not spaces.own or b"" in spaces.own:
        return [b'"*"']
    patterns = [names.quoted(prefix + b"*") for prefix in spaces.own]
    # INBOX stands outside of a prefix such as "INBOX." or "mail/".
    return [b'"INBOX"', *(pattern for pattern in patterns if pattern is not None)]


def _is_foreign(name: bytes, spaces: Namespaces) -> bool:
    def longest(prefixes: tuple[bytes, ...]) -> int:
        return max((len(prefix) for prefix in prefixes if prefix and name.startswith(prefix)), default=0)

    return longest(spaces.foreign) > longest(spaces.own)
