"""When `ConsoleExporter.force_flush` says that all lines are written."""

from __future__ import annotations

import io
import threading
import time
from typing import TYPE_CHECKING

from otel_ext.exporters import ConsoleExporter
from otel_ext.record.codec import encode_line
from tests.exporters.samples import start

if TYPE_CHECKING:
    from collections.abc import Callable


class Slow(io.StringIO):
    """A stream whose `write` first calls what the test has set."""

    before: Callable[[], object] = staticmethod(bool)

    def write(self, text: str) -> int:
        """Call it and write."""
        self.before()
        return super().write(text)


def test_a_flush_waits_for_the_line_that_another_thread_writes() -> None:
    """The last line has left no queue before it is written."""
    stream = Slow()
    exporter = ConsoleExporter(stream)
    writing, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        writing.set()
        go_on.wait(20)

    stream.before = wait
    thread = threading.Thread(target=exporter.export, args=(start(),))
    thread.start()
    assert writing.wait(20)
    assert not exporter.force_flush(20)
    go_on.set()
    assert exporter.force_flush(20_000)
    assert stream.getvalue().encode() == encode_line(start())
    thread.join()


def test_a_flush_inside_a_write_does_not_wait_for_itself() -> None:
    """Whether the stream asks for it or a signal handler that interrupts the write."""
    stream = Slow()
    exporter = ConsoleExporter(stream)
    done: list[bool] = []
    stream.before = lambda: done.append(exporter.force_flush(20_000))
    before = time.monotonic()
    exporter.export(start())
    assert done == [False]
    assert time.monotonic() - before < 10
    assert exporter.force_flush(20_000)
