"""The exit of the program: what is shut down then, and that no thread of this package remains."""

from __future__ import annotations

import json
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from otel_ext.runtime import threads as native
from otel_ext.runtime.deadline import _ExitHandler, is_exiting
from otel_ext.runtime.isolated import IsolatedThread
from otel_ext.runtime.isolated_exporter import IsolatedExporter
from otel_ext.runtime.threads import may_start_threads, start_thread
from tests.exporters import samples
from tests.programs import environment, execute, wait_until, write_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_ext.record.model import Record

EVERYTHING = """\
import atexit, json, threading

def names():
    ours = (one.name for one in threading.enumerate() if one is not threading.main_thread())
    return sorted(ours)

before = []
atexit.register(lambda: print(json.dumps([before, names()])))  # runs last

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
import otel_ext
from otel_ext.exporters import FanOut, JsonlExporter, OTLPRecordExporter, ResilientExporter
from otel_ext.processors import LifecycleSpanProcessor

class ThirdParty:
    def export(self, record):
        pass
    def force_flush(self, timeout_millis=0):
        return True
    def shutdown(self):
        pass

remote = ResilientExporter(OTLPRecordExporter(), folder="by-hand")
provider = TracerProvider(shutdown_on_exit={on_exit})
exporter = FanOut(JsonlExporter("by-hand"), ThirdParty(), remote)
provider.add_span_processor(LifecycleSpanProcessor(exporter))
otel_ext.configure(output="configured")
for one in (provider, trace.get_tracer_provider()):
    one.get_tracer("t").start_span("work").end()
provider.force_flush(10_000)
before += names()
"""


@pytest.mark.parametrize("on_exit", [True, False])
def test_no_thread_of_ours_outlives_the_exit_handlers(tmp_path: Path, *, on_exit: bool) -> None:
    """They end after the shutdown, however the exporters are set up, without a collector."""
    program = write_program(tmp_path, EVERYTHING.replace("{on_exit}", str(on_exit)))
    env = environment(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    done = execute([sys.executable, program], cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    before, after = json.loads(done.out)
    assert {
        "otel-ext ThirdParty",
        "otel-ext-remote OTLP",
        "otel-ext-send OTLP",
        "otel-ext-worker",
    } <= set(before)
    assert after == []
    for folder in ("by-hand", "configured"):
        [file] = (tmp_path / folder).glob("*.jsonl")
        assert b'"process.end"' in file.read_bytes().splitlines()[-1]


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> native._Threads:
    """Return a separate state for the threads that the test starts."""
    made = native._Threads()  # noqa: SLF001 - the existing one belongs to this process
    monkeypatch.setattr(native, "_threads", {"threads": made})
    return made


def test_a_thread_that_hangs_does_not_hold_up_the_exit(threads: native._Threads) -> None:
    """The others end, and no further one is started."""
    hangs, ends = threading.Event(), threading.Event()
    start_thread(waits_for(hangs), "test-hangs")
    start_thread(waits_for(ends), "test-ends", ends.set)
    wait_until(lambda: named("test-hangs") and named("test-ends"), "both run")
    threads.end()
    assert named("test-hangs")
    assert not named("test-ends")
    hangs.set()
    assert not may_start_threads()
    with pytest.raises(RuntimeError, match="no thread is started here"):
        start_thread(hangs.set, "test-refused")


@pytest.mark.usefixtures("threads")
def test_an_exit_that_allows_no_threads_is_not_reported(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Python 3.12 and later start none in exit handlers: the calls are made, without a message."""
    refused: list[str] = []

    def refuse(*_: object) -> None:
        refused.append("one")
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr("_thread.start_new_thread", refuse)
    thread = IsolatedThread("test exit")
    assert [thread.submit(pow, 2, 3).result for _ in range(2)] == [8, 8]
    assert not may_start_threads()
    assert refused == ["one"]
    assert not capfd.readouterr().err


def test_threads_that_have_ended_are_forgotten(threads: native._Threads) -> None:
    """The list stays short, however many short threads run."""
    for _ in range(20):
        done = threading.Event()
        start_thread(done.set, "test-short")
        assert done.wait(30)
        wait_until(lambda: not named("test-short"), "the thread ends")
    # What starts a thread may learn of its end later, on a busy machine after all of them.
    wait_until(lambda: sum(not one.has_ended() for one in threads.running) < 9, "known ends")
    start_thread(threading.Event().set, "test-short")
    assert len(threads.running) < 10


def waits_for(event: threading.Event) -> Callable[[], None]:
    """Return the body of a thread that runs until `event` is set."""

    def wait() -> None:
        event.wait(60)

    return wait


def named(name: str) -> list[threading.Thread]:
    """Return the running threads of that name."""
    return [thread for thread in threading.enumerate() if thread.name == name]


class Noting:
    """Notes which thread exports each record."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def export(self, record: Record) -> None:
        """Note the thread."""
        assert record.name == "late"
        self.threads.append(threading.get_ident())

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Have nothing to do."""
        return timeout_millis > 0

    def shutdown(self) -> None:
        """Have nothing to do."""


def test_a_third_party_exporter_is_then_called_directly(threads: native._Threads) -> None:
    """After the exit handlers no record waits for a thread."""
    noting = Noting()
    exporter = IsolatedExporter(noting, timeout=30)
    exporter.export(samples.start("late"))
    threads.end()
    exporter.export(samples.start("late"))
    first, second = noting.threads
    assert first != second == threading.get_ident()


class Part:
    """Something to be shut down."""

    def __init__(self, name: str, done: list[str], error: Exception | None = None) -> None:
        self.name = name
        self.done = done
        self.error = error

    def shutdown(self) -> None:
        """Note that it was called at the exit; raise the error if there is one."""
        self.done.append(f"{self.name} {is_exiting()}")
        if self.error is not None:
            raise self.error


def test_what_was_made_last_is_shut_down_first(capfd: pytest.CaptureFixture[str]) -> None:
    """One that raises is reported and the others run; a dropped one is not called."""
    done: list[str] = []
    handler = _ExitHandler()
    parts = [Part("first", done), Part("broken", done, ValueError("broken")), Part("last", done)]
    for part in parts:
        handler.add(part.shutdown)
    handler.add(Part("dropped", done).shutdown)
    handler.run()
    assert done == ["last True", "broken True", "first True"]
    assert "shutdown at exit failed: ValueError: broken" in capfd.readouterr().err
    assert not is_exiting()
