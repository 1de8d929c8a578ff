"""The generator that tests, benchmark and demo rest on."""

import email
import email.policy

from tests.corpus.realistic import mails, messages


def test_the_same_seed_gives_the_same_octets() -> None:
    """A benchmark of today compares with one of tomorrow."""
    assert list(mails(50, seed=3)) == list(mails(50, seed=3))
    assert list(messages(5, seed=3)) != list(messages(5, seed=4))


def test_mails_are_different_and_free_of_defects() -> None:
    """Realistic mail is no torture."""
    octets = list(messages(200, seed=1))
    assert len(set(octets)) == 200
    for each in octets:
        assert b"\n" not in each.replace(b"\r\n", b"")
        message = email.message_from_bytes(each, policy=email.policy.default)
        assert [defect for part in message.walk() for defect in part.defects] == []


def test_sizes_are_those_of_office_mail() -> None:
    """About 28 kB on average, about 2 kB of the small ones."""
    large, small = (sum(map(len, messages(800, seed=1, small=small))) / 800 for small in (False, True))
    assert 20_000 < large < 40_000
    assert 1_500 < small < 4_000
