"""Members are compressed on another thread: what fails there is heard of, and nothing is written after it."""

from __future__ import annotations

import threading

import pytest

from archivmail.archive.packs.background import Background
from archivmail.archive.packs.writing import PackWriter
from tests.archive.builders import Octets, sighting
from tests.archive.packs.written import place


class Full:
    """A sink whose disk is full after so many writes."""

    def __init__(self, writes: int) -> None:
        self.left = writes
        self.threads: set[str] = set()

    def write(self, data: bytes, /) -> int:
        self.threads.add(threading.current_thread().name)
        if not self.left:
            raise OSError(28, "No space left on device")
        self.left -= 1
        return len(data)

    def cut(self, size: int, /) -> None: ...


def test_a_full_disk_is_heard_of_at_the_end_at_the_latest() -> None:
    """trap 103; design §1 invariant 1: a pack that is not whole is never finished."""
    sink = Full(40)
    writer = PackWriter(sink)

    def write_all() -> None:
        for uid in range(1, 200):
            writer.append(place(), sighting(uid), Octets(bytes(16 * 1024)))
        writer.finish()

    with pytest.raises(OSError, match="No space left"):
        write_all()
    writer.abandon()

    assert sink.left == 0
    assert any(name.startswith("pack-writer") for name in sink.threads)


def test_nobody_writes_after_the_pack_was_abandoned() -> None:
    """So that a draft may be removed."""
    sink = Full(1_000_000)
    writer = PackWriter(sink)
    for uid in range(1, 200):
        writer.append(place(), sighting(uid), Octets(bytes(16 * 1024)))

    writer.abandon()
    before = sink.left
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pack-writer")]
    assert sink.left == before


def test_few_messages_start_no_thread() -> None:
    """The runs of every day."""
    sink = Full(100)
    writer = PackWriter(sink)
    writer.append(place(), sighting(1), Octets(b"octets"))
    writer.finish()

    assert sink.threads == {threading.current_thread().name}


def test_handing_over_waits_when_too_much_is_under_way() -> None:
    """Invariant 9: what waits is bounded."""
    gate = threading.Event()
    under_way: list[int] = []
    background = Background("test", 100)
    background.submit(gate.wait, 60)

    def hand_over() -> None:
        for number in range(3):
            background.submit(lambda: None, 60)
            under_way.append(number)

    thread = threading.Thread(target=hand_over)
    thread.start()
    thread.join(0.2)
    assert under_way == []
    gate.set()
    thread.join(10)
    background.settle()
    background.close()

    assert under_way == [0, 1, 2]


def test_no_job_is_begun_after_one_that_failed() -> None:
    """Octets would stand at the wrong place."""
    done: list[int] = []
    background = Background("test", 1_000)

    def fail() -> None:
        raise OSError(28, "No space left on device")

    def hand_over() -> None:
        for job in (fail, lambda: done.append(0)):
            background.submit(job, 1)
        background.settle()

    with pytest.raises(OSError, match="No space left"):
        hand_over()
    background.submit(lambda: done.append(1), 1)
    background.settle()
    background.close()

    assert done == []
