"""The folder that is open: EXAMINE, what the server says of it since, and its UIDs (RFC 9051 §6.3.3, §6.4.4)."""

import itertools
from collections.abc import Callable

from archivmail.decide.limited import announced_limit
from archivmail.imap import names, replies
from archivmail.imap.dialogue import FETCH_WORDS, Dialogue, Hear
from archivmail.imap.faults import Faults, violation
from archivmail.imap.limits import Limits
from archivmail.imap.listing import is_limited
from archivmail.imap.replies import Data, Status
from archivmail.imap.tokens import words
from archivmail.model.errors import ConnectionLost, FolderRefused, ServerViolation
from archivmail.model.folder import Folder, FolderName, Snapshot
from archivmail.model.uidset import MAX_UID, Uid, UidSet, UidValidity

_EXTENDED_SEARCH = frozenset({"ESEARCH", "IMAP4REV2"})
_SEARCH_ALL, _EXTENDED_SEARCH_ALL = b"UID SEARCH ", b"UID SEARCH RETURN (ALL) "
_LIMITED_CODES = frozenset({"MESSAGELIMIT", "UIDREQUIRED"})
_TOO_MANY = "listed far more messages than the folder holds"
_MORE_THAN_COUNTED = 1_000_000  # a folder grows while it is read; by that much in a moment it does not


class Opened:
    """Opens folders one after the other on one dialogue and keeps what the server tells of the one that is open."""

    def __init__(
        self,
        dialogue: Dialogue,
        faults: Faults,
        limits: Limits,
        capabilities: frozenset[str],
        *,
        avoid: Callable[..., None],
        is_one_by_one: Callable[[], bool],
        minds: Callable[[], None],
    ) -> None:
        """`minds` is called when the server shows that it cannot take more than one command at once."""
        self._avoid = avoid
        self._is_one_by_one = is_one_by_one
        self._minds = minds
        self._is_early_refused = False
        """A search that was sent before the folder was open came to nothing: no other one in this session."""
        self._early: UidSet | None = None
        """What it found, for the next question."""
        self.name: FolderName | None = None
        self._dialogue = dialogue
        self._faults = faults
        self._limits = limits
        self._capabilities = capabilities
        self._forget()

    def _forget(self) -> None:
        self._messages = 0
        self._uid_validity: UidValidity | None = None
        self._uid_next: Uid | None = None
        self._is_limited = False

    # --- what the server tells ---------------------------------------------------------------------------------------

    def listen(self, response: Status | Data) -> None:
        """Hear every response of the session. Raises ConnectionLost when UIDs no longer mean what they meant."""
        if isinstance(response, Status):
            self._hear_code(response)
        elif response.word == b"EXISTS" and response.number is not None:
            # While the folder is opened the highest counts: Zimbra sends 500, 1000, 1500, 1623 (trap 28).
            self._messages = max(self._messages, response.number)
        elif response.word == b"EXPUNGE":
            self._messages = max(0, self._messages - 1)
        elif response.word == b"VANISHED":
            self._vanished(response)

    def _hear_code(self, said: Status) -> None:
        value = said.number if said.number is not None and said.number <= MAX_UID else None
        match said.code:
            case "CLOSED":  # RFC 9051 §7.1: what came before was about the folder opened before (trap 80)
                if self.name is not None:  # and nobody asked for another one
                    raise ConnectionLost("the server closed the folder while it was being read; it is tried again")
                self._forget()
            case "UIDVALIDITY" if value:
                if self.name is not None and self._uid_validity not in {None, value}:  # trap 11
                    raise ConnectionLost(
                        "the server renumbered the folder while it was being read; the next try starts it over"
                    )
                self._uid_validity = UidValidity(value)
            case "UIDNEXT" if value:
                self._uid_next = Uid(value)
            case code if code in _LIMITED_CODES:
                self._is_limited = True
            case _:
                pass

    def _vanished(self, response: Data) -> None:
        values = response.values or words(response.text)
        if len(values) == 1 and isinstance(values[0], bytes):  # RFC 7162 §3.2.10: (EARLIER) changes no count
            gone = UidSet(replies.sequence_set(values[0]))
            self._messages = max(0, self._messages - len(gone))

    # --- EXAMINE -----------------------------------------------------------------------------------------------------

    def examine(self, folder: Folder, expected: int | None = None) -> Snapshot:
        """Open read-only. Raises FolderRefused.

        Where STATUS told how many messages to expect, the folder is searched in the same round trip: a server must do
        one after the other (RFC 9051 §5.5). What it finds counts only if it came after the folder was opened.
        """
        command = names.command(b"EXAMINE", folder.name)
        if command is None:
            raise FolderRefused("the name of the folder holds a NUL, which no IMAP command can carry; rename it")
        self.name = self._early = None
        self._forget()
        self._faults.concerns(folder.name)
        if expected is not None and self._may_search_early(expected) and isinstance(command, bytes):
            answer = self._examine_and_search(command, expected)
        else:
            answer = self._dialogue.run(command)
        if not answer.is_ok:
            raise self._faults.folder_refused(answer, "open the folder")
        self.name = folder.name
        return Snapshot(
            uid_validity=self._uid_validity,
            uid_next=self._uid_next,
            messages=self._messages,
            limited=self._is_limited or is_limited(self._messages, self._capabilities),
        )

    def _may_search_early(self, expected: int) -> bool:
        return expected <= self._search_step and not self._is_early_refused and not self._is_one_by_one()

    def _examine_and_search(self, examine: bytes, expected: int) -> Status:
        found: list[tuple[int, int]] = []
        opening = self._dialogue.next_tag
        hear_search = self._hearing(self._dialogue.tag_ahead(2), found)

        def hear(response: Status | Data) -> None:
            if self._dialogue.answered == opening:  # else it is about the folder opened before
                hear_search(response)

        way = _EXTENDED_SEARCH_ALL if self._capabilities & _EXTENDED_SEARCH else _SEARCH_ALL
        try:
            answer, searched = self._dialogue.run_all(
                [examine, way + b"ALL"], hear, max_line=self._longest_line(expected), depth=2
            )
        except (ConnectionLost, ServerViolation) as broken:
            # The search may never have been read, or found far more than STATUS told: the next session asks in turn.
            if self._dialogue.is_silent or isinstance(broken, ServerViolation):
                self._minds()
            raise
        if answer.is_ok and searched.is_ok:
            self._early = UidSet(found)
            return answer
        # Refused because of EXAMINE, for coming early or for itself: asked alone it tells. Once in a session: a server
        # that has many folders to refuse would count so many mistakes of ours.
        self._is_early_refused = True
        error = self._faults.whole_session(searched) if answer.is_ok else None
        if error is not None:
            raise error
        return answer

    # --- UIDs --------------------------------------------------------------------------------------------------------

    def uids(self) -> UidSet:
        """Every UID, asked for in windows when there are many, and in another way when some are missing.

        A search may be refused, cut short or unanswered (traps 19 to 23); its result is held against the number of
        messages, and where it falls short UID FETCH lists them too.
        """
        found, self._early = self._early, None
        if found is None or not self._is_of_this_folder(found):
            found = self._searched()
        if found is None or len(found) < self._messages:
            found = self._fetched(found)
        if len(found) > self._most:
            raise violation(_TOO_MANY)
        return found

    def _is_of_this_folder(self, early: UidSet) -> bool:
        """A server that does two things at once may have searched the folder opened before."""
        return len(early) == self._messages and (self._uid_next is None or early.highest < self._uid_next)

    @property
    def _most(self) -> int:
        return 2 * self._messages + _MORE_THAN_COUNTED

    def _searched(self) -> UidSet | None:
        """None when the server refuses to search."""
        windows = self._windows()
        if self._capabilities & _EXTENDED_SEARCH:
            found = self._search_all(_EXTENDED_SEARCH_ALL, windows)
            if found is not None:
                return found
            self._capabilities -= _EXTENDED_SEARCH  # not again in this session
        return self._search_all(_SEARCH_ALL, windows)

    def _search_all(self, way: bytes, windows: list[bytes]) -> UidSet | None:
        ranges: list[tuple[int, int]] = []
        for window in windows:
            found = self._search(way + window)
            if found is None:
                return None
            ranges += found
        return UidSet(ranges)

    def _windows(self) -> list[bytes]:
        """Search keys that together match every message, each some 50,000 of them."""
        step = self._search_step
        if self._messages <= step:
            return [b"ALL"]
        # Sequence numbers serve only to find where to cut: any cuts are right, as the ranges leave nothing out.
        cuts: list[int] = []

        def hear(response: Status | Data) -> None:
            if isinstance(response, Data) and response.word in FETCH_WORDS:
                uid = replies.uid_of(replies.items(response.values))
                if uid is not None:
                    cuts.append(uid)

        for first in range(step, self._messages, step * 100):
            numbers = range(first, min(self._messages, first + step * 100), step)
            self._dialogue.run(b"FETCH %b (UID)" % b",".join(b"%d" % each for each in numbers), hear)
        bounds = [0, *sorted({cut for cut in cuts if cut < MAX_UID})]
        ranges = [b"UID %d:%d" % (low + 1, high) for low, high in itertools.pairwise(bounds)]
        return [*ranges, b"UID %d:*" % (bounds[-1] + 1)]

    @property
    def _search_step(self) -> int:
        """Messages that one search may look at."""
        return min(self._limits.search_window, announced_limit(self._capabilities) or MAX_UID)

    def _search(self, command: bytes) -> list[tuple[int, int]] | None:
        found: list[tuple[int, int]] = []
        hear = self._hearing(self._dialogue.next_tag, found)
        answer = self._dialogue.run(command, hear, max_line=self._longest_line(self._messages))
        if answer.is_ok:
            return found
        error = self._faults.whole_session(answer)
        if error is not None:
            raise error
        if answer.word == "BAD" and b" RETURN " in command:
            self._avoid(*_EXTENDED_SEARCH)
        return None

    def _hearing(self, tag: bytes, found: list[tuple[int, int]]) -> Hear:
        """Puts what a search finds into `found`."""

        def hear(response: Status | Data) -> None:
            if isinstance(response, Status):
                return
            if response.word == b"SEARCH":  # none, one or several of them (traps 19, 20)
                found.extend(UidSet.of(set(replies.search(response.text))).ranges)
            elif response.word == b"ESEARCH":
                found.extend(replies.esearch(response.text, tag) or ())
            if len(found) > self._most:
                raise violation(_TOO_MANY)

        return hear

    def _longest_line(self, messages: int) -> int:
        """Ten digits and a blank for each message, twice: what is longer is no list of this folder."""
        return min(self._limits.search_line_bytes, self._limits.line_bytes + 22 * messages)

    def _fetched(self, searched: UidSet | None) -> UidSet:
        uids: set[int] = set()

        def hear(response: Status | Data) -> None:
            if isinstance(response, Data) and response.word in FETCH_WORDS:
                uid = replies.uid_of(replies.items(response.values))
                if uid is not None:
                    uids.add(uid)

        windows = self._windows() if searched is None or self._messages else []
        for window in windows:
            uids_of = b"1:*" if window == b"ALL" else window.removeprefix(b"UID ")
            answer = self._dialogue.run(b"UID FETCH %b (UID)" % uids_of, hear)
            # RFC 3501 lets a server answer NO or BAD to 1:* in an empty folder.
            if not answer.is_ok and searched is None and self._messages:
                raise self._faults.folder_refused(answer, "list the messages of the folder")
        return (searched or UidSet()) | UidSet.of(uids)

    @property
    def messages(self) -> int:
        """EXISTS as of now."""
        return self._messages
