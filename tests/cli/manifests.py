"""Manifests as a user would write them."""

from pathlib import Path


def manifest(
    folder: Path,
    *,
    port: int = 1,
    name: str = "alice",
    user: str = "alice",
    password: str = "secret",  # noqa: S107 - of a server that lives for a test
    tls: str = "Disabled",
    secret: str = "alice",  # noqa: S107 - the name of a Secret
    more_spec: str = "",
    key: str = "password",
) -> Path:
    """An ImapAccount with its Secret, written to `folder`."""
    path = folder / f"{name}.yaml"
    path.write_text(
        f"""\
apiVersion: archivmail.io/v1alpha1
kind: ImapAccount
metadata: {{name: {name}, namespace: team-a}}
spec:
  host: 127.0.0.1
  port: {port}
  tls: {{mode: {tls}}}
  auth: {{secretRef: {{name: {name}}}}}
{more_spec}
---
apiVersion: v1
kind: Secret
metadata: {{name: {secret}, namespace: team-a}}
stringData: {{username: {user}, {key}: "{password}"}}
""",
        encoding="utf-8",
    )
    return path
