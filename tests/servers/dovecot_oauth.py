"""A Dovecot that takes access tokens: it asks the token server about each one (RFC 7662)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .dovecot import Dovecot
from .tokens import TokenServer

CONFIG = """
auth_mechanisms = plain login xoauth2 oauthbearer
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {path}
}}
"""
# No caching: a token that is revoked is refused at once.
BACKEND = """
introspection_mode = get
introspection_url = {url}
username_attribute = username
active_attribute = active
active_value = true
force_introspection = yes
"""


@contextmanager
def dovecot_with_tokens(asked: TokenServer) -> Iterator[Dovecot]:
    """`asked` answers in the clear: it is this machine, and Dovecot is not what is tested."""
    number, name = tempfile.mkstemp(prefix="archivmail-oauth-", suffix=".conf.ext")
    path = Path(name)
    try:
        with os.fdopen(number, "w") as file:
            file.write(BACKEND.format(url=asked.introspection_url))
        path.chmod(0o644)  # Dovecot runs as another user; there is no secret in it
        with Dovecot(extra_config=CONFIG.format(path=path)) as running:
            yield running
    finally:
        path.unlink()
