"""Servers that list in their own way: SEARCH, STATUS, EXISTS (imap-traps §1.2), through the whole engine."""

from pathlib import Path

import pytest

from archivmail.model.reasons import Reason
from tests.quirks.cases import Quirk, quirk, survive
from tests.servers.scripted import sample

OTHERS = {b"Sent": sample(2)}

QUIRKS = [
    quirk("trap-19-two-search-lines", """
        > UID SEARCH
        < * SEARCH 1
        < * SEARCH 2 3
        """),
    quirk("trap-19-a-line-for-each", """
        > UID SEARCH
        < * SEARCH 1
        < * SEARCH 2
        < * SEARCH 3
        """),
    quirk("trap-20-no-search-line", """
        > UID SEARCH
        < %tag OK SEARCH completed
        """),
    quirk("trap-20-empty-search-line", """
        > UID SEARCH
        < * SEARCH
        """),
    quirk("trap-21-esearch-unasked", """
        > UID SEARCH
        < * ESEARCH (TAG "%tag") UID ALL 1:3
        """),
    quirk("trap-21-esearch-of-another-command", """
        > UID SEARCH
        < * ESEARCH (TAG "x7") UID ALL 77:99
        < * ESEARCH (TAG "%tag") UID ALL 1:3
        """, capabilities="IMAP4rev1 ESEARCH"),
    quirk("trap-21-esearch-offered-and-not-known", """
        > UID SEARCH RETURN
        < %tag BAD Unknown argument RETURN
        """, capabilities="IMAP4rev1 ESEARCH"),
    quirk("trap-22-capped", """
        > UID SEARCH
        < * SEARCH 1 2
        """),
    quirk("trap-22-refused-with-no", """
        > UID SEARCH
        < %tag NO UID SEARCH failed
        """),
    quirk("trap-22-refused-with-bad", """
        > UID SEARCH
        < %tag BAD UID SEARCH wrong arguments passed
        """),
    quirk("trap-22-capped-in-every-list", """
        > UID SEARCH
        < * SEARCH 1
        > UID FETCH 1:* (UID)
        < * 1 FETCH (UID 1)
        """, missing=(2, 3), says=Reason.LIMITED_VIEW),
    quirk("trap-22-other-messages-once", """
        > UID SEARCH
        < * SEARCH 7 8 9
        > UID SEARCH
        < * SEARCH 7 8 9
        > UID SEARCH
        ...
        """, missing=(1, 2, 3), says=Reason.MESSAGES_PENDING),
    quirk("trap-26-empty-status", """
        > STATUS "Sent"
        < * STATUS "Sent" ()
        """, others=OTHERS),
    quirk("trap-26-status-refused", """
        > STATUS
        < %tag NO not now
        """, others=OTHERS),
    quirk("trap-27-no-uidnext", """
        > EXAMINE
        < * 3 EXISTS
        < * OK [UIDVALIDITY 1700000000] valid
        < %tag OK [READ-ONLY] done
        """),
    quirk("trap-27-no-uidnext-in-status", """
        > STATUS "INBOX"
        < * STATUS "INBOX" (MESSAGES 3 UIDVALIDITY 1700000000)
        """),
    quirk("trap-28-exists-in-steps", """
        > EXAMINE
        < * 1 EXISTS
        < * 2 EXISTS
        ...
        """),
    quirk("trap-28-exists-falls-again", """
        > EXAMINE
        ...
        < * 2 EXISTS
        """),
    quirk("trap-28-two-spaces", """
        > EXAMINE
        < *  3 EXISTS
        < * OK [UIDVALIDITY 1700000000] valid
        < * OK [UIDNEXT 4] next
        """),
    quirk("trap-28-no-exists", """
        > EXAMINE
        < * OK [UIDVALIDITY 1700000000] valid
        < * OK [UIDNEXT 4] next
        """),
    quirk("trap-29-modseq-does-not-move", """
        > EXAMINE
        < * OK [HIGHESTMODSEQ 7] still the same
        ...
        > STATUS "INBOX"
        < * STATUS "INBOX" (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 1700000000 HIGHESTMODSEQ 7)
        """, capabilities="IMAP4rev1 CONDSTORE QRESYNC"),
    quirk("trap-29-nomodseq", """
        > EXAMINE
        < * OK [NOMODSEQ] none here
        ...
        """, capabilities="IMAP4rev1 CONDSTORE"),
    quirk("trap-31-message-limit", """
        > EXAMINE
        ...
        < * OK [MESSAGELIMIT 3] only some are shown
        """, says=Reason.LIMITED_VIEW),
    quirk("trap-31-exactly-the-limit", "> NOOP\n", capabilities="IMAP4rev1 MESSAGELIMIT=3", says=Reason.LIMITED_VIEW),
    quirk("trap-31-partial-results", """
        > UID SEARCH
        < * SEARCH 2 3
        < %tag OK [MESSAGELIMIT 2 2] only 2 messages were looked at
        > UID FETCH 1:* (UID)
        < * 2 FETCH (UID 2)
        < * 3 FETCH (UID 3)
        < %tag OK [MESSAGELIMIT 2 2] only 2 messages were looked at
        """, missing=(1,), says=Reason.LIMITED_VIEW),
]  # fmt: skip


@pytest.mark.parametrize("case", QUIRKS)
def test_every_message_is_found_however_it_is_listed(case: Quirk, tmp_path: Path) -> None:
    """traps 19 to 22, 26 to 29, 31: every message is archived, or the account says that it sees only a part."""
    survive(case, tmp_path)
