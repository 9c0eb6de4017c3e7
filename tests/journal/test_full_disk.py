"""A device that is always full. A disk that fills up: tests/durability/test_disk.py."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from otel_ext.journal.write.buffers import QueueBuffer
from otel_ext.journal.write.journal import Journal
from otel_ext.runtime.counters import COUNTERS
from tests.journal.builders import alone, line


def test_a_device_that_is_always_full(tmp_path: Path) -> None:
    """With /dev/full as the file, memory stays bounded and each lost record is counted."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    before = COUNTERS.value("dropped.queue_full")
    device = tmp_path / "full.jsonl"
    shutil.rmtree(tmp_path / "none", ignore_errors=True)
    journal = Journal(device, alone(durability="queued", ring_size=100_000))
    opened = _open_on(journal, "/dev/full")
    taken = sum(journal.append(line(number)) for number in range(5_000))
    assert not journal.flush(100)
    assert "No space left" in journal.state().problem
    assert journal.state().pending <= 100_000
    assert taken < 5_000
    assert COUNTERS.value("dropped.queue_full") - before == 5_000 - taken
    lost = COUNTERS.value("dropped.not_written")
    assert not journal.close(timeout=0.2)
    assert COUNTERS.value("dropped.not_written") - lost == taken
    assert isinstance(opened, QueueBuffer)


def _open_on(journal: Journal, device: str) -> object:
    """Open the journal with a device as its file; return its buffer."""
    journal.path = Path(device)
    journal._open()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    opened = journal._opened  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    assert opened is not None
    return opened.buffer
