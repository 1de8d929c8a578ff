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
