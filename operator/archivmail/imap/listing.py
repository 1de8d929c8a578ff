"""Every folder of an account, and what STATUS says of it (RFC 9051 §6.3.9, §6.3.11, RFC 5819, RFC 2342)."""

from collections.abc import Callable, Iterable

from archivmail.imap import names, replies
from archivmail.imap.dialogue import Dialogue
from archivmail.imap.faults import Faults, violation
from archivmail.imap.limits import Limits
from archivmail.imap.replies import Data, Namespaces, Status
from archivmail.imap.tokens import words
from archivmail.imap.usual import usual_status
from archivmail.model.folder import Folder, FolderName, Snapshot
from archivmail.model.uidset import MAX_UID, Uid, UidValidity

_STATUS_ITEMS = b"(MESSAGES UIDNEXT UIDVALIDITY)"
_USES = b" RETURN (SPECIAL-USE)"
_STATUS = b" RETURN (STATUS " + _STATUS_ITEMS + b")"
_USES_AND_STATUS = b" RETURN (SPECIAL-USE STATUS " + _STATUS_ITEMS + b")"
_CAPABILITIES = {_USES: ("SPECIAL-USE",), _STATUS: ("LIST-STATUS",), _USES_AND_STATUS: ("LIST-STATUS",)}
"""What to do without when the server does not understand the options."""


class Listing:
    """LIST and STATUS on one dialogue."""

    def __init__(
        self,
        dialogue: Dialogue,
        faults: Faults,
        limits: Limits,
        capabilities: frozenset[str],
        *,
        avoid: Callable[..., None],
    ) -> None:
        self._dialogue = dialogue
        self._faults = faults
        self._limits = limits
        self._capabilities = capabilities
        self._avoid = avoid
        self._told: dict[FolderName, Snapshot] | None = None
        """What LIST told of every folder, for the next question about them."""

    def folders(self) -> list[Folder]:
        """Each folder of one's own namespaces once, in the server's order. Others' folders are left out (trap 61)."""
        spaces = self._namespaces()
        found: dict[FolderName, Folder] = {}
        for folder in self._list(spaces):
            if not _is_foreign(folder.name, spaces):
                found.setdefault(folder.name, folder)
        return list(found.values())

    def status(self, folders: Iterable[Folder], opened: FolderName | None) -> dict[FolderName, Snapshot]:
        """Snapshots of those folders for which the server gives all that is needed (trap 26).

        The opened folder is left out: STATUS of it may be stale. What LIST told is taken once, and then asked anew.
        """
        wanted = {folder.name for folder in folders if folder.name != opened}
        told, self._told = self._told, None
        if told is not None:
            return {name: snapshot for name, snapshot in told.items() if name in wanted}
        found: dict[FolderName, Snapshot] = {}

        def hear(response: Status | Data) -> None:
            if isinstance(response, Data) and response.word == b"STATUS":
                self._keep(response, found)

        asked = [(name, quoted) for name in wanted if (quoted := names.quoted(name)) is not None]
        commands = [b"STATUS %b %b" % (quoted, _STATUS_ITEMS) for _, quoted in asked]
        answers = self._dialogue.run_all(commands, hear, depth=self._limits.status_depth)
        for (name, _), answer in zip(asked, answers, strict=True):
            self._raise_if_over(answer, name)
        return {name: snapshot for name, snapshot in found.items() if name in wanted}

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

    def _list(self, spaces: Namespaces) -> list[Folder]:
        """Ask in the richest way that the server offers, and in a plainer one when it refuses that."""
        for options in self._options(spaces):
            folders, told, answers = self._answers(_patterns(spaces), options)
            refusals = [answer for answer in answers if not answer.is_ok]
            if not refusals and folders:
                self._told = told if b"STATUS" in options else None
                return folders
            if not refusals:
                continue  # there is always an INBOX
            if not options:
                raise self._faults.listing_refused(refusals[0])
            self._raise_if_over(refusals[0])
            if refusals[0].word == "BAD":
                self._avoid(*_CAPABILITIES[options])
        raise violation("listed no folder at all")

    def _options(self, spaces: Namespaces) -> list[bytes]:
        options = []
        # RFC 5819: one round trip for all. But where others' folders are listed too, nobody should look into them.
        if "LIST-STATUS" in self._capabilities and not spaces.foreign:
            options += [_USES_AND_STATUS] if "SPECIAL-USE" in self._capabilities else [_STATUS]
        # RFC 6154 §2: without RETURN a server may keep the special uses to itself.
        if {"SPECIAL-USE", "LIST-EXTENDED"} <= self._capabilities:
            options.append(_USES)
        return [*options, b""]

    def _answers(
        self, patterns: list[bytes], options: bytes
    ) -> tuple[list[Folder], dict[FolderName, Snapshot], list[Status]]:
        folders: list[Folder] = []
        told: dict[FolderName, Snapshot] = {}

        def hear(response: Status | Data) -> None:
            if isinstance(response, Data) and response.word == b"STATUS":
                self._keep(response, told)
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

        commands = [b'LIST "" ' + pattern + options for pattern in patterns]
        return folders, told, self._dialogue.run_all(commands, hear, depth=len(commands))

    def _keep(self, response: Data, found: dict[FolderName, Snapshot]) -> None:
        told = usual_status(response.text) if not response.values else None
        told = told or replies.folder_status(response.values or words(response.text))
        if told is None:
            return
        name = FolderName(b"INBOX" if told[0].upper() == b"INBOX" else told[0])
        snapshot = snapshot_of(told[1], self._capabilities)
        if snapshot is not None and len(found) < self._limits.folders:
            found[name] = snapshot

    def _raise_if_over(self, answer: Status, folder: FolderName | None = None) -> None:
        error = None if answer.is_ok else self._faults.whole_session(answer, folder)
        if error is not None:
            raise error


def snapshot_of(numbers: dict[bytes, int], capabilities: frozenset[str]) -> Snapshot | None:
    """A snapshot when nothing is missing and nothing is zero that cannot be."""
    messages, uid_next, validity = numbers.get(b"MESSAGES"), numbers.get(b"UIDNEXT"), numbers.get(b"UIDVALIDITY")
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
