"""Servers that a fuzzer makes up: no hang, only our errors, and no octets under the UID of another message.

Each message's octets are its own UID, again and again, so that what is filed wrongly tells by itself. One response of a
session is mutated, everything comes in any pieces. Lies that no reader can see are left out: a UID that is another
number, a literal whose wrong length ends exactly where a later one does.
"""

from __future__ import annotations

import os
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.session import UIDS, fetched, own, require_own

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))  # `make fuzz` takes many more


# --- a grammar of responses ------------------------------------------------------------------------------------------

JUNK = st.sampled_from(
    [
        *(
            b" ",
            b"(",
            b")",
            b'"',
            b"\\",
            b"NIL",
            b"{3}\r\nabc",
            b"{3+}\r\nabc",
            b"~{1}\r\nx",
            b"{-1}",
            b"{99999999999}\r\n",
        ),
        *(
            b"\r\n",
            b"\n",
            b"\0",
            b"\xff",
            b"BODY[]",
            b"BODY[] ",
            b"BODY[TEXT] {2}\r\nhi ",
            b"FLAGS ",
            b"x ",
            b"[",
            b"]",
        ),
        *(b"* OK {12}\r\n", b"* 9 EXISTS\r\n", b"+ \r\n", b"v9 OK\r\n", b"* BYE\r\n", b"v1 OK\r\n", b"v2 NO\r\n"),
        *(b"* 1 FETCH (FLAGS ())\r\n", b"* 9 FETCH (UID 9 BODY[] {3}\r\n<9>)\r\n", b"INTERNALDATE "),
    ]
)


@st.composite
def responses(draw: st.DrawFn, uid: int) -> list[bytes]:
    """One correct response, its items in any order."""
    octets = own(uid)
    items = [b"UID %d" % uid, b"FLAGS (\\Seen)", b'INTERNALDATE "x"', b"BODY[] {%d}\r\n%b" % (len(octets), octets)]
    items = draw(st.permutations(items))
    tokens = [b"* %d FETCH (" % uid]
    for number, item in enumerate(items):
        tokens += [b" " * (number > 0), item]
    return [*tokens, b")", b"\r\n"]


@st.composite
def mutated(draw: st.DrawFn, uid: int) -> list[bytes]:
    """One response with tokens dropped, doubled and put in between, or a literal of another length."""
    tokens = draw(responses(uid))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(tokens) - 1))
        match draw(st.sampled_from(["drop", "double", "junk", "length", "cut"])):
            case "drop":
                tokens[at] = b""
            case "double":
                tokens.insert(at, tokens[at])
            case "junk":
                tokens.insert(at, draw(JUNK))
            case "length":
                by = draw(st.integers(-70, 25))  # not as far as the octets of the next response
                tokens = [re.sub(rb"\{60\}", b"{%d}" % (60 + by), token) for token in tokens]
            case "cut":
                tokens[at] = tokens[at][: draw(st.integers(0, len(tokens[at])))]
    return tokens


@st.composite
def sessions(draw: st.DrawFn) -> bytes:
    odd = draw(st.sampled_from(UIDS))
    told = {uid: b"".join(draw(mutated(uid) if uid == odd else responses(uid))) for uid in UIDS}
    return told[5] + told[6] + b"v1 OK done\r\n" + told[7] + b"v2 OK done\r\n"


SIZES = st.lists(st.integers(1, 100), min_size=1, max_size=5)


@settings(max_examples=EXAMPLES)
@given(sessions(), SIZES)
def test_no_octets_are_filed_under_another_uid(octets: bytes, sizes: list[int]) -> None:
    """trap 77, trap 79, trap 81: whatever is wrong with one response."""
    require_own(fetched(octets, sizes))


@settings(max_examples=EXAMPLES)
@given(st.lists(st.one_of(JUNK, responses(5).map(b"".join), st.binary(max_size=20)), max_size=12).map(b"".join), SIZES)
def test_any_octets_in_any_pieces_are_survived(octets: bytes, sizes: list[int]) -> None:
    """trap 79, trap 81: no hang and no error but ours."""
    require_own(fetched(octets, sizes, has_ids=True))


@given(st.permutations(UIDS), SIZES, st.data())
def test_correct_answers_are_taken_in_any_order_and_any_pieces(
    order: tuple[int, ...], sizes: list[int], data: st.DataObject
) -> None:
    """trap 39: the fuzzer's own grammar is right, or what it does not find would show nothing."""
    told = b"".join(b"".join(data.draw(responses(uid))) for uid in order)
    assert fetched(told + b"v1 OK done\r\nv2 OK done\r\n", sizes) == {uid: own(uid) for uid in UIDS}
