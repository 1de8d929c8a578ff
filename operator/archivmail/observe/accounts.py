"""The live accounts as series, made anew at each scrape: a deleted account leaves none, a restart loses none."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from archivmail.model.account import AccountRef
from archivmail.model.outcome import MessageCounts

PREFIX = "archivmail"
LABELS = ("namespace", "name")


@dataclass(frozen=True, slots=True)
class AccountSeries:
    """What is shown of one account. Times are None before there is one."""

    ref: AccountRef
    is_ready: bool
    is_complete: bool
    is_suspended: bool
    created_at: datetime
    expected_interval_s: float
    consecutive_failures: int
    last_success: datetime | None = None
    last_attempt: datetime | None = None
    messages: MessageCounts | None = None


Accounts = Callable[[], Iterable[AccountSeries]]


class AccountCollector(Collector):
    """Makes the series of the accounts that are alive at the scrape, and those of the last verification."""

    def __init__(self) -> None:
        self.accounts: Accounts = tuple
        self.verified: tuple[datetime, int] | None = None

    def collect(self) -> Iterator[Metric]:
        listed = list(self.accounts())
        yield _family("account_ready", "1 while the condition Ready is True.", listed, lambda each: each.is_ready)
        yield _family(
            "account_complete", "1 while the condition Complete is True.", listed, lambda each: each.is_complete
        )
        yield _family("account_suspended", "1 while spec.suspend is true.", listed, lambda each: each.is_suspended)
        yield _family(
            "account_last_success_timestamp_seconds",
            "End of the last run that succeeded; absent before the first.",
            listed,
            lambda each: _timestamp(each.last_success),
        )
        yield _family(
            "account_last_attempt_timestamp_seconds",
            "Start of the last run; absent before the first.",
            listed,
            lambda each: _timestamp(each.last_attempt),
        )
        yield _family(
            "account_created_timestamp_seconds",
            "Creation of the ImapAccount.",
            listed,
            lambda each: _timestamp(each.created_at),
        )
        yield _family(
            "account_expected_interval_seconds",
            "spec.interval; 0 for an account that runs only on request.",
            listed,
            lambda each: each.expected_interval_s,
        )
        yield _family(
            "account_consecutive_failures",
            "Runs that failed since the last one that did not.",
            listed,
            lambda each: each.consecutive_failures,
        )
        yield _messages(listed)
        yield from _verification(self.verified)


def _family(
    name: str, text: str, listed: list[AccountSeries], value: Callable[[AccountSeries], float | None]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=LABELS)
    for each in listed:
        number = value(each)
        if number is not None:
            family.add_metric((each.ref.namespace, each.ref.name), float(number))
    return family


def _messages(listed: list[AccountSeries]) -> GaugeMetricFamily:
    text = "Messages as of the last pass: server = archived + pending + quarantined."
    family = GaugeMetricFamily(f"{PREFIX}_account_messages", text, labels=(*LABELS, "state"))
    for each in listed:
        counts = each.messages
        if counts is None:
            continue
        states = {
            "server": counts.server,
            "archived": counts.archived,
            "pending": counts.pending,
            "quarantined": counts.quarantined,
        }
        for state, number in states.items():
            family.add_metric((each.ref.namespace, each.ref.name, state), number)
    return family


def _verification(verified: tuple[datetime, int] | None) -> Iterator[GaugeMetricFamily]:
    last = GaugeMetricFamily(
        f"{PREFIX}_verify_last_timestamp_seconds", "End of the last verification; absent before the first."
    )
    damaged = GaugeMetricFamily(
        f"{PREFIX}_verify_damaged_messages", "Messages that the last verification found damaged or missing."
    )
    if verified is not None:
        last.add_metric((), verified[0].timestamp())
        damaged.add_metric((), verified[1])
    yield last
    yield damaged


def _timestamp(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
