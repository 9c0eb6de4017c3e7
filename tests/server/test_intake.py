"""What is refused while too much waits to be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.runtime.counters import Counters
from otel_ext.server import intake as module
from otel_ext.server.feeding.messages import FeedState
from otel_ext.server.intake import FORMS, Intake
from otel_ext.server.received import ReceivedJournal
from otel_ext.server.security.answers import RequestError
from tests.store.records import span_line

if TYPE_CHECKING:
    from pathlib import Path


def test_what_a_process_that_hangs_does_not_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records count as waiting until the process that stores says something: then it goes on."""
    monkeypatch.setattr(module, "_MOST_WAITING", 1_000)
    states = [FeedState(change=1)]
    journal = ReceivedJournal(tmp_path, max_bytes=0, max_age=0)
    intake = Intake(journal, lambda: states[-1], Counters())
    lines = span_line("end", 1)
    for _ in range(1 + 1_000 // (len(lines) + 1)):
        intake.take(FORMS["records"], lines)
    with pytest.raises(RequestError) as raised:
        intake.take(FORMS["records"], lines)
    assert raised.value.status == 503
    assert dict(raised.value.headers)[b"retry-after"]
    states.append(FeedState(problem="locked"))
    with pytest.raises(RequestError):
        intake.take(FORMS["records"], lines)
    states.append(FeedState(change=2))
    intake.take(FORMS["records"], lines)
    states.append(FeedState(change=2, waiting=1_001))
    with pytest.raises(RequestError):
        intake.take(FORMS["records"], lines)
    journal.close()
