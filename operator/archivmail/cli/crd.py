"""`archivmail crd`: what `kubectl apply` needs to know an ImapAccount."""

import click

from archivmail.kube.crd import render


@click.command("crd")
def command() -> None:
    """Print the CustomResourceDefinition of ImapAccount.

    To install it: archivmail crd | kubectl apply --server-side -f -
    """
    click.echo(render(), nl=False)
