"""Write packs anew: several become one, and members of removed messages become tombstones.

Frames are copied octet for octet, so a merge costs reading and writing alone. The new pack is read back before anybody
counts on it. What it replaces stays until the caller removes it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from archivmail.archive.packs.facts import Facts, Place
from archivmail.archive.packs.notes import Note, id_of
from archivmail.archive.packs.reading import Damage, Found, Member, Source, frames, scan
from archivmail.archive.packs.stores import Draft, PackStore
from archivmail.archive.packs.writing import PackWriter, Span
from archivmail.model.account import AccountRef
from archivmail.model.errors import Aborted, ArchiveDamaged, ArchiveUnavailable
from archivmail.model.message import ContentId
from archivmail.model.retention import Gone

Fates = Callable[[Sequence[ContentId]], dict[ContentId, Gone]]
"""Which of these contents are gone, and why."""

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Copied:
    """A message whose frame was copied: where it lay, and where it lies."""

    pack: str
    offset: int
    span: Span


@dataclass(slots=True)
class Rewritten:
    """A new pack, durable and read back."""

    name: str
    size: int = 0
    members: int = 0
    crc: int = 0
    replaced: int = 0
    copied: list[Copied] = field(default_factory=list)
    buried: int = 0
    """Messages whose octets are not in it."""


@dataclass(slots=True)
class _Rewriting:
    store: PackStore
    writer: PackWriter
    fates: Fates
    should_stop: Callable[[], bool]
    result: Rewritten
    written: "_Digest"
    account: AccountRef | None = None
    replaced: dict[str, None] = field(default_factory=dict)

    def take(self, pack: str) -> None:
        """Copy one pack. Raises ArchiveDamaged when anything in it is not what was written."""
        self.replaced[id_of(pack)] = None
        with self.store.open(pack) as source:
            for some in _portions(scan(source, frames(source))):
                if self.should_stop():
                    raise Aborted("upkeep was told to stop")
                self._copy(pack, source, some)

    def _copy(self, pack: str, source: Source, found: Sequence[Found]) -> None:
        members = list(self._members(pack, found))
        fates = self.fates([each.facts.content_id for each in members])
        run: list[Member] = []
        for each in members:
            gone = None if each.facts.gone is not None else fates.get(each.facts.content_id)
            if gone is None and (not run or run[-1].frame.offset + run[-1].frame.length == each.frame.offset):
                run.append(each)
                continue
            self._flush(pack, source, run)
            if gone is None:
                run.append(each)
            else:
                self._bury(each.facts, gone)
        self._flush(pack, source, run)

    def _members(self, pack: str, found: Sequence[Found]) -> Iterator[Member]:
        for each in found:
            if isinstance(each, Damage):
                raise ArchiveDamaged(f"The pack {pack} is damaged; run archivmail verify --full.")
            if isinstance(each, Note):
                self.replaced.update(dict.fromkeys(each.replaced))
                continue
            if self.account not in {None, each.facts.account}:
                raise ArchiveDamaged(f"The pack {pack} holds messages of another account.")
            self.account = each.facts.account
            yield each

    def _flush(self, pack: str, source: Source, run: list[Member]) -> None:
        if not run:
            return
        spans = self.writer.copy(source, [each.frame for each in run])
        for each, span in zip(run, spans, strict=True):
            self.written.add(each.facts)
            if each.facts.has_octets:
                self.result.copied.append(Copied(pack, each.frame.offset, span))
        run.clear()

    def _bury(self, facts: Facts, gone: Gone) -> None:
        place = Place(facts.account, facts.origin, facts.folder, facts.path, facts.uid_validity)
        self.writer.append_gone(place, facts.sighting, facts.content_id, gone)
        self.written.add_gone(facts.content_id)
        self.result.buried += facts.has_octets


class _Digest:
    """What the members of a pack are, in order: compared with what is read back."""

    def __init__(self) -> None:
        self._hash = sha256()

    def add(self, facts: Facts) -> None:
        self._hash.update(facts.content_id + (b"m" if facts.has_octets else b"g" if facts.gone else b"s"))

    def add_gone(self, content_id: ContentId) -> None:
        self._hash.update(content_id + b"g")

    def value(self) -> bytes:
        return self._hash.digest()


def rewrite(
    store: PackStore, name: str, packs: Sequence[str], fates: Fates, *, should_stop: Callable[[], bool] = lambda: False
) -> Rewritten:
    """Make one pack of these, which follow one another. Raises ArchiveDamaged, ArchiveUnavailable, Aborted.

    When it raises, the new pack may or may not be there; it is not to be counted on, and does no harm.
    """
    draft = store.draft(name)
    work = _Rewriting(store, PackWriter(draft), fates, should_stop, Rewritten(name), _Digest())
    try:
        for pack in packs:
            work.take(pack)
        work.writer.append_note(_owner(packs[0]), tuple(work.replaced))
        result = work.result
        result.members, result.replaced = work.writer.members, len(work.replaced)
        result.size = _kept(work.writer, draft)
        result.crc = work.writer.crc
    except BaseException:
        work.writer.abandon()
        draft.discard()
        raise
    _read_back(store, result, work.written)
    return result


def _kept(writer: PackWriter, draft: Draft) -> int:
    writer.finish()
    return draft.keep()


def _owner(pack: str) -> AccountRef:
    _, namespace, account, _ = pack.split("/")
    return AccountRef(namespace, account)


def _read_back(store: PackStore, result: Rewritten, written: _Digest) -> None:
    found = _Digest()
    with store.open(result.name) as source:
        for each in scan(source, frames(source)):
            if isinstance(each, Damage):
                raise ArchiveUnavailable("A pack that was just written cannot be read back; check the store.")
            if isinstance(each, Member):
                found.add(each.facts)
    if found.value() != written.value():
        raise ArchiveUnavailable("A pack that was just written holds something else; check the store.")


def _portions(found: Iterator[Found]) -> Iterator[list[Found]]:
    some: list[Found] = []
    for each in found:
        some.append(each)
        if len(some) >= _AT_ONCE:
            yield some
            some = []
    if some:
        yield some
