"""A file system of 64 KiB that fills up under a whole program, beside a neighbour's records."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, cast

import pytest

from otel_ext.journal.read.scanner import Line, scan
from tests.durability.kit import command, plain, small_disk
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
    place = Path(sys.argv[1])
    other = Path(sys.argv[3])
    neighbour = place / "b0-7-1-00000000.jsonl"
    neighbour.write_bytes(other.read_bytes())
    ballast = place.parent / "ballast"
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
        return sum(path.stat().st_size for path in place.glob("*.jsonl"))
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
    # Room for what still waits.
    subprocess.run(["mount", "-o", "remount,size=16m", str(place.parent)], check=True)
    flushed = handle.flush(20)
    found = read(place)
    before = read(other.parent)
    theirs = len(before.records)
    introduced = len(found.events("process.start")) - len(before.events("process.start"))
    keys = {(record.process.id, record.seq) for record in found.records}
    counts = COUNTERS.snapshot()
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
    ("mode", "kib", "box", "used"),
    [
        # No room for the ring buffer: records are queued instead.
        ("mapped", 64, 8 << 20, "queued"),
        ("mapped", 192, 64 << 10, "mapped"),
        ("write", 64, 64 << 10, "write"),
    ],
)
def test_a_small_disk_fills_up(tmp_path: Path, mode: str, kib: int, ring: int, used: str) -> None:
    """The program is unharmed, its neighbour intact, the account closed; writing goes on."""
    neighbour = tmp_path / "neighbours"
    subprocess.run(
        command("tracer.start_span('neighbour').end()", neighbour), env=plain(), check=True
    )
    [file] = neighbour.glob("*.jsonl")
    place = tmp_path / "disk"
    words = command(FILLS_UP, place / "traces", ring, file)
    script = ["sh", "-c", f'mkdir -p {place}/traces && exec "$@"', "sh", *words]
    done = subprocess.run(
        small_disk(kib, place, script),
        env=plain(OTEL_EXT_RING_SIZE=str(ring), OTEL_EXT_DURABILITY=mode),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = cast("dict[str, object]", json.loads(done.stdout.splitlines()[-1]))
    report_figures(f"tmpfs of {kib} KiB, {mode}", **told)
    assert "No space left" in str(told["full"])
    assert used in str(told["full"])
    assert told["failed"] == 0
    assert told["intact"] is True
    assert isinstance(told["resumed"], float)
    assert told["resumed"] < 5.0
    assert told["flushed"] is True
    # Each further file says again who writes it; that is no new record.
    written = cast("int", told["written"])
    assert cast("int", told["found"]) - cast("int", told["introduced"]) + 1 == written
    # Written by callers, a line that fills the disk is cut short, and then written again;
    # the disk may be full more than once. A piece of a few bytes is called garbage.
    cut = {"torn", "garbage"} if mode == "write" else set[str]()
    assert set(cast("dict[str, int]", told["skipped"])) <= cut
    dropped = cast("dict[str, int]", told["dropped"])
    assert told["accepted"] == written + sum(dropped.values())
    assert "Traceback" not in done.stderr
    # Said, and said once a minute: not once for each record.
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
place=$1; shift
"$@" 2> "$place.said"
echo "rc=$?"
mount -o remount,size=64m "$place"
otel-ext recover "$place/traces" && otel-ext validate "$place/traces"
echo "valid=$?"
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.needs("unshare", "mount")
@pytest.mark.parametrize(("kib", "has_ring"), [(3 * 1024, True), (512, False)])
def test_the_end_of_a_run_on_a_full_disk(tmp_path: Path, kib: int, has_ring: bool) -> None:
    """The closing words say what is missing, and when there is room no half of a line is left."""
    place = tmp_path / "disk"
    write_program(tmp_path, MANY)
    run = [OTEL_EXT, "run", "--output", f"{place}/traces", "program.py"]
    script = ["sh", "-c", ON_A_FULL_DISK, "sh", str(place), *run]
    env = environment(OTEL_EXT_CONSOLE="off", OTEL_EXT_RING_SIZE=str(2 << 20))
    done = execute(small_disk(kib, place, script), cwd=tmp_path, env=env, timeout=100)
    said = (tmp_path / "disk.said").read_text("utf-8")
    assert done.code == 0, done.err
    assert "rc=0" in done.out
    assert "valid=0" in done.out, done.out + said
    assert "did not end" not in said
    if not has_ring:
        # A process that lost what waited in memory still says how much that was.
        [numbers] = re.findall(
            r"([\d,]+) records in 1 file in \S+; ([\d,]+) records could not", said
        )
        assert 24_000 < sum(int(number.replace(",", "")) for number in numbers) < 24_020, said
        return
    [numbers] = re.findall(
        r"([\d,]+) records in 1 file in \S+; ([\d,]+) records could not .*\n"
        r"otel-ext: ([\d,]+) records wait in \S+; once there is room for more: otel-ext recover ",
        said,
    )
    # Two of each span, and those of the process: start, end, heartbeats.
    assert 24_000 < sum(int(number.replace(",", "")) for number in numbers) < 24_020, said


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
LOOK_AFTERWARDS = """\
place=$1; shift
"$@" 2> "$place.said" || exit
mount -o remount,size=64m "$place"
otel-ext recover --json "$place/traces" > "$place.recovered"
cp "$place"/traces/*.jsonl "$place.found"
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.needs("unshare", "mount")
@pytest.mark.parametrize(
    ("mode", "kib", "reason"),
    [("mapped", 256, "queue_full"), ("queued", 64, "not_written"), ("write", 64, "not_written")],
)
def test_the_account_closes_on_a_full_disk(
    tmp_path: Path, mode: str, kib: int, reason: str
) -> None:
    """A disk, and a buffer, without room for one more line: `process.end` still tells all."""
    place = tmp_path / "disk"
    words = command(OVERFLOWS, place / "traces")
    script = ["sh", "-c", LOOK_AFTERWARDS, "sh", str(place), *words]
    env = plain(OTEL_EXT_RING_SIZE=str(64 << 10), OTEL_EXT_DURABILITY=mode)
    subprocess.run(small_disk(kib, place, script), env=env, check=True, timeout=100)
    said = (tmp_path / "disk.said").read_text("utf-8")
    assert "Traceback" not in said
    records = [one.meta for one in scan(tmp_path / "disk.found") if isinstance(one, Line)]
    ends = [one for one in records if one["event"] == "process.end"]
    [account] = [one for one in ends if "accepted" in one]
    dropped = cast("dict[str, int]", account["dropped"])
    assert dropped[reason] > 0
    assert account["accepted"] == cast("int", account["written"]) + sum(dropped.values())
    # Behind the account recovery may have ended spans whose own end was lost.
    assert records.index(account) + 1 == account["written"]
    assert cast("int", account["buffer_peak"]) > 90
    if mode != "mapped":
        # Among the lost may be ends, so recovery was to look, and ended what had none.
        assert account["open_spans"] == dropped["not_written"]
        assert len(ends) == 2
        assert f"{dropped['not_written']} records could not be written before" in said
