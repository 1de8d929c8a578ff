"""Each account has one owner among the replicas, the same for every version, and few change theirs."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.decide.sharding import owner
from archivmail.model.account import AccountRef

ACCOUNTS = [AccountRef(f"team-{number % 7}", f"mailbox-{number}") for number in range(3000)]
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)

# Never to be changed: replicas of two versions run side by side during an upgrade.
GOLDEN = {
    ("team-a", "alice"): {1: 0, 2: 0, 3: 2, 5: 2, 100: 60},
    ("team-a", "bob"): {1: 0, 2: 1, 3: 1, 5: 4, 100: 51},
    ("team-b", "alice"): {1: 0, 2: 0, 3: 0, 5: 0, 100: 94},
    ("mail", "carol.example.org"): {1: 0, 2: 0, 3: 2, 5: 4, 100: 75},
}


@pytest.mark.parametrize("account", GOLDEN)
def test_owners_are_the_same_in_every_version(account: tuple[str, str]) -> None:
    """A replica of the next version must not think that it owns what the last one owns."""
    assert {shards: owner(AccountRef(*account), shards) for shards in GOLDEN[account]} == GOLDEN[account]


@given(names, names, st.integers(1, 40))
def test_every_account_has_one_owner(namespace: str, name: str, shards: int) -> None:
    """It is a shard that exists, and asking again gives the same."""
    found = owner(AccountRef(namespace, name), shards)

    assert 0 <= found < shards
    assert owner(AccountRef(namespace, name), shards) == found


@given(names, names, st.integers(1, 30), st.integers(1, 10))
def test_an_account_moves_to_a_new_shard_or_stays(namespace: str, name: str, shards: int, more: int) -> None:
    """Rendezvous hashing: shards that were there before exchange nothing among each other."""
    ref = AccountRef(namespace, name)
    before, after = owner(ref, shards), owner(ref, shards + more)

    assert after == before or after >= shards


@pytest.mark.parametrize("shards", [2, 3, 5, 8])
def test_accounts_are_spread_evenly(shards: int) -> None:
    """No shard has a quarter more or less than its share of 3,000."""
    served = Counter(owner(ref, shards) for ref in ACCOUNTS)

    assert set(served) == set(range(shards))
    assert all(abs(count - len(ACCOUNTS) / shards) < len(ACCOUNTS) / shards / 4 for count in served.values())


def test_one_shard_more_moves_its_share_and_no_more() -> None:
    """From 4 to 5 about a fifth of the accounts move."""
    moved = sum(owner(ref, 4) != owner(ref, 5) for ref in ACCOUNTS)

    assert 0.16 < moved / len(ACCOUNTS) < 0.24
