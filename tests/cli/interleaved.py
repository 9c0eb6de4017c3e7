"""Runs a program, the worker that drains its ring buffer, and a reader in random order of steps.

Each is a thread, and one of them runs at a time. Before each system call, and before each
change of a word in the ring buffer's header, the running thread may have to let another one run
first, by random numbers from a seed. So a race that occurs once a day can be reproduced.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from random import Random
from threading import Semaphore, Thread
from typing import TYPE_CHECKING, Final

from otel_ext.journal.settings import JournalSettings
from otel_ext.journal.write.journal import Journal
from otel_ext.journal.write.ring_buffer import RingBuffer
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Record
from otel_ext.runtime.process.incarnation import current
from otel_ext.runtime.process.records import process_start_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

__all__ = ["Interleaved"]

_CALLS: Final = ("listdir", "open", "pread", "scandir", "stat", "write")
_TRACE: Final = "c" * 32
_LONGEST: Final = 12_000


class _Scheduler(threading.local):
    """Lets one of several threads run at a time; each of them knows its own number.

    Args:
        random: Chooses the next thread.
        eagerness: Probability that a thread lets another one run first.
        waiting: Semaphores of the threads that have not returned; each thread runs this
            initializer, so they share it.
    """

    number = -1

    def __init__(self, random: Random, eagerness: float, waiting: dict[int, Semaphore]) -> None:
        self._random = random
        self._eagerness = eagerness
        self._waiting = waiting

    def run(self, *bodies: Callable[[], None]) -> None:
        """Run each body on a thread of its own until all have returned."""
        errors: list[BaseException] = []

        def run(number: int, body: Callable[[], None]) -> None:
            self.number = number
            self._waiting[number].acquire()
            try:
                body()
            except BaseException as error:  # noqa: BLE001 - the test's thread raises it
                errors.append(error)
            finally:
                del self._waiting[number]
                self._wake_another()

        self._waiting.update({number: Semaphore(0) for number in range(len(bodies))})
        threads = [Thread(target=run, args=pair, daemon=True) for pair in enumerate(bodies)]
        for thread in threads:
            thread.start()
        self._wake_another()
        for thread in threads:
            thread.join(60)
        assert not self._waiting, "a thread hangs"
        if errors:
            raise errors[0]

    def switch(self, *, at_once: bool = False) -> None:
        """Let another thread run, or go on; called by the running thread."""
        own = self._waiting.get(self.number)
        if own is not None and (at_once or self._random.random() < self._eagerness):
            self._wake_another()
            own.acquire()

    def _wake_another(self) -> None:
        if self._waiting:
            self._random.choice(list(self._waiting.values())).release()


class Interleaved:
    """One run of program, worker and reader.

    Args:
        folder: The folder for the records.
        seed: Seed of all random choices.
        monkeypatch: Inserts the switches.

    Attributes:
        started: By the number of each span, the moment at which its start was stored.
        ending: The moment at which its end was begun.
        ended: The moment at which its end was stored.
    """

    def __init__(self, folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._random = random = Random(seed)
        self._scheduler = _Scheduler(random, random.choice([0.02, 0.1, 0.4]), {})
        self._process = current().process_for(None)
        self._table: dict[int, bytes] = {}
        self._done = False
        self.moment = 0
        self.started: dict[int, int] = {}
        self.ending: dict[int, int] = {}
        self.ended: dict[int, int] = {}
        settings = JournalSettings(
            ring_size=1, segment_size=random.choice([4, 30, 100]) * 1024, sync="never"
        )
        settings = replace(settings, recover_on_start=False)
        self.journal = Journal(folder, settings, first_lines=self._preamble)
        for name in _CALLS:
            monkeypatch.setattr(os, name, self._switching(getattr(os, name)))
        for name in ("_set_word", "_recycle", "_seal"):
            monkeypatch.setattr(RingBuffer, name, self._switching(getattr(RingBuffer, name)))

    def run(self, read_once: Callable[[], None], *, spans: int = 150, reads: int = 12) -> None:
        """Run all three until the program ends.

        Args:
            read_once: One read of the reader.
            spans: How many spans the program opens.
            reads: How often the reader reads.
        """

        def read() -> None:
            for _ in range(reads):
                read_once()
                self._scheduler.switch(at_once=True)

        self._scheduler.run(lambda: self._work(spans), self._drain, read)

    def _switching(self, call: Callable[..., object]) -> Callable[..., object]:
        def switching(*args: object, **options: object) -> object:
            self._scheduler.switch()
            return call(*args, **options)

        return switching

    def _preamble(self) -> list[bytes]:
        first = encode_line(process_start_record(self._process, current().next_seq()))
        return [first, *self._table.values()]

    def _work(self, spans: int) -> None:
        """Open spans and end them in random order."""
        for number in range(1, spans + 1):
            self._start(number)
            self._scheduler.switch()
            while self._table and self._random.random() < 0.5:
                self._end(self._random.choice(list(self._table)))
                self._scheduler.switch()
        self._done = True

    def _drain(self) -> None:
        """Drain the ring buffer as the worker does."""
        while not self._done:
            self.journal.drain()
            self._scheduler.switch(at_once=True)

    def _record(self, phase: str, number: int) -> bytes:
        size = self._random.choice([0, 50, 500, 3_000, _LONGEST])
        record = Record(
            "span",
            "start",
            f"s{number}",
            1_000,
            current().next_seq(),
            self._process,
            trace_id=_TRACE,
            span_id=f"{number:016x}",
            attributes={"fill": "x" * self._random.randint(size // 2, size)},
        )
        if phase == "end":
            record = record._replace(phase="end", start_ns=1_000)
        elif phase == "update":
            record = record._replace(phase="update")
        return encode_line(record)

    def _start(self, number: int) -> None:
        line = self._record("start", number)
        self._table[number] = line
        if self.journal.append(line):
            self.started[number] = self._next_moment()

    def _end(self, number: int) -> None:
        self.ending[number] = self._next_moment()
        update = self._record("update", number) if self._random.random() < 0.1 else b""
        del self._table[number]
        if self.journal.append(self._record("end", number)):
            self.ended[number] = self._next_moment()
        if update:  # by a thread that saw the span open just before
            self.journal.append(update)

    def _next_moment(self) -> int:
        self.moment += 1
        return self.moment
