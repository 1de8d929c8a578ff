"""The main job on real parts: API server, IMAP server, operator process, archive on disk."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.corpus.realistic import messages
from tests.e2e.archives import assert_equal_to_server, contents_stored, placements
from tests.e2e.operating import Account, Operator, archivmail, condition, json_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.fixtures import Mailbox

pytestmark = pytest.mark.servers


def fill(mailbox: Mailbox, count: int = 60) -> None:
    """Three folders, one of them below another and not ASCII."""
    server, user = mailbox.server, mailbox.user
    server.create_folder(user, "Sent")
    server.create_folder(user, "Projekte/Übersicht")
    server.bulk_append(user, "INBOX", messages(count, seed=1, small=True))
    server.bulk_append(user, "Sent", messages(count // 3, seed=2, small=True))
    server.bulk_append(user, "Projekte/Übersicht", messages(count // 4, seed=3, small=True))


def test_account_is_complete_after_kubectl_apply(account: Account, operator: Operator) -> None:
    """S7, S9, S16, S20: from `kubectl apply` to a verified archive, equal to the server octet for octet."""
    fill(account.mailbox)
    before = account.mailbox.server.states(account.mailbox.user)

    account.apply()
    body = account.wait_for_condition("Complete")

    status = body["status"]
    total = status["messages"]["server"]
    assert (95, 95, 0, 0) == (
        total,
        status["messages"]["archived"],
        status["messages"].get("pending", 0),
        status["messages"].get("quarantined", 0),
    )
    assert ("True", "Succeeded") == (condition(body, "Ready")["status"], status["lastResult"])
    assert body["metadata"]["generation"] == status["observedGeneration"]
    assert "Projekte/Übersicht" in {folder["name"] for folder in status["folders"]}
    assert_equal_to_server(operator.archive, account.mailbox.server, account.mailbox.user)
    assert before == account.mailbox.server.states(account.mailbox.user), "invariant 4: the mailbox is as before"
    assert 1 == account.mailbox.server.login_attempts(account.mailbox.user)
    verified = json_lines(archivmail("verify", "--full", "--json", "--archive", operator.archive).stdout)
    assert ([], [], []) == (verified[0]["missing"], verified[0]["corrupt"], verified[0]["orphans"])
    assert ["Succeeded"] == [event["reason"] for event in account.events()]


def test_request_brings_new_mail_and_a_second_one_brings_nothing(account: Account, operator: Operator) -> None:
    """S4, S15, trap 1: a run without news writes nothing; new UIDs alone are fetched."""
    fill(account.mailbox)
    account.apply()
    account.wait_for_condition("Complete")
    packs = sorted((operator.archive / "packs").rglob("*.tar.zst"))

    quiet = account.sync_now("one")
    assert packs == sorted((operator.archive / "packs").rglob("*.tar.zst"))
    assert 0 == quiet["status"]["messages"].get("addedLastRun", 0)
    account.mailbox.server.append(account.mailbox.user, "Sent", b"Subject: new\r\n\r\nbody")
    news = account.sync_now("two")

    assert 1 == news["status"]["messages"]["addedLastRun"]
    assert_equal_to_server(operator.archive, account.mailbox.server, account.mailbox.user)


def test_uidvalidity_reset_is_told_and_nothing_is_stored_twice(account: Account, operator: Operator) -> None:
    """S14, S21, trap 7: audit event, metric, Warning, full pass in the same run, old placements kept."""
    fill(account.mailbox)
    account.apply()
    account.wait_for_condition("Complete")
    old = placements(operator.archive)
    server, user = account.mailbox.server, account.mailbox.user
    before = server.uid_validity(user, "INBOX")
    after = server.reset_uidvalidity(user, "INBOX")

    body = account.sync_now("reset")

    assert "True" == condition(body, "Complete")["status"]
    told = [event for event in account.events() if event["reason"] == "UIDValidityChanged"]
    assert [("Warning", 1)] == [(event["type"], event.get("count") or 1) for event in told]
    assert f"from {before} to {after}" in told[0]["message"]
    assert 1 == operator.metrics()["archivmail_uidvalidity_resets_total"]
    audit = json_lines(archivmail("audit", "--json", "--archive", operator.archive).stdout)
    reset = next(entry for entry in audit if entry["kind"] == "imap_uidvalidity_reset")
    assert ("INBOX", before, after) == tuple(reset["facts"][key] for key in ("folder", "before", "after"))
    now = placements(operator.archive)
    assert old.items() <= now.items(), "old placements are kept"
    assert {1} == set(contents_stored(operator.archive).values()), "invariant 2: no octets twice"
    held = {key: sha for key, sha in now.items() if key[:2] == ("INBOX", after)}
    assert 60 == len(held)


def test_wrong_password_stalls_and_is_tried_once_for_each_version_of_the_secret(
    account: Account, operator: Operator
) -> None:
    """S5, S8: Stalled, one login a version, rotation without restart, and no secret anywhere."""
    fill(account.mailbox, 8)
    wrong = "Wr0ng-but-s3cret!"
    account.apply_all(*account.secrets(wrong), account.manifest(interval="30s"))

    body = account.wait_for_condition("Stalled")

    server, user = account.mailbox.server, account.mailbox.user
    assert "AuthenticationFailed" == condition(body, "Stalled")["reason"]
    assert ("False", "AuthenticationFailed") == tuple(condition(body, "Ready")[key] for key in ("status", "reason"))
    assert "AuthenticationFailed" in {event["reason"] for event in account.events()}
    assert 1 == server.login_attempts(user)
    account.apply_all(*account.secrets())
    account.wait_for_condition("Complete", timeout_s=90)
    assert 2 == server.login_attempts(user)
    everything = (
        operator.log_text()
        + account.plane.kubectl("get", "imap,events", "-n", account.namespace, "-o", "yaml").stdout
        + operator.get(operator.metrics_port, "/metrics").decode()
    )
    for secret in (wrong, account.mailbox.password):
        assert secret not in everything
    for path in operator.archive.rglob("*"):
        if path.is_file():
            assert account.mailbox.password.encode() not in path.read_bytes()


def test_deleting_the_account_in_mid_run_returns_quickly(account: Account, operator: Operator) -> None:
    """S3: deletion aborts at the next message; what was archived is kept and nothing is half written."""
    fill(account.mailbox, 12)
    server, user = account.mailbox.server, account.mailbox.user
    server.bulk_append(user, "INBOX", messages(4000, seed=9, small=True))
    account.apply()
    operator.wait_for_run()

    account.plane.kubectl("delete", "imap", account.name, "-n", account.namespace, "--timeout=10s")

    assert (
        []
        == json_lines(archivmail("verify", "--full", "--json", "--archive", operator.archive, expect=None).stdout)[0][
            "corrupt"
        ]
    )
    account.apply()
    account.wait_for_condition("Complete", timeout_s=120)
    assert_equal_to_server(operator.archive, server, user)
    assert {1} == set(contents_stored(operator.archive).values())


def test_losing_status_costs_no_octets(account: Account, operator: Operator) -> None:
    """Invariant 5: `.status` is a projection; without it a run looks at the catalog and fetches nothing."""
    fill(account.mailbox)
    account.apply()
    account.wait_for_condition("Complete")
    fetched = operator.metrics()["archivmail_fetched_bytes_total"]

    account.plane.kubectl(
        "patch",
        "imap",
        account.name,
        "-n",
        account.namespace,
        "--subresource=status",
        "--type=merge",
        "-p",
        '{"status":null}',
    )
    body = account.wait_for_condition("Complete")

    assert 95 == body["status"]["messages"]["archived"]
    assert fetched == operator.metrics()["archivmail_fetched_bytes_total"]


def test_two_operators_by_mistake_do_no_harm(account: Account, start_operator: Callable[..., Operator]) -> None:
    """Invariant 8: both serve the same account and archive at once."""
    fill(account.mailbox, 400)
    first, second = start_operator(), start_operator()
    account.apply(interval="30s")
    account.wait_for_condition("Complete")
    for number in range(3):
        account.mailbox.server.bulk_append(account.mailbox.user, "INBOX", messages(50, seed=100 + number, small=True))
        account.sync_now(f"r{number}")
    account.wait(lambda body: body["status"]["messages"]["archived"] == 400 + 133 + 100 + 150)

    assert first.archive == second.archive
    assert_equal_to_server(first.archive, account.mailbox.server, account.mailbox.user)
    verified = json_lines(archivmail("verify", "--full", "--json", "--archive", first.archive).stdout)[0]
    assert ([], []) == (verified["missing"], verified["corrupt"])


def test_sigterm_in_mid_run_keeps_what_was_archived(account: Account, operator: Operator) -> None:
    """S3: within 10 s, checkpointed, result written; the next process goes on."""
    server, user = account.mailbox.server, account.mailbox.user
    server.bulk_append(user, "INBOX", messages(4000, seed=9, small=True))
    account.apply()
    operator.wait_for_run()

    assert operator.terminate(grace_s=20) < 10
    kept = len(placements(operator.archive))
    operator.start()
    account.wait_for_condition("Complete", timeout_s=120)

    assert kept <= 4000
    assert_equal_to_server(operator.archive, server, user)
    assert {1} == set(contents_stored(operator.archive).values())


def test_rebuild_from_packs_alone_gives_the_same_archive(account: Account, operator: Operator) -> None:
    """Invariant 6."""
    fill(account.mailbox)
    account.apply()
    account.wait_for_condition("Complete")
    account.mailbox.server.reset_uidvalidity(account.mailbox.user, "Sent")
    account.sync_now("again")
    operator.terminate(grace_s=10)
    before = placements(operator.archive)
    copy = operator.archive.with_name("copy")
    shutil.copytree(operator.archive / "packs", copy / "packs")

    archivmail("rebuild", "--archive", copy)

    assert before == placements(copy)


def test_the_same_manifest_without_a_cluster_gives_the_same_archive(
    account: Account, operator: Operator, tmp_path: Path
) -> None:
    """The engine is one: `archivmail sync -f` and the operator."""
    import yaml  # noqa: PLC0415

    fill(account.mailbox)
    account.apply()
    account.wait_for_condition("Complete")
    manifest = tmp_path / "account.yaml"
    manifest.write_text(yaml.safe_dump_all([*account.secrets(), account.manifest()]))

    archivmail("sync", "-f", manifest, "--archive", tmp_path / "other")

    assert placements(operator.archive) == placements(tmp_path / "other")
    status = json_lines(archivmail("status", "--json", "--archive", tmp_path / "other").stdout)[0]
    assert (account.namespace, account.name, True, "Succeeded", 95) == (
        status["namespace"],
        status["name"],
        status["complete"],
        status["lastResult"],
        status["messages"]["archived"],
    )
