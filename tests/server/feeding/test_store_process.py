"""The process that stores beside the server."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from contextlib import closing
from time import monotonic
from typing import TYPE_CHECKING

from otel_ext.feed.feeder import RECEIVED_FOLDER
from otel_ext.server.feeding import store_process as module
from otel_ext.server.feeding.store_process import StoreProcess
from otel_ext.server.received import ReceivedJournal
from otel_ext.store.queries import TraceQuery
from otel_ext.store.sqlite.days import StoreLimits
from otel_ext.store.sqlite.schema import STORE_FOLDER
from otel_ext.store.sqlite.store import SqliteStore
from otel_ext.store.sqlite.writer import SqliteWriter
from tests.store.records import span_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from otel_ext.server.feeding.messages import FeedState


class Stored:
    """A folder whose records are stored by a process.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.received = ReceivedJournal(folder / RECEIVED_FOLDER, max_bytes=0, max_age=0)
        self.process = StoreProcess(folder, StoreLimits(), self._note)
        self._changed = asyncio.Event()

    def _note(self, _: FeedState) -> None:
        self._changed.set()

    async def until(self, holds: Callable[[FeedState], bool]) -> FeedState:
        """Wait for a state."""
        while not holds(self.process.state):
            await asyncio.wait_for(self._changed.wait(), 30)
            self._changed.clear()
        return self.process.state

    @property
    def running(self) -> asyncio.subprocess.Process | None:
        """The process, while there is one."""
        return self.process._process  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def count(self) -> int:
        """Return how many traces are stored."""
        with closing(SqliteStore(self.folder / STORE_FOLDER)) as store:
            return len(list(store.candidates(TraceQuery())))


def line(trace: int) -> bytes:
    """Return the line of the end of a span."""
    return span_line("end", 1, trace=trace, seq=trace) + b"\n"


def test_what_is_received_is_stored(tmp_path: Path) -> None:
    """The state shows what is stored; a stop stores what is left."""

    async def use() -> None:
        stored = Stored(tmp_path)
        await stored.process.start()
        stored.received.append(line(1))
        stored.process.wake()
        await stored.until(lambda state: state.stored == 1)
        assert stored.count() == 1
        stored.received.append(line(2))
        await stored.process.stop()
        assert stored.count() == 2

    asyncio.run(use())


def test_a_process_that_is_killed_is_started_again(tmp_path: Path) -> None:
    """The next one goes on where the last one stopped."""

    async def use() -> None:
        stored = Stored(tmp_path)
        await stored.process.start()
        stored.received.append(line(1))
        await stored.until(lambda state: state.stored == 1)
        assert stored.running is not None
        os.kill(stored.running.pid, signal.SIGKILL)
        stored.received.append(line(2))
        await stored.until(lambda state: state.change == 2 and not state.problem)
        assert stored.count() == 2
        await stored.process.stop()

    asyncio.run(use())


def test_a_store_that_is_deleted(tmp_path: Path) -> None:
    """It is made anew from the records, as a whole."""

    async def use() -> None:
        stored = Stored(tmp_path)
        await stored.process.start()
        stored.received.append(line(1))
        await stored.until(lambda state: state.stored == 1)
        shutil.rmtree(tmp_path / STORE_FOLDER)
        await stored.until(lambda state: bool(state.problem))
        stored.received.append(line(2))
        await stored.until(lambda state: state.stored == 2 and not state.problem)
        assert stored.count() == 2
        await stored.process.stop()

    asyncio.run(use())


def test_a_store_in_use(tmp_path: Path) -> None:
    """While another process writes the store the state says so; then it goes on."""

    async def use() -> None:
        writer = SqliteWriter(tmp_path / STORE_FOLDER)
        stored = Stored(tmp_path)
        await stored.process.start()
        stored.received.append(line(1))
        state = await stored.until(lambda state: bool(state.problem))
        assert "another process writes this store" in state.problem
        writer.close()
        await stored.until(lambda state: state.stored == 1)
        await stored.process.stop()

    asyncio.run(use())


def test_a_stop_does_not_wait_for_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that cannot be opened is tried again and again, ever more rarely."""
    monkeypatch.setattr(module, "_INITIAL_SECONDS", 60.0)
    monkeypatch.setattr(module, "_MAX_SECONDS", 60.0)
    (tmp_path / STORE_FOLDER).write_text("no folder")

    async def use() -> None:
        stored = Stored(tmp_path)
        await stored.process.start()
        await stored.until(lambda state: bool(state.problem) and stored.running is None)
        began = monotonic()
        await stored.process.stop()
        assert monotonic() - began < 5

    asyncio.run(use())


def test_a_stop_while_the_process_is_being_started(tmp_path: Path) -> None:
    """What was received before is stored, and then it ends."""

    async def use() -> None:
        stored = Stored(tmp_path)
        stored.received.append(line(1))
        await stored.process.start()
        await asyncio.sleep(0)
        await stored.process.stop()
        assert stored.count() == 1

    asyncio.run(use())
