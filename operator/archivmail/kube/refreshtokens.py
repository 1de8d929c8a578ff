"""New refresh tokens: written to the Secret where the spec says so, told of otherwise. Knows no OAuth.

A provider may void the old token in the moment in which it gives the new one, so it is written at once and not at the
end of the run. The Secret stays its owner's: only the token that the run began with, or one that we wrote, is replaced.
"""

import asyncio
import logging
from contextlib import suppress

from archivmail.kube.api import ApiConflict, ApiFault, ApiForbidden, ApiNotFound, ApiUnavailable, KubeApi
from archivmail.kube.events import EventSender
from archivmail.kube.live import LiveAccount
from archivmail.kube.secretdata import REFRESH_TOKEN
from archivmail.model.account import AccountSpec, Rotation
from archivmail.model.notices import Notice, Severity
from archivmail.model.reasons import Reason

MAX_CONFLICTS = 5
SETTLE_S = 5.0  # the end of a run waits that long; what is not written then is tried again by the next one

_log = logging.getLogger(__name__)


class RefreshTokens:
    """Keeps them. For one event loop."""

    def __init__(self, api: KubeApi, events: EventSender) -> None:
        self._api = api
        self._events = events
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, account: LiveAccount, spec: AccountSpec, rotation: Rotation) -> None:
        """A run has got a new token: begin to keep it."""
        account.new_token = rotation
        task = asyncio.ensure_future(self.keep(account, spec))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self, account: LiveAccount, spec: AccountSpec) -> None:
        """Keep what is not kept yet, within some seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                await self.keep(account, spec)

    async def keep(self, account: LiveAccount, spec: AccountSpec) -> None:
        """Write the new token, if there is one. What the API server says against it is told, not raised."""
        async with account.token_lock:
            rotation = account.new_token
            if rotation is None:
                return
            if not spec.update_secret:
                account.new_token = None
                self._tell(account, _in_memory(spec.secret_name))
                return
            try:
                await self._write(account, spec.secret_name, rotation)
            except ApiForbidden:
                self._tell(account, _forbidden(spec.secret_name))  # stays: the right may be given
            except ApiUnavailable as error:
                _log.warning("refresh token not written yet", extra=_facts(account) | {"why": str(error)})
            except ApiFault:  # the Secret is gone, or immutable
                account.new_token = None
                self._tell(account, _refused(spec.secret_name))
            else:
                if account.new_token is rotation:
                    account.new_token = None

    async def _write(self, account: LiveAccount, name: str, rotation: Rotation) -> None:
        namespace = account.ref.namespace
        replaceable = {rotation.held.reveal().encode(), rotation.used.reveal().encode()}
        given = rotation.given.reveal().encode()
        for _ in range(MAX_CONFLICTS):
            secret = await self._api.get_secret(namespace, name)
            if secret is None:
                raise ApiNotFound("the Secret is not there")
            found = secret.data.get(REFRESH_TOKEN)
            if found == given:
                return
            if found not in replaceable:
                _log.info("refresh token not written, for the Secret has another one by now", extra=_facts(account))
                return
            try:
                written = await self._api.patch_secret(namespace, name, secret.resource_version, {REFRESH_TOKEN: given})
            except ApiConflict:
                continue
            account.secret_replaced(secret.resource_version, written.resource_version)
            _log.info("refresh token written", extra=_facts(account) | {"secret": name})
            self._tell(account, _written(name))
            return
        raise ApiUnavailable(f"the Secret changed {MAX_CONFLICTS} times while a token was being written")

    def _tell(self, account: LiveAccount, notice: Notice) -> None:
        """On transitions only: Microsoft gives a new token every hour."""
        if account.told_of_token != notice.text:
            account.told_of_token = notice.text
            self._events.tell(account.ref, account.seen.uid, notice)


def _written(name: str) -> Notice:
    text = f"The provider gave a new refresh token; it was written to the Secret {name}."
    return Notice(Severity.NORMAL, Reason.REFRESH_TOKEN_ROTATED, text)


def _in_memory(name: str) -> Notice:
    text = (
        "The provider gave a new refresh token; it is used from memory until the operator restarts. If the provider "
        f"voids the old one, logins are refused then: set spec.auth.oauth2.updateSecret to true to have new ones "
        f"written to the Secret {name}."
    )
    return Notice(Severity.WARNING, Reason.REFRESH_TOKEN_ROTATED, text)


def _forbidden(name: str) -> Notice:
    text = (
        f"The provider gave a new refresh token, but the operator may not change the Secret {name}: grant its "
        "ServiceAccount patch on secrets (chart value rbac.updateSecrets), or set spec.auth.oauth2.updateSecret to "
        "false. Until then it is used from memory."
    )
    return Notice(Severity.WARNING, Reason.REFRESH_TOKEN_NOT_KEPT, text)


def _refused(name: str) -> Notice:
    text = (
        f"The provider gave a new refresh token, but the Secret {name} cannot be changed: it is immutable or not there "
        "any more. It is used from memory until the operator restarts."
    )
    return Notice(Severity.WARNING, Reason.REFRESH_TOKEN_NOT_KEPT, text)


def _facts(account: LiveAccount) -> dict[str, object]:
    return {"namespace": account.ref.namespace, "account": account.ref.name}
