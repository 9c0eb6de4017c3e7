"""Recovery ends what a dead process left open, once, and changes nothing else."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.errors import JournalError
from otel_ext.journal.read.folder import read_incarnations
from otel_ext.journal.read.rings import read_rings
from otel_ext.journal.recovery.exit_status import Outcome, find_outcome
from otel_ext.journal.recovery.recover import recover
from otel_ext.journal.ring_layout import RING_FOLDER
from otel_ext.journal.write.journal import Journal
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Process, Record
from otel_ext.record.schema.validation import validate_stream
from otel_ext.runtime.process.incarnation import current
from tests.journal.builders import (
    ALONE,
    damage_in,
    line,
    lines_in,
    own_process,
    program,
    seqs_in,
    start,
)
from tests.journal.killed import die
from tests.programs import records_in

if TYPE_CHECKING:
    from pathlib import Path

NOW_NS = 2**62


def ends_in(folder: Path) -> list[Record]:
    """Return the ends that recovery wrote."""
    return [record for record in records_in(folder) if record.abandoned and record.kind == "span"]


@pytest.mark.parametrize("mode", ["mapped", "queued", "write"])
def test_open_spans_of_a_killed_process_are_ended(tmp_path: Path, mode: str) -> None:
    """Each gets one end with the cause, the last activity, and the data of its start."""
    dead = die(tmp_path, mode)
    report = recover(tmp_path)
    assert (report.spans, report.failed) == (4, [])
    [one] = report.recovered
    assert (one.process.id, one.process.pid) == (dead.id, dead.pid)
    assert (one.lines > 0) is (mode == "mapped")
    starts = {r.span_id: r for r in records_in(tmp_path) if r.phase == "start"}
    ends = ends_in(tmp_path)
    assert sorted(end.name for end in ends) == ["open 0", "open 1", "open 2", "outer"]
    for end in ends:
        began = starts[end.span_id]
        assert end.abandoned == "process-died"
        assert (end.start_ns, end.attributes, end.call_site) == (
            began.time_ns,
            began.attributes,
            began.call_site,
        )
        assert (end.parent_span_id, end.scope, end.span_kind, end.thread) == (
            began.parent_span_id,
            began.scope,
            began.span_kind,
            began.thread,
        )
        assert began.time_ns <= end.time_ns <= one.last_seen_ns + 10**9
        assert "last_seen" in end.extra


def test_recovery_is_idempotent(tmp_path: Path) -> None:
    """A second recovery changes no byte and leaves no ring buffer, lock or folder behind."""
    die(tmp_path)
    recover(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    again = recover(tmp_path)
    assert again.recovered == []
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert not (tmp_path / RING_FOLDER).exists()


def test_what_recovery_writes_keeps_the_format(tmp_path: Path) -> None:
    """Every line of a recovered file is valid, and no number is used twice."""
    die(tmp_path)
    recover(tmp_path, outcomes={})
    [path] = tmp_path.glob("*.jsonl")
    with path.open("rb") as file:
        assert [report for report in validate_stream(file) if report.reasons] == []
    seqs = seqs_in(tmp_path)
    assert len(seqs) == len(set(seqs))
    assert records_in(tmp_path)[0].event == "process.start"
    last = records_in(tmp_path)[-1]
    assert (last.event, "last_seen" in last.extra) == ("process.end", True)


def test_the_signal_is_reported_where_it_is_known(tmp_path: Path) -> None:
    """A parent that waited for the process can pass how it ended."""
    dead = die(tmp_path)
    recover(tmp_path, outcomes={dead.named: Outcome.of(-9)})
    assert {end.extra["signal"] for end in ends_in(tmp_path)} == {"SIGKILL"}


def test_an_exit_status_is_reported_where_it_is_known(tmp_path: Path) -> None:
    """The same for a process that exited."""
    dead = die(tmp_path)
    recover(tmp_path, outcomes={dead.named: Outcome.of(3)})
    assert {end.extra["exit_status"] for end in ends_in(tmp_path)} == {3}


def test_the_outcome_of_another_process_with_the_same_pid_is_not_used(tmp_path: Path) -> None:
    """A folder has processes of many days, and pids are used again."""
    dead = die(tmp_path)
    pid, start_time = dead.named
    recover(tmp_path, outcomes={(pid, start_time + 1): Outcome.of(-11)})
    ends = ends_in(tmp_path)
    assert len(ends) == 4
    assert not any("signal" in end.extra for end in ends)


def test_the_outcome_of_a_process_of_this_boot_is_not_used_for_an_older_one() -> None:
    """Start times are counted from the boot, so they occur again, too."""
    outcomes = {(7, 99): Outcome(signal=11)}
    here = own_process(pid=7, start_time=99)
    assert find_outcome(outcomes, here) == Outcome(signal=11)
    here.boot_id = "0" * 36
    assert find_outcome(outcomes, here) == Outcome()


def test_living_processes_are_not_recovered(tmp_path: Path) -> None:
    """The folder of a living process, here this one, is not changed."""
    journal = Journal(tmp_path, ALONE)
    journal.append(encode_line(start(1, current().id)))
    journal.drain()
    before = {path: path.read_bytes() for path in tmp_path.glob("*.jsonl")}
    report = recover(tmp_path)
    assert (len(report.living), report.recovered) == (1, [])
    assert {path: path.read_bytes() for path in tmp_path.glob("*.jsonl")} == before
    assert len(list((tmp_path / RING_FOLDER).glob("*.ring"))) == 1
    journal.close()


@pytest.mark.parametrize("kept", [1, 60, 200])
def test_half_a_line_that_the_ring_buffer_has_whole_is_cut_off(tmp_path: Path, kept: int) -> None:
    """A kill cut the last line of the file; recovery leaves whole lines only, each once."""
    dead = die(tmp_path)
    (ring,) = read_rings(tmp_path)
    file = tmp_path / f"{dead.id}.jsonl"
    torn = ring.lines[5].data[:kept]
    file.write_bytes(b"".join(line.data + b"\n" for line in ring.lines[:5]) + torn)
    assert recover(tmp_path).spans == 4
    assert not damage_in(file)
    keys = [one.key for one in lines_in(file)]
    assert {line.key for line in ring.lines} < set(keys)
    assert len(keys) == len(set(keys))


def test_half_a_line_beyond_a_link_stays(tmp_path: Path) -> None:
    """Whoever may write into the folder cannot have a file elsewhere cut."""
    dead = die(tmp_path)
    (ring,) = read_rings(tmp_path)
    victim = tmp_path / "victim"
    victim.write_bytes(torn := ring.lines[0].data[:1])
    (tmp_path / f"{dead.id}.jsonl").unlink(missing_ok=True)
    (tmp_path / f"{dead.id}.jsonl").symlink_to(victim)
    recover(tmp_path)
    assert victim.read_bytes() == torn


def test_half_a_line_that_is_nowhere_else_stays(tmp_path: Path) -> None:
    """Recovery removes nothing of a file that it does not write whole again."""
    dead = die(tmp_path)
    file = tmp_path / f"{dead.id}.jsonl"
    file.write_bytes(b'{"half": ')
    assert recover(tmp_path).spans == 4
    assert file.read_bytes().startswith(b'{"half": \n')


def test_a_stopped_process_is_alive(tmp_path: Path) -> None:
    """Spans of a process under SIGSTOP, however long, are not ended."""
    text = """
        import os, sys, signal
        from pathlib import Path
        from otel_ext.journal.write.journal import Journal
        from otel_ext.record.codec import encode_line
        from otel_ext.runtime.process.incarnation import current
        from tests.journal.builders import ALONE, start
        journal = Journal(Path(sys.argv[1]), ALONE)
        journal.append(encode_line(start(1, current().id)))
        print("open", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
        signal.pause()
    """
    command = program(text, tmp_path)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        report = recover(tmp_path, grace_seconds=0, now_ns=NOW_NS)
        assert (len(report.living), report.recovered) == (1, [])
        [reader] = read_incarnations(tmp_path)[0].values()
        assert [one.start.name for one in reader.running()] == ["work"]
        process.send_signal(signal.SIGKILL)
    assert recover(tmp_path).spans == 1


def test_a_file_of_several_processes(tmp_path: Path) -> None:
    """In a shared file the spans of each dead process are ended, with its own numbers."""
    first = die(tmp_path, name="app.jsonl")
    second = die(tmp_path, name="app.jsonl")
    report = recover(tmp_path)
    assert {one.process.id for one in report.recovered} == {first.id, second.id}
    assert report.spans == 8
    assert [path.name for path in tmp_path.iterdir()] == ["app.jsonl"]
    keys = [one.key for one in lines_in(tmp_path / "app.jsonl")]
    assert len(keys) == len(set(keys))


def test_a_shared_file_without_ring_buffers(tmp_path: Path) -> None:
    """A named file is searched even if its processes had no ring buffers."""
    die(tmp_path, "queued", name="app.jsonl")
    assert recover(tmp_path).spans == 4
    assert recover(tmp_path).recovered == []


def test_a_process_on_another_host_gets_a_grace_time(tmp_path: Path) -> None:
    """It counts as dead only after a silence; until then it is uncertain."""
    process = "00000000-7-1-0000000a"
    facts = {"pid": 7, "start_time": 1, "boot_id": "0" * 36, "host": "elsewhere"}
    first = Record("process", None, "process.start", 10**18, 1, Process(process), extra=facts)
    path = tmp_path / f"{process}.jsonl"
    path.write_bytes(encode_line(first) + encode_line(start(2, process)))
    report = recover(tmp_path)
    assert (report.uncertain, report.recovered) == ([process], [])
    report = recover(tmp_path, now_ns=NOW_NS)
    assert (report.uncertain, report.spans) == ([], 1)


def test_a_process_of_an_earlier_boot_is_dead(tmp_path: Path) -> None:
    """After a reboot of this host its spans are ended, after it was silent for a while."""
    process = "00000000-7-1-0000000a"
    facts = {"pid": 7, "start_time": 1, "boot_id": "0" * 36, "host": own_process().host}
    first = Record("process", None, "process.start", 10**18, 1, Process(process), extra=facts)
    path = tmp_path / f"{process}.jsonl"
    path.write_bytes(encode_line(first) + encode_line(start(2, process)))
    assert recover(tmp_path, now_ns=NOW_NS).spans == 1


def test_a_start_too_damaged_for_an_end_needs_no_second_recovery(tmp_path: Path) -> None:
    """It cannot be repaired, so a second recovery finds nothing to do."""
    process = "00000000-7-1-0000000a"
    facts = {"pid": 7, "start_time": 1, "boot_id": "0" * 36, "host": own_process().host}
    first = Record("process", None, "process.start", 10**18, 1, Process(process), extra=facts)
    damaged = encode_line(start(3, process, number=1)).replace(b'"span_kind":"', b'"span_kind":"~')
    path = tmp_path / "app.jsonl"  # a shared file is always searched
    path.write_bytes(encode_line(first) + encode_line(start(2, process)) + damaged)
    assert recover(tmp_path, now_ns=NOW_NS).spans == 1
    assert recover(tmp_path, now_ns=NOW_NS).recovered == []


@pytest.mark.parametrize("what", ["header", "everything", "truncated", "grown", "empty"])
def test_a_damaged_ring_buffer_costs_only_what_is_damaged(tmp_path: Path, what: str) -> None:
    """Whatever the damage, the file is recovered and the ring buffer removed."""
    die(tmp_path, "mapped")
    recovered = tmp_path / "copy"
    shutil.copytree(tmp_path / RING_FOLDER, recovered / RING_FOLDER)
    [ring] = (recovered / RING_FOLDER).iterdir()
    content = ring.read_bytes()
    damaged: dict[str, bytes] = {
        "header": b"\xa5" * 4096 + content[4096:],
        "everything": b"\xa5" * len(content),
        "truncated": content[:9000],
        "grown": content + b"\xa5" * 70_000,
        "empty": b"",
    }
    ring.write_bytes(damaged[what])
    report = recover(recovered)
    assert not report.failed
    assert report.skipped_bytes > 0 or what in {"truncated", "grown", "empty"}
    assert report.spans == {"header": 4, "grown": 4}.get(what, report.spans)
    assert not list(recovered.glob(f"{RING_FOLDER}/*.ring"))


def test_a_torn_end_of_the_file_is_closed_first(tmp_path: Path) -> None:
    """The lines that recovery adds begin on a new line after a torn one."""
    die(tmp_path, "queued")
    [path] = tmp_path.glob("*.jsonl")
    with path.open("ab") as file:
        file.write(line(999)[:40])
    report = recover(tmp_path)
    assert report.spans == 4
    assert [(at.length, at.reason) for _, at in report.skipped] == [(40, "torn")]
    assert len(ends_in_tolerant(path)) == 4


def ends_in_tolerant(path: Path) -> list[object]:
    """Return the abandoned ends in a damaged file."""
    return [
        one for one in lines_in(path) if one.meta.get("phase") == "end" and "abandoned" in one.meta
    ]


def test_a_late_real_end_is_not_abandoned(tmp_path: Path) -> None:
    """A span whose real end is in the ring buffer or the file gets no second one."""
    die(tmp_path)
    recover(tmp_path)
    names = [end.name for end in ends_in(tmp_path)]
    assert not any(name.startswith("done") for name in names)


def test_a_folder_without_records_needs_no_recovery(tmp_path: Path) -> None:
    """Neither an empty folder nor other files are an error."""
    assert recover(tmp_path).recovered == []
    (tmp_path / "x.jsonl").write_bytes(b"hello\n")
    (tmp_path / "dir.jsonl").mkdir()
    assert recover(tmp_path).recovered == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dir.jsonl", "x.jsonl"]


def test_a_missing_folder_is_a_clear_error(tmp_path: Path) -> None:
    """The error names the folder."""
    with pytest.raises(JournalError, match="gone"):
        recover(tmp_path / "gone")


def test_ends_are_never_later_than_the_last_sign_of_life(tmp_path: Path) -> None:
    """Even if the program dated its last span to the next day."""
    text = """
        import os, signal, sys, time
        import otel_ext
        from opentelemetry import trace
        handle = otel_ext.configure(output=sys.argv[1], console="off")
        tracer = trace.get_tracer("ahead")
        kept = tracer.start_span("open")
        tracer.start_span("ahead").end(end_time=time.time_ns() + 86_400 * 10**9)
        handle.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run(program(text, tmp_path), timeout=50, check=False)
    died_before_ns = time.time_ns()
    recover(tmp_path, now_ns=died_before_ns + 2 * 86_400 * 10**9)
    [end] = ends_in(tmp_path)
    assert end.name == "open"
    assert end.time_ns <= died_before_ns


def test_all_skipped_bytes_are_counted(tmp_path: Path) -> None:
    """The report lists the first 1,000 damaged ranges and counts the bytes of all of them."""
    dead = die(tmp_path, "queued")
    [path] = tmp_path.glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b"garbage\n" * 1_500)
    report = recover(tmp_path)
    assert [one.process.id for one in report.recovered] == [dead.id]
    assert len(report.skipped) == 1_000
    assert report.skipped_bytes == 1_500 * 7
