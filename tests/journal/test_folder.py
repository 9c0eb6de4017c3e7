"""Reading a folder: running spans, liveness and last activity of its processes."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from otel_ext.journal.read.folder import read_incarnations
from otel_ext.journal.read.incarnations import base_id
from otel_ext.journal.write import segment
from otel_ext.journal.write.journal import Journal
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Process, Record
from otel_ext.runtime.process.incarnation import current
from otel_ext.runtime.process.records import process_end_record, process_start_record
from tests.journal.builders import ALONE, BASE_NS, TRACE, alone, end, line, running, span_id, start
from tests.journal.killed import die

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from otel_ext.observe.snapshot import Snapshot

DEAD = "00000000-7-1-0000000a"


def snapshot(folder: Path) -> Snapshot:
    """Return the processes and open spans in `folder`, as `ps` shows them."""
    return SnapshotReader([folder], other_hosts=True).read()


def names(folder: Path) -> list[str]:
    """Return the names of the spans that run in `folder`."""
    return [span.record.name for span in snapshot(folder).spans]


def last_seen_ns(folder: Path, now_ns: int) -> int:
    """Return when the one process in `folder` was last alive, as recovery dates its end."""
    [reader] = read_incarnations(folder)[0].values()
    return reader.last_seen_ns(now_ns)


def test_a_dead_process_shows_what_it_was_doing(tmp_path: Path) -> None:
    """Its facts, open spans and last activity are known before any recovery."""
    dead = die(tmp_path)
    [process] = snapshot(tmp_path).processes
    assert (process.id, process.pid, process.condition) == (dead.id, dead.pid, "dead")
    assert process.service == "doomed"
    assert names(tmp_path) == ["outer", "open 0", "open 1", "open 2"]
    assert abs(process.last_seen_ns - time.time_ns()) < 60 * 10**9
    [reader] = read_incarnations(tmp_path)[0].values()
    assert reader.facts().recorded.resource == {"service.name": "doomed"}
    assert not reader.closed


def test_this_process_shows_what_it_is_doing(tmp_path: Path) -> None:
    """Ring buffer and segment together show the open spans, drained or not."""
    me = current()
    journal = Journal(
        tmp_path,
        ALONE,
        first_lines=lambda: [encode_line(process_start_record(me.process_for({}), 9))],
    )
    journal.append(encode_line(start(10, me.id, name="drained")))
    journal.append(encode_line(start(11, me.id, name="ended")))
    journal.drain()
    journal.append(encode_line(end(12, me.id, 11, name="ended")))
    journal.append(encode_line(start(13, me.id, name="in the ring buffer")))
    [process] = snapshot(tmp_path).processes
    assert process.condition == "alive"
    assert process.worker_silent_ns is not None
    assert names(tmp_path) == ["drained", "in the ring buffer"]
    assert read_incarnations(tmp_path)[1] == []
    journal.append(encode_line(process_end_record(me.process_for(None), 14)))
    assert journal.close()
    assert snapshot(tmp_path).processes == ()
    [reader] = read_incarnations(tmp_path)[0].values()
    assert (reader.closed, reader.rings) == (True, [])


def test_a_reader_needs_only_the_newest_segment(tmp_path: Path) -> None:
    """Older segments are not read, since a further segment repeats the open spans."""
    older, newer = tmp_path / f"{DEAD}.jsonl", tmp_path / f"{DEAD}.1.jsonl"
    older.write_bytes(encode_line(start(1, DEAD, name="older")))
    newer.write_bytes(encode_line(start(2, DEAD, name="newer")) + encode_line(end(3, DEAD, 1)))
    assert names(tmp_path) == ["newer"]


def test_a_segment_that_has_just_begun_is_read_with_the_one_before(tmp_path: Path) -> None:
    """If a writer was killed during a rotation, the segment before is read, too."""
    older, newer = tmp_path / f"{DEAD}.jsonl", tmp_path / f"{DEAD}.1.jsonl"
    older.write_bytes(encode_line(start(1, DEAD, name="older")) + encode_line(start(3, DEAD)))
    newer.write_bytes(encode_line(start(3, DEAD)))
    os.utime(older, (1, 1))
    assert len(names(tmp_path)) == 2


def test_order_does_not_matter(tmp_path: Path) -> None:
    """An end before its start, or a start read twice, leaves the span ended."""
    lines = [end(2, DEAD, 1), start(1, DEAD), start(1, DEAD)]
    (tmp_path / f"{DEAD}.jsonl").write_bytes(b"".join(map(encode_line, lines)))
    assert names(tmp_path) == []


def test_the_newest_update_is_kept(tmp_path: Path) -> None:
    """A stalled span has the update with the highest number."""
    began = start(1, DEAD)
    updates = [began._replace(phase="update", seq=seq, extra={"age_ns": seq}) for seq in (3, 2)]
    (tmp_path / f"{DEAD}.jsonl").write_bytes(b"".join(map(encode_line, [began, *updates])))
    [span] = snapshot(tmp_path).spans
    assert span.record.seq == 1
    assert span.update is not None
    assert span.update.seq == 3


def test_an_update_whose_start_is_gone_still_runs(tmp_path: Path) -> None:
    """The span is listed with the data of the update."""
    update = start(5, DEAD)._replace(phase="update", extra={"age_ns": 5})
    (tmp_path / f"{DEAD}.jsonl").write_bytes(encode_line(update))
    assert names(tmp_path) == ["work"]


def test_spans_are_distinguished_by_trace_and_span(tmp_path: Path) -> None:
    """The same span id in two traces is two spans."""
    other = end(2, DEAD, 1)._replace(trace_id="f" * 32)
    (tmp_path / f"{DEAD}.jsonl").write_bytes(encode_line(start(1, DEAD)) + encode_line(other))
    [span] = snapshot(tmp_path).spans
    assert span.record.key == (TRACE, span_id(1))


def test_providers_of_one_process_are_one_incarnation(tmp_path: Path) -> None:
    """Records under ID.2 belong to the incarnation ID."""
    lines = encode_line(start(1, DEAD)) + encode_line(start(2, f"{DEAD}.2"))
    (tmp_path / f"{DEAD}.jsonl").write_bytes(lines)
    assert [span.process.id for span in snapshot(tmp_path).spans] == [DEAD, DEAD]
    [reader] = read_incarnations(tmp_path)[0].values()
    assert len(reader.running()) == 2
    assert base_id("trace.v2") == "trace.v2"


def test_times_in_the_future_are_no_sign_of_life(tmp_path: Path) -> None:
    """A time set by the program cannot move a process's death into the future."""
    path = tmp_path / f"{DEAD}.jsonl"
    path.write_bytes(encode_line(start(1, DEAD)))
    os.utime(path, ns=(2 * BASE_NS, 2 * BASE_NS))
    assert last_seen_ns(tmp_path, BASE_NS) == BASE_NS


def test_a_time_behind_the_last_write_is_no_sign_of_life(tmp_path: Path) -> None:
    """A span dated to tomorrow by its program does not move the death there."""
    path = tmp_path / f"{DEAD}.jsonl"
    path.write_bytes(encode_line(start(1, DEAD)))
    died_ns = BASE_NS - 3_600 * 10**9
    os.utime(path, ns=(died_ns, died_ns))
    assert last_seen_ns(tmp_path, 2 * BASE_NS) == died_ns


def test_the_last_record_counts_and_not_the_latest_time(tmp_path: Path) -> None:
    """The last record counts even if an earlier one has a later time."""
    ahead = start(1, DEAD)._replace(time_ns=BASE_NS + 3_600 * 10**9)
    path = tmp_path / f"{DEAD}.jsonl"
    path.write_bytes(encode_line(ahead) + encode_line(start(2, DEAD)._replace(time_ns=BASE_NS)))
    os.utime(path, ns=(2 * BASE_NS, 2 * BASE_NS))
    assert last_seen_ns(tmp_path, 2 * BASE_NS) == BASE_NS


def test_damage_is_reported_with_its_file(tmp_path: Path) -> None:
    """Skipped ranges have file, offset, length and reason; their number is bounded."""
    path = tmp_path / f"{DEAD}.jsonl"
    path.write_bytes(line(1, DEAD) + b"garbage\n" * 1_500 + line(2, DEAD))
    _, skipped, skipped_bytes = read_incarnations(tmp_path)
    assert len(skipped) == 1_000
    assert skipped_bytes == 1_500 * 7
    assert skipped[0] == (path, (len(line(1, DEAD)), 7, "garbage"))


def test_the_heartbeat_is_kept(tmp_path: Path) -> None:
    """The state of a process has its last heartbeat."""
    beats = [
        Record("process", None, "process.heartbeat", BASE_NS, seq, Process(DEAD), extra={"n": seq})
        for seq in (1, 2)
    ]
    (tmp_path / f"{DEAD}.jsonl").write_bytes(b"".join(map(encode_line, [*beats, start(3, DEAD)])))
    [process] = snapshot(tmp_path).processes
    assert process.heartbeat is not None
    assert process.heartbeat.seq == 2


def test_a_missing_folder_is_an_empty_one(tmp_path: Path) -> None:
    """It has no processes, and reading it is not an error."""
    assert snapshot(tmp_path / "gone").processes == ()
    assert read_incarnations(tmp_path / "gone")[0] == {}


def test_a_new_file_shows_what_is_open_after_an_end_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A span whose end had no room is shown as open only until the next file."""
    monkeypatch.setattr(segment, "_AFTER_LOSS_SECONDS", 0.0)
    me = current().process_for(None)
    begins = encode_line(process_start_record(me, 1))
    open_lines = [encode_line(start(number, me.id)) for number in (2, 3)]
    settings = alone(ring_size=1)
    journal = Journal(tmp_path, settings, first_lines=lambda: [begins, *open_lines])
    for one in open_lines:
        journal.append(one)
    long = encode_line(end(4, me.id, 3, name="x" * 140_000))
    assert len(long) > settings.ring_size
    open_lines.pop()
    assert not journal.append(long)
    for number in (5, 6):
        journal.append(line(number, me.id))
        assert journal.drain()
    assert [span.record.seq for span in snapshot(tmp_path).spans] == [2]
    assert not journal.append(long)
    journal.append(line(7, me.id))
    assert journal.close()
    assert len(list(tmp_path.glob("*.jsonl"))) == 2  # none begins after the last lines


def test_a_hung_process_shows_by_its_stamp(tmp_path: Path) -> None:
    """The stamp of a stopped process grows old while its pid is alive."""
    text = """
        import os, signal, sys, time
        from pathlib import Path
        from otel_ext.journal.write.journal import Journal
        from otel_ext.record.codec import encode_line
        from otel_ext.runtime.process.incarnation import current
        from otel_ext.runtime.worker import shared_worker
        from tests.journal.builders import ALONE, start
        journal = Journal(Path(sys.argv[1]), ALONE, worker=shared_worker())
        journal.append(encode_line(start(1, current().id)))
        time.sleep(1.5)
        print("ready", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    """
    with running(text, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        time.sleep(1.5)
        [found] = snapshot(tmp_path).processes
        assert found.condition == "stopped"
        assert names(tmp_path) == ["work"]
        assert found.worker_silent_ns is not None
        assert 10**9 < found.worker_silent_ns < 60 * 10**9
