"""Folder names in commands (RFC 9051 §9 mailbox): quoted, or as a literal where a quoted string cannot hold them."""


def quoted(name: bytes) -> bytes | None:
    """The name as a quoted string; None when it holds a line break or a NUL.

    8-bit octets stay as they are: a server that lists them so takes them so (trap 52).
    """
    if any(octet in name for octet in b"\r\n\0"):
        return None
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def command(verb: bytes, name: bytes) -> bytes | tuple[bytes, ...] | None:
    """`verb` and the name; None when no form can carry the name (a NUL)."""
    plain = quoted(name)
    if plain is not None:
        return verb + b" " + plain
    return None if b"\0" in name else (verb + b" {%d}" % len(name), name)
