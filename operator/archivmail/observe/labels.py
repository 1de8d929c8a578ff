"""The closed sets of label values, and the series that stand at 0 from the start.

A counter that appears with its first event hides that event from `increase()`: so what can happen is there from the
beginning. What is not foreseen here is counted all the same, under a value of the set.
"""

import re
from collections.abc import Iterator

from archivmail.model.outcome import Result
from archivmail.model.reasons import Reason

OTHER = "other"
NO_ANSWER = "error"
STAGES = frozenset({"spec", "secret", "login", "list", "status", "fetch", "folder", "archive", OTHER})
REASONS = frozenset(str(each) for each in Reason) | {OTHER}

_SESSION = (
    Reason.CONNECTION_FAILED,
    Reason.SERVER_BUSY,
    Reason.QUOTA_EXCEEDED,
    Reason.TOO_MANY_CONNECTIONS,
    Reason.SERVER_VIOLATION,
)
_LOGIN = (Reason.AUTHENTICATION_FAILED, Reason.TLS_FAILED, Reason.SERVER_UNSUITABLE, Reason.SECRET_KEY_MISSING)
_MESSAGE = (
    Reason.MESSAGE_REFUSED,
    Reason.MESSAGE_EMPTY,
    Reason.MESSAGE_REPLACED,
    Reason.MESSAGE_TOO_LARGE,
)
_ARCHIVE = (Reason.ARCHIVE_UNAVAILABLE, Reason.RUN_IN_PROGRESS)
_FAILURES = (*_SESSION, *_LOGIN, *_ARCHIVE, Reason.NO_FOLDER_SELECTED, Reason.EGRESS_DENIED)

_STAGES_OF_REASONS: dict[str, tuple[Reason, ...]] = {
    "spec": (Reason.SPEC_INVALID, Reason.EGRESS_DENIED),
    "secret": (Reason.SECRET_NOT_FOUND, Reason.SECRET_KEY_MISSING, Reason.EGRESS_DENIED),
    "login": (*_SESSION, *_LOGIN, Reason.EGRESS_DENIED),
    "list": (*_SESSION, Reason.NO_FOLDER_SELECTED),
    "status": _SESSION,
    "fetch": (*_SESSION, *_MESSAGE, Reason.ARCHIVE_UNAVAILABLE),
    "folder": (Reason.FOLDER_REFUSED,),
    "archive": _ARCHIVE,
}
_KUBE_REQUESTS = {
    "imapaccounts": ("get", "list", "patch"),
    "imapaccounts/status": ("patch",),
    "secrets": ("get", "list", "watch", "patch"),
    "events": ("create",),
    "leases": ("get", "create", "update"),
    "api": ("get",),
    "endpointslices": ("list",),
}
_VERBS = frozenset(verb for verbs in _KUBE_REQUESTS.values() for verb in verbs)
_CODE = re.compile(r"[1-5][0-9]{2}")


def sync_ends() -> Iterator[tuple[str, str]]:
    """Result and reason of the ways in which runs end."""
    yield str(Result.SUCCEEDED), str(Reason.SUCCEEDED)
    yield str(Result.INTERRUPTED), str(Reason.INTERRUPTED)
    yield str(Result.INTERRUPTED), str(Reason.TIMED_OUT)
    yield str(Result.INTERRUPTED), str(Reason.GAVE_WAY)
    yield str(Result.PARTIAL), str(Reason.PARTIAL_FAILURE)
    yield str(Result.FAILED), str(Reason.INTERNAL_ERROR)
    for reason in _FAILURES:
        yield str(Result.FAILED), str(reason)
    for reason in (*_SESSION, Reason.ARCHIVE_UNAVAILABLE):  # when something was archived before
        yield str(Result.PARTIAL), str(reason)


def imap_errors() -> Iterator[tuple[str, str]]:
    """Stage and reason of the foreseen failures."""
    for stage, reasons in _STAGES_OF_REASONS.items():
        for reason in reasons:
            yield stage, str(reason)


def kube_requests() -> Iterator[tuple[str, str, str]]:
    """Verb, resource and code of the requests that the operator makes: with success, refused, and without an answer."""
    for resource, verbs in _KUBE_REQUESTS.items():
        for verb in verbs:
            for code in ("201" if verb == "create" else "200", "403", NO_ANSWER):
                yield verb, resource, code


def imap_error(stage: str, reason: str) -> tuple[str, str]:
    """Labels for a failure."""
    return (stage if stage in STAGES else OTHER), (str(reason) if str(reason) in REASONS else OTHER)


def kube_request(verb: str, resource: str, code: str) -> tuple[str, str, str]:
    """Labels for a request; the code is that of HTTP, or NO_ANSWER."""
    return (
        verb if verb in _VERBS else OTHER,
        resource if resource in _KUBE_REQUESTS else OTHER,
        code if code == NO_ANSWER or _CODE.fullmatch(code) else OTHER,
    )
