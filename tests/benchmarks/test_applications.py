"""Tests how the benchmarks of applications ask a program, and how they check what it delivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.applications.control import answer_on, ask
from benchmarks.applications.telemetry import SENDING, WAYS, Delivered, undelivered
from tests.programs import free_port

if TYPE_CHECKING:
    from collections.abc import Generator

ALL = Delivered(40, 80, {}, [])
NOTHING = Delivered(0, 0, {}, [])


@pytest.fixture
def port() -> Generator[int]:
    """Answer two commands: one works, and one fails."""
    port = free_port()
    server = answer_on(port, {"add": lambda *words: sum(map(int, words)), "fail": lambda: 1 // 0})
    yield port
    server.shutdown()
    server.server_close()


def test_a_question_is_answered(port: int) -> None:
    """The command gets the words of the question, and its result arrives."""
    assert ask(port, "add", 1, 2, 39) == 42
    assert ask(port, "add") == 0


def test_a_question_that_fails_raises(port: int) -> None:
    """A command that raises, or does not exist, is an error here, and the next one works."""
    for words in (("fail",), ("unknown",), ("add", "x")):
        with pytest.raises(RuntimeError, match=words[0]):
            ask(port, *words)
        assert ask(port, "add", 1) == 1


@pytest.mark.parametrize("way", WAYS)
def test_what_is_missing_is_said(way: str) -> None:
    """Each way has to deliver where it says it does, and nowhere else."""
    assert undelivered(way, 40, ALL) == []
    said = undelivered(way, 40, NOTHING)
    assert len(said) == (way in SENDING) + (way not in {"none", "stock"})


def test_losses_and_ill_parts_are_said() -> None:
    """What otel-ext has lost, or says of itself, is noted even if the sums are right."""
    lost = Delivered(40, 80, {"queue_full": 3}, ["OTLP: nothing can be sent for now"])
    assert undelivered("sending", 40, lost) == ["3 records lost: queue_full", *lost.ill]


def test_only_what_came_since_counts() -> None:
    """Spans of the set-up are not taken for those of requests; losses are never forgotten."""
    after = Delivered(42, 90, {"queue_full": 3}, [])
    assert after.since(Delivered(2, 10, {"queue_full": 1}, [])) == Delivered(40, 80, after.lost, [])
