"""What of a server's words may be repeated to people: bounded, printable, without credentials and addresses."""

import re
from dataclasses import dataclass, field

from archivmail.decide.wording import ADDRESS, UNPRINTABLE
from archivmail.model.account import Credentials, Secret

MAX_CHARS = 200
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
        lowered = bare.lower()
        if any(word.lower() in lowered for word in self._secrets()):
            return WITHHELD
        for name in self._names():
            bare = re.sub(re.escape(name), "…", bare, flags=re.IGNORECASE)
        if len(bare) > MAX_CHARS:
            # At a blank: half an address would be left otherwise. And no pattern meets a text of any length.
            bare = bare[: MAX_CHARS - 1].rpartition(" ")[0] + " …"
        return ADDRESS.sub("…", bare)

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
