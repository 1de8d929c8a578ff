"""One mbox file per folder, in the mboxrd form, from which every message comes back octet for octet:

- A message begins with `From MAILER-DAEMON <INTERNALDATE in UTC, as asctime>`, and LF.
- Each line of it that is any number of `>` and then `From ` has one more `>`. Line ends stay as they are (CRLF).
- After it stands one LF. A message that does not end in LF has another one before that, and says so: its first line
  names NO-FINAL-LINE in place of MAILER-DAEMON.

To read one back: drop the first line, drop the last LF (two of NO-FINAL-LINE), take one `>` from each `>+From `.

Files are written under temporary names and put in place when the last message is in, so each is always whole. An export
that was stopped goes on behind the last message that is known to be on the disk.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import asctime
from typing import BinaryIO

from archivmail.archive.export.journal import Journal, Written
from archivmail.archive.export.manifest import NAME
from archivmail.archive.export.names import mbox_path
from archivmail.archive.export.sink import (
    PARTIAL,
    Octets,
    Put,
    WriteManifest,
    make_directory,
    open_new,
    put_manifest,
    reopened,
    synced,
)
from archivmail.archive.rows import PlacementRow

ENDS_IN_LF = b"MAILER-DAEMON"
NO_FINAL_LINE = b"NO-FINAL-LINE"  # of the same length, so that it can be written over the other

MAX_OPEN = 32
"""Files open at once: messages of busy folders alternate."""

_QUOTED = re.compile(rb"(\n>*)From ")
_QUOTED_AT_START = re.compile(rb"(>*)From ")
_TORN = re.compile(rb"F(?:r(?:om?)?)?\Z")


class MboxTree:
    """See Sink. Folders may come in any order and come back; few files are open at once."""

    looks_itself = False

    def __init__(self, output: Path, journal: Journal) -> None:
        """Raises OSError."""
        self._output = output
        self._open: OrderedDict[Path, BinaryIO] = OrderedDict()
        self._sizes: dict[str, int] = {}  # what counts of folders whose files are not open; some thousands at most
        make_directory(output)
        for name, size in journal.files().items():
            if _partial(output / name).exists():  # otherwise the end came between the renaming and the manifest
                reopened(_partial(output / name), size).close()
            self._sizes[name] = size

    def name(self, row: PlacementRow) -> str:
        return f"{mbox_path(row)}: UID {row.uid} of UIDVALIDITY {row.uid_validity}"

    def put(self, row: PlacementRow, octets: Octets) -> tuple[Put, Written]:
        name = mbox_path(row)
        file = self._opened(name)
        start = file.tell()
        try:
            _append(file, row.received_at, octets())
        except BaseException:
            file.seek(start)
            file.truncate()
            raise
        return Put.WRITTEN, Written(name, row.content_id, row.size, start, file.tell() - start)

    def flush(self) -> dict[str, int]:
        for name, file in self._open_names():
            self._sizes[name] = synced(file)
        return dict(self._sizes)

    def finish(self, manifest: WriteManifest) -> None:
        self._close_files(left=0)
        for name in sorted(self._sizes):
            path = self._output / name
            if _partial(path).exists():
                _partial(path).replace(path)
        put_manifest(self._output / NAME, manifest, below=self._output)

    def close(self) -> None:
        with suppress(OSError):
            self._close_files(left=0)

    def _open_names(self) -> Iterator[tuple[str, BinaryIO]]:
        for path, file in self._open.items():
            yield path.relative_to(self._output).as_posix(), file

    def _opened(self, name: str) -> BinaryIO:
        """The file of a folder, at its end."""
        path = self._output / name
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        self._close_files(left=MAX_OPEN - 1)
        if name in self._sizes:
            if not _partial(path).exists():
                path.replace(_partial(path))
            file: BinaryIO = reopened(_partial(path), self._sizes[name])
        else:
            make_directory(path.parent)
            file = open_new(_partial(path))
            self._sizes[name] = 0
        self._open[path] = file
        return file

    def _close_files(self, *, left: int) -> None:
        """Close those not used for longest."""
        while len(self._open) > left:
            path, file = self._open.popitem(last=False)
            self._sizes[path.relative_to(self._output).as_posix()] = synced(file)
            file.close()


def _partial(path: Path) -> Path:
    return path.with_name(f".{sha256(path.name.encode()).hexdigest()[:32]}{PARTIAL}")


def _append(file: BinaryIO, received_at: datetime | None, pieces: Iterator[bytes]) -> None:
    # asctime: unlike strftime it knows no locale
    moment = received_at or datetime.fromtimestamp(0, UTC)
    start = file.tell()
    file.write(b"From %s %s\n" % (ENDS_IN_LF, asctime(moment.astimezone(UTC).timetuple()).encode("ascii")))
    last = b"\n"
    for piece in quoted(pieces):
        if piece:
            file.write(piece)
            last = piece[-1:]
    if last != b"\n":
        file.write(b"\n")
        end = file.tell()
        file.seek(start + len(b"From "))
        file.write(NO_FINAL_LINE)
        file.seek(end)
    file.write(b"\n")


def quoted(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Mboxrd quoting of octets that come in pieces of any size; holds back at most 4 of them."""
    held = b""
    is_fresh = True  # nothing but ">" since the line began
    for piece in pieces:
        data = held + piece
        torn = _TORN.search(data, max(0, len(data) - 4))
        held = torn[0] if torn else b""
        data = data[: len(data) - len(held)]
        line = data[data.rfind(b"\n") + 1 :]
        starts_fresh, is_fresh = is_fresh, (is_fresh or b"\n" in data) and not line.strip(b">")
        if starts_fresh:
            data = _QUOTED_AT_START.sub(rb"\1>From ", data, count=1) if _QUOTED_AT_START.match(data) else data
        yield _QUOTED.sub(rb"\1>From ", data)
    yield held
