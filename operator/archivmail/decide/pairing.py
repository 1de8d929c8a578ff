"""Whether a second connection of one account is worth opening: it costs a login and one of the server's connections.

It pays where one connection cannot fill the line: a far server, or one that gives each connection a rate of its own.
"""

from archivmail.decide.batching import MAX_BATCH_MESSAGES
from archivmail.decide.compressing import Line

ENOUGH_BATCHES = 4  # some hundreds of messages or 32 MiB: less is through before the second connection would help


def is_worth_pairing(line: Line, *, batches: int, is_one_by_one: bool, most_messages: int) -> bool:
    """`batches` are still to come. Never for servers that take one command at a time, or complained of too much."""
    return batches >= ENOUGH_BATCHES and not is_one_by_one and most_messages >= MAX_BATCH_MESSAGES and line.is_slow
