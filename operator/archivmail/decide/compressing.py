"""Whether to compress a session (RFC 4978): worth its time where the line is slow, and only there."""

from dataclasses import dataclass

SLOW_ROUND_TRIP_S = 0.02  # a gut feeling: nearer than that is the same data centre
SLOW_BYTES_PER_S = 4 * 1024**2  # inflating gives far more than that, so a line below it gains
ENOUGH_BYTES = 1024**2  # to judge a rate by


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of the line to the server."""

    is_loopback: bool
    round_trip_s: float
    received_bytes: int = 0
    waited_s: float = 0.0
    """For these octets."""

    @property
    def is_slow(self) -> bool:
        """By its round trip, or by the rate at which octets came; loopback never is."""
        if self.is_loopback:
            return False
        if self.round_trip_s >= SLOW_ROUND_TRIP_S:
            return True
        return self.received_bytes >= ENOUGH_BYTES and self.received_bytes < self.waited_s * SLOW_BYTES_PER_S


def is_worth_compressing(line: Line) -> bool:
    """Never on loopback, where it is a loss for both sides."""
    return line.is_slow
