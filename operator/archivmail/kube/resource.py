"""Read an ImapAccount: a document, as the API server or a manifest has it, becomes values.

The only place that knows the shape of the object. Knows no Kubernetes client, so that the command line starts fast.
"""  # noqa: A005 - nothing here is imported as a top-level module

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from archivmail.kube.durations import parse_duration
from archivmail.kube.refusals import refusal, shown
from archivmail.kube.rules import DNS_LABEL, DNS_SUBDOMAIN
from archivmail.kube.schema import CheckedSpec, Part, Spec
from archivmail.model.account import AccountRef, AccountSpec, FolderRules, Mechanism, ObjectUid, TlsMode
from archivmail.model.errors import SpecInvalid
from archivmail.model.retention import Policy
from archivmail.model.status import AccountStatus
from archivmail.model.wireform import from_wire, time_from_wire, token

API_VERSION: Final = "archivmail.io/v1alpha1"
KIND: Final = "ImapAccount"
REQUESTED_AT: Final = "archivmail.io/requestedAt"
DEFAULT_NAMESPACE: Final = "default"
PORT_WITH_TLS: Final = 993  # RFC 8314 §3.2
PORT_WITHOUT_TLS: Final = 143  # RFC 9051 §2.1
MAX_DEPTH: Final = 12  # the deepest field of the spec is at 5; an arbitrary size beyond that

_FIELDS_OF_OBJECT: Final = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})


@dataclass(frozen=True, slots=True)
class ImapAccountHead:
    """All of an ImapAccount but its spec: can be read of every object that the API server has stored."""

    ref: AccountRef
    uid: ObjectUid
    """Empty in a manifest."""
    generation: int
    """0 in a manifest."""
    resource_version: str
    requested_at: str | None
    """Value of the annotation, cut as the status echoes it."""
    created_at: datetime | None
    is_deleting: bool
    status: AccountStatus


@dataclass(frozen=True, slots=True)
class ImapAccountResource(ImapAccountHead):
    """An ImapAccount as values."""

    spec: AccountSpec


def parse(document: Mapping[str, Any], *, strict: bool = False) -> ImapAccountResource:
    """The object, defaults filled in. Raises SpecInvalid: one sentence that names the field and says what to do.

    The rules are those of the CRD. `strict` refuses unknown fields as `kubectl apply` does; without it they are ignored
    as the API server ignores them, so that an older program can read what a newer CRD allows.
    """
    head = parse_head(document)
    if strict and (unknown := sorted(map(str, document.keys() - _FIELDS_OF_OBJECT))):
        raise SpecInvalid(f"{shown(unknown[0])} is not a field of ImapAccount; is it indented less than it should be?")
    values = {name: getattr(head, name) for name in ImapAccountHead.__dataclass_fields__}
    return ImapAccountResource(**values, spec=_parse_spec(document.get("spec"), strict=strict))


def parse_head(document: Mapping[str, Any]) -> ImapAccountHead:
    """All but the spec. Raises SpecInvalid when this is no ImapAccount or has no usable name."""
    if document.get("apiVersion") != API_VERSION or document.get("kind") != KIND:
        raise SpecInvalid(f"this is no ImapAccount; write apiVersion: {API_VERSION} and kind: {KIND}")
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        raise SpecInvalid("metadata is missing; give the account a name in metadata.name")
    annotations = metadata.get("annotations")
    requested_at = annotations.get(REQUESTED_AT) if isinstance(annotations, Mapping) else None
    if requested_at is not None and not isinstance(requested_at, str):
        raise SpecInvalid(f"metadata.annotations.{REQUESTED_AT} must be text; put the value in quotes")
    generation = metadata.get("generation")
    status = document.get("status")
    return ImapAccountHead(
        ref=read_ref(metadata),
        uid=ObjectUid(str(metadata.get("uid") or "")),
        generation=generation if isinstance(generation, int) else 0,
        resource_version=str(metadata.get("resourceVersion") or ""),
        requested_at=token(requested_at) or None,
        created_at=time_from_wire(metadata.get("creationTimestamp")),
        is_deleting=metadata.get("deletionTimestamp") is not None,
        status=from_wire(status if isinstance(status, Mapping) else {}),
    )


def read_ref(metadata: Mapping[str, Any]) -> AccountRef:
    """Namespace and name of an object; no namespace means `default`, as kubectl has it. Raises SpecInvalid."""
    name = metadata.get("name")
    if name is None or name == "":
        raise SpecInvalid("metadata.name is missing; give the object a name")
    namespace = metadata.get("namespace")
    if namespace is None or namespace == "":
        namespace = DEFAULT_NAMESPACE
    _check_name(name, "metadata.name", DNS_SUBDOMAIN, 253, "lower-case letters, digits, '-' and '.'")
    _check_name(namespace, "metadata.namespace", DNS_LABEL, 63, "lower-case letters, digits and '-'")
    return AccountRef(namespace, name)


def _check_name(value: object, path: str, pattern: str, most: int, characters: str) -> None:
    # Names become parts of paths in the archive, so nothing else may get through.
    if not isinstance(value, str):
        raise SpecInvalid(f"{path} must be text; put the value in quotes")
    if len(value) > most or re.fullmatch(pattern, value, re.ASCII) is None:
        raise SpecInvalid(f"{path} must be made of {characters}, at most {most}, with a letter or digit at both ends")


def _parse_spec(document: object, *, strict: bool) -> AccountSpec:
    if document is None:
        raise SpecInvalid("spec is missing; it says which mailbox to archive")
    try:
        spec = _spec_adapter().validate_python(_plain(document), extra="forbid" if strict else "ignore")
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        for each in errors:
            each["loc"] = ("spec", *each["loc"])
        # `from None`: pydantic's own text repeats the values.
        raise SpecInvalid(refusal(errors, _paths("spec", Spec))) from None
    return _as_values(spec)


def _as_values(spec: Spec) -> AccountSpec:
    tls = TlsMode(spec.tls.mode)
    ca, oauth2 = spec.tls.ca_secret_ref, spec.auth.oauth2
    return AccountSpec(
        host=spec.host,
        port=spec.port or (PORT_WITH_TLS if tls is TlsMode.IMPLICIT else PORT_WITHOUT_TLS),
        secret_name=spec.auth.secret_ref.name,
        tls=tls,
        server_name=spec.tls.server_name or None,
        ca_secret_name=ca.name if ca else None,
        ca_secret_key=ca.key if ca else "ca.crt",
        mechanism=Mechanism(spec.auth.mechanism),
        token_url=oauth2.token_url if oauth2 else None,
        scopes=tuple(oauth2.scopes) if oauth2 else (),
        update_secret=oauth2.update_secret if oauth2 else False,
        interval=parse_duration(spec.interval),
        timeout=parse_duration(spec.timeout),
        suspend=spec.suspend,
        rules=FolderRules(include=tuple(spec.folders.include), exclude=tuple(spec.folders.exclude)),
        policy=Policy(
            keep_for=parse_duration(spec.retention.keep_for) if spec.retention.keep_for else None, hold=spec.hold
        ),
    )


@cache
def _spec_adapter() -> TypeAdapter[Spec]:
    return TypeAdapter(CheckedSpec)


def _plain(value: object, depth: int = 0) -> Any:
    """Plain dicts and lists, for pydantic takes no views; null counts as absent, as in the API server's defaulting."""
    if depth > MAX_DEPTH:
        raise SpecInvalid("spec is nested too deeply; look at `kubectl explain imapaccount.spec --recursive`")
    if isinstance(value, Mapping):
        return {str(key): _plain(part, depth + 1) for key, part in value.items() if part is not None}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(part, depth + 1) for part in value]
    return value


def _paths(prefix: str, model: type[Part]) -> Iterator[str]:
    """Every field below a model, as a person writes it."""
    for name, field in model.model_fields.items():
        path = f"{prefix}.{field.alias or name}"
        yield path
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, Part):
                yield from _paths(path, part)
