"""`archivmail show`: one message, for people or octet for octet."""

import sys
from typing import Final

import click

from archivmail.archive.archive import Archive
from archivmail.cli.opened import for_reading
from archivmail.cli.options import archive_options
from archivmail.cli.output import Column, emit, emit_table, note, size
from archivmail.mime import headers, terminal, text
from archivmail.model.errors import ArchiveDamaged
from archivmail.model.message import HEADER_AND_TEXT, PARTIAL, ContentId

HEADERS: Final = ("From", "To", "Cc", "Bcc", "Date", "Subject", "Message-ID")
ASSEMBLED_SOMEHOW: Final = "put together from parts: not proven to be the message octet for octet"
ASSEMBLED: Final = {
    HEADER_AND_TEXT: "put together from header and text: not proven to be the message octet for octet",
    PARTIAL: "put together from pieces: not proven to be the message octet for octet",
}
MAX_PLACEMENTS: Final = 20  # lines; one message is rarely in more places
ATTACHMENTS: Final = (Column("ATTACHMENT", may_shrink=True), Column("TYPE"), Column("SIZE", is_number=True))


@click.command("show")
@click.argument("message_id", metavar="ID")
@click.option("--raw", is_flag=True, help="Write the exact octets to standard output, and nothing else.")
@archive_options
def command(*, message_id: str, raw: bool, archive_url: str, catalog_url: str | None) -> None:
    """Show one message.

    ID is the id that search prints; its first characters are enough when no other id begins with them. Attachments
    are listed; to save a message with them: archivmail show ID --raw > message.eml
    """
    with for_reading(archive_url, catalog_url) as archive:
        content_id = archive.resolve(message_id)
        if raw:
            _write_octets(archive, content_id)
        else:
            _show(archive, content_id)


def _write_octets(archive: Archive, content_id: ContentId) -> None:
    out = sys.stdout.buffer
    for chunk in archive.octets(content_id):
        out.write(chunk)
    out.flush()


def _show(archive: Archive, content_id: ContentId) -> None:
    octets, damage = _read(archive, content_id)
    _show_places(archive, content_id)
    emit()
    fields, _ = headers.split(octets)
    for name in HEADERS:
        value = headers.text_of(fields.get(name.lower(), b""))
        if value:
            emit(f"{name}: {value}")
    emit()
    click.echo(terminal.clean(text.readable(octets)).rstrip("\n"))
    attached = text.attachments(octets)
    if attached:
        emit()
        emit_table(ATTACHMENTS, [(each.name or "(no name)", each.content_type, size(each.size)) for each in attached])
    if len(octets) >= text.MAX_INPUT_BYTES:
        note(f"only the first {size(text.MAX_INPUT_BYTES)} were looked at; --raw writes the whole message")
    if damage is not None:
        raise damage


def _read(archive: Archive, content_id: ContentId) -> tuple[bytes, ArchiveDamaged | None]:
    """As much as is shown; the rest is read too, because only the whole message proves itself."""
    kept = bytearray()
    try:
        for chunk in archive.octets(content_id):
            kept += chunk[: text.MAX_INPUT_BYTES - len(kept)]
    except ArchiveDamaged as damage:
        return bytes(kept), damage
    return bytes(kept), None


def _show_places(archive: Archive, content_id: ContentId) -> None:
    message = archive.message(content_id)
    emit(f"Id: {content_id.hex()}")
    emit(f"Size: {size(message.size)}")
    for place in message.placements[:MAX_PLACEMENTS]:
        flags = f" {' '.join(place.flags)}" if place.flags else ""
        emit(f"In: {place.account} {place.display}, UID {place.uid} of UIDVALIDITY {place.uid_validity}{flags}")
        if place.assembled:
            emit(f"    {ASSEMBLED.get(place.assembled, ASSEMBLED_SOMEHOW)}")
    if len(message.placements) > MAX_PLACEMENTS:
        emit(f"In: {len(message.placements) - MAX_PLACEMENTS} more places")
