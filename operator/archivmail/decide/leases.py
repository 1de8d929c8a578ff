"""Who may hold a Lease, and until when: the rules of Kubernetes' leader election, on one clock. Knows no API server.

Clocks of two machines are never compared: a Lease has run out when *we* have seen it unchanged for as long as its
holder asked for, and our own hold counts from the moment *before* we asked for it. So whoever waits sees a Lease end
later than its holder does (client-go's leaderelection has the same rules). Seconds are those of one monotonic clock.
"""

from dataclasses import dataclass

RENEW_SHARE = 2 / 3
"""Of its duration, after which a holder that could not renew gives up: the rest is for its runs to end in.
client-go's defaults are 15 s, 10 s and 2 s, which these shares give too."""
RETRY_SHARE = 2 / 15


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things last, in seconds."""

    duration: float

    @property
    def renew(self) -> float:
        """Without a renewal for so long the hold is given up."""
        return self.duration * RENEW_SHARE

    @property
    def retry(self) -> float:
        """Between two renewals, and between two looks at somebody else's Lease."""
        return self.duration * RETRY_SHARE


@dataclass(frozen=True, slots=True)
class Held:
    """A Lease as it stands on the API server."""

    holder: str
    """Identity of the process; "" when it was given back."""
    duration: float
    version: str
    """Changes with every write."""
    transitions: int = 0


@dataclass(frozen=True, slots=True)
class Watched:
    """A Lease, and since when it has been seen unchanged."""

    lease: Held
    since: float


def watch(before: Watched | None, lease: Held, now: float) -> Watched:
    """What is known after one more look."""
    return before if before is not None and before.lease == lease else Watched(lease, now)


def may_take(watched: Watched, me: str, now: float) -> bool:
    """Whether the Lease is nobody's any more. One that says it is ours is: nobody else has our identity."""
    lease = watched.lease
    return lease.holder in {"", me} or now - watched.since >= lease.duration


def gives_up_at(asked_at: float, terms: Terms) -> float:
    """When a holder that asked successfully at `asked_at` must tell its runs to end."""
    return asked_at + terms.renew


def runs_out_at(asked_at: float, terms: Terms) -> float:
    """When somebody else may hold the Lease at the earliest: no run may be going on then."""
    return asked_at + terms.duration
