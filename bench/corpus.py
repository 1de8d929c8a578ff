"""Mail for the search benchmark: a vocabulary as wide as that of people, headers and pages as fat as those of the net.

`tests/corpus/realistic.py` says everything in some hundred words, so that each is in every message; here frequencies
fall as in language (Zipf), over 60,000 words. Nothing is random but by the seed.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.header import Header
from email.utils import format_datetime
from itertools import accumulate


def _parted(text: str) -> list[str]:
    return text.split()


FIRST_DAY = datetime(2016, 1, 4, 8, tzinfo=UTC)
ACCOUNTS = tuple(f"user{number}" for number in range(5))
FOLDERS = ("INBOX", "Sent", "Archive", "Archive/2019", "Projects/Bridge", "Projects/Tunnel", "Lists/Python", "Trash")
_COMMON = _parted("""
the to and of a in for is on that with you this be it as at we are have by from or your i not will can an if
our has all please but was they which more about when there would so up out what one time do my any new no get
let me know how also
""")
_SYLLABLES = _parted("""
ba be bi bo bu da de di do du ka ke ki ko ku la le li lo lu ma me mi mo mu na ne ni no nu ra re ri ro ru sa se
si so su ta te ti to tu va ve vi vo vu ing tion ment er al ous
""")
_STYLE = "font-family:Arial,Helvetica,sans-serif;font-size:14px;line-height:21px;color:#333333;padding:0 24px 16px 24px"


@dataclass(frozen=True, slots=True)
class Sample:
    """One message; `text_octets` are those of its headers and text parts as they are sent."""

    octets: bytes
    account: str
    folder: str
    received: datetime
    text_octets: int


class Mailboxes:
    """Messages without end; words that queries may ask for."""

    def __init__(self, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self.words = [*_COMMON, *self._made(60_000 - len(_COMMON))]
        self._weights = list(accumulate(1 / (rank + 3) for rank in range(len(self.words))))
        self.han = [chr(0x4E00 + 7 * number) for number in range(2500)]
        self._han_weights = list(accumulate(1 / (rank + 3) for rank in range(len(self.han))))
        self.people = [
            f"{self.words[500 + 3 * n]}.{self.words[501 + 3 * n]}@{self.words[900 + n % 40]}.example"
            for n in range(400)
        ]

    def _made(self, count: int) -> list[str]:
        made: dict[str, None] = {}
        while len(made) < count:
            made["".join(self._chance.choices(_SYLLABLES, k=self._chance.choice((2, 2, 3, 3, 4))))] = None
        return list(made)

    def messages(self, count: int) -> Iterator[Sample]:
        received = FIRST_DAY
        for number in range(count):
            received += timedelta(seconds=self._chance.randrange(30, 3000))
            octets, rest = self._message(number, received)
            yield Sample(
                octets, ACCOUNTS[number % len(ACCOUNTS)], FOLDERS[min(int(self._chance.expovariate(0.6)), 7)], received,
                len(octets) - rest,
            )  # fmt: skip

    def sentence(self, count: int) -> str:
        return " ".join(self._chance.choices(self.words, cum_weights=self._weights, k=count))

    def _message(self, number: int, received: datetime) -> tuple[bytes, int]:
        chance = self._chance
        text = self._text(number)
        kind = chance.random()
        head = self._head(number, received, is_outside=chance.random() < 0.6)
        if kind < 0.45:
            return head + _part("plain", text), 0
        if kind < 0.8:
            return head + _multipart("alternative", number, [_part("plain", text), _part("html", self._page(text))]), 0
        if kind < 0.9:
            return head + _part("html", self._page(text + "\n\n" + self._text(number))), 0
        attached = base64.encodebytes(chance.randbytes(min(120_000, int(chance.lognormvariate(9.5, 1)))))
        name = f"{chance.choice(self.words)}.pdf"
        header = (
            f'Content-Type: application/pdf; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n'
            "Content-Transfer-Encoding: base64\r\n\r\n"
        )
        return head + _multipart("mixed", number, [_part("plain", text), header.encode() + attached]), len(attached)

    def _text(self, number: int) -> str:
        chance = self._chance
        lines = [self.sentence(chance.randrange(7, 14)) for _ in range(min(120, 2 + int(chance.expovariate(0.09))))]
        other = chance.random()
        if other < 0.05:
            lines = ["".join(chance.choices(self.han, cum_weights=self._han_weights, k=30)) for _ in lines]
        elif other < 0.12:
            lines = [line.replace("a", "ä").replace("u", "ü") for line in lines]
        if chance.random() < 0.4:
            lines += ["", f"On Monday {chance.choice(self.people)} wrote:", *(f"> {line}" for line in lines[:20])]
        return "\n".join((*lines, "", f"Ticket T-{number:07d}", ""))

    def _page(self, text: str) -> str:
        rows = "".join(
            f'<tr><td style="{_STYLE}" align="left" valign="top"><p style="{_STYLE}">{line}</p></td></tr>\n'
            for line in text.split("\n")
        )
        style = f"<style>td,p,a{{{_STYLE}}} @media(max-width:600px){{td{{padding:0}}}}</style>"
        picture = f'<img src="https://track.example/{self._chance.getrandbits(160):x}" width="1" height="1">'
        return (
            f'<!DOCTYPE html><html><head><meta charset="utf-8">{style}</head><body>'
            f'<table width="600" cellpadding="0" cellspacing="0">{rows}</table>{picture}</body></html>\n'
        )

    def _head(self, number: int, received: datetime, *, is_outside: bool) -> bytes:
        chance = self._chance
        subject = self.sentence(chance.randrange(3, 8))
        if chance.random() < 0.05:
            subject = Header("".join(chance.choices(self.han, cum_weights=self._han_weights, k=8)), "utf-8").encode()
        lines = [
            f"Received: from mx{n}.{chance.choice(self.words)}.example (mx{n}.example [192.0.2.{number % 250}])\r\n"
            f"\tby mail{n}.example (Postfix) with ESMTPS id {chance.getrandbits(48):X}\r\n"
            f"\tfor <{ACCOUNTS[number % 5]}@example.org>; {format_datetime(received)}"
            for n in range(4 if is_outside else 1)
        ]
        if is_outside:
            lines += [
                f"{name}: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example; s=s{number % 3};\r\n"
                f"\th=from:to:subject:date:message-id; bh={_token(chance, 32)};\r\n\tb={_token(chance, 256)}"
                for name in ("DKIM-Signature", "ARC-Message-Signature", "ARC-Seal")
            ]
            lines.append(
                "Authentication-Results: mail.example; dkim=pass header.d=example; spf=pass smtp.mailfrom=example; "
                "dmarc=pass"
            )
        lines += [
            f"Message-ID: <{number}.{chance.getrandbits(64):x}@example>",
            f"Date: {format_datetime(received)}",
            f"From: {chance.choice(self.people)}",
            f"To: {', '.join(chance.choice(self.people) for _ in range(chance.choice((1, 1, 1, 2, 5))))}",
            f"Subject: {subject}",
            "MIME-Version: 1.0",
        ]  # fmt: skip
        return ("\r\n".join(lines) + "\r\n").encode()


def _token(chance: random.Random, octets: int) -> str:
    return base64.b64encode(chance.randbytes(octets)).decode()


def _part(subtype: str, text: str) -> bytes:
    body = text.replace("\n", "\r\n").encode()
    return f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".encode() + body


def _multipart(subtype: str, number: int, parts: list[bytes]) -> bytes:
    mark = f"=_part_{number}"
    head = f'Content-Type: multipart/{subtype}; boundary="{mark}"\r\n\r\n'.encode()
    return (
        head + b"".join(b"--" + mark.encode() + b"\r\n" + part + b"\r\n" for part in parts) + f"--{mark}--\r\n".encode()
    )
