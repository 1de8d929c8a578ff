"""Connections to PostgreSQL that wait for an answer for a limited time.

libpq has no such limit. Keepalives find a node that is gone, and `statement_timeout` ends what takes too long, but a
server that is stopped in its tracks, or hangs on its disk, does neither: its kernel still acknowledges, and its client
waits for ever. Imported only where the driver is installed.
"""

import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

RV = TypeVar("RV")

GRACE_S = 30.0
"""How long after its own limit, `statement_timeout`, the server may still answer."""


class PatientConnection(psycopg.Connection[Any]):
    """Gives the connection up when the server does not answer. The driver's `wait` is where all of it waits."""

    patience_s: float | None = 10.0
    """Longest wait for one answer; None: for ever. The first ones are those of a connection that begins."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Raises OperationalError, with the connection closed."""
        if timeout is not None or self.patience_s is None:
            return super().wait(gen, interval, timeout)
        began = time.monotonic()
        try:
            return super().wait(gen, interval, self.patience_s)
        except psycopg.OperationalError as error:
            if time.monotonic() - began < self.patience_s:
                raise
            self.pgconn.finish()  # an answer that came later would be taken for that of the next statement
            raise psycopg.OperationalError(f"the server has not answered for {self.patience_s:g} s") from error


def expect_answers(connection: PatientConnection) -> None:
    """Wait a little longer than the server lets a statement run; for ever where that has no limit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout'")
        row = cursor.fetchone()
    limit_ms = row[0] if row else 0
    connection.patience_s = limit_ms / 1000 + GRACE_S if limit_ms else None
