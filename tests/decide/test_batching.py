"""S18: batches by count and bytes, halved to find a message that is refused."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from archivmail.decide.batching import SizeEstimate, halves, is_checkpoint_due, next_batch
from archivmail.model.uidset import UidSet

uids = st.sets(st.integers(1, 5000), min_size=1).map(UidSet.of)


@given(uids, st.integers(0, 1 << 40))
def test_batches_cover_the_missing_uids_exactly_once(left: UidSet, octets: int) -> None:
    """Taking batches until nothing is left gives every UID once, whatever the sizes."""
    estimate = SizeEstimate(1, octets)
    taken: list[int] = []
    rest = left
    while rest:
        batch = next_batch(rest, estimate)
        assert 1 <= len(batch) <= 200
        taken += batch
        rest -= batch

    assert list(left) == taken


def test_batch_shrinks_with_the_mean_size() -> None:
    """8 MiB a batch: small mail comes 200 at a time, 1 MiB mail 8 at a time, huge mail alone."""
    many = UidSet([(1, 1000)])
    sizes = {mean: len(next_batch(many, SizeEstimate(1, mean))) for mean in (1_000, 1 << 20, 1 << 30)}

    assert {1_000: 200, 1 << 20: 8, 1 << 30: 1} == sizes


@given(uids.filter(lambda each: len(each) > 1))
def test_halving_loses_nothing_and_ends(refused: UidSet) -> None:
    """Both halves are smaller and together are the whole."""
    lower, upper = halves(refused)

    assert refused == lower | upper
    assert 0 < len(lower) < len(refused)
    assert len(lower) + len(upper) == len(refused)


def test_checkpoint_is_due_by_count_by_bytes_or_by_time() -> None:
    """Boundary pairs of the three bounds."""
    second = timedelta(seconds=1)
    assert not is_checkpoint_due(1999, 64 * 1024 * 1024 - 1, 15 * second - timedelta(microseconds=1))
    assert is_checkpoint_due(2000, 0, second)
    assert is_checkpoint_due(0, 64 * 1024 * 1024, second)
    assert is_checkpoint_due(0, 0, 15 * second)
