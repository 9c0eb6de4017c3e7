"""A refused request is halved until the bad record is found."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.exporters.delivery import splitting
from otel_ext.exporters.delivery.json_lines import JsonLinesSender
from otel_ext.exporters.delivery.settings import RemoteSettings
from otel_ext.exporters.delivery.splitting import deliver
from otel_ext.protocols import Request, SendResult
from tests.exporters.samples import Counted
from tests.programs import wait_until
from tests.resilient.destination import (
    TAKEN,
    Answer,
    LineSender,
    Sending,
    decoded,
    destination,
    final,
    finals,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from otel_ext.protocols import Refusal
    from otel_ext.record.model import Record

pytestmark = pytest.mark.usefixtures("waits_for_answers")

QUICK = RemoteSettings(retry_failures=3, retry_initial_interval=0.05, retry_max_interval=0.1)


def deep(levels: int) -> list[object]:
    """Return a list nested `levels` deep."""
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


class Picky(JsonLinesSender):
    """Refuses a request with a bad record; stops to answer after some requests.

    Args:
        bad: The sequence numbers of the bad records.
        until: The number of requests that get an answer.
        refusal: Why a request is refused.
    """

    def __init__(self, bad: set[int], until: int = 1_000_000, refusal: Refusal = "") -> None:
        self.bad = bad
        self.until = until
        self.refusal: Refusal = refusal
        self.taken: list[int] = []
        self.requests = 0

    def send(self, request: Request) -> SendResult:
        """Send one request."""
        self.requests += 1
        if self.requests > self.until:
            return SendResult(ok=False, retry=True)
        numbers = numbers_in(request)
        if self.bad & set(numbers):
            return SendResult(ok=False, message="bad", refusal=self.refusal)
        self.taken += numbers
        return SendResult(ok=True)


def numbers_in(*requests: Request) -> list[int]:
    """Return the sequence numbers of the records of requests."""
    return [one.seq for request in requests for one in decoded(request.body, request.records)]


def encoded(records: Sequence[Record]) -> Request:
    """Return a request with records."""
    made = Picky(set()).encode("", records)
    assert made is not None
    return made


@given(
    st.integers(1, 80),
    st.sets(st.integers(1, 80), max_size=20),
    st.integers(1, 60),
    st.booleans(),
    st.sampled_from(["", "data"]),
)
def test_no_record_is_lost_or_sent_twice(
    count: int, bad: set[int], until: int, accepts_records: bool, refusal: Refusal
) -> None:
    """Each record is accepted, refused or unsent, for any bad records and any outage."""
    picky = Picky(bad, until, refusal)
    done = deliver(picky, encoded(finals(count)), accepts_records=accepts_records)
    refused = numbers_in(*(one.request for one in done.refused))
    unsent = numbers_in(*done.unsent)
    assert sorted(picky.taken + refused + unsent) == list(range(1, count + 1))
    assert done.sent == len(picky.taken)
    assert (done.refused_records, done.unsent_records) == (len(refused), len(unsent))
    assert all(one.request.records == 1 for one in done.refused)
    # A destination that calls all data bad is believed.
    if refusal != "data" or picky.taken:
        assert set(refused) <= bad
    if not unsent and picky.taken:
        assert set(refused) == bad & set(range(1, count + 1))
    if accepts_records:
        assert not done.refuses_all


@given(st.sets(st.integers(1, 40), max_size=40), st.integers(1, 60), st.sampled_from(["", "data"]))
def test_a_large_request_is_sent_in_parts(bad: set[int], until: int, refusal: Refusal) -> None:
    """Each record is accepted, refused or unsent; the message of a refused part is kept."""
    picky = Picky(bad, until, refusal)
    request = encoded(finals(40))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splitting, "_MAX_BODY", len(request.body) // 5)
        done = deliver(picky, request)
    refused = numbers_in(*(one.request for one in done.refused))
    assert sorted(picky.taken + refused + numbers_in(*done.unsent)) == list(range(1, 41))
    assert done.sent == len(picky.taken)
    assert done.refused_records == len(refused)
    if refused and not picky.taken:
        assert done.result.message


def test_one_bad_record_takes_few_requests() -> None:
    """Of 512 records the bad one is found with 30 requests at most, wherever it is."""
    for bad in (1, 2, 255, 256, 257, 313, 512):
        picky = Picky({bad})
        done = deliver(picky, encoded(finals(512)))
        assert done.sent == 511
        assert picky.requests <= 30


@pytest.mark.parametrize("refusal", ["", "data"])
def test_a_destination_that_refuses_everything_gets_few_requests(refusal: Refusal) -> None:
    """The cause may be a wrong password, not the records: then none is given up."""
    picky = Picky(set(range(600)), refusal=refusal)
    done = deliver(picky, encoded(finals(512)))
    assert done.refuses_all is (refusal == "")
    assert done.unsent_records == (0 if refusal else 512)
    assert done.refused_records == (512 if refusal else 0)
    assert picky.requests <= 20


@pytest.mark.parametrize("body", [b"", b"\0\0", b"one line\n" * 3])
def test_a_body_that_cannot_be_parsed_is_refused_as_a_whole(body: bytes) -> None:
    """From a queue that another version wrote; it raises nothing."""
    request = Request("", body, 9)

    class Refusing(Picky):
        def send(self, request: Request) -> SendResult:
            return SendResult(ok=False, message="bad", refusal="data")

    done = deliver(Refusing(set()), request)
    assert done.refused_records == 9
    assert [one.reason for one in done.refused] == ["bad"] * len(done.refused)


HOSTILE: dict[str, Callable[[], object]] = {
    "4 MiB of text": lambda: "x" * (4 * 1024 * 1024),
    "a lone surrogate": lambda: "\ud800 and more",
    "depth 10,000": lambda: deep(10_000),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_of_512_records_with_a_hostile_one_511_arrive(kind: str, tmp_path: Path) -> None:
    """The receiver refuses the hostile one, which is set aside with the reason."""

    def behave(records: list[Record]) -> Answer:
        return Answer(400) if any(record.name == "hostile" for record in records) else TAKEN

    with destination(behave) as there:
        sender = Sending(LineSender(there.url), tmp_path, QUICK)
        batch = finals(512)
        batch[100] = final("hostile", 101, value=HOSTILE[kind]())
        counted = Counted()
        sender.send(batch)
        wait_until(lambda: sender.is_idle, "no request is in flight")
        assert len(there.taken) == 511
        assert "hostile" not in there.names()
        assert counted("remote.dead_letters") == counted("remote.refused") == 1
        (file,) = (tmp_path / ".queue" / "dead-letter").glob("*.jsonl")
        (letter,) = [json.loads(line) for line in file.read_bytes().splitlines()]
        assert letter["record"]["__tracer_meta__"]["event"] == "hostile.end"
        assert letter["refused"] == "answered 400"
        sender.close()


def test_raising_counts_as_a_refusal(tmp_path: Path) -> None:
    """A sender that fails on one record affects only that record."""

    class Failing(Picky):
        def send(self, request: Request) -> SendResult:
            if 9 in numbers_in(request):
                raise RecursionError("too deep")
            return super().send(request)

    inner = Failing(set())
    sender = Sending(inner, tmp_path, QUICK)
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
        sender = Sending(LineSender(there.url), tmp_path, QUICK)
        sender.send([final("bad")])
        assert sender.waiting == 1
        sender.replay()
        dead_letter = tmp_path / ".queue" / "dead-letter"
        assert not dead_letter.exists()

        def others() -> bool:
            sender.send([final("good", 2)])
            sender.replay()
            return dead_letter.exists() and sender.waiting == 0

        wait_until(others, "it is set aside")
        assert "bad" not in there.names()
        sender.close()


def test_a_wrong_password_loses_nothing(tmp_path: Path) -> None:
    """A destination that refuses everything for a while gets all of it afterwards."""
    is_mended, is_taking = threading.Event(), threading.Event()

    def answer(records: list[Record]) -> Answer:
        # Only with a whole request, not with a sample of a refused one: an answer that changes
        # in between would blame the first samples.
        if is_mended.is_set() and len(records) > 1:
            is_taking.set()
        return TAKEN if is_taking.is_set() else Answer(401)

    with destination(answer) as there:
        sender = Sending(LineSender(there.url), tmp_path, QUICK)
        for part in range(5):
            sender.send(finals(40, f"part {part}"))
            sender.replay()
        wait_until(lambda: sender.is_idle, "all are refused and kept")
        is_mended.set()
        wait_until(lambda: sender.is_idle and len(there.taken) == 200, "all arrive")
        assert not (tmp_path / ".queue" / "dead-letter").exists()
        sender.close()
