"""`archivmail operator`: the process that runs in a pod."""

import click

from archivmail import app
from archivmail.cli.options import archive_options
from archivmail.observe import logs
from archivmail.settings import Settings


@click.command("operator")
@archive_options
def command(*, archive_url: str, catalog_url: str | None) -> int:
    """Run the operator, in a pod or against a kubeconfig.

    Everything else is set by environment variables (ARCHIVMAIL_SLOTS, ARCHIVMAIL_WATCH_NAMESPACES and so on): see the
    reference of settings. SIGTERM ends it within seconds and keeps what was archived.
    """
    given = {"archive": archive_url} | ({"catalog": catalog_url} if catalog_url else {})
    settings = Settings.read(**given)
    logs.configure(settings.log_format, settings.log_level)
    return app.operator(settings)
