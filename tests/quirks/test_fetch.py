"""Servers that answer FETCH in their own way (imap-traps §1.3, §1.6), through the whole engine."""

from pathlib import Path

import pytest

from archivmail.model.reasons import Reason
from tests.quirks.cases import Quirk, quirk, survive

OTHERS = """
        > UID FETCH *1* (UID FLAGS
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1)
        < * 3 FETCH (UID 3 FLAGS () %date BODY[] %lit3)
"""

TOLERATED = [
    quirk("trap-16-uid-0-and-duplicates", """
        > UID SEARCH
        < * SEARCH 0 3 1 1 2 3
        > UID FETCH
        < * 9 FETCH (UID 0 FLAGS () %date BODY[] %lit1)
        ...
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] {3}\\r\\nxyz)
        """),
    quirk("trap-34-nil-then-the-message", """
        > UID FETCH
        < * 2 FETCH (UID 2 FLAGS () %date BODY[] NIL)
        ...
        """),
    quirk("trap-38-another-uid", """
        > UID FETCH
        < * 7 FETCH (UID 7 FLAGS () %date BODY[] {3}\\r\\nxyz)
        ...
        """),
    quirk("trap-38-octets-without-a-uid", """
        > UID FETCH
        < * 2 FETCH (FLAGS () %date BODY[] {3}\\r\\nxyz)
        ...
        """),
    quirk("trap-38-flags-of-all", """
        > UID FETCH
        < * 1 FETCH (FLAGS (\\Seen))
        < * 2 FETCH (UID 2 FLAGS (\\Seen))
        ...
        """),
    quirk("trap-39-facts-after-the-octets", """
        > UID FETCH
        < * 1 FETCH (BODY[] %lit1 UID 1)
        < * 2 FETCH (UID 2 BODY[] %lit2)
        < * 3 FETCH (UID 3 BODY[] %lit3)
        < * 1 FETCH (FLAGS () %date UID 1)
        < * 2 FETCH (UID 2 FLAGS ())
        < * 2 FETCH (UID 2 %date)
        """),
    quirk("trap-40-expunge-in-between", """
        > UID FETCH
        < * 1 EXPUNGE
        < * 2 EXISTS
        ...
        """),
    quirk("trap-41-literal8", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] ~%lit1)
        < * 2 FETCH (UID 2 FLAGS () %date BODY[] ~%lit2)
        < * 3 FETCH (UID 3 FLAGS () %date BODY[] ~%lit3)
        """),
    quirk("trap-43-size-is-wrong", """
        > UID FETCH
        < * 1 FETCH (UID 1 RFC822.SIZE 2 FLAGS () %date BODY[] %lit1)
        < * 2 FETCH (RFC822.SIZE 99999999999 UID 2 FLAGS () %date BODY[] %lit2)
        < * 3 FETCH (UID 3 RFC822.SIZE 0 FLAGS () %date BODY[] %lit3)
        """),
    quirk("trap-68-dates-that-are-none", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () INTERNALDATE "00-Jan-0000 00:00:00 +0000" BODY[] %lit1)
        < * 2 FETCH (UID 2 FLAGS () INTERNALDATE NIL BODY[] %lit2)
        < * 3 FETCH (UID 3 FLAGS () INTERNALDATE "17-Jul-0001 25:61:61 +9999" BODY[] %lit3)
        """),
    quirk("trap-71-tagged-without-text", """
        > LOGIN
        ...
        < %tag OK
        > EXAMINE
        ...
        < %tag OK
        > UID SEARCH
        ...
        < %tag OK
        > UID FETCH
        ...
        < %tag OK
        """),
    quirk("trap-72-codes-without-text", """
        > EXAMINE
        < * ok [highestmodseq 715194045007]
        ...
        < %tag ok [read-only]
        """),
    quirk("trap-73-blank-lines", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1
        < )
        < \\r
        ...
        """),
    quirk("trap-74-lower-case-and-bare-lf", """
        > UID SEARCH
        < * search 1 2 3\\n\\
        > UID FETCH
        < * 1 fetch (uid 1 flags () internaldate "x" body[] %lit1)\\n\\
        < * 2 Fetch (Uid 2 Flags () body[] %lit2 InternalDate "x")\\n\\
        ...
        """),
    quirk("trap-75-text-that-looks-like-a-literal", """
        > UID FETCH
        < * OK look at {12}
        ...
        < %tag OK done {12}
        > UID SEARCH
        < * NO no news {30}
        ...
        """),
    quirk("trap-76-blank-before-the-end", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1 )
        < * 2 FETCH ( UID 2 FLAGS ( ) %date BODY[] %lit2 ) \\x20
        ...
        """),
    quirk("trap-76-no-end-at-all", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1\\
        < * 2 FETCH (UID 2 FLAGS () %date BODY[] %lit2\\
        ...
        """),
    quirk("trap-79-deep-and-odd-items", """
        > UID FETCH
        < * 1 FETCH (UID 1 X ((((((((((())))))))))) FLAGS (a[b) %date BODY[] %lit1)
        ...
        """),
]  # fmt: skip

AGAIN = "> UID FETCH 2 (UID FLAGS INTERNALDATE BODY\n"
NOTHING_ELSE = "> UID FETCH 2 (UID BODY.PEEK\n< %tag OK nothing\n"

IN_PARTS = [
    quirk("trap-34-nil", OTHERS + "< * 2 FETCH (UID 2 FLAGS () %date BODY[] NIL)\n" + AGAIN +
          "< * 2 FETCH (UID 2 FLAGS () %date BODY[] NIL)\n"),
    quirk("trap-34-empty", OTHERS + '< * 2 FETCH (UID 2 FLAGS () %date BODY[] "")\n' + AGAIN +
          '< * 2 FETCH (UID 2 FLAGS () %date BODY[] "")\n'),
    quirk("trap-34-no-item", OTHERS + "< * 2 FETCH (UID 2 FLAGS () %date)\n" + AGAIN +
          "< * 2 FETCH (UID 2 FLAGS () %date)\n"),
]  # fmt: skip

NOT_NOW = [
    quirk("trap-34-nil-whatever-is-asked-for", OTHERS + "< * 2 FETCH (UID 2 FLAGS () %date BODY[] NIL)\n> UID FETCH 2\n"
          "< * 2 FETCH (UID 2 FLAGS () %date BODY[] NIL BODY[HEADER] NIL)\n",
          missing=(2,), says=Reason.MESSAGES_PENDING),
    quirk("trap-35-fewer-than-asked", OTHERS + "> UID FETCH 2 (UID FLAGS\n< %tag OK done\n" + NOTHING_ELSE,
          missing=(2,), says=Reason.MESSAGES_PENDING),
    quirk("trap-36-no-after-some", OTHERS + "< %tag NO Some messages could not be FETCHed (Failure)\n"
          "> UID FETCH 2\n< %tag NO Some messages could not be FETCHed (Failure)\n",
          missing=(2,), says=Reason.MESSAGES_PENDING),
    quirk("trap-36-quarantined-in-the-end", OTHERS + "< %tag NO [UNAVAILABLE] Server error while fetching messages\n"
          "> UID FETCH 2\n< %tag NO [UNAVAILABLE] Server error while fetching messages\n",
          missing=(2,), says=Reason.MESSAGES_QUARANTINED, runs=4),
]  # fmt: skip

OUT_OF_STEP = [
    quirk("trap-46-too-large", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1)
        < * 2 FETCH (UID 2 FLAGS () %date BODY[] {4294967295}
        """, missing=(2, 3), failure=Reason.MESSAGE_TOO_LARGE),
    quirk("trap-77-literal-too-short", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1)
        < * 2 FETCH (UID 2 FLAGS () %date BODY[] {9}
        < Subject: message 2)
        """, missing=(2, 3), failure=Reason.SERVER_VIOLATION),
    quirk("trap-77-literal-that-takes-a-part-of-the-next-response", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1)
        < * 2 FETCH (UID 2 FLAGS () %date BODY[] {44}
        < Subject: message 2
        < \\r
        < body of 2)
        < * 3 FETCH (UID 3 FLAGS () %date BODY[] %lit3)
        """, missing=(2, 3), failure=Reason.SERVER_VIOLATION),
    quirk("trap-77-literal-that-takes-a-parenthesis", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1)
        < * 2 FETCH (UID 2 FLAGS () %date BODY[] {19}
        < Subject: message 2)
        < * 3 FETCH (UID 3 FLAGS () %date BODY[] %lit3)
        """, missing=(2, 3), failure=Reason.SERVER_VIOLATION),
    quirk("trap-77-literal-that-takes-its-own-end", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1)
        < * 2 FETCH (UID 2 FLAGS () %date BODY[] {25}
        < Subject: message 2
        < \\n)
        < * 3 FETCH (UID 3 FLAGS () %date BODY[] %lit3)
        """, missing=(2, 3), failure=Reason.SERVER_VIOLATION),
    quirk("trap-76-a-quoted-string-that-holds-a-quote", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1)
        < * 2 FETCH (UID 2 FLAGS () %date BODY[] "Subject: "no" message")
        """, missing=(2, 3), failure=Reason.SERVER_VIOLATION),
    quirk("trap-76-a-quoted-string-of-two-lines", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1)
        < * 2 FETCH (UID 2 FLAGS () %date BODY[] "Subject:
        < message")
        """, missing=(2, 3), failure=Reason.SERVER_VIOLATION),
    quirk("trap-34-a-name-where-octets-are-due", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1)
        < * 2 FETCH (UID 2 %date BODY[] FLAGS ())
        """, missing=(2, 3), failure=Reason.SERVER_VIOLATION),
    quirk("trap-79-no-number", """
        > UID FETCH
        < * 2 FETCH (UID 2 FLAGS () %date BODY[] {NaN}
        """, missing=(1, 2, 3), failure=Reason.SERVER_VIOLATION),
    quirk("trap-79-negative", """
        > UID FETCH
        < * 2 FETCH (UID 2 FLAGS () %date BODY[] {-1}
        """, missing=(1, 2, 3), failure=Reason.SERVER_VIOLATION),
    quirk("trap-81-words-of-nobody", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1)
        < Proxy error: upstream gone
        """, missing=(2, 3), failure=Reason.SERVER_VIOLATION),
    quirk("trap-81-tag-of-another-command", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1)
        < zz9 OK done
        """, missing=(2, 3), failure=Reason.SERVER_VIOLATION),
    quirk("trap-86-bye", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1)
        < * BYE
        < %cut
        """, missing=(2, 3), failure=Reason.CONNECTION_FAILED),
    quirk("trap-42-cut-within-a-literal", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1)
        < * 2 FETCH (UID 2 FLAGS () %date BODY[] {30}
        < Subject: me%cut
        """, missing=(2, 3), failure=Reason.CONNECTION_FAILED),
    quirk("trap-88-throttled-without-a-code", """
        > UID FETCH
        < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1)
        < %tag BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds
        """, missing=(2, 3), failure=Reason.SERVER_BUSY),
    quirk("trap-88-throttled-at-the-end-of-the-text", """
        > UID FETCH
        < %tag NO Lookup failed [THROTTLED]
        """, missing=(1, 2, 3), failure=Reason.SERVER_BUSY),
]  # fmt: skip


@pytest.mark.parametrize("case", TOLERATED)
def test_every_message_is_archived_however_it_is_told(case: Quirk, tmp_path: Path) -> None:
    """traps 16, 34, 38 to 41, 43, 68, 71 to 76, 79: one run archives everything, octet for octet."""
    survive(case, tmp_path)


@pytest.mark.parametrize("case", IN_PARTS)
def test_a_message_without_octets_is_put_together_from_its_parts(case: Quirk, tmp_path: Path) -> None:
    """trap 34: HEADER and TEXT where BODY[] gives nothing; the whole message takes their place when it comes."""
    survive(case, tmp_path)


@pytest.mark.parametrize("case", NOT_NOW)
def test_what_is_not_given_is_named_and_the_others_are_archived(case: Quirk, tmp_path: Path) -> None:
    """traps 34 to 36: the account is not complete, and the message comes when the server gives it."""
    survive(case, tmp_path)


@pytest.mark.parametrize("case", OUT_OF_STEP)
def test_a_session_that_breaks_keeps_what_came_whole(case: Quirk, tmp_path: Path) -> None:
    """traps 42, 46, 77, 79, 81, 86, 88: nothing half, nothing foreign, and the next session gets the rest."""
    survive(case, tmp_path)
