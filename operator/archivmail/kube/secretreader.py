"""Read what an account needs to log in: its Secret and, where the spec names one, the Secret with a CA.

Only from the account's own namespace. What is read is concealed from the log at once, and kept nowhere.
"""

from dataclasses import dataclass

from archivmail.kube import allowedhosts
from archivmail.kube.api import ApiForbidden, KubeApi, SecretDocument
from archivmail.kube.secretdata import credentials, endpoint
from archivmail.model.account import AccountSpec, Credentials, Endpoint
from archivmail.model.errors import NeedsUser, SecretMissing
from archivmail.observe.logs import conceal

CONCEALED_KEYS = ("password", "accessToken", "clientSecret", "refreshToken")


@dataclass(frozen=True, slots=True)
class Access:
    """What a session needs."""

    endpoint: Endpoint
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found. `version` is opaque: it changes when one of the Secrets changes, appears or goes."""

    version: str
    found: Access | NeedsUser


class SecretReader:
    """Reads afresh each time: a changed password counts from the next run on (S8)."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api

    async def version(self, namespace: str, spec: AccountSpec) -> str:
        """The version alone. Raises ApiUnavailable."""
        documents, _ = await self._get(namespace, spec)
        return _version(documents)

    async def read(self, namespace: str, spec: AccountSpec) -> Reading:
        """Credentials, or the sentence that says what to create or to correct. Raises ApiUnavailable."""
        documents, missing = await self._get(namespace, spec)
        version = _version(documents)
        if missing is not None:
            return Reading(version, missing)
        secret, ca = documents[0], documents[1] if len(documents) > 1 else None
        assert secret is not None  # or `missing` would say so
        denied = allowedhosts.refusal(secret.annotations, spec)
        if denied is not None:
            return Reading(version, denied)
        conceal(*(_text(secret.data[key]) for key in CONCEALED_KEYS if key in secret.data))
        try:
            access = Access(endpoint(spec, ca.data if ca else None), credentials(spec, secret.data))
        except SecretMissing as error:
            return Reading(version, error)
        return Reading(version, access)

    async def _get(self, namespace: str, spec: AccountSpec) -> tuple[list[SecretDocument | None], SecretMissing | None]:
        documents: list[SecretDocument | None] = []
        missing: SecretMissing | None = None
        for name in (spec.secret_name, *([spec.ca_secret_name] if spec.ca_secret_name else [])):
            found = None
            text = f"there is no Secret {name} in the namespace {namespace}; create it"
            try:
                found = await self._api.get_secret(namespace, name)
            except ApiForbidden:
                text = (
                    f"the operator may not read the Secret {namespace}/{name}; grant its ServiceAccount get on secrets"
                )
            documents.append(found)
            if found is None:
                missing = missing or SecretMissing(text)
        return documents, missing


def _version(documents: list[SecretDocument | None]) -> str:
    """The plain resourceVersion where there is one Secret, "" where there is none."""
    return "+".join(each.resource_version if each else "" for each in documents)


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
