"""A refused batch is halved until the bad record is found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.exporters.delivery.persistent.store import RecordStore
from otel_ext.exporters.delivery.sending.sender import ResilientSender
from otel_ext.exporters.delivery.sending.splitting import deliver
from otel_ext.exporters.delivery.settings import RemoteSettings
from otel_ext.protocols import SendResult
from tests.programs import wait_until
from tests.resilient.destination import TAKEN, Answer, LineSender, destination, final, finals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from otel_ext.record.model import Record

QUICK = RemoteSettings(retry_failures=3, retry_initial_interval=0.05, retry_max_interval=0.1)


def deep(levels: int) -> list[object]:
    """Return a list nested `levels` deep."""
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


class Picky:
    """Refuses a batch with a bad record; stops to answer after some requests.

    Args:
        bad: The sequence numbers of the bad records.
        until: The number of requests that get an answer.
    """

    def __init__(self, bad: set[int], until: int = 1_000_000) -> None:
        self.bad = bad
        self.until = until
        self.taken: list[int] = []
        self.requests = 0

    def send(self, records: Sequence[Record]) -> SendResult:
        """Send one batch."""
        self.requests += 1
        if self.requests > self.until:
            return SendResult(ok=False, retry=True)
        numbers = [record.seq for record in records]
        if self.bad & set(numbers):
            return SendResult(ok=False, message="bad")
        self.taken += numbers
        return SendResult(ok=True)

    def close(self) -> None:
        """Do nothing."""


@given(
    st.integers(1, 80), st.sets(st.integers(1, 80), max_size=20), st.integers(1, 60), st.booleans()
)
def test_no_record_is_lost_or_sent_twice(
    count: int, bad: set[int], until: int, accepts_records: bool
) -> None:
    """Each record is accepted, refused or unsent, for any bad records and any outage."""
    picky = Picky(bad, until)
    batch = finals(count)
    done = deliver(picky, batch, accepts_records=accepts_records)
    refused = [one.record.seq for one in done.refused]
    unsent = [record.seq for record in done.unsent]
    assert sorted(picky.taken + refused + unsent) == [record.seq for record in batch]
    assert done.sent == len(picky.taken)
    assert set(refused) <= bad
    if not unsent:
        assert set(refused) == bad & set(range(1, count + 1))
    if accepts_records:
        assert not done.refuses_all


def test_one_bad_record_takes_few_requests() -> None:
    """Of 512 records the bad one is found with 25 requests at most."""
    picky = Picky({313})
    done = deliver(picky, finals(512))
    assert done.sent == 511
    assert picky.requests <= 25


def test_a_destination_that_refuses_everything_gets_few_requests() -> None:
    """The cause may be a wrong password, not the records, so none is given up."""
    picky = Picky(set(range(600)))
    done = deliver(picky, finals(512))
    assert done.refuses_all
    assert len(done.unsent) == 512
    assert picky.requests <= 20


HOSTILE: dict[str, Callable[[], object]] = {
    "4 MiB of text": lambda: "x" * (4 * 1024 * 1024),
    "a lone surrogate": lambda: "\ud800 and more",
    "depth 10,000": lambda: deep(10_000),
}


def replayed(sender: ResilientSender) -> ResilientSender:
    """Return the sender after one replay."""
    sender.run_replay()
    return sender


@pytest.mark.parametrize("kind", HOSTILE)
def test_of_512_records_with_a_hostile_one_511_arrive(kind: str, tmp_path: Path) -> None:
    """The receiver refuses the hostile one, which is set aside with the reason."""

    def behave(records: list[Record]) -> Answer:
        return Answer(400) if any(record.name == "hostile" for record in records) else TAKEN

    with destination(behave) as there:
        store = RecordStore(tmp_path, "test")
        sender = ResilientSender(LineSender(there.url), name="test", store=store, settings=QUICK)
        batch = finals(512)
        batch[100] = final("hostile", 101, value=HOSTILE[kind]())
        result = sender.send(batch)
        wait_until(lambda: replayed(sender).is_idle, "no request is in flight")
        assert len(there.taken) == 511
        assert "hostile" not in there.names()
        assert result.rejected in {0, 1}  # 0: it took longer than the queue waits
        (file,) = (tmp_path / ".queue" / "dead-letter").glob("*.jsonl")
        lines = [json.loads(line) for line in file.read_bytes().splitlines()]
        (meta,) = [one["__tracer_meta__"] for one in lines if "refused" in one["__tracer_meta__"]]
        assert meta["event"] == "hostile.end"
        assert meta["refused"] == "answered 400"
        sender.close()


def test_raising_counts_as_a_refusal(tmp_path: Path) -> None:
    """An encoder that fails on one record affects only that record."""

    class Failing(Picky):
        def send(self, records: Sequence[Record]) -> SendResult:
            if any(record.seq == 9 for record in records):
                raise RecursionError("too deep")
            return super().send(records)

    inner = Failing(set())
    sender = ResilientSender(
        inner, name="test", store=RecordStore(tmp_path, "test"), settings=QUICK
    )
    sender.send(finals(20))
    assert sorted(inner.taken) == [n for n in range(1, 21) if n != 9]
    assert list((tmp_path / ".queue" / "dead-letter").glob("*.jsonl"))
    sender.close()


def test_a_bad_record_alone_waits_for_evidence(tmp_path: Path) -> None:
    """Refused alone, it is kept; once others are accepted, it is set aside."""
    with destination() as there:
        there.behave = lambda records: (
            Answer(400) if any(record.name == "bad" for record in records) else TAKEN
        )
        store = RecordStore(tmp_path, "test")
        sender = ResilientSender(LineSender(there.url), name="test", store=store, settings=QUICK)
        assert sender.send([final("bad")]).kept == 1
        sender.run_replay()
        dead_letter = tmp_path / ".queue" / "dead-letter"
        assert not dead_letter.exists()

        def others() -> bool:
            sender.send([final("good", 2)])
            sender.run_replay()
            return dead_letter.exists() and store.waiting == 0

        wait_until(others, "it is set aside")
        assert "bad" not in there.names()
        sender.close()


def test_a_wrong_password_loses_nothing(tmp_path: Path) -> None:
    """A destination that refuses everything for a while gets all of it afterwards."""
    with destination(lambda _: Answer(401)) as there:
        store = RecordStore(tmp_path, "test")
        sender = ResilientSender(LineSender(there.url), name="test", store=store, settings=QUICK)
        for part in range(5):
            assert sender.send(finals(40, f"part {part}")).ok
            sender.run_replay()
        there.behave = lambda _: TAKEN
        wait_until(lambda: replayed(sender).is_idle and len(there.taken) == 200, "all arrive")
        assert not (tmp_path / ".queue" / "dead-letter").exists()
        sender.close()
