"""The life of some accounts under GitOps: manifests applied again and again, while the operator of a helm release runs
with its ServiceAccount's token. Told once; what the API server showed at each point is kept for many tests."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.corpus.realistic import messages
from tests.e2e.archives import contents_stored
from tests.e2e.operating import Account, condition

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.controlplane import ControlPlane
    from tests.servers.fixtures import Mailbox

    from .release import Release

Document = dict[str, Any]
MANAGER = "--field-manager=gitops"
COUNT = 40


@dataclass(slots=True)
class Story:
    """What was seen. Situations are those that GitOps tools tell apart."""

    release: Release
    namespace: str
    seen: dict[str, Document] = field(default_factory=dict)
    """Objects by situation, as they stood on the API server."""
    versions: dict[str, list[str]] = field(default_factory=dict)
    """resourceVersions before and after something that must change nothing."""
    diffs: dict[str, Any] = field(default_factory=dict)
    stored: int = 0
    deletion_s: float = 0.0
    events: set[str] = field(default_factory=set)
    """Reasons of alice's Events."""
    requests: list[Document] = field(default_factory=list)
    """What the operator asked the API server for, as its audit log has it."""


class Repository:
    """What stands in Git, and who applies it."""

    def __init__(self, plane: ControlPlane, namespace: str, mailbox: Mailbox) -> None:
        self.plane = plane
        self.alice = Account(plane, namespace, mailbox, name="alice")
        self.bob = Account(plane, namespace, mailbox, name="bob")
        self.carol = Account(plane, namespace, mailbox, name="carol")
        self.dave = Account(plane, namespace, mailbox, name="dave")

    def push(self, *manifests: Document) -> None:
        """Apply as Flux and Argo CD do: server-side, all of it, whether it changed or not."""
        text = "\n---\n".join(json.dumps(each) for each in manifests)
        self.plane.kubectl("apply", "--server-side", MANAGER, "-f", "-", stdin=text)

    def difference(self, manifest: Document) -> tuple[int, str]:
        """`kubectl diff`: 0 and nothing, or 1 and the lines."""
        done = self.plane.kubectl("diff", "--server-side", MANAGER, "-f", "-", stdin=json.dumps(manifest), check=False)
        return done.returncode, done.stdout + done.stderr

    def would_be(self, manifest: Document) -> Document:
        """The object after another apply, without doing it: Argo CD's server-side diff."""
        options = ("--server-side", "--dry-run=server", MANAGER, "-o", "json")
        found: Document = json.loads(
            self.plane.kubectl("apply", *options, "-f", "-", stdin=json.dumps(manifest)).stdout
        )
        return found


def tell(release: Release, mailbox: Mailbox, namespace: str, folder: Path) -> Story:
    """From the first commit to the last; the operator has ended when it returns."""
    plane = release.plane
    story = Story(release, namespace)
    git = Repository(plane, namespace, mailbox)
    server, user = mailbox.server, mailbox.user
    server.create_folder(user, "Sent")
    server.bulk_append(user, "INBOX", messages(COUNT, seed=1, small=True))
    server.bulk_append(user, "Sent", messages(5, seed=2, small=True))
    alice = git.alice.manifest(interval="1h")
    manifests = [
        *git.alice.secrets(),
        *git.bob.secrets("not his password"),
        alice,
        git.bob.manifest(interval="1h"),
        git.carol.manifest(interval="1h"),
        git.dave.manifest(suspend=True),
    ]
    git.push(*manifests)
    story.seen["created"] = git.alice.get()
    with release.operator(folder) as operator:
        story.seen["complete"] = git.alice.wait_for_condition("Complete")
        story.seen["stalled"] = git.bob.wait_for_condition("Stalled")
        story.seen["secret missing"] = git.carol.wait_for_condition("Ready", "False")
        story.seen["created suspended"] = git.dave.get()
        _apply_again(story, git, manifests, alice)
        _change(story, git, alice)
        # Of this namespace: the operator serves the accounts that other tests have left on the API server as well.
        story.stored = len(contents_stored(operator.archive, namespace))
        started = time.monotonic()
        plane.kubectl("delete", "imap", "--all", "-n", namespace, "--timeout=30s")
        story.deletion_s = time.monotonic() - started
    story.events = {each["reason"] for each in git.alice.events()}
    story.requests = plane.requests_of(release.namespace, "archive-archivmail")
    return story


def _apply_again(story: Story, git: Repository, manifests: list[Document], alice: Document) -> None:
    before = git.alice.get()
    for _ in range(2):
        git.push(*manifests)
    after = git.alice.get()
    story.versions["applied again"] = [each["metadata"]["resourceVersion"] for each in (before, after)]
    story.diffs["kubectl"] = git.difference(alice)
    story.diffs["would be"] = (git.would_be(alice), git.alice.get())
    story.diffs["desired"] = (copy.deepcopy(alice), after)


def _change(story: Story, git: Repository, alice: Document) -> None:
    git.alice.request("by hand")
    git.alice.wait(lambda body: body["status"].get("lastHandledReconcileAt") == "by hand")
    alice["spec"]["folders"] = {"exclude": ["Sent"]}
    git.push(alice)
    story.seen["changed"] = git.alice.wait(
        lambda body: body["status"]["folderSummary"].get("excluded") == 1 and not condition(body, "Reconciling")
    )
    alice["spec"]["suspend"] = True
    git.push(alice)
    story.seen["suspended"] = git.alice.get()
