"""A disk that fills up: the program goes on, and so does the file once there is room."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from otel_ext.journal.sources import QueueSource
from otel_ext.journal.writer import Journal
from otel_ext.runtime.counters import COUNTERS
from tests.journal.making import ALONE, ROOT, line, program

FILLS_UP = """
    import json, os, sys, time
    from pathlib import Path
    from otel_ext.journal.reader import Line, Skipped, scan
    from otel_ext.journal.writer import Journal
    from otel_ext.runtime.counters import COUNTERS
    from otel_ext.runtime.worker import shared_worker
    from tests.journal.making import ALONE, line
    place, mode, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    neighbour = place / "neighbour.jsonl"
    neighbour.write_bytes(line(1, "neighbour") * 20)
    ballast = place / "ballast"
    ballast.write_bytes(b"x" * 24 * 1024)
    settings = ALONE._replace(durability=mode, box_size=size)
    journal = Journal(place / "traces", settings, worker=shared_worker())
    taken = accepted = 0
    def say():
        global taken, accepted
        accepted += 1
        taken += journal.append(line(accepted, "p"))
    while not journal.state().problem:
        say()
        if accepted % 50 == 0:
            journal.flush(50)
        assert accepted < 50_000
    for _ in range(200):
        say()
    full = journal.state()
    def written():
        return sum(path.stat().st_size for path in (place / "traces").glob("*.jsonl"))
    before = written()
    ballast.unlink()
    began = time.monotonic()
    while written() == before and time.monotonic() - began < 20:
        time.sleep(0.01)
    resumed = time.monotonic() - began
    # Room for what waited: let the file go when it has been read.
    lines, skipped = {}, 0
    deadline = time.monotonic() + 30
    while True:
        done = journal.flush(300)
        for path in sorted((place / "traces").glob("*.jsonl")):
            for item in scan(path):
                done = False
                if isinstance(item, Line):
                    lines[item.key] = lines.get(item.key, 0) + 1
                else:
                    skipped += 1
            path.unlink()
        if done:
            break
        assert time.monotonic() < deadline, journal.state()
    counts = COUNTERS.snapshot()
    intact = neighbour.read_bytes() == line(1, "neighbour") * 20
    print(json.dumps({
        "mode": full.mode, "problem": full.problem, "resumed": resumed, "intact": intact,
        "accepted": accepted, "taken": taken, "found": len(lines), "skipped": skipped,
        "dropped": sum(COUNTERS.dropped().values()), "written": counts["written"],
        "closed": journal.close(),
    }))
"""


def on_small_disk(place: Path, size_kib: int, *arguments: str) -> dict[str, object]:
    """Run `FILLS_UP` on a tmpfs of its own, in a mount namespace of its own."""
    place.mkdir()
    mount = f'mount -t tmpfs -o size={size_kib}k none {place} && exec "$@"'
    flags = "-m" if os.geteuid() == 0 else "-Urm"
    command = ["unshare", flags, "sh", "-c", mount, "sh", *program(FILLS_UP, place, *arguments)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=55, check=False
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


@pytest.mark.needs("unshare")
@pytest.mark.parametrize(
    ("mode", "kib", "size"),
    [
        ("mapped", 64, 8 << 20),
        ("queued", 64, 1 << 16),
        ("write", 64, 1 << 16),
        ("mapped", 320, 1 << 17),
    ],
)
def test_a_small_disk_fills_up(tmp_path: Path, mode: str, kib: int, size: int) -> None:
    """Nothing is lost but what was refused and counted; writing resumes within 5 s."""
    told = on_small_disk(tmp_path / "disk", kib, mode, str(size))
    print(told)
    small = mode == "mapped" and kib == 64
    assert told["mode"] == ("queued" if small else mode), "no box where there is no room for it"
    assert "No space left" in str(told["problem"])
    assert isinstance(told["resumed"], float)
    assert told["resumed"] < 5.0
    assert told["intact"] is True
    assert isinstance(told["dropped"], int)
    assert isinstance(told["taken"], int)
    assert told["found"] == told["taken"] == told["written"]
    assert told["accepted"] == told["taken"] + told["dropped"]
    assert told["closed"] is True


def test_a_device_that_is_always_full(tmp_path: Path) -> None:
    """Into /dev/full nothing can be written; memory stays bounded and each loss is counted."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    before = COUNTERS.value("dropped.queue_full")
    device = tmp_path / "full.jsonl"
    shutil.rmtree(tmp_path / "none", ignore_errors=True)
    journal = Journal(device, ALONE._replace(durability="queued", box_size=100_000))
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
    assert isinstance(opened, QueueSource)


def _open_on(journal: Journal, device: str) -> object:
    """Open the journal, its file being a device."""
    journal.path = Path(device)
    journal._open()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    opened = journal._opened  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    assert opened is not None
    return opened.source
