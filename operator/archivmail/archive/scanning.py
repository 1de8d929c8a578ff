"""Read whole packs for `verify` and `rebuild`: every frame's checksum, every SHA-256, on all cores, in order.

Threads would wait for each other: between the hashes of small messages the interpreter's lock is what is short. So
parts of packs go to worker processes and come back in order, few enough at once that memory stays bounded. A small
archive is read in this process, for a worker takes half a second to start.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.process import parent_process
from typing import Self

from archivmail.archive.packs.crc import combined
from archivmail.archive.packs.reading import Found, Source, frames
from archivmail.archive.packs.seektable import Frame
from archivmail.archive.packs.stores import PackStore, StoredPack
from archivmail.archive.packs.walking import walk
from archivmail.archive.parts import Part, ScannedPart, parts_of, scan_part
from archivmail.model.errors import ArchiveDamaged, ArchiveUnavailable

MAX_WORKERS = 8
WORTH_A_PROCESS = 32 * 1024**2
"""Octets of packs from which on workers are started."""
_STEPS_PER_WORKER = 3

OpenStore = Callable[[], PackStore]
"""Opens the packs' place anew in another process; must be fit for pickling."""


@dataclass(slots=True)
class ScannedPack:
    """One pack. `members` must be read to its end before the next pack is asked for."""

    name: str
    size: int
    """As the store told when it was opened."""
    listed: Sequence[Frame]
    """The end marker's frame is the last."""
    error: ArchiveDamaged | None = None
    """The pack is missing, or its seek table cannot be read; with salvage its members are given all the same."""
    is_missing: bool = False
    members: Iterator[Found] = iter(())  # noqa: RUF009 - empty, so that sharing it does no harm
    crc: int = 0
    """CRC-32 of the whole pack, once the members were read to the end; of no use where there is an error."""

    def add(self, part: ScannedPart) -> list[Found]:
        """The members of the next part, which counts for the whole."""
        self.crc = combined(self.crc, part.crc, part.length)
        return part.members

    @property
    def frames(self) -> int:
        return len(self.listed)


def glance(store: PackStore, pack: StoredPack, *, salvage: bool = False) -> ScannedPack:
    """The frames of a pack, and none of its members."""
    try:
        with store.open(pack.name) as source:
            return _listed(pack.name, source, salvage=salvage)
    except ArchiveDamaged as error:
        return ScannedPack(pack.name, 0, (), error, is_missing=True)


class Scanner:
    """Scans packs one after the other. A context manager. Raises ArchiveUnavailable."""

    def __init__(self, store: PackStore, open_store: OpenStore | None, *, octets: int) -> None:
        """`octets`: of all packs that will be scanned. Without `open_store` everything is read in this process."""
        self._store = store
        cores = min(len(os.sched_getaffinity(0)), MAX_WORKERS)
        is_worth_it = cores > 1 and octets >= WORTH_A_PROCESS
        self._workers = cores if is_worth_it else 0
        self._open_store = open_store
        self._stack = ExitStack()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self._workers and self._open_store is not None:
            # A fork of a process with threads (a progress bar's, a driver's) may hold their locks for ever.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self._workers, mp_context=context, initializer=_begin, initargs=(self._open_store,)
            )
            self._stack.callback(self._pool.shutdown, wait=True, cancel_futures=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def scan(self, packs: Iterable[StoredPack], *, salvage: bool = False) -> Iterator[ScannedPack]:
        """`salvage`: follow the frames of a pack whose seek table is damaged."""
        if self._pool is None:
            for pack in packs:
                yield from self._here(pack, salvage=salvage)
            return
        yield from self._ordered(self._pool, packs, salvage=salvage)

    # --- in this process ---------------------------------------------------------------------------------------------

    def _here(self, pack: StoredPack, *, salvage: bool) -> Iterator[ScannedPack]:
        scanned = glance(self._store, pack, salvage=salvage)
        if scanned.is_missing:
            yield scanned
            return
        with self._store.open(pack.name) as source:
            parts = parts_of(pack.name, scanned.size, scanned.listed)
            scanned.members = (each for part in parts for each in scanned.add(scan_part(source, part)))
            yield scanned

    # --- in workers --------------------------------------------------------------------------------------------------

    def _ordered(
        self, pool: ProcessPoolExecutor, packs: Iterable[StoredPack], *, salvage: bool
    ) -> Iterator[ScannedPack]:
        steps = self._steps(packs, salvage=salvage)
        queue: deque[ScannedPack | Future[ScannedPart]] = deque()

        def fill() -> None:
            while len(queue) < self._workers * _STEPS_PER_WORKER:
                step = next(steps, None)
                if step is None:
                    return
                queue.append(pool.submit(_scan_part, step) if isinstance(step, Part) else step)

        def members_of(scanned: ScannedPack) -> Iterator[Found]:
            fill()
            while queue and isinstance(queue[0], Future):
                part = _result(queue.popleft())
                fill()  # before the consumer looks at what came: the workers need not wait for it
                yield from scanned.add(part)

        fill()
        while queue:
            scanned = queue.popleft()
            assert isinstance(scanned, ScannedPack), "the members of the pack before were not read to their end"
            scanned.members = members_of(scanned)
            yield scanned
            fill()

    def _steps(self, packs: Iterable[StoredPack], *, salvage: bool) -> Iterator["ScannedPack | Part"]:
        """Each pack, and after it its parts."""
        for pack in packs:
            scanned = glance(self._store, pack, salvage=salvage)
            yield scanned
            yield from parts_of(pack.name, scanned.size, scanned.listed)


def _result(part: "ScannedPack | Future[ScannedPart]") -> ScannedPart:
    assert isinstance(part, Future)
    try:
        return part.result()
    except BrokenProcessPool as error:
        raise ArchiveUnavailable(
            "A worker process was ended, perhaps for lack of memory; run the same command again."
        ) from error


def _listed(name: str, source: Source, *, salvage: bool) -> ScannedPack:
    try:
        return ScannedPack(name, source.size, frames(source))
    except ArchiveDamaged as error:
        return ScannedPack(name, source.size, walk(source) if salvage else (), error)


# --- the worker's side -----------------------------------------------------------------------------------------------

_stores: list[PackStore] = []


def _begin(open_store: OpenStore) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    _stores.append(open_store())
    threading.Thread(target=_end_with_parent, daemon=True, name="end-with-parent").start()


def _end_with_parent() -> None:
    """A killed parent ends nobody; without it there is nothing to do here."""
    parent = parent_process()
    if parent is not None:
        with suppress(OSError):
            parent.join()
        os._exit(1)


def _scan_part(part: Part) -> ScannedPart:
    with _stores[0].open(part.name) as source:
        return scan_part(source, part)
