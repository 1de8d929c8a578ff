"""Tell a message from what a server gives in its place. Knows shapes of octets; knows no server and no archive.

Exchange answers a FETCH of an item that it cannot convert with a message of its own making, under a tagged OK (trap 45;
OfflineIMAP/offlineimap#62, Foundry376/Mailspring#2038, jstedfast/MailKit#1451). Taken for the mail it would be silent
loss, so in doubt it is taken for a substitute: then the UID stays in the ledger, where people see it.
"""

import re

MAX_SUBSTITUTE_BYTES = 16 * 1024  # those reported have less than 2 KiB; long subjects and many recipients are quoted

_MARK = b"Retrieval using the IMAP4 protocol failed"
_SUBJECT = re.compile(
    rb"^Subject:[ \t]*Retrieval using the IMAP4 protocol failed for the following(?:\r?\n)?[ \t]+message:", re.MULTILINE
)
# "Microsoft Exchange Server 2010", with or without a year, quotes and an address.
_FROM = re.compile(rb'^From:[ \t]*"?Microsoft Exchange Server\b', re.MULTILINE | re.IGNORECASE)
# A mail that quotes or forwards one was sent by somebody, so it has what sending adds.
_SENT = re.compile(rb"^(?:Received|Message-ID|Return-Path):", re.MULTILINE | re.IGNORECASE)


def is_substitute(octets: bytes) -> bool:
    """Are these octets what Exchange gives for a message that it cannot convert?"""
    if len(octets) > MAX_SUBSTITUTE_BYTES or _MARK not in octets:
        return False
    head = re.split(rb"\r?\n\r?\n", octets, maxsplit=1)[0]
    return bool(_SUBJECT.search(head) and _FROM.search(head) and not _SENT.search(head))
