"""FETCH responses as servers really send them (imap-traps §1.3, §1.6)."""

import pytest

from archivmail.model.errors import ConnectionLost, ServerBusy, ServerViolation
from archivmail.model.message import Refused
from tests.imap.sessions import fetch, opened, uid_set
from tests.servers.scripted import Conversation, Folder, Message, ScriptedServer, sample

DATE = b'INTERNALDATE "17-Jul-1996 02:44:25 -0700"'

ODD = [
    pytest.param(b"* 1 FETCH (UID 5 FLAGS () %D BODY[] {3}\r\nabc)\r\n", id="usual"),
    pytest.param(b'* 1 fetch (uid 5 flags () internaldate "x" body[] {3}\r\nabc)\r\n', id="trap-74-lower-case"),
    pytest.param(b"* 1 FETCH (BODY[] {3}\r\nabc FLAGS () UID 5 %D)\r\n", id="trap-39-body-first"),
    pytest.param(b"* 1 FETCH (UID 5 BODY[] {3}\r\nabc)\r\n* 1 FETCH (UID 5 FLAGS () %D)\r\n", id="trap-39-two-lines"),
    pytest.param(b"* 1 FETCH (UID 5 FLAGS ())\r\n* 1 FETCH (UID 5 BODY[] {3}\r\nabc)\r\n", id="trap-39-date-missing"),
    pytest.param(b'* 1 FETCH (UID 5 FLAGS () %D BODY[] "abc")\r\n', id="trap-41-quoted"),
    pytest.param(b"* 1 FETCH (UID 5 FLAGS () %D BODY[] abc)\r\n", id="trap-41-atom"),
    pytest.param(b"* 1 FETCH (UID 5 FLAGS () %D BODY[] ~{3}\r\nabc)\r\n", id="trap-41-literal8"),
    pytest.param(b"* 1 FETCH (UID 5 FLAGS () %D BODY[] {3+}\r\nabc)\r\n", id="non-synchronizing-literal"),
    pytest.param(b"* 1 FETCH (UID 5 FLAGS () %D BODY[] {3}\r\nabc )\r\n", id="trap-76-space-before-the-end"),
    pytest.param(b"* 1 FETCH (UID 5 FLAGS () %D BODY[] {3}\r\nabc\r\n)\r\n", id="trap-73-blank-line-after-literal"),
    pytest.param(b"* 1 FETCH (UID 5 FLAGS () %D BODY[] {3}\r\nabc", id="trap-76-end-is-missing"),
    pytest.param(b"*  1  FETCH  (UID 5  FLAGS () %D BODY[] {3}\r\nabc)\r\n", id="trap-28-two-spaces"),
    pytest.param(b"\r\n* 1 FETCH (UID 5 FLAGS () %D BODY[] {3}\r\nabc)\r\n\r\n", id="trap-73-blank-lines"),
    pytest.param(b"* 1 FETCH (UID 5 FLAGS () %D BODY[] {3}\nabc)\n", id="trap-74-bare-lf"),
    pytest.param(b"* 1 FETCH (X (a (b)) UID 5 ODD FLAGS () %D BODY[] {3}\r\nabc)\r\n", id="unknown-and-odd-items"),
    pytest.param(b'* 1 FETCH (UID 5 FLAGS (a[b c"d) %D BODY[] {3}\r\nabc)\r\n', id="trap-76-stray-quote-and-bracket"),
    pytest.param(
        b"* OK see {12}\r\n* 1 FETCH (UID 5 FLAGS () %D BODY[] {3}\r\nabc)\r\n", id="trap-75-text-like-literal"
    ),
    pytest.param(b"* 1 UIDFETCH (UID 5 FLAGS () %D BODY[] {3}\r\nabc)\r\n", id="uidfetch"),
    pytest.param(
        b"* 9 FETCH (FLAGS (\\Seen))\r\n* 1 FETCH (UID 5 FLAGS () %D BODY[] {3}\r\nabc)\r\n", id="trap-38-no-uid"
    ),
    pytest.param(
        b"* 1 FETCH (UID 9 BODY[] {3}\r\nxyz)\r\n* 1 FETCH (UID 5 FLAGS () %D BODY[] {3}\r\nabc)\r\n",
        id="trap-38-other-uid",
    ),
    pytest.param(
        b"* 5 FETCH (BODY[] {3}\r\nxyz)\r\n* 1 FETCH (UID 5 FLAGS () %D BODY[] {3}\r\nabc)\r\n",
        id="trap-38-body-without-uid",
    ),
    pytest.param(
        b"* 1 FETCH (UID 5 FLAGS () %D BODY[] {3}\r\nabc)\r\n* 1 FETCH (UID 5 FLAGS () %D BODY[] {3}\r\nxyz)\r\n",
        id="trap-16-same-uid-twice",
    ),
    pytest.param(
        b"* 1 EXPUNGE\r\n* 3 EXISTS\r\n* 1 FETCH (UID 5 FLAGS () %D BODY[] {3}\r\nabc)\r\n", id="trap-40-expunge"
    ),
    pytest.param(b"* 1 FETCH (UID 5 FLAGS () %D X-L {3}\r\na b BODY[] {3}\r\nabc)\r\n", id="another-literal"),
]


@pytest.mark.parametrize("response", ODD)
@pytest.mark.parametrize("tagged", [b"OK done", b"OK", b"ok [HIGHESTMODSEQ 7]"], ids=["text", "trap-71", "trap-72"])
def test_a_message_is_delivered_however_it_is_written(response: bytes, tagged: bytes) -> None:
    """trap 28, 38, 39, 40, 41, 71 to 76: one message, its octets exact."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server) as session:
        server.script(b"UID FETCH", response.replace(b"%D", DATE), tagged)
        fetched = fetch(session, uid_set(5))

    assert fetched.octets == {5: b"abc"}
    assert fetched.refused is None


NOTHING = [
    pytest.param(b"", id="trap-35-no-response"),
    pytest.param(b"* 1 FETCH (UID 5 FLAGS () BODY[] NIL)\r\n", id="trap-34-nil"),
    pytest.param(b'* 1 FETCH (UID 5 FLAGS () BODY[] "")\r\n', id="trap-34-empty-string"),
    pytest.param(b"* 1 FETCH (UID 5 FLAGS () BODY[] {0}\r\n)\r\n", id="trap-34-empty-literal"),
    pytest.param(b"* 1 FETCH (UID 5 FLAGS ())\r\n", id="trap-34-no-item"),
    pytest.param(b'* 1 FETCH (UID 5 FLAGS (a "b) %D BODY[] {3}\r\nabc)\r\n', id="trap-76-quote-that-does-not-end"),
    pytest.param(b"* 1 FETCH (UID 5 FLAGS () BODY[]<0> {3}\r\nabc)\r\n", id="trap-47-a-part"),
    pytest.param(b"* 1 FETCH (UID 5 FLAGS () BODY[TEXT] {3}\r\nabc)\r\n", id="another-section"),
    pytest.param(b"* 5 FETCH (FLAGS () BODY[] {3}\r\nabc)\r\n", id="trap-38-number-is-no-uid"),
    pytest.param(b"* 1 FETCH (UID 0 FLAGS () BODY[] {3}\r\nabc)\r\n", id="trap-16-uid-0"),
    pytest.param(b"* 1 FETCH (UID 4294967301 FLAGS () BODY[] {3}\r\nabc)\r\n", id="trap-15-uid-beyond-32-bits"),
]


@pytest.mark.parametrize("response", NOTHING)
def test_what_is_no_message_is_not_delivered(response: bytes) -> None:
    """trap 34, 35, 38, 47: the caller sees that UID 5 is missing, and the session goes on."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server) as session:
        server.script(b"UID FETCH", response.replace(b"%D", DATE))
        assert fetch(session, uid_set(5)).octets == {}
        assert session.examine(session.folders()[0]).messages == 1


BROKEN = [
    pytest.param(b"* 1 FETCH (UID 5 BODY[] {-1}\r\nabc)\r\n", id="trap-79-negative"),
    pytest.param(b"* 1 FETCH (UID 5 BODY[] {NaN}\r\nabc)\r\n", id="trap-79-no-number"),
    pytest.param(b"* 1 FETCH (UID 5 BODY[] {99999999999999999999}\r\nabc)\r\n", id="trap-79-huge"),
    pytest.param(b"* 1 FETCH (UID 5 BODY[] {4294967295}\r\nabc)\r\n", id="trap-46-too-large"),
    pytest.param(b"* 1 FETCH (UID 5 X {4294967295}\r\nabc)\r\n", id="trap-79-huge-small-literal"),
    pytest.param(b"* 1 FETCH (UID 5 BODY[] {2}\r\nabc)\r\n", id="trap-77-literal-too-short"),
    pytest.param(b"* 1 FETCH (UID 5 X " + b"(" * 200 + b")" * 200 + b")\r\n", id="trap-79-too-deep"),
    pytest.param(b"* 1 FETCH (UID 5 X " + b"x" * 2_000_000 + b")\r\n", id="trap-79-endless-line"),
    pytest.param(b"v999 OK another's answer\r\n", id="trap-81-unknown-tag"),
    pytest.param(b"garbage\r\n", id="trap-81-garbage"),
    pytest.param(b"* =?= \r\n", id="trap-81-no-word"),
    pytest.param(b"+ go on\r\n", id="continuation-of-nothing"),
    pytest.param(b"\r\n" * 50, id="nothing-but-blank-lines"),
]


@pytest.mark.parametrize("response", BROKEN)
def test_a_stream_out_of_step_is_dropped(response: bytes) -> None:
    """trap 46, 77, 79, 81: ServerViolation, nothing delivered, and the session is never used again."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server) as session:
        server.script(b"UID FETCH", response)
        with pytest.raises(ServerViolation):
            fetch(session, uid_set(5))
        with pytest.raises(ServerViolation, match="no longer connected"):
            session.uids()


def test_messages_before_a_violation_were_delivered() -> None:
    """A cut costs one message (trap 48)."""
    delivered: list[int] = []
    with ScriptedServer({b"INBOX": sample(2)}) as server, opened(server) as session:
        server.script(b"UID FETCH", b"* 1 FETCH (UID 1 FLAGS () %b BODY[] {3}\r\nabc)\r\ngarbage\r\n" % DATE)
        with pytest.raises(ServerViolation):
            session.fetch(uid_set(1, 2), lambda message: delivered.append(message.sighting.uid))

    assert delivered == [1]


def test_a_cut_at_any_octet_delivers_only_whole_messages() -> None:
    """trap 42: nothing half, nothing foreign."""
    folder = sample(2)
    whole = {uid: message.octets for uid, message in folder.messages.items()}
    with ScriptedServer({b"INBOX": folder}) as server, opened(server) as session:
        before = session.received_bytes
        fetch(session, uid_set(1, 2))
        after = session.received_bytes

    for cut_after in range(before, after):
        got: dict[int, bytes] = {}
        with (
            ScriptedServer({b"INBOX": folder}, cut_after=cut_after) as server,
            opened(server) as session,
            pytest.raises(ConnectionLost),
        ):
            session.fetch(
                uid_set(1, 2),
                lambda message, got=got: got.update({message.sighting.uid: b"".join(message.body.chunks())}),
            )
        assert got.items() <= whole.items(), f"cut after {cut_after} octets"


def test_a_refusal_after_some_messages_is_told_and_they_are_kept() -> None:
    """trap 36, trap 37: NO to a part is no error of the session, and nothing of it reaches the next command."""
    with ScriptedServer({b"INBOX": sample(2)}) as server, opened(server) as session:
        one = b"* 1 FETCH (UID 1 FLAGS () %b BODY[] {3}\r\nabc)\r\n" % DATE
        server.script(b"UID FETCH", one, b"NO [UNAVAILABLE] Some messages could not be FETCHed (Failure)")
        fetched = fetch(session, uid_set(1, 2))
        server.script(b"UID FETCH", b"")
        assert fetch(session, uid_set(1, 2)).octets == {}

    assert fetched.octets == {1: b"abc"}
    assert fetched.refused == Refused("UNAVAILABLE", "[UNAVAILABLE] Some messages could not be FETCHed (Failure)")


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (b"NO [LIMIT] UID FETCH Rate limit hit", 900),
        (b"NO [OVERQUOTA] Account exceeded command or bandwidth limits", 3600),
        (b"NO Lookup failed [THROTTLED]", 900),
        (b"BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds", 299.961),
    ],
)
def test_a_throttled_session_ends_with_the_hint(answer: bytes, seconds: float) -> None:
    """trap 88, imap-traps §1.8: throttles with and without codes."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server) as session:
        server.script(b"UID FETCH", b"", answer)
        with pytest.raises(ServerBusy) as caught:
            fetch(session, uid_set(1))

    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == pytest.approx(seconds)


def test_expunged_meanwhile_is_no_refusal() -> None:
    """RFC 5530 EXPUNGEISSUED: the caller looks for what is missing by itself."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server) as session:
        server.script(b"UID FETCH", b"", b"NO [EXPUNGEISSUED] gone")
        assert fetch(session, uid_set(1)).refused is None


def test_bye_in_the_middle_is_a_lost_connection() -> None:
    """trap 86."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server) as session:
        server.script(b"UID FETCH", b"* BYE Server shutting down.\r\n", None)
        with pytest.raises(ConnectionLost, match="Server shutting down"):
            fetch(session, uid_set(1))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"* OK [UIDVALIDITY 5] renumbered\r\n", "renumbered"),
        (b"* OK [CLOSED] removed\r\n* OK [UIDVALIDITY 5] another one\r\n", "closed the folder"),
    ],
)
def test_a_new_uidvalidity_in_the_middle_ends_the_session(said: bytes, told: str) -> None:
    """trap 11, trap 80: no octets under a UID that means something else by now."""
    response = said + b"* 1 FETCH (UID 1 FLAGS () %b BODY[] {3}\r\nabc)\r\n" % DATE
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server) as session:
        server.script(b"UID FETCH", response)
        with pytest.raises(ConnectionLost, match=told):
            fetch(session, uid_set(1))


def test_what_deliver_raises_is_passed_on_and_closes_the_session() -> None:
    """The port's promise."""

    def full(_: object) -> None:
        raise KeyError("full")

    with ScriptedServer({b"INBOX": sample(2)}) as server, opened(server) as session:
        with pytest.raises(KeyError, match="full"):
            session.fetch(uid_set(1, 2), full)
        with pytest.raises(ServerViolation):
            session.folders()


def test_only_peek_is_used_and_sets_are_short_and_ascending() -> None:
    """trap 32, trap 33, trap 49: BODY.PEEK[] only, at most about 1000 characters a command."""
    uids = range(1, 4001, 2)
    folder = Folder({uid: Message(b"x") for uid in uids})
    with ScriptedServer({b"INBOX": folder}) as server, opened(server) as session:
        fetched = fetch(session, uid_set(*uids))
        commands = [command for command in server.commands if command.startswith(b"UID FETCH")]

    assert fetched.octets.keys() == set(uids)
    assert all(b"BODY.PEEK[]" in command and len(command) < 1100 for command in commands)
    asked = [int(uid) for command in commands for uid in command.split()[2].split(b",")]
    assert asked == sorted(asked)


def test_sightings_cost_nothing_without_immutable_ids() -> None:
    """The port's promise: no command is sent."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server) as session:
        assert session.sightings(uid_set(1)) == {}
        assert not any(command.startswith(b"UID FETCH") for command in server.commands)


@pytest.mark.parametrize("capability", ["OBJECTID", "X-GM-EXT-1"])
def test_sightings_hold_the_immutable_id(capability: str) -> None:
    """RFC 8474 EMAILID, or Gmail's X-GM-MSGID."""
    folder = Folder({3: Message(b"x", email_id="1278455344230334865")})
    with (
        ScriptedServer({b"INBOX": folder}, capabilities=f"IMAP4rev1 {capability}") as server,
        opened(server) as session,
    ):
        sightings = session.sightings(uid_set(3, 4))

    assert {uid: sighting.email_id for uid, sighting in sightings.items()} == {3: "1278455344230334865"}


def test_a_message_is_delivered_while_the_next_is_on_its_way() -> None:
    """trap 48: handed over as it arrives; the server waits for it here."""
    seen: list[int] = []

    def slowly(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
        folder = server.folders[b"INBOX"]
        server.send_message(talk, 1, folder.messages[1], arguments)
        talk.cut()
        return b""

    with ScriptedServer({b"INBOX": sample(2)}) as server, opened(server) as session:
        server.on(b"UID FETCH", slowly)
        with pytest.raises(ConnectionLost):
            session.fetch(uid_set(1, 2), lambda message: seen.append(message.sighting.uid))

    assert seen == [1]
