"""The engine in a warm process: runs over an archive that is up to date, counted and timed. Prints one JSON object.

python -m bench.engine HOST PORT ARCHIVE RUNS
"""

from __future__ import annotations

import json
import statistics
import sys
import time

from archivmail import app
from archivmail.archive.opening import open_archive
from archivmail.cli.progress import Silent
from archivmail.imap.connector import Connector
from archivmail.imap.permits import Permits
from archivmail.imap.stream import Stream
from archivmail.model.account import AccountRef, AccountSpec, Credentials, Endpoint, Mechanism, Secret, TlsMode
from archivmail.model.outcome import Result
from archivmail.sync.account import Job
from bench.filling import PASSWORD, USER


class Counted:
    """Counts how often the client waits for the server: a command that is sent after something was received."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        """The first word of what was sent at each turn."""
        self._was_receiving = True
        send, receive = Stream.send, Stream._receive

        def counted_send(stream: Stream, octets: bytes) -> None:
            if self._was_receiving:
                self.sent.append(octets)
            self._was_receiving = False
            send(stream, octets)

        def counted_receive(stream: Stream, view: memoryview) -> int:
            self._was_receiving = True
            return receive(stream, view)

        Stream.send = counted_send  # type: ignore[method-assign]
        Stream._receive = counted_receive  # type: ignore[method-assign]

    @property
    def after_login(self) -> int:
        """Round trips from the end of the login to the last answer, LOGOUT left out."""
        words = [octets.split()[1].upper() for octets in self.sent if len(octets.split()) > 1]
        login = max(at for at, word in enumerate(words) if word in {b"LOGIN", b"AUTHENTICATE"})
        return sum(word != b"LOGOUT" for word in words[login + 1 :])


def main() -> None:
    host, port, archive_url, runs = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    endpoint = Endpoint(host, port, TlsMode.DISABLED)
    spec = AccountSpec(host, port, "bench", TlsMode.DISABLED)
    credentials = Credentials(Mechanism.PASSWORD, USER, Secret(PASSWORD))
    job = Job(AccountRef("default", "bench"), spec, endpoint, credentials)
    walls, cpus, trips = [], [], 0
    with open_archive(archive_url, None, create=True) as archive:
        connect = Connector(Permits())

        def once() -> tuple[float, float]:
            wall, cpu = time.perf_counter(), time.process_time()
            outcome = app.run_once(
                archive, job, connect=connect, watcher=Silent(), should_stop=lambda: False, by="bench"
            )
            if outcome.result is not Result.SUCCEEDED:
                sys.exit(f"the run failed: {outcome.failure}")
            return time.perf_counter() - wall, time.process_time() - cpu

        for _ in range(3):
            once()  # warms up
        for _ in range(runs):
            wall_s, cpu_s = once()
            walls.append(wall_s)
            cpus.append(cpu_s)
        counted = Counted()
        once()
        trips = counted.after_login
    print(
        json.dumps(
            {
                "wallMs": statistics.median(walls) * 1000,
                "cpuMs": statistics.median(cpus) * 1000,
                "cpuMsLowest": min(cpus) * 1000,
                "cpuMsHighest": max(cpus) * 1000,
                "roundTrips": trips,
            }
        )
    )


if __name__ == "__main__":
    main()
