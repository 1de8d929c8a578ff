"""How often something may happen: a bucket of tokens that fills with time. Knows numbers; knows no clock."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once, and one more every `seconds_each`."""

    burst: int
    seconds_each: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is left at a moment; a new one is full."""

    tokens: float
    at_s: float


def filled(bucket: Bucket | None, rate: Rate, now_s: float) -> Bucket:
    """The bucket as it is at `now_s`."""
    if bucket is None:
        return Bucket(rate.burst, now_s)
    return Bucket(min(rate.burst, bucket.tokens + max(0.0, now_s - bucket.at_s) / rate.seconds_each), now_s)


def taken(bucket: Bucket) -> Bucket | None:
    """One token less; None when there is none."""
    return Bucket(bucket.tokens - 1, bucket.at_s) if bucket.tokens >= 1 else None
