"""Where the API server is and as whom to speak to it: the pod's ServiceAccount or a kubeconfig.

For our client and for kopf's. Knows no request.
"""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kopf
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import Configuration

from archivmail.model.errors import SpecInvalid

RELOGIN_AFTER = timedelta(minutes=10)
"""How long kopf may keep what it read; the kubelet renews projected tokens well before they end, at 80 % of an hour."""
MIN_LOGIN_PAUSE_S = 1.0
MAX_LOGIN_PAUSE_S = 30.0


async def load_configuration() -> Configuration:
    """KUBECONFIG if it is set, else the pod's ServiceAccount, else ~/.kube/config. Raises SpecInvalid."""
    configuration = Configuration()
    explicit = os.environ.get("KUBECONFIG")
    try:
        if not explicit and os.environ.get("KUBERNETES_SERVICE_HOST"):
            kube_config.load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration
            )
        else:
            path = explicit or str(Path.home() / ".kube" / "config")
            await kube_config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=path, client_configuration=configuration, persist_config=False
            )
    except (kube_config.ConfigException, OSError, ValueError, KeyError, TypeError) as error:
        raise SpecInvalid(
            "there is no usable access to a Kubernetes API server: run in a pod with a ServiceAccount, "
            f"or set KUBECONFIG to a kubeconfig file ({type(error).__name__})"
        ) from error
    return configuration


class KopfLogin:
    """Gives kopf the same access. Asked again after each 401 and when what it gave has expired."""

    def __init__(self) -> None:
        self._pause_s = 0.0
        self._last_login = float("-inf")

    async def log_in(self, **_: Any) -> kopf.ConnectionInfo:
        """Read the access anew. A server that answers 401 while it starts is asked again ever more slowly."""
        await self._slow_down()
        configuration = await load_configuration()
        header = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        scheme, _space, token = (header or "").partition(" ")
        if header and not token:
            scheme, token = "Bearer", header
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert or None,
            ca_data=None if configuration.ssl_ca_cert else configuration.ca_cert_data or None,
            insecure=not configuration.verify_ssl,
            scheme=scheme or None,
            token=token or None,
            certificate_path=configuration.cert_file or None,
            private_key_path=configuration.key_file or None,
            # Kopf refuses, for good, access that it has once seen refused. A time of expiry makes each reading another
            # one, so that a 401 of an API server that is still starting does not end the operator.
            expiration=datetime.now(UTC) + RELOGIN_AFTER,
        )

    async def _slow_down(self) -> None:
        loop = asyncio.get_running_loop()
        is_soon = loop.time() - self._last_login < MAX_LOGIN_PAUSE_S
        self._pause_s = min(max(2 * self._pause_s, MIN_LOGIN_PAUSE_S), MAX_LOGIN_PAUSE_S) if is_soon else 0.0
        if self._pause_s:
            await asyncio.sleep(self._pause_s)
        self._last_login = loop.time()
