"""Mail that nobody wants, as strategies: every kind of damage that was seen in archives, and what Hypothesis adds."""

from hypothesis import strategies as st

HEADER_NAMES = (
    b"From", b"To", b"Cc", b"Subject", b"Date", b"Message-ID", b"In-Reply-To", b"Content-Type",
    b"Content-Transfer-Encoding", b"Content-Disposition", b"X-Other", b"subject ", b"",
)  # fmt: skip
LINE_ENDS = st.sampled_from([b"\r\n", b"\n", b"\r", b"\r\r\n"])
VALUES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([
        b"multipart/mixed; boundary=b", b'multipart/alternative; boundary="b"', b"multipart/mixed", b"message/rfc822",
        b"text/html; charset=utf-8", b"text/plain; charset=x-no-such", b"text/plain; charset=utf-7", b"base64",
        b"quoted-printable", b"attachment; filename*0*=utf-8''%e2%82; filename*1=x", b'attachment; filename="../../x"',
        b"=?utf-8?B?4oKs?= =?utf-8?Q?=E2=82?= =?utf-8?Q?=AC?=", b"=?x?q?a?=", b"=?utf-8?b?!!!?=", b"caf\xe9 <a@b>",
        b"Thu, 32 Foo 99999 25:61:61 +9999999", b"Mon, 1 Jan 2024 10:00:00 +0100", b"<a b\r\n c@d>", b"\x00\x1b[2J",
        b"a\r\n\tfolded\r\n  value", b"=?iso-2022-jp?B?GyRC?=", b"\xff\xfe", b"" ,
    ]),
)  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([
        b"--b\r\n\r\npart\r\n--b--\r\n", b"--b\n--b\n--b",
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx",
        b"<html><script>x</script><p>text<br>&amp; &#xD800; &bogus;", b"aGVsbG8*d29ybGQ=\r\n=", b"=E2=82=AC=\r\n=ZZ",
        b"From the start\n>From here", b"\x00" * 50, b"no line end",
    ]),
)  # fmt: skip


@st.composite
def torn_mail(draw: st.DrawFn) -> bytes:
    """Header lines and a body that look like mail, put together without rules."""
    octets = draw(st.sampled_from([b"", b"", b"From MAILER Thu Jan  1 00:00:00 1970\n", b">From x\r\n", b"\r\n"]))
    for _ in range(draw(st.integers(0, 8))):
        octets += draw(st.sampled_from(HEADER_NAMES)) + draw(st.sampled_from([b": ", b":", b" :", b""]))
        octets += draw(VALUES) + draw(LINE_ENDS)
    return octets + draw(LINE_ENDS) + draw(BODIES) + draw(st.one_of(st.just(b""), BODIES))


any_mail = st.one_of(torn_mail(), st.binary(max_size=400))


# --- whole mails, the same every time --------------------------------------------------------------------------------

_HEAD = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: torture\r\n"
_BODY = b"\r\nbody\r\n"


def torture_mails() -> dict[str, bytes]:
    """One mail of each kind that archivers are known to lose or change, by its name. Line ends are CRLF unless the name
    says otherwise; none has a NUL or a bare LF, which real servers refuse or change: `unservable_mails` has those."""
    same = b"Message-ID: <same@example.org>\r\n"
    return {
        "lone-cr": _HEAD + b"\r\none \r two\r\r\nthree \r\r\n",
        "line-of-a-million": _HEAD + b"\r\n" + b"x" * 1_000_000 + b"\r\n",
        "lines-of-998-and-more": _HEAD + b"\r\n" + b"".join(b"y" * size + b"\r\n" for size in (997, 998, 999, 1000)),
        "header-only": _HEAD,
        "header-only-without-end": _HEAD[:-2],
        "no-final-newline": _HEAD + b"\r\nbody",
        "ten-thousand-recipients": _HEAD + _addresses(10_000) + _BODY,
        "nested-100": _nested(100),
        "raw-8-bit-header": b"From: caf\xe9 <a@b>\r\nSubject: \xff\xfe\xe4\r\n" + _BODY,
        "raw-8-bit-body": _HEAD + b"\r\n" + bytes(range(128, 256)) * 50 + b"\r\n",
        "control-characters": _HEAD + b"\r\n" + bytes(set(range(1, 32)) - {10, 13}) + b"\x7f\r\n",
        "message-id-twice": _HEAD + same + b"Message-ID: <other@example.org>\r\n" + _BODY,
        "message-id-missing-1": _HEAD + b"\r\nno identity, first\r\n",
        "message-id-missing-2": _HEAD + b"\r\nno identity, second\r\n",
        "message-id-folded": _HEAD + b"Message-ID:\r\n <folded\r\n\t@example.org>\r\n" + _BODY,
        "message-id-empty": _HEAD + b"Message-ID:\r\n" + _BODY,
        "message-id-no-brackets": _HEAD + b"Message-ID: no brackets (comment) at all\r\n" + _BODY,
        "same-id-same-length-1": _HEAD + same + b"\r\nbody 1\r\n",
        "same-id-same-length-2": _HEAD + same + b"\r\nbody 2\r\n",
        "same-id-with-footer": _HEAD + same + b"\r\nbody 1\r\n-- \r\nlist footer\r\n",
        "same-body-other-header": _HEAD + same + b"X-Other: 1\r\n\r\nbody 1\r\n",
        "from-line-first": b"From MAILER Thu Jan  1 00:00:00 1970\r\n" + _HEAD + _BODY,
        "from-lines-in-body": _HEAD + b"\r\nFrom here\r\n>From there\r\n>>From far\r\n\r\nFrom the end\r\n",
        "dots": _HEAD + b"\r\n.\r\n..\r\n.x\r\n",
        "looks-like-imap": _HEAD + b"\r\n)\r\n* 1 EXPUNGE\r\na OK FETCH completed\r\n{5}\r\n* BYE\r\n",
        "ends-like-a-literal": _HEAD + b"\r\n{12}\r\n",
        "boundary-never-ends": _HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\npart\r\n--b",
        "header-of-a-megabyte": _HEAD + b"X-Long: " + b"z" * (1 << 20) + b"\r\n" + _BODY,
        "ten-thousand-headers": _HEAD + b"".join(b"X-%d: %d\r\n" % (each, each) for each in range(10_000)) + _BODY,
        "large-base64": _HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + (b"QUJD" * 19 + b"\r\n") * 130_000,
    }


def unservable_mails() -> dict[str, bytes]:
    """Those that only a server of our own can show (trap 66)."""
    return {
        "nul": _HEAD + b"\r\n\x00 one \x00\r\n",
        "nothing-but-nul": b"\x00" * 1000,
        "bare-lf": _HEAD.replace(b"\r\n", b"\n") + b"\nbody\n",
        "mixed-line-ends": _HEAD + b"\r\none\ntwo\r\nthree\rfour\n\rfive",
        "no-header": b"no header at all",
        "one-octet": b"x",
        "nothing": b"",
    }


def _addresses(count: int) -> bytes:
    return b"Cc: " + b",\r\n ".join(b"user%d@example.org" % number for number in range(count)) + b"\r\n"


def _nested(depth: int) -> bytes:
    octets = _HEAD + b"\r\ninnermost\r\n"
    for _ in range(depth):
        octets = _HEAD + b"Content-Type: message/rfc822\r\n\r\n" + octets
    return octets
