"""What pydantic found wrong with an ImapAccount, in one sentence that names the field and says what to do.

Values are not repeated: a person may have typed a password into the wrong field.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Final

from pydantic_core import ErrorDetails

from archivmail.kube.rules import BROKEN_RULE

MAX_SHOWN: Final = 64  # characters of a key; longer than any that is meant
KINDS: Final = {
    "string_type": "text; put the value in quotes",
    "int_type": "a whole number without quotes",
    "bool_type": "true or false without quotes",
    "list_type": 'a list, such as ["Trash"]',
    "model_type": "a group of fields",
    "model_attributes_type": "a group of fields",
    "dict_type": "a group of fields",
}
HINTS: Final = {
    "spec": "it says which mailbox to archive",
    "spec.host": "name the IMAP server, such as imap.example.org",
    "spec.auth": "name the Secret with the user and the password in spec.auth.secretRef.name",
    "spec.auth.secretRef": "name the Secret with the user and the password in spec.auth.secretRef.name",
    "spec.auth.secretRef.name": "name the Secret with the user and the password",
    "spec.auth.oauth2.tokenURL": "give the provider's token endpoint, or remove oauth2",
    "spec.tls.caSecretRef.name": "name the Secret with the certificates",
}


def refusal(errors: list[ErrorDetails], fields: Iterable[str]) -> str:
    """One sentence about the first error. `fields` are the paths there are, for a misspelt one."""
    # A misspelt field is often the cause of a missing one, so it is told first.
    first = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    more = len(errors) - 1
    sentence = _sentence(first, fields)
    return sentence if not more else f"{sentence} (and {more} more {'error' if more == 1 else 'errors'})"


def _sentence(error: ErrorDetails, fields: Iterable[str]) -> str:
    path = path_of(error["loc"])
    context = error.get("ctx", {})
    kind = error["type"]
    if kind == BROKEN_RULE:
        return f"{_joined(path, context['field'])}: {context['sentence']}"
    if kind == "missing":
        return f"{path} is missing; {HINTS.get(path, 'add it')}"
    if kind == "extra_forbidden":
        return f"{path} is not a field of ImapAccount; {_suggestion(path, fields)}"
    if kind == "string_too_long":
        return f"{path} is too long; at most {context['max_length']} characters are allowed"
    if kind == "too_long":
        return f"{path} has too many entries; at most {context['max_length']} are allowed"
    if kind in KINDS:
        return f"{path} must be {KINDS[kind]}"
    return f"{path} cannot be used: {error['msg']}"


def path_of(location: tuple[Any, ...]) -> str:
    """`spec.folders.include[0]`."""
    path = ""
    for step in location:
        path = f"{path}[{step}]" if isinstance(step, int) else _joined(path, shown(str(step)))
    return path


def shown(key: str) -> str:
    """A key that a person made up, fit for a line of text."""
    visible = "".join(char if char.isprintable() else "?" for char in key[: MAX_SHOWN + 1])
    return visible if len(visible) <= MAX_SHOWN else visible[:MAX_SHOWN] + "…"


def _joined(path: str, field: str) -> str:
    return ".".join(part for part in (path, field) if part)


def _suggestion(path: str, fields: Iterable[str]) -> str:
    by_name = {each.rpartition(".")[2].lower(): each for each in fields}
    group, _, name = path.rpartition(".")
    beside = {key: each for key, each in by_name.items() if each.rpartition(".")[0] == group}
    # Misspelt, or well spelt in the wrong place, or both.
    for names in (beside, by_name):
        if close := get_close_matches(name.lower(), names, n=1, cutoff=0.75):
            return f"did you mean {names[close[0]]}?"
    return "remove it, or look at `kubectl explain imapaccount.spec --recursive`"
