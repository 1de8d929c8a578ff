"""Options that several commands share, so that they are called the same everywhere."""

from collections.abc import Callable
from typing import Any, Final

import click

DEFAULT_ARCHIVE: Final = "./archivmail-data"

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def archive_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--archive` and `--catalog`; the function gets `archive_url` and `catalog_url`."""
    function = click.option(
        "--catalog",
        "catalog_url",
        envvar="ARCHIVMAIL_CATALOG",
        metavar="URL",
        help="Database of the archive (SQLAlchemy URL).  [default: SQLite beside a local archive]",
    )(function)
    return click.option(
        "--archive",
        "archive_url",
        envvar="ARCHIVMAIL_ARCHIVE",
        default=DEFAULT_ARCHIVE,
        show_default=True,
        show_envvar=True,
        metavar="URL",
        help="The archive: a directory, file://, s3://bucket/prefix, gs:// or az://.",
    )(function)


def account_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--namespace` and `--account`; both absent mean every account."""
    function = click.option("-a", "--account", metavar="NAME", help="Only the account of this name.")(function)
    return click.option("-n", "--namespace", metavar="NS", help="Only accounts of this namespace.")(function)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`; the function gets `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")(function)
