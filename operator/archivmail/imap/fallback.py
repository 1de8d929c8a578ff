"""A message that BODY[] does not give: put together from its header and its text, or from pieces (RFC 9051 §6.4.5).

Only for single messages that failed; costs some round trips each. What comes of it is marked (traps 34, 44, 47).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain

from archivmail.decide.assembling import is_all_header, is_plausible
from archivmail.imap import replies
from archivmail.imap.bodies import MemoryBody, Spool, WireBody, body_of
from archivmail.imap.dialogue import FETCH_WORDS, Dialogue
from archivmail.imap.faults import Faults, too_large
from archivmail.imap.limits import Limits
from archivmail.imap.parts import Part, parts
from archivmail.imap.replies import Data, Status
from archivmail.imap.tokens import number
from archivmail.model.message import HEADER_AND_TEXT, PARTIAL, FetchedMessage, Sighting
from archivmail.model.uidset import Uid

Deliver = Callable[[FetchedMessage], None]

_HEADER, _TEXT = Part(b"HEADER"), Part(b"TEXT")
_LINE_BREAK = b"\r\n"


class Fallback:
    """FETCH of parts on one dialogue, in the folder that is open."""

    def __init__(self, dialogue: Dialogue, faults: Faults, limits: Limits, id_item: bytes) -> None:
        self._dialogue = dialogue
        self._faults = faults
        self._limits = limits
        self._id_item = id_item

    def assemble(self, uid: Uid, ways: Iterable[str], deliver: Deliver) -> None:
        """Deliver the message as the first of `ways` gives it that gives something plausible; or not at all.

        Raises what ends a session. A refusal is no error: the message simply is not delivered.
        """
        told = self._facts(uid)
        if told is None:
            return
        sighting, declared = told
        steps = {HEADER_AND_TEXT: self._header_and_text, PARTIAL: self._pieces}
        for way in ways:
            body = steps[way](uid, declared)
            if body is None:
                continue
            try:
                deliver(FetchedMessage(replace(sighting, assembled=way), body))
            finally:
                body.close()
            return

    # --- the ways ----------------------------------------------------------------------------------------------------

    def _header_and_text(self, uid: Uid, declared: int | None) -> WireBody | None:
        header = self._part(uid, b"BODY.PEEK[HEADER]", _HEADER)
        if header is None or not header.size:
            return None
        text = self._part(uid, b"BODY.PEEK[TEXT]", _TEXT)
        if text is None or not text.size:
            return header if is_all_header(header.size, declared) else None
        octets = b"".join(bytes(chunk) for chunk in header.chunks())
        joined = self._join([octets + _blank_line_missing(octets)], text)
        return _plausible(joined, declared)

    def _pieces(self, uid: Uid, declared: int | None) -> WireBody | None:
        """Piece after piece until the server has no more; each must say where it begins (trap 47)."""
        spool = Spool(self._limits.spool_folder)
        is_whole = False
        try:
            while not is_whole and spool.size <= self._limits.message_bytes and _may_go_on(spool.size, declared):
                before = spool.size
                if not self._keep_piece(uid, spool):
                    break
                # Behind the last octet there is an empty string (RFC 9051 §6.4.5); a refusal is no end.
                is_whole = spool.size in {before, declared}
            return _plausible(self._finished(spool), declared) if is_whole else None
        finally:
            if not is_whole:
                spool.close()

    def _keep_piece(self, uid: Uid, spool: Spool) -> bool:
        """Add the next piece; False when the server does not give it as it was asked for."""
        size = self._limits.piece_bytes
        piece = self._part(uid, b"BODY.PEEK[]<%d.%d>" % (spool.size, size), Part(b"", spool.size))
        if piece is None:
            return False
        try:
            if piece.size > size:
                return False
            for chunk in piece.chunks():
                spool.keep(chunk)
        finally:
            piece.close()
        return True

    def _join(self, before: list[bytes], text: WireBody) -> WireBody:
        size = sum(map(len, before)) + text.size
        try:
            if size > self._limits.message_bytes:
                raise too_large(self._limits.message_bytes)
            if size <= self._limits.memory_bytes:
                return MemoryBody(b"".join((*before, *text.chunks())))
            spool = Spool(self._limits.spool_folder)
            try:
                for chunk in chain(before, text.chunks()):
                    spool.keep(chunk)
            except BaseException:
                spool.close()
                raise
            return spool.body()
        finally:
            text.close()

    def _finished(self, spool: Spool) -> WireBody:
        body = spool.body()
        if body.size > self._limits.memory_bytes:
            return body
        octets = b"".join(bytes(chunk) for chunk in body.chunks())
        body.close()
        return MemoryBody(octets)

    # --- commands ----------------------------------------------------------------------------------------------------

    def _facts(self, uid: Uid) -> tuple[Sighting, int | None] | None:
        found: dict[bytes, object] = {}

        def hear(response: Status | Data) -> None:
            if isinstance(response, Data) and response.word in FETCH_WORDS:
                told = replies.items(response.values)
                if replies.uid_of(told) == uid:
                    found.update(told)

        items = b"UID FLAGS INTERNALDATE RFC822.SIZE" + self._id_item
        self._pass_over(self._dialogue.run(b"UID FETCH %d (%b)" % (uid, items), hear))
        return (replies.sighting(uid, found), number(found.get(b"RFC822.SIZE"))) if found else None

    def _part(self, uid: Uid, item: bytes, wanted: Part) -> WireBody | None:
        """One part of the message, empty for NIL; None when the server refuses it or answers something else."""
        kept: list[WireBody] = []

        def hear(response: Status | Data) -> None:
            if not isinstance(response, Data) or response.word not in FETCH_WORDS:
                return
            is_meant = replies.uid_of(replies.items(response.values)) == uid
            for which, value in parts(response.values).items():
                body = body_of(value) or MemoryBody(b"")
                if is_meant and which == wanted and not kept:
                    kept.append(body)
                else:
                    body.close()

        try:
            command = b"UID FETCH %d (UID %b)" % (uid, item)
            answer = self._dialogue.run(command, hear, wanted=lambda told: told in {None, uid})
            self._pass_over(answer)
        except BaseException:
            for body in kept:
                body.close()
            raise
        if not kept or answer.is_ok:
            return kept[0] if kept else None
        kept[0].close()  # a NO after octets: who knows whether they are all
        return None

    def _pass_over(self, answer: Status) -> None:
        error = None if answer.is_ok else self._faults.whole_session(answer)
        if error is not None:
            raise error


def _plausible(body: WireBody, declared: int | None) -> WireBody | None:
    if is_plausible(body.size, declared):
        return body
    body.close()
    return None


def _may_go_on(size: int, declared: int | None) -> bool:
    """A server that repeats a piece for ever would otherwise fill the disk."""
    return declared is None or size <= 2 * declared


def _blank_line_missing(header: bytes) -> bytes:
    """HEADER has the blank line at its end (RFC 9051 §6.4.5.1), but not on every server."""
    if header.endswith((b"\r\n\r\n", b"\n\n")) or header == _LINE_BREAK:
        return b""
    return _LINE_BREAK if header.endswith(b"\n") else 2 * _LINE_BREAK
