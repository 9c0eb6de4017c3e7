"""`SampledEvents` when its process ends: by itself, by a signal, or killed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.programs import python, records_in, started, succeed, wait_until, write_program

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.record.model import Record


def events_in(folder: Path) -> list[Record]:
    """Return the event records in the journals of a folder."""
    return [record for record in records_in(folder / "traces") if record.kind == "event"]


SETUP = """\
import os, signal, sys
import otel_ext
from otel_ext.events import SampledEvents

handle = otel_ext.configure(output="traces", console="off")
events = SampledEvents(window=3600)
for number in range(10):
    events.emit("cache.miss", {"size": number}, {"cache": "pages"})
"""

ENDINGS = {
    "exit": "",
    "exit without a reference": "del events",
    "shutdown": "handle.shutdown()",
    "with": "with handle: pass",
    "error": "raise SystemExit(0)",
    "more at exit": "import atexit; atexit.register(events.emit, 'cache.miss', {'size': 0})",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_waits_is_written_at_the_end(ending: str, tmp_path: Path) -> None:
    """However the program ends by itself."""
    program = write_program(tmp_path, SETUP + ENDINGS[ending])
    done = succeed(python("-W", "error", program), tmp_path)
    assert done.err == ""
    found = [record for record in events_in(tmp_path) if record.name == "cache.miss"]
    assert [record.attributes["size.sum"] for record in found] == [45]


LAST = """\
import atexit
atexit.register(lambda: events.emit("cache.miss", {"size": 100}))
"""


def test_events_after_all_exit_handlers_are_written(tmp_path: Path) -> None:
    """An exit handler that was registered first runs last: its event is written at once."""
    done = succeed(python(write_program(tmp_path, LAST + SETUP)), tmp_path)
    assert done.err == ""
    assert [record.attributes["size.sum"] for record in events_in(tmp_path)] == [45, 100]


def test_sigterm_writes_what_waits(tmp_path: Path) -> None:
    """With `handle_sigterm` the records are flushed before the signal ends the program."""
    setup = SETUP.replace('console="off"', 'console="off", handle_sigterm=True')
    # Not `pause`, which a signal just before it does not end.
    text = f"{setup}import time\nprint('ready', flush=True)\nwhile True: time.sleep(0.01)\n"
    with started(python(write_program(tmp_path, text)), cwd=tmp_path) as process:
        output = tmp_path / "output.txt"
        wait_until(lambda: "ready" in output.read_text(), "the program is ready")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM
    assert [record.attributes["size.sum"] for record in events_in(tmp_path)] == [45]


KILLED = """\
import itertools, os, signal, sys
import otel_ext
from otel_ext.events import SampledEvents, subscribe

windows = []
otel_ext.configure(output="traces", console="off")
subscribe("get", windows.append, inline=True)
events = SampledEvents(window=0.05)
for number in itertools.count(1):
    events.emit("get", {"number": number})
    # A number that was emitted before a window that has ended is safe.
    if len(windows) >= 3:
        break
print(int(windows[-1].measurements["number.max"]), flush=True)
while True:
    events.emit("get", {"number": 0})
"""


def test_a_killed_process_loses_its_last_window_only(tmp_path: Path) -> None:
    """All events of windows that had ended before `kill -9` are in the journal, with their sums."""
    with started(python(write_program(tmp_path, KILLED)), cwd=tmp_path) as process:
        output = tmp_path / "output.txt"
        wait_until(lambda: output.read_text().endswith("\n"), "three windows have ended")
        last = int(output.read_text())
        # The record follows the event to subscribers: it is written before the next window.
        wait_until(lambda: _written(tmp_path) >= last, "they are written")
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
    found = events_in(tmp_path)
    total = sum(int(str(record.attributes["number.sum"])) for record in found)
    most = max(int(str(record.attributes["number.max"])) for record in found)
    assert total == most * (most + 1) // 2
    assert most >= last


def _written(folder: Path) -> int:
    found = events_in(folder) if (folder / "traces").exists() else []
    return max((int(str(record.attributes["number.max"])) for record in found), default=0)
