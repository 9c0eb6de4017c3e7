"""A small file system that fills up under a whole program, beside another process's records."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, cast

import pytest

from otel_ext.journal.read.scanner import Line, scan
from tests.durability.kit import command, small_disk, tree_env
from tests.figures import report_figures
from tests.programs import OTEL_EXT, environment, execute, write_program

if TYPE_CHECKING:
    from pathlib import Path

# argv: folder on the small disk, ring buffer size
FILLS_UP = """
    import json, subprocess
    from pathlib import Path
    from otel_ext.runtime.counters import COUNTERS
    from otel_ext.runtime.health import health
    from tests.durability.kit import read
    folder = Path(sys.argv[1])
    other = Path(sys.argv[3])
    neighbour = folder / "b0-7-1-00000000.jsonl"
    neighbour.write_bytes(other.read_bytes())
    ballast = folder.parent / "ballast"
    ballast.write_bytes(b"x" * 24 * 1024)
    worst = failed = starts = 0
    def use():
        global worst, failed, starts
        began = time.perf_counter()
        try:
            with tracer.start_as_current_span("work", attributes={"text": "x" * 50}):
                raise KeyError("the program's own")
        except KeyError as error:
            failed += error.args != ("the program's own",)
        starts += 1
        worst = max(worst, time.perf_counter() - began)
    def written():
        return sum(path.stat().st_size for path in folder.glob("*.jsonl"))
    def journal():
        return health().part("journal")
    deadline = time.monotonic() + 25
    while journal().state != "failed" and time.monotonic() < deadline:
        for _ in range(20):
            use()
        time.sleep(0.02)
    full = journal()
    for _ in range(400):
        use()
    before = written()
    ballast.unlink()
    began = time.monotonic()
    while written() == before and time.monotonic() - began < 20:
        use()
        time.sleep(0.01)
    resumed = time.monotonic() - began
    # Room for the records that still wait.
    subprocess.run(["mount", "-o", "remount,size=16m", str(folder.parent)], check=True)
    flushed = handle.flush(20)
    while True:
        counts = COUNTERS.snapshot()
        found = read(folder)
        if COUNTERS.snapshot() == counts:  # else a heartbeat or an event came meanwhile
            break
    before = read(other.parent)
    theirs = len(before.records)
    introduced = len(found.events("process.start")) - len(before.events("process.start"))
    keys = {(record.process.id, record.seq) for record in found.records}
    print(json.dumps({
        "full": full.detail, "resumed": resumed, "worst_ms": worst * 1000, "failed": failed,
        "starts": starts, "intact": neighbour.read_bytes() == other.read_bytes(),
        "accepted": counts["accepted"], "written": counts["written"],
        "dropped": COUNTERS.dropped(), "introduced": introduced,
        "found": len(keys) - theirs, "skipped": found.skipped, "flushed": flushed,
        "state": journal().state,
    }))
    sys.stdout.flush()
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.needs("unshare", "mount")
@pytest.mark.parametrize(
    ("mode", "kib", "ring", "used"),
    [
        # No room for the ring buffer: records are queued instead.
        ("mapped", 64, 8 << 20, "queued"),
        ("mapped", 192, 64 << 10, "mapped"),
        ("write", 64, 64 << 10, "write"),
    ],
)
def test_a_small_disk_fills_up(tmp_path: Path, mode: str, kib: int, ring: int, used: str) -> None:
    """The program and the other file are unharmed, the counts add up, and writing resumes."""
    neighbour = tmp_path / "neighbours"
    subprocess.run(
        command("tracer.start_span('neighbour').end()", neighbour), env=tree_env(), check=True
    )
    [file] = neighbour.glob("*.jsonl")
    disk = tmp_path / "disk"
    argv = command(FILLS_UP, disk / "traces", ring, file)
    script = ["sh", "-c", f'mkdir -p {disk}/traces && exec "$@"', "sh", *argv]
    done = subprocess.run(
        small_disk(kib, disk, script),
        env=tree_env(OTEL_EXT_RING_SIZE=str(ring), OTEL_EXT_DURABILITY=mode),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = cast("dict[str, object]", json.loads(done.stdout.splitlines()[-1]))
    report_figures(f"tmpfs of {kib} KiB, {mode}", **report)
    assert "No space left" in str(report["full"])
    assert used in str(report["full"])
    assert report["failed"] == 0
    assert report["intact"] is True
    assert isinstance(report["resumed"], float)
    assert report["resumed"] < 30.0
    assert report["flushed"] is True
    # Each further file repeats `process.start`, which is not a new record.
    written = cast("int", report["written"])
    assert cast("int", report["found"]) - cast("int", report["introduced"]) + 1 == written
    # Written by callers, a line that fills the disk is cut short, and then written again,
    # perhaps more than once. A piece of a few bytes is reported as garbage.
    cut = {"torn", "garbage"} if mode == "write" else set[str]()
    assert set(cast("dict[str, int]", report["skipped"])) <= cut
    dropped = cast("dict[str, int]", report["dropped"])
    assert report["accepted"] == written + sum(dropped.values())
    assert "Traceback" not in done.stderr
    # Reported once a minute, and not once for each record.
    assert 1 <= len(done.stderr.splitlines()) < 8, done.stderr


MANY = """\
from opentelemetry import trace
tracer = trace.get_tracer("durability")
for _ in range(12_000):
    with tracer.start_as_current_span("work", attributes={"text": "x" * 50}):
        pass
"""
# argv: the disk, then the command; afterwards there is room.
ON_A_FULL_DISK = """\
disk=$1; shift
"$@" 2> "$disk.stderr"
echo "rc=$?"
mount -o remount,size=64m "$disk"
otel-ext recover "$disk/traces" && otel-ext validate "$disk/traces"
echo "valid=$?"
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.needs("unshare", "mount")
@pytest.mark.parametrize(("kib", "has_ring"), [(3 * 1024, True), (512, False)])
def test_the_end_of_a_run_on_a_full_disk(tmp_path: Path, kib: int, has_ring: bool) -> None:
    """The summary reports what is missing; with room again, recovery leaves no partial line."""
    disk = tmp_path / "disk"
    write_program(tmp_path, MANY)
    run = [OTEL_EXT, "run", "--output", f"{disk}/traces", "program.py"]
    script = ["sh", "-c", ON_A_FULL_DISK, "sh", str(disk), *run]
    env = environment(OTEL_EXT_CONSOLE="off", OTEL_EXT_RING_SIZE=str(2 << 20))
    done = execute(small_disk(kib, disk, script), cwd=tmp_path, env=env, timeout=100)
    stderr = (tmp_path / "disk.stderr").read_text("utf-8")
    assert done.code == 0, done.err
    assert "rc=0" in done.out
    assert "valid=0" in done.out, done.out + stderr
    assert "did not end" not in stderr
    if not has_ring:
        # A process that lost what waited in memory still reports how much that was.
        [numbers] = re.findall(
            r"([\d,]+) records in 1 file in \S+; ([\d,]+) records could not", stderr
        )
        assert 24_000 < sum(int(number.replace(",", "")) for number in numbers) < 24_020, stderr
        return
    [numbers] = re.findall(
        r"([\d,]+) records in 1 file in \S+; ([\d,]+) records could not .*\n"
        r"otel-ext: ([\d,]+) records wait in \S+; once there is room for more: otel-ext recover ",
        stderr,
    )
    # Two records of each span, and those of the process: start, end, heartbeats.
    assert 24_000 < sum(int(number.replace(",", "")) for number in numbers) < 24_020, stderr


# argv: folder on the small disk
OVERFLOWS = """
    from otel_ext.runtime.health import health
    def use(times):
        for _ in range(times):
            with tracer.start_as_current_span("work", attributes={"text": "x" * 50}):
                pass
    deadline = time.monotonic() + 25
    while health().part("journal").state != "failed" and time.monotonic() < deadline:
        use(20)
        time.sleep(0.02)
    use(1_500)
"""
# argv: the disk, then the command; there is room once the program has ended.
RECOVER_AFTERWARDS = """\
disk=$1; shift
"$@" 2> "$disk.stderr" || exit
mount -o remount,size=64m "$disk"
otel-ext recover --json "$disk/traces" > "$disk.recovered"
cp "$disk"/traces/*.jsonl "$disk.found"
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.needs("unshare", "mount")
@pytest.mark.parametrize(
    ("mode", "kib", "reason"),
    [("mapped", 256, "queue_full"), ("queued", 64, "not_written"), ("write", 64, "not_written")],
)
def test_the_counts_add_up_on_a_full_disk(tmp_path: Path, mode: str, kib: int, reason: str) -> None:
    """Without room for one more line on disk or in memory, `process.end` still has all counts."""
    disk = tmp_path / "disk"
    argv = command(OVERFLOWS, disk / "traces")
    script = ["sh", "-c", RECOVER_AFTERWARDS, "sh", str(disk), *argv]
    env = tree_env(OTEL_EXT_RING_SIZE=str(64 << 10), OTEL_EXT_DURABILITY=mode)
    subprocess.run(small_disk(kib, disk, script), env=env, check=True, timeout=100)
    stderr = (tmp_path / "disk.stderr").read_text("utf-8")
    assert "Traceback" not in stderr
    records = [one.meta for one in scan(tmp_path / "disk.found") if isinstance(one, Line)]
    ends = [one for one in records if one["event"] == "process.end"]
    [account] = [one for one in ends if "accepted" in one]
    dropped = cast("dict[str, int]", account["dropped"])
    assert dropped[reason] > 0
    assert account["accepted"] == cast("int", account["written"]) + sum(dropped.values())
    # After that record, recovery may have ended spans whose own end was lost.
    assert records.index(account) + 1 == account["written"]
    assert cast("int", account["buffer_peak"]) > 90
    if mode != "mapped":
        # Ends may be among the lost records, so recovery had to read the file for spans without.
        assert account["open_spans"] == dropped["not_written"]
        assert len(ends) == 2
        assert f"{dropped['not_written']} records could not be written before" in stderr
