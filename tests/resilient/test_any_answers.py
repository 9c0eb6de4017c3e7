"""Whatever a destination answers, a record arrives at least once or becomes a dead letter."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, cast

import pytest

from otel_ext.exporters.delivery import sender as sending
from otel_ext.exporters.delivery.json_lines import JsonLinesSender
from otel_ext.exporters.delivery.settings import RemoteSettings
from otel_ext.protocols import SendResult
from tests.exporters.samples import Counted
from tests.programs import wait_until
from tests.resilient.destination import Sending, decoded, final

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.protocols import Refusal, Request

QUICK = RemoteSettings(retry_failures=2, retry_initial_interval=0.002, retry_max_interval=0.004)
WAIT = 0.02


class Moody(JsonLinesSender):
    """Fails, hangs for a moment, accepts without an answer, and refuses bad records.

    Args:
        chance: Decides.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.taken: set[str] = set()
        self.bad: set[str] = set()
        self.is_well = False

    def send(self, request: Request) -> SendResult:
        """Send one request."""
        names = {record.name for record in decoded(request.body, request.records)}
        mood = 1.0 if self.is_well else self.chance.random()
        if mood < 0.1:
            time.sleep(2 * WAIT)
        if mood < 0.3:
            if mood > 0.25:
                self.taken |= names
            return SendResult(ok=False, retry=True, message="not now")
        if self.bad & names:
            refusal: Refusal = "data" if self.chance.random() < 0.5 else ""
            return SendResult(ok=False, message="bad", refusal=refusal)
        self.taken |= names
        return SendResult(ok=True)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("on_disk", [True, False])
def test_nothing_is_lost(
    seed: int, on_disk: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by programs that follow each other; without a disk only bad records are given up."""
    monkeypatch.setattr(sending, "_TIMEOUT", WAIT)
    chance = random.Random(seed)
    inner = Moody(chance)
    folder = tmp_path if on_disk else None
    one = Sending(inner, folder, QUICK)
    wanted: set[str] = set()

    def send_returned() -> None:
        returned, one.source.returned = one.source.returned, []
        for batch in returned:
            one.send(batch.records)

    for part in range(chance.randint(1, 20)):
        names = [f"{part}-{number}" for number in range(chance.choice([1, 3, 20, 100]))]
        inner.bad |= {name for name in names if chance.random() < 0.02}
        wanted.update(names)
        kind = chance.choice(["span", "log"])
        records = [final(name, number + 1) for number, name in enumerate(names)]
        one.source.is_filling = chance.random() < 0.1
        one.send(
            records if kind == "span" else [r._replace(kind="log", phase=None) for r in records]
        )
        one.source.is_filling = False
        if chance.random() < 0.7:
            one.replay()
        send_returned()
        if on_disk and chance.random() < 0.1:
            one.close()
            one = Sending(inner, folder, QUICK)
    inner.is_well = True

    def is_empty() -> bool:
        one.replay()
        one.sender.accepts_batch(is_flush=True)
        send_returned()
        one.send([final("live")])
        one.send([final("live")._replace(kind="log", phase=None)])
        return one.is_idle and not one.waiting and not one.source.returned

    wait_until(is_empty, "nothing waits")
    one.close()
    lines = [
        line
        for file in (tmp_path / ".queue" / "dead-letter").glob("*.jsonl")
        for line in file.read_bytes().splitlines()
    ]
    metas = [json.loads(line)["record"]["__tracer_meta__"] for line in lines]
    letters = {meta["event"].removesuffix(".end") for meta in metas}
    assert letters <= inner.bad
    assert wanted - inner.taken <= (letters if on_disk else inner.bad)


@pytest.mark.parametrize(
    ("answer", "sent", "refused"),
    [
        (SendResult(ok=True, rejected=10**9), 0, 2),
        (SendResult(ok=True, rejected=-5), 2, 0),
        (SendResult(ok=False, retry=True, retry_after=cast("float", "soon")), 2, 0),
        (cast("SendResult", None), 2, 0),
    ],
)
def test_an_invalid_answer_stops_nothing(answer: SendResult, sent: int, refused: int) -> None:
    """The batch is released, and the next one is sent; alone, these records are accepted."""

    class Odd(JsonLinesSender):
        def send(self, request: Request) -> SendResult:
            return answer if request.records == 2 else SendResult(ok=True)

    counted = Counted()
    one = Sending(Odd(), None, QUICK)
    one.send([final("first"), final("second", 2)])
    wait_until(lambda: one.is_idle, "the answer is there")
    assert len(one.source.settled) == 1
    assert (counted("remote.sent_finals"), counted("remote.refused")) == (sent, refused)
    one.send([final("third", 3)])
    wait_until(lambda: one.is_idle, "the answer is there")
    assert one.source.counts.value("span") == sent + 1
    one.close()
