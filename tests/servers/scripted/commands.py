"""What a correct server answers (RFC 9051), as far as an archive asks."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conversation import Conversation
    from .served import Folder, Message
    from .server import ScriptedServer

NO_SUCH_FOLDER = b"NO [NONEXISTENT] no such folder"


def capability(server: ScriptedServer, talk: Conversation, _: bytes) -> bytes:
    talk.send(b"* CAPABILITY " + server.capabilities_now(talk).encode() + b"\r\n")
    return b"OK done"


def login(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
    user, password = re.findall(rb'"((?:[^"\\]|\\.)*)"', arguments)
    return _checked(server, talk, re.sub(rb"\\(.)", rb"\1", user), re.sub(rb"\\(.)", rb"\1", password))


def authenticate(server: ScriptedServer, talk: Conversation, mechanism: bytes) -> bytes:
    talk.send(b"+ \r\n")
    response = base64.b64decode(talk.line())
    if mechanism.upper() == b"PLAIN":
        _, user, password = response.split(b"\0")
        return _checked(server, talk, user, password)
    if mechanism.upper() in {b"XOAUTH2", b"OAUTHBEARER"}:
        token = re.search(rb"auth=Bearer ([^\x01]*)", response)
        assert token
        if token[1].decode() != server.password:
            talk.send(b"+ " + base64.b64encode(b'{"status":"401","schemes":"Bearer"}') + b"\r\n")
            talk.line()
            return b"NO [AUTHENTICATIONFAILED] token refused"
        talk.is_authenticated = True
        return b"OK welcome"
    return b"NO [CANNOT] unsupported mechanism"


def _checked(server: ScriptedServer, talk: Conversation, user: bytes, password: bytes) -> bytes:
    server.login_attempts += 1
    if (user.decode(), password.decode()) != (server.username, server.password):
        return b"NO [AUTHENTICATIONFAILED] Invalid credentials"
    talk.is_authenticated = True
    return b"OK welcome"


def namespace(_server: ScriptedServer, talk: Conversation, _: bytes) -> bytes:
    talk.send(b'* NAMESPACE (("" "/")) NIL NIL\r\n')
    return b"OK done"


def listing(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
    pattern = unquoted(arguments.split(b" ", 1)[1].partition(b" RETURN")[0])
    for name, folder in server.folders.items():
        if pattern in {b"*", name} or (pattern.endswith(b"*") and name.startswith(pattern[:-1])):
            talk.send(b'* LIST (%b) "/" %b\r\n' % (folder.attributes.encode(), quoted(name)))
            if b"STATUS" in arguments:
                _send_status(talk, name, folder)
    return b"OK done"


def status(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
    name = unquoted(arguments.rpartition(b" (")[0])
    folder = server.folders.get(name)
    if folder is None:
        return NO_SUCH_FOLDER
    _send_status(talk, name, folder)
    return b"OK done"


def _send_status(talk: Conversation, name: bytes, folder: Folder) -> None:
    items = {b"MESSAGES": len(folder.messages), b"UIDNEXT": folder.next_uid, b"UIDVALIDITY": folder.uid_validity}
    told = b" ".join(b"%b %d" % (key, value) for key, value in items.items() if value is not None)
    talk.send(b"* STATUS %b (%b)\r\n" % (quoted(name), told))


def examine(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
    name = unquoted(arguments)
    folder = server.folders.get(name)
    talk.opened = name if folder is not None else None
    if folder is None:
        return NO_SUCH_FOLDER
    talk.send(b"* FLAGS (\\Seen \\Answered)\r\n* %d EXISTS\r\n* 0 RECENT\r\n" % len(folder.messages))
    if folder.uid_validity is not None:
        talk.send(b"* OK [UIDVALIDITY %d] valid\r\n" % folder.uid_validity)
    if folder.next_uid is not None:
        talk.send(b"* OK [UIDNEXT %d] next\r\n" % folder.next_uid)
    return b"OK [READ-ONLY] done"


def uid_search(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
    if talk.opened is None:  # sent with an EXAMINE that was refused
        return b"BAD no folder is open"
    folder = opened(server, talk)
    wanted = re.search(rb"UID ([\d:*,]+)", arguments)
    uids = folder.uids_in(wanted[1] if wanted else b"1:*")
    if b"RETURN" in arguments:
        found = b" ALL " + b",".join(b"%d" % uid for uid in uids) if uids else b""
        talk.send(b'* ESEARCH (TAG "%b") UID%b\r\n' % (server.tag, found))
    else:
        talk.send(b"* SEARCH" + b"".join(b" %d" % uid for uid in uids) + b"\r\n")
    return b"OK done"


def fetch(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
    folder = opened(server, talk)
    order = sorted(folder.messages)
    for number in arguments.partition(b" ")[0].split(b","):
        talk.send(b"* %b FETCH (UID %d)\r\n" % (number, order[int(number) - 1]))
    return b"OK done"


def uid_fetch(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
    wanted, _, items = arguments.partition(b" ")
    folder = opened(server, talk)
    for uid in folder.uids_in(wanted):
        server.send_message(talk, uid, folder.messages[uid], items)
    return b"OK done"


def message_items(uid: int, message: Message, items: bytes) -> bytes:
    """The items of one FETCH response, in parentheses."""
    told = [b"UID %d" % uid]
    if b"FLAGS" in items:
        told.append(b"FLAGS (%b)" % " ".join(message.flags).encode())
    if b"INTERNALDATE" in items:
        told.append(b'INTERNALDATE "%b"' % message.internal_date.encode())
    if b"EMAILID" in items:
        told.append(b"EMAILID (%b)" % message.email_id.encode())
    if b"X-GM-MSGID" in items:
        told.append(b"X-GM-MSGID %b" % message.email_id.encode())
    if b"X-GM-LABELS" in items:
        told.append(b"X-GM-LABELS (%b)" % message.labels)
    if b"RFC822.SIZE" in items:
        told.append(b"RFC822.SIZE %d" % len(message.octets))
    for section, octets in message_parts(message, items):
        told.append(b"BODY[%b] {%d}\r\n%b" % (section, len(octets), octets))
    if re.search(rb"BODY\.PEEK\[\](?!<)", items):
        told.append(b"BODY[] {%d}\r\n%b" % (len(message.octets), message.octets))
    told += piece(message, items)
    return b"(" + b" ".join(told) + b")"


def message_parts(message: Message, items: bytes) -> list[tuple[bytes, bytes]]:
    """Header and text, as far as they are asked for (RFC 9051 §6.4.5)."""
    head, blank, text = message.octets.partition(b"\r\n\r\n")
    return [(name, part) for name, part in ((b"HEADER", head + blank), (b"TEXT", text)) if b"[" + name + b"]" in items]


def piece(message: Message, items: bytes) -> list[bytes]:
    """The pieces that are asked for, as items."""
    pieces = []
    for origin, size in re.findall(rb"BODY\.PEEK\[\]<(\d+)\.(\d+)>", items):
        octets = message.octets[int(origin) :][: int(size)]
        pieces.append(b"BODY[]<%b> {%d}\r\n%b" % (origin, len(octets), octets))
    return pieces


def logout(_server: ScriptedServer, talk: Conversation, _: bytes) -> bytes:
    talk.send(b"* BYE see you\r\n")
    return b"OK done"


def opened(server: ScriptedServer, talk: Conversation) -> Folder:
    assert talk.opened is not None, "no folder is open"
    return server.folders[talk.opened]


def quoted(name: bytes) -> bytes:
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def unquoted(text: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", text[1:-1]) if text.startswith(b'"') else text


CORRECT = {
    b"CAPABILITY": capability,
    b"LOGIN": login,
    b"AUTHENTICATE": authenticate,
    b"NAMESPACE": namespace,
    b"LIST": listing,
    b"STATUS": status,
    b"EXAMINE": examine,
    b"UID SEARCH": uid_search,
    b"FETCH": fetch,
    b"UID FETCH": uid_fetch,
    b"LOGOUT": logout,
}
