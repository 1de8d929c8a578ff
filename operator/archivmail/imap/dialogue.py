"""Commands and their responses after the login: own tags, own reader, one command after the other or some at once.

Reads responses tolerantly, but loses no count of the octets: whatever cannot be told apart is a ServerViolation, and
the connection is dropped (trap 81). Knows no response by name but FETCH, whose bodies it lets the caller take.
"""

import itertools
import re
from collections.abc import Callable, Container, Iterable

from archivmail.imap.bodies import WireBody, discard, read_body
from archivmail.imap.faults import Faults, too_large, violation
from archivmail.imap.lengths import WRONG_LENGTH, goes_on_behind, swallowed_its_end
from archivmail.imap.limits import Limits
from archivmail.imap.parts import part
from archivmail.imap.replies import STATUS_WORDS, BadReply, Data, Status, status, uid_so_far, untagged
from archivmail.imap.stream import Stream
from archivmail.imap.tokens import String, TooDeep, Words, literal_ahead, upper
from archivmail.imap.usual import Usual
from archivmail.model.message import Sighting
from archivmail.model.uidset import Uid

FETCH_WORDS = frozenset({b"FETCH", b"UIDFETCH"})  # the second is RFC 9586
_TAGGED = re.compile(rb"([A-Za-z0-9]+)[ \t]+([A-Za-z]+)[ \t]*(.*)", re.DOTALL)
_BLANK_LINES = 3  # in a row; more is nothing a server does by mistake (trap 73)

Hear = Callable[[Status | Data], None]
"""Gets each untagged response. What it raises ends the session."""
Wanted = Callable[[Uid | None], bool]
"""Asked before a message's octets are read; the UID is None when the server has not told it yet."""
Usually = Callable[[bytes], Usual | None]
"""Reads the first line of a response at once if it has the usual form."""
Take = Callable[[Sighting, WireBody], None]
"""Gets a message that came in the usual form, and owns its body."""


def nothing_wanted(_uid: Uid | None) -> bool:
    return False


class Dialogue:
    """The rest of a session after the login. Raises ConnectionLost, ServerBusy, ServerViolation, Aborted and others.

    After any of them the stream is out of step: the caller must drop it.
    """

    def __init__(self, stream: Stream, faults: Faults, limits: Limits, listen: Callable[[Status | Data], None]) -> None:
        self._stream = stream
        self._faults = faults
        self._limits = limits
        self._listen = listen
        self._count = 0
        self._pushed_back: bytes | None = None
        self._max_line = limits.line_bytes
        self._wanted: Wanted = nothing_wanted
        self._early: WireBody | None = None
        """Octets that were read before the response they stand in."""
        self.is_silent = False
        """Nothing was said since a command was answered."""
        self.answered = b""  # tag of the command that was answered last

    def run(
        self,
        command: bytes | tuple[bytes, ...],
        hear: Hear | None = None,
        *,
        wanted: Wanted = nothing_wanted,
        max_line: int | None = None,
    ) -> Status:
        """Send one command and hear its responses; the tagged one is returned, whatever it says.

        A tuple is a command with literals in between: each part but the last ends in `{n}`.
        """
        return self.run_all([command], hear, wanted=wanted, max_line=max_line)[0]

    def run_all(
        self,
        commands: Iterable[bytes | tuple[bytes, ...]],
        hear: Hear | None = None,
        *,
        wanted: Wanted = nothing_wanted,
        max_line: int | None = None,
        depth: int = 1,
    ) -> list[Status]:
        """Send commands with up to `depth` of them on the way (RFC 9051 §5.5); their tagged responses in order."""
        self._wanted = wanted
        self._max_line = max_line or self._limits.line_bytes
        answers: dict[bytes, Status | None] = {}
        waiting: set[bytes] = set()
        self.is_silent = False
        rest = iter(commands)
        budget = self._limits.answers
        while True:
            for command in itertools.islice(rest, depth - len(waiting)):
                tag = self.ask(command)
                answers[tag] = None
                waiting.add(tag)
            if not waiting:
                return [answer for answer in answers.values() if answer is not None]
            answer = self.response(waiting, hear)
            if answer is not None:
                tag, said = answer
                answers[tag] = said
                waiting.discard(tag)
            budget -= 1
            if budget < 0:
                raise violation(f"sent more than {self._limits.answers} responses to one command")

    @property
    def next_tag(self) -> bytes:
        """The tag that the next command gets; ESEARCH repeats it."""
        return self.tag_ahead(1)

    def tag_ahead(self, count: int) -> bytes:
        """The tag of the command after so many."""
        return b"v%d" % (self._count + count)

    # --- for those who keep count of their commands themselves -------------------------------------------------------

    def expect(self, wanted: Wanted) -> None:
        """From now on octets are read if `wanted` says so."""
        self._wanted = wanted
        self._max_line = self._limits.line_bytes
        self.is_silent = False

    def ask(self, command: bytes | tuple[bytes, ...]) -> bytes:
        """Send a command; its tag."""
        tag = self.next_tag
        self._count += 1
        self._send(tag, command)
        return tag

    def response(
        self,
        waiting: Container[bytes],
        hear: Hear | None,
        usually: Usually | None = None,
        take: Take | None = None,
    ) -> tuple[bytes, Status] | None:
        """Read one response. Tag and status when it ends one of the commands that wait; None for any other."""
        line = self._line()
        self.is_silent = False
        if line.startswith(b"*"):
            known = usually(line) if usually is not None else None
            if known is None or take is None or not self._take_at_once(known, take):
                self._untagged(line, hear)
            return None
        found = _TAGGED.fullmatch(line)
        if found is None or found[1] not in waiting or found[2].upper() not in {b"OK", b"NO", b"BAD"}:
            raise violation("sent something that belongs to no command")
        said = status(found[2].upper(), found[3])
        self._listen(said)
        self.is_silent = True
        self.answered = found[1]
        return found[1], said

    def _send(self, tag: bytes, command: bytes | tuple[bytes, ...]) -> None:
        parts = (command,) if isinstance(command, bytes) else command
        self._stream.begin()
        self._stream.send(tag + b" " + parts[0] + b"\r\n")
        for rest in parts[1:]:
            line = self._line()
            while line.startswith(b"*"):
                self._untagged(line, None)
                line = self._line()
            if not line.startswith(b"+"):
                self._pushed_back = line  # refused before it was complete
                return
            self._stream.send(rest + b"\r\n")

    # --- responses ---------------------------------------------------------------------------------------------------

    def _take_at_once(self, known: Usual, take: Take) -> bool:
        """False when the message is none to be taken; then nothing of it was read."""
        if known.size > self._limits.message_bytes or not self._wanted(known.sighting.uid):
            return False
        body = read_body(self._stream, known.size, self._limits)
        try:
            after = self._line(may_be_blank=True)
        except BaseException:
            body.close()
            raise
        if after == b")":
            take(known.sighting, body)
            return True
        # Not so usual after all: as any other, but for the octets, which are there already.
        self._pushed_back = after
        self._early = body
        return False

    def _untagged(self, line: bytes, hear: Hear | None) -> None:
        found = untagged(line)
        if found is None:
            raise violation("sent a response that cannot be read")
        number, word, rest = found
        response: Status | Data
        if word in STATUS_WORDS and number is None:
            # The text is free, so `{12}` at its end announces nothing (trap 75).
            response = status(word, rest)
            if response.word == "BYE":
                self._listen(response)
                raise self._faults.ended(response)
        else:
            response = self._data(number, word, rest)
        try:
            self._listen(response)
            if hear is not None:
                hear(response)
        except BaseException as error:
            if isinstance(response, Data):
                discard(response.values)
            if isinstance(error, BadReply):
                raise violation(str(error)) from error
            if isinstance(error, TooDeep):
                raise violation("sent parentheses nested too deep") from error
            raise

    def _data(self, number: int | None, word: bytes, rest: bytes) -> Data:
        ahead = literal_ahead(rest)
        if ahead is None and word not in FETCH_WORDS:
            return Data(word, number, [], rest)
        built = Words()
        try:
            self._words(built, rest, is_fetch=word in FETCH_WORDS)
        except TooDeep:
            discard(built.top)
            raise violation("sent parentheses nested too deep") from None
        except BaseException:
            discard(built.top)
            raise
        return Data(word, number, built.top, ahead[0] if ahead else rest)

    def _words(self, built: Words, text: bytes, *, is_fetch: bool) -> None:
        """The words of one response: text, literal, text and so on until a line that ends without a literal.

        Within parentheses a blank line is passed over, and one that starts another response ends this one (trap 76).
        """
        spent = 0
        while True:
            ahead = literal_ahead(text)
            built.feed(text if ahead is None else ahead[0])
            if ahead is not None:
                spent += self._literal(built, ahead[1], is_fetch=is_fetch)
            elif not built.depth:
                if goes_on_behind(built):
                    raise violation(WRONG_LENGTH)
                return
            text = self._line(may_be_blank=True)
            spent += len(text)
            if spent > self._limits.small_literal_bytes * 4:
                raise violation("sent a response that does not end")
            if not text:
                if ahead is not None and not built.depth:
                    return
                text = self._line()
            if self._starts_a_response(text):
                if swallowed_its_end(built):
                    raise violation(WRONG_LENGTH)
                self._pushed_back = text
                return
            if ahead is not None and text[:1] not in {b" ", b")", b"\t"}:
                raise violation(WRONG_LENGTH)

    def _literal(self, built: Words, size: int, *, is_fetch: bool) -> int:
        """Read one literal; what it adds to the size of the response apart from messages."""
        if is_fetch and built.depth == 1 and part(upper(built.open[-1] if built.open else None)) is not None:
            built.put(self._body(built, size))
            return 0
        if size > self._limits.small_literal_bytes:
            raise violation(f"announced a literal of {size} octets where none of that size is due")
        built.put(String(self._stream.exactly(size)))
        return size

    def _body(self, built: Words, size: int) -> WireBody | None:
        if self._early is not None:
            body, self._early = self._early, None
            return body
        if size > self._limits.message_bytes:
            raise too_large(self._limits.message_bytes)
        if self._wanted(uid_so_far(built.top)):
            return read_body(self._stream, size, self._limits)
        self._stream.pour(size, _ignore)
        return None

    def _starts_a_response(self, line: bytes) -> bool:
        return line.startswith((b"* ", b"+ ")) or (line.startswith(b"v") and _TAGGED.fullmatch(line) is not None)

    def _line(self, *, may_be_blank: bool = False) -> bytes:
        line, self._pushed_back = self._pushed_back, None
        if line is not None:
            return line
        for _ in range(_BLANK_LINES):
            line = self._stream.line(self._max_line).rstrip(b"\r\n")
            if line or may_be_blank:
                return line
        raise violation("sent nothing but blank lines")


def _ignore(_piece: memoryview) -> None:
    """Octets that nobody asked for."""
