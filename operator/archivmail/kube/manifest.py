"""Read manifests: the ImapAccounts and Secrets of YAML files, as `kubectl apply` would create them.

Knows text, not files: whoever calls opens them.
"""

import binascii
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from archivmail.kube.refusals import shown
from archivmail.kube.resource import API_VERSION, KIND, ImapAccountResource, parse, read_ref
from archivmail.model.account import AccountRef, TlsMode
from archivmail.model.errors import SecretMissing, SpecInvalid

MAX_CHARACTERS: Final = 32 * 1024 * 1024  # of one manifest; an arbitrary size that holds ten thousand accounts

SecretData = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Manifests:
    """What the manifests hold. Of two Secrets with one name the later counts, as with kubectl."""

    accounts: list[ImapAccountResource]
    secrets: Mapping[AccountRef, SecretData] = field(repr=False)
    """By namespace and name."""
    notes: tuple[str, ...] = ()
    """One sentence for each object that was passed over."""

    def secrets_for(self, resource: ImapAccountResource) -> tuple[SecretData, SecretData | None]:
        """The data of the account's Secret and of its CA Secret, if it names one. Raises SecretMissing."""
        spec = resource.spec
        secret = self._secret(resource, spec.secret_name, "spec.auth.secretRef")
        if spec.ca_secret_name is None or spec.tls is TlsMode.DISABLED:
            return secret, None
        return secret, self._secret(resource, spec.ca_secret_name, "spec.tls.caSecretRef")

    def _secret(self, resource: ImapAccountResource, name: str, path: str) -> SecretData:
        ref = AccountRef(resource.ref.namespace, name)
        if ref not in self.secrets:
            raise SecretMissing(
                f"the manifests hold no Secret {ref}, which {path} of {resource.ref} names; add it to the file or give"
                " its file with -f"
            )
        return self.secrets[ref]


def read_manifests(sources: Iterable[tuple[str, str]]) -> Manifests:
    """Read (name, text) pairs; the name is what errors call the file. All is read before anything is refused.

    Raises SpecInvalid with file and document number of the first error, and the number of the others.
    """
    reading = _Reading()
    for name, text in sources:
        reading.read(name, text)
    if reading.errors:
        first, more = reading.errors[0], len(reading.errors) - 1
        also = f" (and {more} more {'object has' if more == 1 else 'objects have'} errors)" if more else ""
        raise SpecInvalid(first.text + also)
    return Manifests(list(reading.accounts.values()), reading.secrets, tuple(reading.notes))


class _Reading:
    """What was found so far."""

    def __init__(self) -> None:
        self.accounts: dict[AccountRef, ImapAccountResource] = {}
        self.secrets: dict[AccountRef, SecretData] = {}
        self.notes: list[str] = []
        self.errors: list[SpecInvalid] = []

    def read(self, name: str, text: str) -> None:
        from archivmail.kube import yamltext  # noqa: PLC0415 - the operator reads no YAML

        if len(text) > MAX_CHARACTERS:
            self.errors.append(SpecInvalid(f"{name} is too large for a manifest; split it into several files"))
            return
        try:
            for number, document in enumerate(yamltext.documents(name, text), start=1):
                for where, item in _objects(f"{name}, document {number}", document):
                    self._take(where, item)
        except SpecInvalid as error:
            self.errors.append(error)

    def _take(self, where: str, item: object) -> None:
        try:
            note = self._sorted_in(item)
        except SpecInvalid as error:
            self.errors.append(SpecInvalid(f"{where}: {error.text}"))
        else:
            if note:
                self.notes.append(f"{where}: {note}")

    def _sorted_in(self, item: object) -> str | None:
        """Keep one object; a sentence when it is passed over."""
        if not isinstance(item, Mapping) or not isinstance(item.get("kind"), str):
            raise SpecInvalid(f"this is no Kubernetes object; write apiVersion: {API_VERSION} and kind: {KIND}")
        kind, version = item["kind"], item.get("apiVersion")
        if kind == KIND:
            account = parse(item, strict=True)
            if account.ref in self.accounts:
                raise SpecInvalid(f"the ImapAccount {account.ref} is there twice; keep one of them")
            self.accounts[account.ref] = account
        elif kind == "Secret" and version == "v1":
            ref, data = read_secret(item)
            self.secrets[ref] = data
        else:
            return f"a {shown(kind)} is of no use here and was passed over"
        return None


def read_secret(document: Mapping[str, Any]) -> tuple[AccountRef, dict[str, bytes]]:
    """Name and data of a Secret; `stringData` wins over `data`, as in the API server. Raises SpecInvalid."""
    metadata = document.get("metadata")
    ref = read_ref(metadata if isinstance(metadata, Mapping) else {})
    data = {key: _decoded(ref, key, text) for key, text in _texts(ref, document, "data")}
    return ref, data | {key: text.encode("utf-8") for key, text in _texts(ref, document, "stringData")}


def _texts(ref: AccountRef, document: Mapping[str, Any], part: str) -> Iterator[tuple[str, str]]:
    found = document.get(part)
    if found is None:
        return
    if not isinstance(found, Mapping):
        raise SpecInvalid(f"{part} of the Secret {ref} must be a group of keys with their values")
    for key, value in found.items():
        if value is not None and not isinstance(value, str):
            raise SpecInvalid(f"{part}.{shown(str(key))} of the Secret {ref} must be text; put the value in quotes")
        yield str(key), value or ""


def _decoded(ref: AccountRef, key: str, text: str) -> bytes:
    try:
        return b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise SpecInvalid(
            f"data.{shown(key)} of the Secret {ref} is not base64; put the plain text under stringData instead of data"
        ) from None


def _objects(where: str, document: object) -> Iterator[tuple[str, object]]:
    """The document, or what the list in it holds; nothing for an empty document."""
    if document is None:
        return
    is_list = isinstance(document, Mapping) and str(document.get("kind", "")).endswith("List")
    items = document.get("items") if is_list and isinstance(document, Mapping) else None
    if isinstance(items, list):
        for number, item in enumerate(items, start=1):
            yield from _objects(f"{where}, item {number}", _with_kind_of_list(document, item))
    else:
        yield where, document


def _with_kind_of_list(document: object, item: object) -> object:
    """Items of a typed list, as the API server gives it, have no kind of their own."""
    assert isinstance(document, Mapping)
    kind = str(document["kind"]).removesuffix("List")
    if not kind or not isinstance(item, Mapping) or "kind" in item:
        return item
    return {"apiVersion": document.get("apiVersion"), "kind": kind, **item}
