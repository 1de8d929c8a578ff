"""Who acts, for the audit trail: the command and the user of the system. No address and no secret."""

import os
import pwd

from archivmail.archive.opening import open_archive
from archivmail.cli.output import note
from archivmail.model.errors import ArchivmailError
from archivmail.model.notices import AuditEvent


def actor(command: str) -> str:
    """As in `archivmail erase (alice)`."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without an entry
        name = f"uid {os.getuid()}"
    return f"archivmail {command} ({name})"


def record(archive_url: str, catalog_url: str | None, event: AuditEvent) -> None:
    """Put into the audit trail what a command did that only reads. Where it cannot be written, that is said."""
    try:
        with open_archive(archive_url, catalog_url, create=False) as archive:
            archive.record(event)
    except ArchivmailError as error:
        note(f"not in the audit trail: {error.text}")
