"""To which hosts the owner of a Secret lets it be sent: an annotation of the Secret, compared with the spec (trap 101).

Whoever may write an ImapAccount chooses the host that its Secret goes to. The annotation gives a say to whoever may
write the Secret. Pure; without the annotation every host is allowed.
"""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from archivmail.model.account import AccountSpec, Mechanism, TlsMode
from archivmail.model.errors import NeedsUser
from archivmail.model.reasons import Reason

ANNOTATION: Final = "archivmail.io/allowed-hosts"


def refusal(annotations: Mapping[str, str], spec: AccountSpec) -> NeedsUser | None:
    """Why the Secret may not be used for this spec; None when it may.

    The value names hosts with commas between them; `*.example.org` stands for every host below example.org.
    """
    value = annotations.get(ANNOTATION)
    if value is None:
        return None
    allowed = [each.strip().lower() for each in value.split(",")]
    for setting, host in _hosts(spec):
        if not any(_is_of(host.lower(), each) for each in allowed):
            return _denied(
                f"the Secret {spec.secret_name} may not be sent to {host}, for its annotation {ANNOTATION} does not"
                f" name it; correct {setting}, or let whoever owns the Secret add the host"
            )
    if spec.tls is TlsMode.DISABLED:
        return _denied(
            f"the Secret {spec.secret_name} has the annotation {ANNOTATION}, so it is not sent in the clear; set"
            " spec.tls.mode to Implicit or StartTLS"
        )
    return None


def _hosts(spec: AccountSpec) -> Iterator[tuple[str, str]]:
    yield "spec.host", spec.host
    if spec.mechanism is not Mechanism.PASSWORD and spec.token_url is not None:
        yield "spec.auth.oauth2.tokenURL", urlsplit(spec.token_url).hostname or ""


def _is_of(host: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and host != pattern[1:]
    return host == pattern


def _denied(sentence: str) -> NeedsUser:
    return NeedsUser(sentence, reason=Reason.EGRESS_DENIED)
