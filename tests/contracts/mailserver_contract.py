"""What every correct mail server shows through the session: inherit, and give `mailbox`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from archivmail.decide.assembling import EVERY_WAY
from archivmail.imap.session import connect
from archivmail.model.account import Credentials, Endpoint, Origin, Secret
from archivmail.model.errors import CredentialsRefused, FolderRefused
from archivmail.model.folder import Folder, FolderName
from archivmail.model.foldernames import encode
from archivmail.model.message import FetchedMessage, Refused
from archivmail.model.uidset import UidSet
from archivmail.sync.ports import MailServer

HEAD = b"Subject: a\r\n\r\n"


@dataclass(frozen=True)
class ServedMailbox:
    """A mailbox on a running server, and the hand that fills it. `octets` is what the server shows of a folder."""

    endpoint: Endpoint
    credentials: Credentials
    append: Callable[[str, Sequence[bytes]], object]
    octets: Callable[[str], Mapping[int, bytes]]
    expunge: Callable[[str, Sequence[int]], object]
    state: Callable[[str], object] = field(default=lambda _: None)
    """All that a reader must leave as it is: flags, \\Recent, UIDs."""


class MailServerContract:
    """Inherit with a fixture `mailbox` that gives a ServedMailbox with the folders of `names`, all of them empty.

    A server that knows no such name has others of its own, as many.
    """

    names: tuple[str, ...] = ("INBOX", "Sent", "旅行", 'a&b "c"')

    @pytest.fixture
    def mailbox(self) -> ServedMailbox:
        raise NotImplementedError

    def connect(self, mailbox: ServedMailbox) -> MailServer:
        return connect(mailbox.endpoint, mailbox.credentials, should_stop=lambda: False)

    @contextmanager
    def session(self, mailbox: ServedMailbox) -> Iterator[MailServer]:
        session = self.connect(mailbox)
        try:
            yield session
        finally:
            session.close()

    def folder(self, session: MailServer, name: str) -> Folder:
        return next(folder for folder in session.folders() if folder.name == encode(name))

    def fetched(self, session: MailServer, uids: UidSet) -> dict[int, bytes]:
        got: dict[int, bytes] = {}

        def deliver(message: FetchedMessage) -> None:
            assert message.sighting.uid not in got
            got[message.sighting.uid] = b"".join(bytes(chunk) for chunk in message.body.chunks())

        assert session.fetch(uids, deliver) is None
        return got

    def test_the_origin_is_the_endpoint_and_the_user(self, mailbox: ServedMailbox) -> None:
        """UIDs belong to it."""
        with self.session(mailbox) as session:
            assert session.origin == Origin(mailbox.endpoint.host, mailbox.endpoint.port, mailbox.credentials.username)

    def test_every_folder_is_listed_once(self, mailbox: ServedMailbox) -> None:
        """By its raw name."""
        with self.session(mailbox) as session:
            listed = [folder.name for folder in session.folders()]

        assert sorted(listed) == sorted(encode(name) for name in self.names)

    @pytest.mark.parametrize("number", range(len(names)))
    def test_every_folder_opens_and_gives_its_octets(self, mailbox: ServedMailbox, number: int) -> None:
        """The way of a sync: examine, uids, fetch."""
        name = self.names[number]
        mailbox.append(name, [HEAD + b"one\r\n", HEAD + bytes(range(128, 256)), HEAD + b"no final newline"])
        with self.session(mailbox) as session:
            snapshot = session.examine(self.folder(session, name))
            uids = session.uids()
            got = self.fetched(session, uids)

        assert snapshot.messages == len(uids) == 3
        assert snapshot.uid_validity
        assert snapshot.uid_next
        assert snapshot.uid_next > uids.highest
        assert got == mailbox.octets(name)

    def test_many_messages_of_all_sizes_come_exactly(self, mailbox: ServedMailbox) -> None:
        """Small, large, spooled; gaps between the UIDs."""
        mailbox.append("Sent", [HEAD + b"%d\r\n" % number * (1 + number % 7 * 400) for number in range(300)])
        mailbox.append("Sent", [HEAD + b"x" * 60 * 1024 + b"\r\n", HEAD + b"0123456789abcde\r\n" * 400_000])
        mailbox.expunge("Sent", range(20, 200, 3))
        with self.session(mailbox) as session:
            session.examine(self.folder(session, "Sent"))
            uids = session.uids()
            got = self.fetched(session, uids)

        assert got == mailbox.octets("Sent")
        assert len(got) == 302 - 60

    def test_batches_come_as_if_each_was_fetched_alone(self, mailbox: ServedMailbox) -> None:
        """Each batch is answered once, when all of it was delivered; the next may be on the way already."""
        mailbox.append("Sent", [HEAD + b"%d\r\n" % number * (1 + number % 7 * 400) for number in range(60)])
        mailbox.expunge("Sent", range(5, 20, 3))
        got: dict[int, bytes] = {}
        answers: list[UidSet] = []

        def deliver(message: FetchedMessage) -> None:
            assert message.sighting.uid not in got
            got[message.sighting.uid] = b"".join(bytes(chunk) for chunk in message.body.chunks())

        def answered(batch: UidSet, refusal: Refused | None) -> None:
            assert refusal is None
            assert batch - UidSet.of(got) == UidSet()
            answers.append(batch)

        with self.session(mailbox) as session:
            session.examine(self.folder(session, "Sent"))
            uids = session.uids()
            batches = [UidSet.of(sorted(uids)[at : at + 9]) for at in range(0, len(uids), 9)]
            session.fetch_batches(iter(batches), deliver, answered)

        assert got == mailbox.octets("Sent")
        assert sorted(answers, key=lambda batch: batch.highest) == batches

    def test_facts_come_with_each_message(self, mailbox: ServedMailbox) -> None:
        """Date and UID always."""
        mailbox.append("INBOX", [HEAD])
        seen: list[FetchedMessage] = []
        with self.session(mailbox) as session:
            session.examine(self.folder(session, "INBOX"))
            session.fetch(session.uids(), seen.append)

        assert [len(message.sighting.internal_date) for message in seen] == [26]
        assert [message.body.size for message in seen] == [len(HEAD)]

    def test_status_equals_what_examine_says(self, mailbox: ServedMailbox) -> None:
        """So that a folder may be skipped by it."""
        mailbox.append("Sent", [HEAD] * 3)
        with self.session(mailbox) as session:
            folders = session.folders()
            told = session.status(folders)
            examined = {folder.name: session.examine(folder) for folder in folders}

        assert told == examined

    def test_an_empty_folder_is_empty(self, mailbox: ServedMailbox) -> None:
        """No `*` that finds something."""
        with self.session(mailbox) as session:
            assert session.examine(self.folder(session, "Sent")).messages == 0
            assert session.uids() == UidSet()

    def test_uids_that_are_gone_are_simply_not_delivered(self, mailbox: ServedMailbox) -> None:
        """trap 12."""
        mailbox.append("INBOX", [HEAD + b"1", HEAD + b"2", HEAD + b"3"])
        with self.session(mailbox) as session:
            session.examine(self.folder(session, "INBOX"))
            uids = session.uids()
            mailbox.expunge("INBOX", [sorted(uids)[1]])
            got = self.fetched(session, uids)

        assert mailbox.octets("INBOX").items() <= got.items()
        assert got.keys() <= set(uids)

    @pytest.mark.parametrize("way", EVERY_WAY)
    def test_a_message_put_together_from_parts_is_the_message(self, mailbox: ServedMailbox, way: str) -> None:
        """trap 47: the same octets in pieces, and as header and text; a correct server has no other."""
        large = b"".join(b"%07d lone \r and 8-bit \xe4\r\n" % line for line in range(60_000))
        mailbox.append("Sent", [HEAD + b"1", HEAD + large, b"Subject: folded\r\n\tonce\r\n\r\nno final newline"])
        got: dict[int, bytes] = {}

        def deliver(message: FetchedMessage) -> None:
            got[message.sighting.uid] = b"".join(bytes(chunk) for chunk in message.body.chunks())

        with self.session(mailbox) as session:
            session.examine(self.folder(session, "Sent"))
            for uid in session.uids():
                session.assemble(uid, (way,), deliver)

        assert got == mailbox.octets("Sent")

    def test_reading_changes_nothing(self, mailbox: ServedMailbox) -> None:
        """Design §1 invariant 4; trap 32."""
        mailbox.append("INBOX", [HEAD + b"1", HEAD + b"2"])
        before = mailbox.state("INBOX")
        with self.session(mailbox) as session:
            session.status(session.folders())
            session.examine(self.folder(session, "INBOX"))
            self.fetched(session, session.uids())

        assert mailbox.state("INBOX") == before

    def test_a_folder_that_is_not_there_is_refused_and_the_session_goes_on(self, mailbox: ServedMailbox) -> None:
        """S11."""
        with self.session(mailbox) as session:
            with pytest.raises(FolderRefused):
                session.examine(Folder(FolderName(b"no such folder")))
            assert session.examine(self.folder(session, "INBOX")).messages == 0

    def test_a_wrong_password_is_refused(self, mailbox: ServedMailbox) -> None:
        """One attempt, and the text repeats nothing."""
        wrong = Credentials(mailbox.credentials.mechanism, mailbox.credentials.username, Secret("wrong Horse"))
        with pytest.raises(CredentialsRefused) as caught:
            connect(mailbox.endpoint, wrong, should_stop=lambda: False)

        assert "wrong Horse" not in caught.value.text
        assert mailbox.credentials.username not in caught.value.text
