"""What every AccountArchive must do, whatever its catalog and its store: a suite that each adapter's tests inherit."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import timedelta

import pytest

from archivmail.archive.archive import Archive
from archivmail.archive.writer import AccountWriter
from archivmail.model.account import Origin
from archivmail.model.errors import RunInProgress
from archivmail.model.folder import Epoch
from archivmail.model.notices import AuditEvent
from archivmail.model.uidset import UidSet
from tests.archive.builders import (
    ALICE,
    BOB,
    INBOX,
    MAIL,
    NOW,
    ORIGIN,
    begin,
    content_id,
    entry,
    fetched,
    folder,
    placements,
    read,
    sighting,
    state,
)


class ArchiveContract(ABC):
    """Inherit and give `archive`."""

    @pytest.fixture
    @abstractmethod
    def archive(self) -> Iterator[Archive]:
        """An empty archive."""

    @pytest.fixture
    def writer(self, archive: Archive) -> Iterator[AccountWriter]:
        """Alice's account, taken."""
        writer = archive.take(ALICE)
        yield writer
        writer.close()

    @pytest.fixture
    def epoch(self, writer: AccountWriter) -> Epoch:
        """An epoch of her INBOX."""
        return begin(writer)

    # --- contents and placements -------------------------------------------------------------------------------------

    def test_a_stored_message_is_read_back_octet_for_octet(
        self, archive: Archive, writer: AccountWriter, epoch: Epoch
    ) -> None:
        """Invariant 3."""
        octets = b"nul \0, bare\nlf, \xe4, no final newline"
        stored = writer.store(epoch, fetched(1, octets))
        octets_in_the_archive = writer.checkpoint()

        assert (stored.is_new_content, stored.is_new_placement) == (True, True)
        assert stored.content_id == content_id(octets)
        assert octets_in_the_archive > 0
        assert read(archive, octets) == octets

    def test_nothing_counts_before_the_checkpoint(self, archive: Archive, writer: AccountWriter, epoch: Epoch) -> None:
        """Collected together, durable together."""
        writer.store(epoch, fetched(1))
        writer.put_ledger(epoch, entry(2))
        writer.put_folder_state(INBOX, state(epoch, archived=1))
        assert (writer.unsaved_messages, writer.unsaved_bytes) == (1, len(MAIL))
        assert list(writer.archived(epoch)) == [1]
        writer.close()

        again = archive.take(ALICE)
        assert len(again.archived(epoch)) == 0
        assert again.ledger(epoch) == []
        assert again.folder_state(INBOX.name) is None
        assert placements(archive) == []
        again.close()

    def test_what_was_checkpointed_outlives_the_run(
        self, archive: Archive, writer: AccountWriter, epoch: Epoch
    ) -> None:
        """With the state of the folder and the ledger."""
        writer.store(epoch, fetched(1))
        writer.put_ledger(epoch, entry(2, attempts=4, quarantined=True))
        writer.put_folder_state(INBOX, state(epoch, archived=1))
        writer.checkpoint()
        assert (writer.unsaved_messages, writer.unsaved_bytes) == (0, 0)
        writer.close()

        again = archive.take(ALICE)
        assert again.latest_epoch(INBOX.name) == epoch
        assert list(again.archived(epoch)) == [1]
        assert again.ledger(epoch) == [entry(2, attempts=4, quarantined=True)]
        assert again.folder_state(INBOX.name) == state(epoch, archived=1)
        again.close()

    @pytest.mark.parametrize("is_saved", [False, True])
    def test_content_held_already_gives_a_placement_without_octets(
        self, archive: Archive, writer: AccountWriter, epoch: Epoch, is_saved: bool
    ) -> None:
        """Invariant 2, within a batch and across batches."""
        first = writer.store(epoch, fetched(1))
        if is_saved:
            writer.checkpoint()

        second = writer.store(begin(writer, folder(b"Copies")), fetched(5))
        writer.checkpoint()

        assert (second.is_new_content, second.is_new_placement) == (False, True)
        assert second.content_id == first.content_id
        assert archive.verify(full=True).messages == 1
        assert [(name, uid) for _, name, _, _, uid, *_ in placements(archive)] == [(b"Copies", 5), (b"INBOX", 1)]

    @pytest.mark.parametrize("is_saved", [False, True])
    def test_storing_a_recorded_placement_again_writes_nothing(
        self, archive: Archive, writer: AccountWriter, epoch: Epoch, is_saved: bool
    ) -> None:
        """Append twice = append once."""
        writer.store(epoch, fetched(1))
        if is_saved:
            writer.checkpoint()

        again = writer.store(epoch, fetched(1))
        writer.checkpoint()

        assert (again.is_new_content, again.is_new_placement) == (False, False)
        assert len(placements(archive)) == 1
        assert archive.verify(full=True).packs == 1

    def test_one_message_id_with_other_octets_is_another_message(
        self, archive: Archive, writer: AccountWriter, epoch: Epoch
    ) -> None:
        """Message-ID is an index, never a reason to skip."""
        one, other = b"Message-ID: <a@b>\r\n\r\none", b"Message-ID: <a@b>\r\n\r\nother"
        writer.store(epoch, fetched(1, one))
        writer.store(epoch, fetched(2, other))
        writer.checkpoint()

        assert (read(archive, one), read(archive, other)) == (one, other)

    def test_accounts_do_not_share_contents(self, archive: Archive, writer: AccountWriter, epoch: Epoch) -> None:
        """A tenant's octets are its own: design §1, invariant 2, per account."""
        writer.store(epoch, fetched(1))
        writer.checkpoint()
        bob = archive.take(BOB)
        stored = bob.store(begin(bob), fetched(1))
        bob.checkpoint()
        bob.close()

        assert stored.is_new_content
        assert archive.verify(full=True).messages == 2
        assert archive.accounts() == [ALICE, BOB]

    def test_placing_content_that_is_not_held_is_a_mistake(self, writer: AccountWriter, epoch: Epoch) -> None:
        """A placement without octets would be a message lost."""
        with pytest.raises(ValueError, match="not in the archive"):
            writer.place(epoch, sighting(1), content_id(b"never stored"))

    def test_one_pack_spans_folders(self, archive: Archive, writer: AccountWriter) -> None:
        """Many folders with one new message each are one pack and one transaction."""
        for number in range(40):
            where = folder(b"folder-%d" % number)
            writer.store(begin(writer, where), fetched(1, b"message %d" % number))
        writer.checkpoint()

        report = archive.verify(full=True)
        assert (report.packs, report.messages) == (1, 40)

    def test_odd_facts_of_a_server_are_kept(self, archive: Archive, writer: AccountWriter, epoch: Epoch) -> None:
        """A flag or a date that is no Unicode must not stop a run."""
        writer.store(epoch, fetched(1, date="\udcff\0", flags=("$\udce4", "\\Seen"), email_id="M\udc80"))
        writer.checkpoint()

        (row,) = archive.placements()
        assert row.received_at is None
        assert row.flags == ("$\ufffd", "\\Seen")

    # --- epochs ------------------------------------------------------------------------------------------------------

    def test_a_uid_validity_that_comes_back_is_another_epoch(self, archive: Archive, writer: AccountWriter) -> None:
        """1 -> 2 -> 1: UIDs of the first epoch say nothing about those of the third."""
        first = begin(writer, uid_validity=1)
        writer.store(first, fetched(5, b"first"))
        second = begin(writer, uid_validity=2)
        third = begin(writer, uid_validity=1)
        writer.store(third, fetched(5, b"third"))
        writer.checkpoint()

        assert [first.number, second.number, third.number] == [1, 2, 3]
        assert [len(writer.archived(each)) for each in (first, second, third)] == [1, 0, 1]
        assert writer.latest_epoch(INBOX.name) == third
        assert len(placements(archive)) == 2

    def test_an_unknown_uid_validity_has_one_epoch_per_origin(self, writer: AccountWriter) -> None:
        """And it never hides the newest epoch with a known one (S13)."""
        known = begin(writer, uid_validity=9)
        unknown = begin(writer, uid_validity=0)

        assert begin(writer, uid_validity=0) == unknown
        assert begin(writer, uid_validity=0, origin=Origin("other", 993, "alice")) != unknown
        assert writer.latest_epoch(INBOX.name) == known

    def test_a_folder_never_seen_has_no_epoch(self, writer: AccountWriter) -> None:
        """Nor a state."""
        assert writer.latest_epoch(INBOX.name) is None
        assert writer.folder_state(INBOX.name) is None

    # --- immutable ids -----------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("is_saved", [False, True])
    def test_content_is_found_by_the_servers_immutable_id(
        self, writer: AccountWriter, epoch: Epoch, is_saved: bool
    ) -> None:
        """RFC 8474: a move costs no download."""
        writer.store(epoch, fetched(1, email_id="M1"))
        if is_saved:
            writer.checkpoint()

        assert writer.content_of_email_id("M1") == content_id(MAIL)
        assert writer.content_of_email_id("M2") is None
        assert writer.content_of_email_id("") is None

    @pytest.mark.parametrize("is_saved", [False, True])
    def test_immutable_ids_belong_to_their_origin(self, writer: AccountWriter, epoch: Epoch, is_saved: bool) -> None:
        """Another server may give the same id to another message."""
        writer.store(epoch, fetched(1, email_id="M1"))
        if is_saved:
            writer.checkpoint()

        begin(writer, origin=Origin("moved.example.org", 993, ORIGIN.user))

        assert writer.content_of_email_id("M1") is None

    # --- the ledger --------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("is_saved", [False, True])
    def test_an_archived_uid_loses_its_entry(self, writer: AccountWriter, epoch: Epoch, is_saved: bool) -> None:
        """By itself, whether the failure was committed or not."""
        writer.put_ledger(epoch, entry(3))
        writer.put_ledger(epoch, entry(4))
        if is_saved:
            writer.checkpoint()

        writer.store(epoch, fetched(3))
        assert [each.uid for each in writer.ledger(epoch)] == [4]
        writer.checkpoint()
        assert [each.uid for each in writer.ledger(epoch)] == [4]

    def test_a_later_failure_replaces_the_entry(self, writer: AccountWriter, epoch: Epoch) -> None:
        """Attempts count up."""
        writer.put_ledger(epoch, entry(3, attempts=1))
        writer.checkpoint()
        writer.put_ledger(epoch, entry(3, attempts=2))
        assert writer.ledger(epoch) == [entry(3, attempts=2)]
        writer.checkpoint()
        assert writer.ledger(epoch) == [entry(3, attempts=2)]

    def test_a_uid_that_failed_after_it_was_placed_keeps_its_entry(self, writer: AccountWriter) -> None:
        """Without UIDVALIDITY another message may stand under the UID now."""
        unknown = begin(writer, uid_validity=0)
        writer.store(unknown, fetched(3))
        writer.checkpoint()
        writer.put_ledger(unknown, entry(3))
        writer.store(unknown, fetched(4, b"another"))
        writer.checkpoint()

        assert [each.uid for each in writer.ledger(unknown)] == [3]

    @pytest.mark.parametrize("is_saved", [False, True])
    def test_entries_of_uids_that_are_gone_are_dropped(
        self, writer: AccountWriter, epoch: Epoch, is_saved: bool
    ) -> None:
        """Only those, and a new failure afterwards counts again."""
        for uid in (1, 2, 3, 9):
            writer.put_ledger(epoch, entry(uid))
        if is_saved:
            writer.checkpoint()

        writer.drop_ledger(epoch, UidSet([(2, 8)]))
        writer.put_ledger(epoch, entry(3, attempts=7))
        assert [(each.uid, each.attempts) for each in writer.ledger(epoch)] == [(1, 1), (3, 7), (9, 1)]
        writer.checkpoint()
        assert [(each.uid, each.attempts) for each in writer.ledger(epoch)] == [(1, 1), (3, 7), (9, 1)]

    # --- states, trail, exclusion ------------------------------------------------------------------------------------

    def test_states_are_listed_with_decoded_names(self, archive: Archive, writer: AccountWriter) -> None:
        """For people; None stays None."""
        drafts = folder(b"Entw&APw-rfe")
        epoch = begin(writer, drafts)
        writer.put_folder_state(drafts, state(epoch, archived=3))
        writer.checkpoint()

        assert archive.folder_states(ALICE) == [("Entwürfe", state(epoch, archived=3))]
        assert archive.folder_states(BOB) == []

    def test_a_later_state_replaces_the_earlier(self, writer: AccountWriter, epoch: Epoch) -> None:
        """Before the checkpoint too."""
        writer.put_folder_state(INBOX, state(epoch, archived=1))
        writer.checkpoint()
        writer.put_folder_state(INBOX, state(epoch, archived=2, complete=False))
        assert writer.folder_state(INBOX.name) == state(epoch, archived=2, complete=False)
        writer.checkpoint()
        assert writer.folder_state(INBOX.name) == state(epoch, archived=2, complete=False)

    def test_a_checkpoint_without_news_writes_nothing(self, archive: Archive, writer: AccountWriter) -> None:
        """Not even an empty pack."""
        writer.checkpoint()
        assert archive.verify(full=True).packs == 0

    def test_audit_events_are_recorded_at_once(self, archive: Archive, writer: AccountWriter) -> None:
        """They tell what happened even if the run fails afterwards."""
        writer.record(AuditEvent("imap_uidvalidity_reset", "team-a", "alice", {"before": 1, "after": 2}))
        writer.close()

        (found,) = archive.audit_entries()
        assert (found.kind, found.namespace, found.account) == ("imap_uidvalidity_reset", "team-a", "alice")
        assert (dict(found.facts), found.is_intact) == ({"before": 1, "after": 2}, True)
        assert abs(found.at - NOW.now(found.at.tzinfo)) < timedelta(hours=1)

    def test_an_account_has_one_run_at_a_time(self, archive: Archive, writer: AccountWriter) -> None:
        """Invariant 8; other accounts go on, and closing frees it."""
        with pytest.raises(RunInProgress):
            archive.take(ALICE)
        archive.take(BOB).close()
        writer.close()
        archive.take(ALICE).close()

    def test_archived_uids_are_given_as_ranges(self, archive: Archive, writer: AccountWriter, epoch: Epoch) -> None:
        """Holes and all, those not yet saved included."""
        for uid in (1, 2, 3, 7, 4_294_967_295):
            writer.store(epoch, fetched(uid, b"%d" % uid))
        writer.checkpoint()
        writer.store(epoch, fetched(4, b"not saved yet"))

        assert str(writer.archived(epoch)) == "1:4,7,4294967295"

    # --- messages that were put together -----------------------------------------------------------------------------

    def test_what_was_put_together_is_marked_until_it_comes_whole(
        self, archive: Archive, writer: AccountWriter, epoch: Epoch
    ) -> None:
        """trap 44: the whole with other octets is a further version of the same UID; both are kept."""
        writer.store(epoch, fetched(3, b"in parts", assembled="header+text"))
        writer.store(epoch, fetched(4, b"whole"))
        writer.checkpoint()
        assert str(writer.assembled(epoch)) == "3"
        assert str(writer.archived(epoch)) == "3:4"

        assert writer.store(epoch, fetched(3, b"the whole")).is_new_placement
        writer.checkpoint()

        assert not writer.assembled(epoch)
        assert {(row[4], row[5], row[8]) for row in placements(archive)} == {
            (3, content_id(b"in parts"), "header+text"),
            (3, content_id(b"the whole"), ""),
            (4, content_id(b"whole"), ""),
        }

    @pytest.mark.parametrize("is_saved", [True, False])
    def test_the_same_octets_as_a_whole_are_the_proof(
        self, archive: Archive, writer: AccountWriter, epoch: Epoch, *, is_saved: bool
    ) -> None:
        """trap 44: the mark goes, nothing is counted as new, and a rebuild finds the same."""
        writer.store(epoch, fetched(3, assembled="partial"))
        if is_saved:
            writer.checkpoint()

        stored = writer.store(epoch, fetched(3))
        assert not stored.is_new_placement
        writer.checkpoint()

        before = placements(archive)
        assert [row[8] for row in before] == [""]
        assert not writer.assembled(epoch)
        assert not writer.store(epoch, fetched(3, assembled="partial")).is_new_placement
        writer.checkpoint()
        writer.close()
        archive.rebuild()
        assert placements(archive) == before

    def test_marks_come_back_from_the_packs(self, archive: Archive, writer: AccountWriter, epoch: Epoch) -> None:
        """Invariant 6: a rebuild knows what was put together, and the next run asks again."""
        writer.store(epoch, fetched(3, b"in parts", assembled="header+text"))
        writer.store(epoch, fetched(4, b"pieces", assembled="partial"))
        writer.checkpoint()
        writer.close()
        before = placements(archive)

        archive.rebuild()

        assert placements(archive) == before
        again = archive.take(ALICE)
        found = again.latest_epoch(INBOX.name)
        assert found is not None
        assert str(again.assembled(found)) == "3:4"
        again.close()

    def test_what_was_put_together_has_no_immutable_id(self, writer: AccountWriter, epoch: Epoch) -> None:
        """trap 44: another folder may give the message whole, so it must not be placed there unseen."""
        writer.store(epoch, fetched(3, b"in parts", email_id="M1", assembled="header+text"))
        assert writer.content_of_email_id("M1") is None
        writer.checkpoint()
        assert writer.content_of_email_id("M1") is None

        writer.store(epoch, fetched(3, b"whole", email_id="M1"))
        writer.checkpoint()
        assert writer.content_of_email_id("M1") == content_id(b"whole")
