"""The line under a search hit: where the words stand in its text."""

import os
import sys
from typing import Final

import click

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.querytext import Field, Query
from archivmail.archive.catalog.search import Hit
from archivmail.mime.snippet import snippet
from archivmail.mime.terminal import clean
from archivmail.mime.text import extract
from archivmail.mime.words import words
from archivmail.model.errors import ArchivmailError
from archivmail.model.message import ContentId

WIDTH: Final = 160  # characters
MAX_OCTETS: Final = 1024 * 1024  # of a message; where the words stand further behind there is no line
INDENT: Final = "    "


class Snippets:
    """Reads each message once more: the index keeps no text."""

    def __init__(self, archive: Archive, query: Query) -> None:
        self._archive = archive
        self._wanted = frozenset(
            word for term in query.terms if term.field is Field.ANYWHERE for word in words(term.words)
        )
        self._is_bold = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def of(self, hit: Hit) -> str | None:
        """A line that is safe for a terminal; None where the words are not in the text."""
        if not self._wanted:
            return None
        stretches = snippet("\n".join(extract(self._beginning(hit)).texts), self._wanted, width=WIDTH)
        if not stretches:
            return None
        shown = [(clean(each.text).replace("\n", " "), each.is_match) for each in stretches]
        return INDENT + "".join(
            click.style(text, bold=True) if is_match and self._is_bold else text for text, is_match in shown
        )

    def _beginning(self, hit: Hit) -> bytes:
        kept = bytearray()
        try:
            for chunk in self._archive.octets(ContentId(bytes.fromhex(hit.id))):
                kept += chunk
                if len(kept) >= MAX_OCTETS:
                    break
        except ArchivmailError:
            pass  # a hit without its line; show and verify tell what is wrong
        return bytes(kept)
