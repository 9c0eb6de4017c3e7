"""`Sender` with a destination that refuses, asks to wait, hangs, or is down."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.exporters.delivery import sender as sending
from otel_ext.exporters.delivery.retry import CircuitBreaker
from otel_ext.exporters.delivery.settings import RemoteSettings
from otel_ext.runtime.health import health
from tests.exporters.samples import Counted
from tests.programs import wait_until
from tests.resilient.destination import (
    TAKEN,
    Answer,
    Destination,
    LineSender,
    Sending,
    decoded,
    destination,
    final,
    finals,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from otel_ext.protocols import Request, SendResult
    from otel_ext.record.model import Record

pytestmark = pytest.mark.usefixtures("waits_for_answers")

QUICK = RemoteSettings(retry_failures=2, retry_initial_interval=0.05, retry_max_interval=0.1)


@pytest.fixture
def there() -> Generator[Destination, None, None]:
    """Run a destination that accepts everything, unless the test sets other answers."""
    with destination() as made:
        yield made


def sender_to(there: Destination, folder: Path | None, settings: RemoteSettings = QUICK) -> Sending:
    """Return a sender to a destination."""
    return Sending(LineSender(there.url), folder, settings)


def soon_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make senders stop waiting for an answer soon."""
    monkeypatch.setattr(sending, "_TIMEOUT", 0.2)


def files(folder: Path) -> list[Path]:
    """Return the files of the persistent queue."""
    return sorted((folder / ".queue").glob("*.requests"))


def is_open(sending: Sending) -> bool:
    """Whether the circuit is open."""
    return sending.sender.retry.state == "open"


def replay(sender: Sending, there: Destination, count: int) -> None:
    """Let the sender send from disk until `count` records have arrived."""

    def arrived() -> bool:
        sender.replay()
        return len(there.taken) >= count

    wait_until(arrived, f"{count} records arrive, of which {len(there.taken)} have")


def test_a_batch_goes_through(there: Destination, tmp_path: Path) -> None:
    """Without failures nothing is written to disk."""
    sender = sender_to(there, tmp_path)
    sender.send(finals(3))
    assert len(sender.source.settled) == 1
    assert there.names() == ["span 0", "span 1", "span 2"]
    assert not (tmp_path / ".queue").exists()
    sender.close()


def test_failed_batches_are_kept_and_sent_later(there: Destination, tmp_path: Path) -> None:
    """After an outage everything arrives once, with the resource of its process."""
    there.behave = lambda _: Answer(503)
    sender = sender_to(there, tmp_path)
    counted = Counted()
    for part in range(4):
        sender.send(finals(10, f"part {part}"))
    assert counted("remote.kept") == counted("remote.persisted") == sender.waiting == 40
    assert is_open(sender)
    there.behave = lambda _: TAKEN
    replay(sender, there, 40)
    assert sorted(there.names()) == sorted(f"part {p} {n}" for p in range(4) for n in range(10))
    assert not is_open(sender)
    wait_until(lambda: not files(tmp_path), "the files are deleted")
    sender.close()


def test_records_from_disk_are_unchanged(there: Destination, tmp_path: Path) -> None:
    """Attributes, ids, times, and the process's resource are the same."""
    seen: list[Record] = []

    class Keeping(LineSender):
        def send(self, request: Request) -> SendResult:
            seen.extend(decoded(request.body, request.records))
            return super().send(request)

    there.behave = lambda _: Answer(503)
    sender = Sending(Keeping(there.url), tmp_path, QUICK)
    first = final("one", 7, text="ä€", count=3, nested={"a": [1, 2]})
    sender.send([first])
    there.behave = lambda _: TAKEN
    replay(sender, there, 1)
    again = seen[-1]
    assert (again.name, again.trace_id, again.span_id) == ("one", first.trace_id, first.span_id)
    assert again.attributes == first.attributes
    assert again.process.resource == {"service.name": "shop"}
    assert again.time_ns - again.start_ns == first.time_ns - first.start_ns
    assert abs(again.time_ns - first.time_ns) < 1_000
    sender.close()


def test_retry_after_is_respected(there: Destination, tmp_path: Path) -> None:
    """If the destination asks for a second, nothing is sent for it, from the first failure on."""
    there.behave = lambda _: Answer(429, retry_after="1")
    sender = sender_to(there, tmp_path)
    began = time.monotonic()
    sender.send(finals(1))
    assert sender.waiting == 1
    assert is_open(sender)
    there.behave = lambda _: TAKEN
    replay(sender, there, 1)
    assert time.monotonic() - began >= 1.0
    assert there.requests == 2
    sender.close()


def test_an_open_circuit_makes_no_requests(there: Destination, tmp_path: Path) -> None:
    """While it is open, batches go straight to disk; health shows it."""
    there.behave = lambda _: Answer(503)
    sender = sender_to(there, tmp_path, RemoteSettings(retry_failures=2, retry_initial_interval=60))
    for _ in range(20):
        sender.send(finals(1))
        sender.replay()
    assert there.requests == 2
    part = health().part("test circuit")
    assert part is not None
    assert part.state == "failed"
    assert "open" in part.detail
    assert "503" in part.detail
    waiting = health().part("test persistent queue")
    assert waiting is not None
    assert "20 records wait" in waiting.detail
    sender.close()


def test_half_open_lets_one_batch_through(there: Destination, tmp_path: Path) -> None:
    """After the interval one batch is tried; its failure doubles the interval."""
    there.behave = lambda _: Answer(0)
    sender = sender_to(there, tmp_path)
    now = 100.0
    sender.sender.retry = CircuitBreaker(
        "test",
        RemoteSettings(retry_failures=1, retry_initial_interval=10, retry_max_interval=60),
        clock=lambda: now,
        jitter=lambda: 1.0,
    )
    sender.send(finals(1))
    before = there.requests
    for seconds, more in ((10.0, 1), (10.0, 1), (10.0, 2)):
        now += seconds
        for _ in range(10):
            sender.send(finals(1))
        assert there.requests == before + more
    sender.close()


def test_partial_success_is_counted_and_not_sent_again(there: Destination, tmp_path: Path) -> None:
    """Records refused from an accepted batch are not sent again (OTLP forbids it)."""
    there.behave = lambda _: Answer(rejected=2)
    sender = sender_to(there, tmp_path)
    counted = Counted()
    sender.send(finals(5))
    assert counted("remote.refused") == sender.source.counts.value("span.rejected") == 2
    assert sender.source.counts.value("span") == 3
    sender.replay()
    assert there.requests == 1
    assert not files(tmp_path)
    sender.close()


def test_a_slow_answer_does_not_delay_later_batches(
    there: Destination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one batch has no answer, later ones go to disk at once; all arrive in the end."""
    soon_without_an_answer(monkeypatch)
    sender = Sending(LineSender(there.url, timeout=30), tmp_path, QUICK)
    released = threading.Event()

    def behave(records: list[Record]) -> Answer:
        if records[0].name == "slow 0":
            released.wait(20)
        return TAKEN

    there.behave = behave
    counted = Counted()
    sender.send(finals(1, "slow"))
    began = time.monotonic()
    for _ in range(50):
        sender.send(finals(1))
    assert counted("remote.kept") == 51
    assert time.monotonic() - began < 10
    released.set()
    replay(sender, there, 51)
    assert there.names().count("slow 0") == 1
    assert counted("remote.sent_late") == 1
    sender.close()


def test_without_a_folder_failed_batches_go_back(there: Destination) -> None:
    """They are not lost, and not counted as kept; the queue sends them again."""
    there.behave = lambda _: Answer(503)
    sender = sender_to(there, None)
    now = 100.0
    sender.sender.retry = CircuitBreaker("test", QUICK, clock=lambda: now)
    for part in ("first", "second"):
        sender.send(finals(2, part))
    assert is_open(sender)
    assert not sender.sender.accepts_batch(is_flush=False)
    assert sender.sender.accepts_batch(is_flush=True)
    there.behave = lambda _: TAKEN
    now += QUICK.retry_max_interval
    assert sender.sender.accepts_batch(is_flush=False)
    assert not sender.source.settled
    for batch in sender.source.returned:
        sender.send(batch.records)
    assert there.names() == ["first 0", "first 1", "second 0", "second 1"]
    sender.close()


def test_without_a_folder_nothing_follows_a_slow_request(
    there: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until its answer comes; a batch without an answer goes back at the end."""
    soon_without_an_answer(monkeypatch)
    there.behave = lambda _: Answer(hang=30)
    sender = Sending(LineSender(there.url, timeout=30), None, QUICK)
    sender.send(finals(2))
    assert not sender.sender.accepts_batch(is_flush=True)
    assert not sender.source.settled
    counted = Counted()
    sender.close()
    assert len(sender.source.returned) == 1
    assert counted("remote.maybe_twice") == 2


def test_what_cannot_be_encoded_is_given_up(there: Destination, tmp_path: Path) -> None:
    """A sender that raises loses that batch only, and it is counted."""

    class Failing(LineSender):
        def encode(self, signal: str, records: Sequence[Record]) -> Request | None:
            if records[0].name == "bad 0":
                raise ValueError("bad")
            return super().encode(signal, records) if records[0].name != "none 0" else None

    sender = Sending(Failing(there.url), tmp_path, QUICK)
    counted = Counted()
    for name in ("bad", "none", "good"):
        sender.send(finals(3, name))
    assert counted("remote.not_encoded") == 3
    assert there.names() == ["good 0", "good 1", "good 2"]
    assert len(sender.source.settled) == 3
    sender.close()


def test_records_that_may_arrive_twice_are_counted(there: Destination, tmp_path: Path) -> None:
    """A batch that was accepted, but whose answer was lost, is sent again: at least once."""

    def take_and_hang_up(records: list[Record]) -> Answer:
        there.taken += records
        return Answer(0)

    counted = Counted()
    there.behave = take_and_hang_up
    sender = sender_to(there, tmp_path)
    sender.send(finals(3))
    there.behave = lambda _: TAKEN
    replay(sender, there, 6)
    assert sorted(there.names()) == sorted(["span 0", "span 1", "span 2"] * 2)
    assert counted("remote.maybe_twice") == 3
    sender.close()


def test_a_record_that_always_fails_is_set_aside(there: Destination, tmp_path: Path) -> None:
    """If the answer always asks for a retry, the record is tried alone and then set aside."""

    def behave(records: list[Record]) -> Answer:
        return Answer(503 if any(record.name == "bad" for record in records) else 200)

    there.behave = lambda _: Answer(503)
    sender = sender_to(there, tmp_path)
    batch = finals(600)
    batch[300] = final("bad", 301)
    sender.send(batch)
    assert sender.waiting == 600
    there.behave = behave
    dead_letter = tmp_path / ".queue" / "dead-letter"

    def is_set_aside() -> bool:
        sender.replay()
        sender.send([final("live", 7)])
        return dead_letter.exists() and not files(tmp_path)

    wait_until(is_set_aside, "it is set aside, and nothing waits")
    assert "bad" not in there.names()
    others = [name for name in there.names() if name != "live"]
    assert sorted(others) == sorted(record.name for record in batch if record.name != "bad")
    sender.close()


def test_an_outage_gives_up_no_record(there: Destination, tmp_path: Path) -> None:
    """While no other record is accepted, the cause is not the record, however often it fails."""
    there.behave = lambda _: Answer(503)
    sender = sender_to(there, tmp_path)
    sender.send([final("alone")])

    def often_tried() -> bool:
        sender.replay()
        return there.requests > 12

    wait_until(often_tried, "it is tried again and again")
    assert not (tmp_path / ".queue" / "dead-letter").exists()
    there.behave = lambda _: TAKEN
    replay(sender, there, 1)
    sender.close()


def test_kinds_of_records_are_judged_apart(there: Destination, tmp_path: Path) -> None:
    """A destination that accepts logs and no spans loses no span."""

    def behave(records: list[Record]) -> Answer:
        return Answer(404 if any(record.phase == "end" for record in records) else 200)

    def log(number: int) -> Record:
        return final("log", number)._replace(kind="log", phase=None)

    there.behave = lambda _: Answer(503)
    sender = sender_to(there, tmp_path)
    sender.send(finals(40))
    sender.send([log(number) for number in range(40)])
    there.behave = behave

    def often_tried() -> bool:
        sender.replay()
        sender.send([log(99)])
        return there.requests > 200

    wait_until(often_tried, "the spans are tried again and again")
    assert not (tmp_path / ".queue" / "dead-letter").exists()
    there.behave = lambda _: TAKEN
    replay(sender, there, len(there.taken) + 40)
    assert {record.name for record in finals(40)} <= set(there.names())
    sender.close()


def test_a_filling_queue_does_not_wait_for_a_slow_answer(
    there: Destination, tmp_path: Path
) -> None:
    """The request goes on, and later batches are kept on disk, not lost."""
    there.behave = lambda _: Answer(hang=30)
    sender = Sending(LineSender(there.url, timeout=30), tmp_path, QUICK)
    sender.source.is_filling = True
    counted = Counted()
    began = time.monotonic()
    for _ in range(5):
        sender.send(finals(5))
    assert counted("remote.kept") == 25
    assert time.monotonic() - began < 10
    assert files(tmp_path)
    sender.close()
