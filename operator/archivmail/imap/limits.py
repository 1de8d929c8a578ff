"""Every limit of an IMAP session in one place, each with its unit and its reason."""

from dataclasses import dataclass

from archivmail.imap.egress import Egress


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on waiting, on what a server may send, on memory, and on where to connect."""

    connect_s: float = 30.0
    """For all addresses of the host together, name look-up included; and again for the TLS handshake."""
    read_s: float = 60.0
    """Longest silence of the server while an answer is due."""
    slice_s: float = 0.25
    """How often a wait looks up to see whether the run should stop."""
    pace_window_s: float = 180.0
    """Of waiting within one command; a server that sends less than `pace_bytes` in it is only dripping (trap 82)."""
    pace_bytes: int = 1024
    close_s: float = 1.0
    """For a polite LOGOUT."""
    receive_bytes: int = 256 * 1024
    login_bytes: int = 256 * 1024
    """All that a server may say until it has let us in."""
    line_bytes: int = 256 * 1024
    search_line_bytes: int = 16 * 1024 * 1024
    """One line of SEARCH or ESEARCH: 1.5 million UIDs of ten digits (trap 23)."""
    small_literal_bytes: int = 1024 * 1024
    """A literal that is no message: a folder name, a label."""
    message_bytes: int = 2 * 1024**3
    memory_bytes: int = 4 * 1024 * 1024
    """Messages up to this size are held in memory, larger ones in an unlinked temporary file."""
    piece_bytes: int = 512 * 1024
    """Asked for at once of a message that the server does not give whole."""
    waiting_bytes: int = 16 * 1024 * 1024
    """Messages whose octets came before their flags or UID: held until the command ends."""
    facts_bytes: int = 16 * 1024 * 1024
    """Flags, dates and ids of messages whose octets are still to come, in one command."""
    answers: int = 2_000_000
    """Untagged responses to one command, besides those that were asked for."""
    bads: int = 100
    """BAD answers in one session: more than it takes to find a message that is refused so, and no loop."""
    command_chars: int = 1000  # RFC 2683 §3.2.1.5
    search_window: int = 50_000
    """Messages looked at by one SEARCH in a folder with more than these."""
    folders: int = 100_000
    name_bytes: int = 8192
    status_depth: int = 50
    """STATUS commands on the way at once."""
    compress_always: bool = False
    """Wherever it is offered, even on loopback; for tests."""
    pair_always: bool = False
    """A second connection even for a near server and few batches; for tests."""
    egress: Egress | None = None
    """Where connections may go; None is everywhere."""
    spool_folder: str | None = None
    """Where large messages are spooled; None is the system's temporary folder."""
