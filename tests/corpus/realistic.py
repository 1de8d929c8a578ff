"""Mail as it is in mailboxes, made from a seed: the same seed gives the same octets on every machine.

`messages(count, seed)` averages about 28 kB (as archives of office mail do): much short text, some HTML, few large
attachments. `small=True` leaves the attachments and the long pages out (about 2 kB).
"""

import base64
import quopri
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.header import Header
from email.utils import format_datetime


def _words(text: str) -> list[str]:
    return text.split()


FIRST_DAY = datetime(2015, 1, 5, 8, 0, tzinfo=UTC)

_WORDS = _words("""
the meeting moves to tuesday because room four is taken please find attached the report of last quarter we need a
decision before friday thank you for the quick answer invoice order delivery contract customer budget plan review draft
version release server backup network printer holiday lunch travel hotel ticket train number question answer project
team offer price payment bank account signature document archive search mailbox
""")
_GERMAN = _words("Rechnung Angebot Größe Übergabe Straße Verträge für später möglich Grüße München Prüfung Lösung")
_FRENCH = _words("réunion demain matin pièce jointe très urgent équipe déjà reçu à bientôt œuvre façade")
_JAPANESE = _words("会議の資料を送ります よろしくお願いします 請求書 東京オフィス 明日の打ち合わせ 出張報告 検索テスト")
_CHINESE = _words("会议纪要 合同已签署 请查收附件 上海办事处 项目进度 谢谢您的回复")
_KOREAN = _words("회의 자료를 보내드립니다 감사합니다 서울 사무실 견적서 확인 부탁드립니다")
_RUSSIAN = _words("Договор подписан Отчёт за квартал Встреча завтра Спасибо за ответ Москва")
_PEOPLE = (
    ("Alice Archer", "alice@example.org"),
    ("Bob Börner", "bob@example.org"),
    ("Chloé Dupont", "chloe@example.com"),
    ("田中太郎", "tanaka@example.jp"),
    ("Dmitri Иванов", "dmitri@example.net"),
    ("Eve, of Accounts", "eve@example.com"),
    ("", "noreply@shop.example"),
    ("Newsletter", "news@letters.example"),
)
_FILES = (
    ("report.pdf", "application/pdf"),
    ("Rechnung März.pdf", "application/pdf"),
    ("photo.jpg", "image/jpeg"),
    ("見積書.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("notes.txt", "text/plain"),
    ("backup.zip", "application/zip"),
)
_FLAGS = ((), ("\\Seen",), ("\\Seen", "\\Answered"), ("\\Seen", "\\Flagged"), ("$Forwarded", "\\Seen"), ("\\Draft",))


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail and what a server would say of it."""

    octets: bytes
    received: datetime
    flags: tuple[str, ...]


def messages(count: int, seed: int = 0, *, small: bool = False) -> Iterator[bytes]:
    """The octets of `count` mails, all different, CRLF line ends."""
    return (mail.octets for mail in mails(count, seed, small=small))


def mails(count: int, seed: int = 0, *, small: bool = False) -> Iterator[Mail]:
    """The same with the time of arrival (ascending) and flags."""
    chance = random.Random(seed)
    received = FIRST_DAY
    for number in range(count):
        received += timedelta(seconds=chance.randrange(60, 6 * 3600))
        octets = _mail(chance, number, seed, received, small=small)
        yield Mail(octets, received, chance.choice(_FLAGS))


def _mail(chance: random.Random, number: int, seed: int, received: datetime, *, small: bool) -> bytes:
    sent = received - timedelta(seconds=chance.randrange(1, 90))
    kind = chance.random()
    head = [
        f"Received: from mx.example.org ([192.0.2.{number % 250}]) by mail.example.org; {format_datetime(received)}",
        f"Message-ID: <{seed}.{number}.{chance.getrandbits(48):x}@example.org>",
        f"Date: {format_datetime(sent)}",
        f"From: {_person(chance)}",
        f"To: {', '.join(_person(chance) for _ in range(chance.choice((1, 1, 1, 2, 3))))}",
        f"Subject: {_header(_subject(chance, number))}",
        "MIME-Version: 1.0",
    ]
    if chance.random() < 0.2:
        head.insert(5, f"Cc: {_person(chance)}")
    if kind < 0.55 or (small and kind < 0.8):
        body = _plain(chance, number)
    elif kind < 0.82 or small:
        body = _alternative(chance, number, 6 if small else 60)
    else:
        body = _with_attachment(chance, number)
    return ("\r\n".join(head) + "\r\n").encode("ascii") + body


def _subject(chance: random.Random, number: int) -> str:
    words = chance.choice((_WORDS, _WORDS, _WORDS, _GERMAN, _FRENCH, _JAPANESE, _CHINESE, _KOREAN, _RUSSIAN))
    prefix = chance.choice(("", "", "Re: ", "Fwd: ", "AW: "))
    return f"{prefix}{' '.join(chance.sample(words, 3))} {number}"


def _prose(chance: random.Random, lines: int) -> str:
    foreign = chance.choice((_WORDS, _WORDS, _GERMAN, _FRENCH, _JAPANESE, _CHINESE, _KOREAN, _RUSSIAN))
    return "\n".join(
        " ".join(chance.choices(foreign if chance.random() < 0.3 else _WORDS, k=chance.randrange(6, 13))) + "."
        for _ in range(lines)
    )


def _plain(chance: random.Random, number: int) -> bytes:
    text = f"Hello,\n\n{_prose(chance, chance.randrange(4, 40))}\n\nReference ref{number:06d}\n-- \nSent by hand\n"
    return _text_part("plain", text, chance)


def _text_part(subtype: str, text: str, chance: random.Random) -> bytes:
    lines = text.replace("\n", "\r\n")
    encoding = chance.choice(("8bit", "quoted-printable", "base64"))
    if lines.isascii():
        encoding = "7bit"
    octets = lines.encode()
    if encoding == "quoted-printable":
        octets = quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    elif encoding == "base64":
        octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    header = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return header.encode() + octets


def _alternative(chance: random.Random, number: int, paragraphs: int) -> bytes:
    text = _prose(chance, chance.randrange(3, paragraphs))
    style = "font-family: Arial, sans-serif; font-size: 14px; line-height: 1.5; color: #333333; padding: 0 24px"
    rows = "".join(f'<tr><td style="{style}"><p>{line}</p></td></tr>\n' for line in text.split("\n"))
    page = (
        f"<html><head><style>td {{{style}}}</style></head><body><table>{rows}</table>"
        f'<a href="https://example.org/{number}">Reference&nbsp;ref{number:06d}</a></body></html>\n'
    )
    mark = f"=_alt_{number}"
    return _multipart("alternative", mark, [_text_part("plain", text, chance), _text_part("html", page, chance)])


def _with_attachment(chance: random.Random, number: int) -> bytes:
    name, kind = chance.choice(_FILES)
    size = int(min(900_000, max(2_000, chance.lognormvariate(11, 1))))
    content = _prose(chance, size // 80).encode() if kind == "text/plain" else chance.randbytes(size)
    octets = base64.encodebytes(content).replace(b"\n", b"\r\n")
    header = (
        f'Content-Type: {kind}; name="{_header(name)}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{_header(name)}"\r\n\r\n'
    )
    return _multipart("mixed", f"=_mix_{number}", [_plain(chance, number), header.encode() + octets])


def _multipart(subtype: str, mark: str, parts: list[bytes]) -> bytes:
    head = f'Content-Type: multipart/{subtype}; boundary="{mark}"\r\n\r\nThis is MIME.\r\n'.encode()
    body = b"".join(b"--" + mark.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return head + body + b"--" + mark.encode() + b"--\r\n"


def _person(chance: random.Random) -> str:
    name, address = chance.choice(_PEOPLE)
    if not name:
        return address
    shown = f'"{name}"' if "," in name else _header(name)
    return f"{shown} <{address}>"


def _header(text: str) -> str:
    return text if text.isascii() else Header(text, "utf-8").encode(linesep="\r\n")
