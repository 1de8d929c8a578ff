"""What of a server's words may be repeated to people: bounded, printable, without credentials and addresses."""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from archivmail.decide.wording import ADDRESS, UNPRINTABLE
from archivmail.model.account import Credentials, Secret

MAX_CHARS = 200
_LONG, _PIECE = 24, 16
"""Characters of a secret of which a piece is told from chance, and of that piece."""
_ESCAPED = re.compile(r'\\(["\\])')
_ENCODED = re.compile(r"[A-Za-z0-9+/]{8,}")
WITHHELD = "(its words are withheld: they repeat a credential)"


@dataclass(frozen=True, slots=True)
class Excerpts:
    """Cleans the texts of one session."""

    credentials: Credentials
    learned: list[Secret] = field(default_factory=list, repr=False)

    def learn(self, secret: Secret) -> None:
        """One more secret of this session: a token that was fetched."""
        if secret not in self.learned:
            self.learned.append(secret)

    def of(self, text: str) -> str:
        """The text as it may be shown; never longer than 200 characters."""
        bare = UNPRINTABLE.sub(" ", text).strip()
        if self._repeats_a_secret(bare):
            return WITHHELD
        for name in self._names():
            bare = re.sub(re.escape(name), "…", bare, flags=re.IGNORECASE)
        if len(bare) > MAX_CHARS:
            # At a blank: half an address would be left otherwise. And no pattern meets a text of any length.
            bare = bare[: MAX_CHARS - 1].rpartition(" ")[0] + " …"
        return ADDRESS.sub("…", bare)

    def _repeats_a_secret(self, text: str) -> bool:
        """As it is, quoted as LOGIN sends it, or encoded as AUTHENTICATE does, which tells the user's name too."""
        shown = (text.lower(), _ESCAPED.sub(r"\1", text).lower())
        pieces = [piece.lower() for secret in self._secrets() for piece in _pieces(secret)]
        if any(piece in form for form in shown for piece in pieces):
            return True
        pieces += [name.lower() for name in self._names()]
        return any(piece in form for form in _decoded(text) for piece in pieces)

    def _secrets(self) -> list[str]:
        held: tuple[Secret | None, ...] = (
            self.credentials.password,
            self.credentials.access_token,
            self.credentials.refresh_token,
            self.credentials.client_secret,
            *self.learned,
        )
        return [secret.reveal() for secret in held if secret]

    def _names(self) -> list[str]:
        name = self.credentials.username
        local = name.partition("@")[0]
        # Longest first: what is left of an address would still tell who it is.
        return [each for each in (name, local) if len(each) > 2]


def _pieces(secret: str) -> list[str]:
    """What gives it away: all of a short one, a part of a long one, for servers cut what they repeat."""
    if len(secret) < _LONG:
        return [secret]
    return [secret[at : at + _PIECE] for at in range(0, len(secret) - _PIECE + 1, _LONG - _PIECE)]


def _decoded(text: str) -> Iterator[str]:
    """What runs of base64 in the text say, in lower case."""
    for run in _ENCODED.findall(text):
        for start in range(4):  # it may be stuck to a word
            whole = run[start : start + (len(run) - start) // 4 * 4]
            yield binascii.a2b_base64(whole).decode("utf-8", "replace").lower()
