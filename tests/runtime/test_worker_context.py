"""The worker's thread is not traced, and making a worker does not change the caller's context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import context

from otel_ext.runtime.worker import Worker
from tests.programs import wait_until

if TYPE_CHECKING:
    import pytest


def seen_by_a_job() -> object:
    """Return whether instrumentation is suppressed where a worker's job runs."""
    worker = Worker("test-context")
    assert context.get_value("suppress_instrumentation") is None
    seen: list[object] = []
    worker.every(60, lambda: seen.append(context.get_value("suppress_instrumentation")), "check")
    worker.ensure()
    wait_until(lambda: bool(seen), "the job")
    assert worker.stop(10)
    return seen[0]


def test_jobs_run_with_instrumentation_suppressed() -> None:
    """What a job does over HTTP, for example, makes no spans."""
    assert seen_by_a_job() is True
    assert context.get_value("suppress_instrumentation") is None


def test_the_thread_attaches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of a program that counts calls of `attach` counts none of the thread."""
    worker = Worker("test-attach")
    attached: list[object] = []
    monkeypatch.setattr(context, "attach", attached.append)
    ran: list[object] = []
    worker.every(60, lambda: ran.append(context.get_value("suppress_instrumentation")), "check")
    worker.ensure()
    wait_until(lambda: bool(ran), "the job")
    assert worker.stop(10)
    assert ran == [True]
    assert attached == []


class OneForAll:
    """An OpenTelemetry context that does not use Python's context variables."""

    def __init__(self) -> None:
        self.now = context.Context()

    def attach(self, new: context.Context) -> context.Context:
        """Make `new` the context; return the one before."""
        before, self.now = self.now, new
        return before

    def get_current(self) -> context.Context:
        """Return the context."""
        return self.now

    def detach(self, token: context.Context) -> None:
        """Go back to the context before."""
        self.now = token


def test_a_context_of_another_kind_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the worker's own thread suppresses instrumentation, not the thread that makes it."""
    monkeypatch.setattr("opentelemetry.context._RUNTIME_CONTEXT", OneForAll())
    assert seen_by_a_job() is True
