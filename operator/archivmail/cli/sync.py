"""`archivmail sync`: one run of every ImapAccount in the manifests, without a cluster."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from archivmail import app
from archivmail.archive.archive import Archive
from archivmail.archive.opening import open_archive
from archivmail.archive.upkeep import Plan
from archivmail.archive.writer import AccountWriter
from archivmail.cli import summary
from archivmail.cli.acting import actor
from archivmail.cli.counting import counting
from archivmail.cli.options import account_options, archive_options, json_option
from archivmail.cli.outcomes import Exit, complain, exit_code_of
from archivmail.cli.output import count, counted, emit, emit_json, note
from archivmail.cli.progress import watcher_for
from archivmail.cli.stopping import stop_on_signals
from archivmail.decide.connections import DEFAULT_PER_SERVER, MAX_PER_SERVER
from archivmail.kube.manifest import Manifests, read_manifests
from archivmail.kube.resource import ImapAccountResource
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchivmailError, SpecInvalid
from archivmail.model.folder import Epoch, LedgerEntry
from archivmail.model.outcome import AccountOutcome
from archivmail.observe.logs import conceal
from archivmail.sync.ports import Connect

MAX_MANIFEST: Final = 32 * 1024 * 1024  # octets; an arbitrary size that holds ten thousand accounts

_ROTATED: Final = (
    "the provider gave a new refresh token, which is not kept; if the next run is refused, put a fresh refreshToken"
    " into the manifest's Secret, or let the operator keep new ones (spec.auth.oauth2.updateSecret)"
)


@dataclass(frozen=True, slots=True)
class _How:
    """The manner of all runs of one command."""

    connect: Connect
    wait: bool
    as_json: bool
    should_stop: Callable[[], bool]


@click.command("sync")
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    required=True,
    metavar="FILE",
    help="Manifest with ImapAccounts and the Secrets they name; - is standard input. May be given several times.",
)
@account_options
@click.option("--wait", is_flag=True, help="Try a lost session again after 60 s and 300 s too.")
@click.option(
    "--host-connections",
    type=click.IntRange(1, MAX_PER_SERVER),
    envvar="ARCHIVMAIL_HOST_CONNECTIONS",
    default=DEFAULT_PER_SERVER,
    show_default=True,
    show_envvar=True,
    metavar="N",
    help="Connections to one mail server that may be open at once.",
)
@click.option(
    "--egress-allow",
    envvar="ARCHIVMAIL_EGRESS_ALLOW",
    default="",
    show_envvar=True,
    metavar="LIST",
    help="Refuse what the operator refuses to connect to (loopback, metadata, ...) but for these networks and hosts,"
    " with commas between them. For manifests of others; without it nothing is refused.",
)
@json_option
@archive_options
def command(
    *,
    files: tuple[str, ...],
    namespace: str | None,
    account: str | None,
    wait: bool,
    host_connections: int,
    egress_allow: str,
    as_json: bool,
    archive_url: str,
    catalog_url: str | None,
) -> int:
    """Archive the mailboxes of manifests once, without a cluster.

    Reads ImapAccounts and the Secrets they name (data or stringData), as kubectl would apply them. Ctrl-C stops at the
    next message and keeps what is archived; the next run goes on from there.
    """
    egress = app.egress_of_user([each.strip() for each in egress_allow.split(",") if each.strip()])
    manifests = read_manifests([(name, _text(name)) for name in files])
    for passed_over in manifests.notes:
        note(passed_over)
    resources = _chosen(manifests.accounts, namespace, account)
    if not resources:
        return Exit.COMPLETE
    with open_archive(archive_url, catalog_url, create=True) as archive, stop_on_signals() as should_stop:
        connect = app.connector(host_connections, egress)
        how = _How(connect=connect, wait=wait, as_json=as_json, should_stop=should_stop)
        code = max(_sync(archive, manifests, resource, how) for resource in resources)
        _keep_up(archive, [resource.ref for resource in resources], should_stop)
        _index(archive, should_stop)
        return code


def _keep_up(archive: Archive, refs: list[AccountRef], should_stop: Callable[[], bool]) -> None:
    """Remove what is past its time and merge packs. What is not done now is done after the next sync."""
    for ref in refs:
        if should_stop():
            return
        try:
            report = archive.keeping.keep_up(ref, Plan(by=actor("sync")), should_stop=should_stop)
        except ArchivmailError as error:
            complain(f"{ref}: no upkeep after the run: {error.text}")
            continue
        if report.expired.messages:
            note(f"{ref}: {counted(report.expired.messages, 'message')} past the time to keep them removed")
        for text in report.damaged:
            complain(f"{ref}: {text}")


def _index(archive: Archive, should_stop: Callable[[], bool]) -> None:
    """Make what was archived searchable. A backlog is no loss: the next sync goes on with it."""
    try:
        waiting, done = archive.index_backlog(), 0
        with counting("index", count) as progress:
            while not should_stop() and (indexed := archive.drain_index(should_stop=should_stop)):
                done += indexed
                progress(done, waiting)
    except ArchivmailError as error:
        complain(f"not every message can be found by a search yet: {error.text}")


def _text(name: str) -> str:
    try:
        if name == "-":
            octets = sys.stdin.buffer.read(MAX_MANIFEST + 1)
        else:
            with Path(name).open("rb") as file:
                octets = file.read(MAX_MANIFEST + 1)
        if len(octets) > MAX_MANIFEST:
            raise SpecInvalid(
                f"{name} has more than {MAX_MANIFEST} octets; give a manifest of ImapAccounts and Secrets"
            )
        return octets.decode("utf-8")
    except OSError as error:
        raise SpecInvalid(f"the manifest {name} cannot be read: {error.strerror}; check -f") from error
    except UnicodeDecodeError as error:
        raise SpecInvalid(f"the manifest {name} is not UTF-8 text; save it as UTF-8") from error


def _chosen(
    resources: list[ImapAccountResource], namespace: str | None, account: str | None
) -> list[ImapAccountResource]:
    if not resources:
        raise SpecInvalid("the manifests hold no ImapAccount; add one (see examples/account.yaml)")
    chosen = [
        each for each in resources if namespace in {None, each.ref.namespace} and account in {None, each.ref.name}
    ]
    if not chosen:
        names = ", ".join(str(each.ref) for each in resources[:5])
        raise SpecInvalid(f"the manifests hold no account {namespace or '*'}/{account or '*'}; they hold {names}")
    for each in chosen:
        if each.spec.suspend:
            note(f"{each.ref}: skipped, because it is suspended (spec.suspend)")
    return [each for each in chosen if not each.spec.suspend]


def _sync(archive: Archive, manifests: Manifests, resource: ImapAccountResource, how: _How) -> Exit:
    """One account. What is wrong with it is no reason to leave the others out."""
    if how.should_stop():
        note(f"{resource.ref}: not begun")
        return Exit.INCOMPLETE
    try:
        secret, ca = manifests.secrets_for(resource)
        conceal(*(value.decode("utf-8", "replace") for key, value in secret.items() if key != "username"))
        with watcher_for(str(resource.ref), quiet=how.as_json) as watcher:
            outcome = app.run_account(
                archive,
                resource,
                secret,
                ca,
                connect=how.connect,
                watcher=watcher,
                should_stop=how.should_stop,
                wait=how.wait,
            )
        if watcher.rotations:
            note(f"{resource.ref}: {_ROTATED}")
    except ArchivmailError as error:
        complain(f"{resource.ref}: {error.text}")
        return exit_code_of(error)
    _tell(archive, resource.ref, outcome, as_json=how.as_json)
    return summary.exit_code_of_run(outcome)


def _tell(archive: Archive, ref: AccountRef, outcome: AccountOutcome, *, as_json: bool) -> None:
    ledgers = _ledgers(archive, ref, outcome)
    try:
        if as_json:
            emit_json(summary.document(ref, outcome, ledgers))
        for line in () if as_json else summary.lines(ref, outcome, ledgers):
            emit(line)
    except BrokenPipeError:
        pass  # nobody reads the summary; the next account and the exit code still count


def _ledgers(archive: Archive, ref: AccountRef, outcome: AccountOutcome) -> summary.Ledgers:
    """The UIDs that are not archived, and why, of folders that have such."""
    wanting = [each.name for each in outcome.folders if each.counts.pending or each.counts.quarantined]
    if not wanting:
        return {}
    try:
        taken = archive.take(ref)
    except ArchivmailError:
        return {}  # another run has begun; the counts say how many there are
    try:
        epochs = {name: taken.latest_epoch(name) for name in wanting}
        return {name: _missing(taken, epoch) for name, epoch in epochs.items() if epoch is not None}
    finally:
        taken.close()


def _missing(taken: AccountWriter, epoch: Epoch) -> list[LedgerEntry]:
    """Entries of what is not archived: others stand for messages in parts that the server still does not give whole."""
    held = taken.archived(epoch)
    return [entry for entry in taken.ledger(epoch) if entry.uid not in held]
