"""The process that stores: feeds the store of a folder until its standard input ends.

The input ends when the server stops, or dies in any other way. Each byte in it says that
records were added, so that they are looked for at once.
"""

from __future__ import annotations

import gc
import os
import select
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final

from otel_ext.errors import StoreError
from otel_ext.feed.feeder import RECEIVED_FOLDER, Feeder
from otel_ext.journal.recovery.housekeeping import FolderWatch
from otel_ext.server.feeding.messages import FeedState, encode_state
from otel_ext.store.sqlite.days import StoreLimits
from otel_ext.store.sqlite.schema import STORE_FOLDER
from otel_ext.store.sqlite.writer import SqliteWriter

__all__ = ["main"]

_POLL_SECONDS: Final = 0.1
_CHECK_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 1.0
# For what is left when the server stops.
_LAST_SECONDS: Final = 5.0
_THRESHOLD: Final = 100_000
_STDIN: Final = 0
_STDOUT: Final = 1


def main(arguments: list[str]) -> int:
    """Run until the standard input ends; return the exit code.

    Args:
        arguments: The folder of records, how many days the store keeps, and its size in bytes.
    """
    # With the default, cycles are looked for again and again in the rows of a batch.
    gc.set_threshold(_THRESHOLD)
    folder = Path(arguments[0])
    limits = StoreLimits(int(arguments[1]), int(arguments[2]))
    writer = _open(folder / STORE_FOLDER, limits)
    if writer is None:
        return 1
    try:
        _Feeding(folder, writer).run()
    except StoreError as error:
        _report(FeedState(problem=str(error)))
        return 1
    finally:
        writer.close()
    return 0


def _open(folder: Path, limits: StoreLimits) -> SqliteWriter | None:
    """Open the store, as soon as no other process writes it; None if that cannot be."""
    problem = ""
    while True:
        try:
            return SqliteWriter(folder, limits)
        except StoreError as error:
            if str(error) != problem:
                problem = str(error)
                _report(FeedState(problem=problem))
            if not error.is_temporary:
                return None
        select.select([_STDIN], [], [], _POLL_SECONDS)
        if not _goes_on():  # after one try: a server stopped at once still stores
            return None


class _Feeding:
    """Feeds a store, and recovers processes that died.

    Args:
        folder: The folder of records.
        writer: Writes its store.
    """

    def __init__(self, folder: Path, writer: SqliteWriter) -> None:
        self._writer = writer
        self._feeder = Feeder(folder, writer, below=RECEIVED_FOLDER)
        # Processes recover each other; here no process of ours is among them.
        self._watch = FolderWatch(folder, "")
        self._state = FeedState(change=writer.change)
        self._next_check = 0.0

    def run(self) -> None:
        """Feed until the standard input ends, and then what is left."""
        _report(self._state)
        while _goes_on():
            self._check()
            pause = self._step()
            if pause:
                select.select([_STDIN], [], [], pause)
        deadline = monotonic() + _LAST_SECONDS
        while not self._step() and monotonic() < deadline:
            pass

    def _check(self) -> None:
        if monotonic() >= self._next_check:
            self._next_check = monotonic() + _CHECK_SECONDS
            self._watch.check()
            self._check_store()

    def _check_store(self) -> None:
        """Raise an error if the store was deleted: another process makes it anew."""
        if not self._writer.is_in_place():
            raise StoreError("the store was deleted", hint="It is made anew.")

    def _step(self) -> float:
        """Store one batch; return how many seconds to wait before the next one."""
        before = self._state
        try:
            fed = self._feeder.step()
        except StoreError as error:
            self._check_store()
            self._state = before._replace(problem=str(error), waiting=self._feeder.remaining())
            _report(self._state)
            return _RETRY_SECONDS
        if not fed.size and not fed.records and not before.problem and not before.waiting:
            return _POLL_SECONDS
        self._state = FeedState(
            change=fed.change,
            waiting=self._feeder.remaining(),
            stored=before.stored + fed.records,
            skipped=before.skipped + fed.skipped,
        )
        if self._state != before:
            _report(self._state)
        return 0.0 if fed.size else _POLL_SECONDS


def _goes_on() -> bool:
    """Empty the standard input; return whether it has not ended."""
    while select.select([_STDIN], [], [], 0)[0]:
        if not os.read(_STDIN, 4_096):
            return False
    return True


def _report(state: FeedState) -> None:
    """Tell the server; if it is gone, the standard input ends, too."""
    with suppress(OSError):
        os.write(_STDOUT, encode_state(state))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
