"""Forked and spawned children record only their own spans."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from otel_ext.inflight.table import open_spans
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.worker import Worker
from tests.inflight.tracking import Tracking, run_program
from tests.programs import becomes_true, in_child

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.forks


def test_a_child_starts_with_an_empty_table_and_never_ends_the_parents_spans() -> None:
    """The parent's spans are not open in the child; their ends there are ignored and counted."""
    tracking = Tracking()
    inherited = [tracking.tracer.start_span(f"parent's {number}") for number in range(2)]

    def child() -> None:
        assert len(tracking.table) == 0
        assert not [one for one in open_spans() if one.name.startswith("parent's")]
        own = tracking.tracer.start_span("child's")
        assert [one.name for one in open_spans()] == ["child's"]
        for span in inherited:
            span.end()
        own.end()
        assert [end.name for end in tracking.ends] == ["child's"]
        assert tracking.ignored == 2
        assert COUNTERS.value("inflight.inherited_ends") == 2

    in_child(child)
    assert len(tracking.table) == 2
    for span in inherited:
        span.end()
    assert len(tracking.ends) == 2


def test_a_child_never_abandons_the_parents_spans() -> None:
    """The child reports no inherited span that is collected or whose thread is missing."""
    tracking = Tracking(grace=0.0)
    inherited = [tracking.tracer.start_span("parent's")]

    def child() -> None:
        inherited.clear()
        tracking.reap_for(0.05)
        assert not tracking.abandoned
        assert tracking.reaper.abandon_all("shutdown") == 0
        tracking.tracer.start_span("child's own, dropped")
        (record,) = tracking.reap_until(1)
        assert record.process.pid == os.getpid()

    in_child(child)
    assert not tracking.reap_for(0.02)
    inherited[0].end()


def test_a_grandchild_recognises_the_spans_of_both(tmp_path: Path) -> None:
    """A fork of a fork ends neither the grandparent's spans nor the parent's."""
    tracking = Tracking()
    spans = [tracking.tracer.start_span("grandparent's")]

    def grandchild() -> None:
        for span in spans:
            span.end()
        assert not tracking.ends
        assert tracking.ignored == 2
        (tmp_path / "done").touch()

    def child() -> None:
        spans.append(tracking.tracer.start_span("parent's"))
        in_child(grandchild)
        assert len(tracking.table) == 1

    in_child(child)
    assert (tmp_path / "done").exists()
    spans[0].end()


def test_a_span_that_the_parents_full_table_refused_is_known_by_its_start_time() -> None:
    """A span that started before the fork is the parent's, even if it was never tracked."""
    tracking = Tracking()
    tracking.table._max_spans = 0  # noqa: SLF001 - as full as can be
    refused = tracking.tracer.start_span("refused")

    def child() -> None:
        refused.end()
        tracking.tracer.start_span("child's").end()
        assert [end.name for end in tracking.ends] == ["child's"]
        assert tracking.ignored == 1

    in_child(child)
    refused.end()
    assert [end.name for end in tracking.ends] == ["refused"]


def test_the_childs_worker_starts_with_its_own_first_span() -> None:
    """The child inherits the jobs but not the thread, which starts when it is needed there."""
    tracking = Tracking(grace=0.0)
    worker = Worker("test-fork")
    job = worker.every(0.02, tracking.reaper.run, "reaper")
    worker.ensure()
    assert worker.is_alive

    def child() -> None:
        assert not worker.is_alive
        tracking.tracer.start_span("dropped in the child")
        worker.ensure()
        assert becomes_true(lambda: len(tracking.abandoned) == 1)
        assert worker.stop()

    in_child(child)
    assert worker.is_alive
    assert not tracking.abandoned
    job.cancel()
    assert worker.stop()


def test_a_child_may_be_forked_on_another_thread_and_while_the_worker_runs() -> None:
    """Every child works that is forked beside a busy worker and busy threads."""
    tracking = Tracking(grace=0.0)
    worker = Worker("test-busy-fork")
    job = worker.every(0.001, tracking.reaper.run, "reaper")
    worker.ensure()
    open_span = tracking.tracer.start_span("parent's")

    def child() -> None:
        tracking.tracer.start_span("child's").end()
        open_span.end()
        assert [end.name for end in tracking.ends if end.process.pid == os.getpid()] == ["child's"]

    for _ in range(20):
        in_child(child)
    open_span.end()
    job.cancel()
    assert worker.stop()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_in_every_start_method(method: str) -> None:
    """Children of `multiprocessing` keep their own tables, however they are started."""
    result = run_program("multiprocess.py", method).document
    assert result["parent"] == {"open": 1, "ends": []}
    for child in result["children"]:
        assert child["ends"] == ["child's"]
        assert child["abandoned"] == ["garbage-collected"]
        assert child["ignored"] == (1 if method == "fork" else 0)
        assert child["pid"] != result["pid"]
    assert len({child["process"] for child in result["children"]}) == 3
