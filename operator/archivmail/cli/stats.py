"""`archivmail stats`: what the archive holds, account by account and in sum."""

from collections.abc import Sequence
from typing import Final

import click

from archivmail.archive.catalog.figures import AccountStats
from archivmail.cli.opened import NOTHING_YET, accounts_of, for_reading
from archivmail.cli.options import account_options, archive_options, json_option
from archivmail.cli.outcomes import Exit
from archivmail.cli.output import Column, count, emit, emit_json, emit_table, moment, note, size
from archivmail.model.wireform import time_to_wire

COLUMNS: Final = (
    Column("ACCOUNT", may_shrink=True),
    Column("MESSAGES", is_number=True),
    Column("PLACES", is_number=True),
    Column("PACKS", is_number=True),
    Column("RAW", is_number=True),
    Column("STORED", is_number=True),
    Column("RATIO", is_number=True),
    Column("OLDEST"),
    Column("NEWEST"),
)


@click.command("stats")
@account_options
@json_option
@archive_options
def command(
    *, namespace: str | None, account: str | None, as_json: bool, archive_url: str, catalog_url: str | None
) -> int:
    """Show what the archive holds, in numbers.

    Messages are distinct contents, places are the folders and UIDs where they were seen. Oldest and newest are by the
    date at which the server received them.
    """
    with for_reading(archive_url, catalog_url) as archive:
        chosen = set(accounts_of(archive, namespace, account))
        found = [each for each in archive.keeping.stats() if each.account in chosen]
        index, backlog = archive.keeping.index_size(), archive.index_backlog()
        to_purge = archive.keeping.texts_to_purge()
    if as_json:
        for each in found:
            emit_json({"namespace": each.account.namespace, "name": each.account.name, **_figures([each])})
        emit_json({"total": {**_figures(found), "indexBytes": index, "indexBacklog": backlog}})
        return Exit.COMPLETE
    if not found:
        note(NOTHING_YET)
        return Exit.COMPLETE
    emit_table(COLUMNS, [*(_row(str(each.account), [each]) for each in found), _row("total", found)])
    emit(f"text index: {size(index)}, {count(backlog)} of the messages wait for it")
    waiting, octets = sum(each.waiting_packs for each in found), sum(each.waiting_octets for each in found)
    if waiting:
        emit(f"packs whose place another took, to be removed after a time of grace: {count(waiting)} ({size(octets)})")
    if dead := sum(each.dead_octets for each in found):
        emit(f"octets of removed messages still in packs: {size(dead)}; archivmail upkeep --thorough takes them out")
    if to_purge:
        emit(f"removed messages whose words are still in the text index: {count(to_purge)}")
    return Exit.COMPLETE


def _figures(stats: Sequence[AccountStats]) -> dict[str, object]:
    dates = [each.oldest for each in stats if each.oldest], [each.newest for each in stats if each.newest]
    return {
        "messages": sum(each.messages for each in stats),
        "places": sum(each.places for each in stats),
        "packs": sum(each.packs for each in stats),
        "rawBytes": sum(each.raw_octets for each in stats),
        "storedBytes": sum(each.stored_octets for each in stats),
        "ratio": _ratio(stats),
        "waitingPacks": sum(each.waiting_packs for each in stats),
        "waitingBytes": sum(each.waiting_octets for each in stats),
        "deadBytes": sum(each.dead_octets for each in stats),
        "removedPlaces": sum(each.removed for each in stats),
        "oldest": time_to_wire(min(dates[0])) if dates[0] else None,
        "newest": time_to_wire(max(dates[1])) if dates[1] else None,
    }


def _ratio(stats: Sequence[AccountStats]) -> float | None:
    """Stored octets for each raw one."""
    raw = sum(each.raw_octets for each in stats)
    return round(sum(each.stored_octets for each in stats) / raw, 4) if raw else None


def _row(name: str, stats: Sequence[AccountStats]) -> list[str]:
    ratio = _ratio(stats)
    oldest = [each.oldest for each in stats if each.oldest]
    newest = [each.newest for each in stats if each.newest]
    return [
        name,
        count(sum(each.messages for each in stats)),
        count(sum(each.places for each in stats)),
        count(sum(each.packs for each in stats)),
        size(sum(each.raw_octets for each in stats)),
        size(sum(each.stored_octets for each in stats)),
        "-" if ratio is None else f"{ratio:.2f}",
        moment(min(oldest) if oldest else None),
        moment(max(newest) if newest else None),
    ]
