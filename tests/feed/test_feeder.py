"""What is recorded in a folder comes into its store, once, whatever happens meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from otel_ext.feed.feeder import RECEIVED_FOLDER, Feeder, feed_all
from otel_ext.journal.read.rings import read_rings
from otel_ext.store.queries import LogQuery, TraceQuery
from otel_ext.store.sqlite.schema import STORE_FOLDER
from otel_ext.store.sqlite.store import SqliteStore
from otel_ext.store.sqlite.writer import SqliteWriter
from otel_ext.store.stored import StoredTraces
from tests.durability.kit import HEAD
from tests.programs import python, started, wait_until, write_program
from tests.store.records import log_line, process_line, span_line, trees_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_ext.store.protocol import Store


class Fed:
    """A folder and its store.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Store = SqliteStore(folder / STORE_FOLDER)

    def feed(self) -> tuple[int, int]:
        """Store what there is, as a new process would; return records and damaged parts."""
        writer = SqliteWriter(self.folder / STORE_FOLDER)
        try:
            return feed_all(Feeder(self.folder, writer, below=RECEIVED_FOLDER), lambda _: None)
        finally:
            writer.close()

    def write(self, name: str, *lines: bytes, mode: str = "ab") -> None:
        """Add lines to a file."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        with path.open(mode) as file:
            file.write(b"".join(line + b"\n" for line in lines))

    def summaries(self) -> list[tuple[str, int, int]]:
        """Return id, spans and open spans of each trace."""
        found = self.store.candidates(TraceQuery())
        return sorted((one.trace_id[-1], one.spans, one.open) for one in found)


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[Fed]:
    """Return an empty folder."""
    one = Fed(tmp_path)
    yield one
    one.store.close()


def test_what_was_added_is_stored(fed: Fed) -> None:
    """Each call stores what was added since the last, in the folder and what was received."""
    fed.write("a.jsonl", process_line(), span_line("start", 1))
    assert fed.feed() == (2, 0)
    assert fed.summaries() == [("1", 1, 1)]
    fed.write("a.jsonl", span_line("end", 1, seq=2), log_line("hi", trace=1, seq=3))
    fed.write(f"{RECEIVED_FOLDER}/b.jsonl", span_line("end", 1, trace=2, process="q"))
    assert fed.feed() == (3, 0)
    assert fed.feed() == (0, 0)
    assert fed.summaries() == [("1", 1, 0), ("2", 1, 0)]
    assert [log.text for log in fed.store.logs(LogQuery())] == ["hi"]


def test_half_a_line_waits_for_its_rest(fed: Fed) -> None:
    """A line is stored when it is complete."""
    line = span_line("start", 1)
    (fed.folder / "a.jsonl").write_bytes(line[:50])
    assert fed.feed() == (0, 0)
    (fed.folder / "a.jsonl").write_bytes(line + b"\n")
    assert fed.feed() == (1, 0)


@pytest.mark.parametrize("is_new", [False, True], ids=["shortened", "replaced"])
def test_another_file_of_the_same_name_is_read(fed: Fed, *, is_new: bool) -> None:
    """A file that was shortened or replaced is read from its beginning."""
    path = fed.folder / "a.jsonl"
    fed.write("a.jsonl", span_line("start", 1), span_line("end", 1, seq=2))
    fed.feed()
    if is_new:
        path.rename(fed.folder / "old")
    path.write_bytes(span_line("end", 1, trace=2) + b"\n")
    fed.feed()
    assert fed.summaries() == [("1", 1, 0), ("2", 1, 0)]


def test_a_file_whose_name_is_not_utf8(fed: Fed) -> None:
    """A file of any name is read, once."""
    fed.write(os.fsdecode(b"caf\xe9.jsonl"), span_line("end", 1))
    assert fed.feed() == (1, 0)
    assert fed.feed() == (0, 0)
    assert fed.summaries() == [("1", 1, 0)]


def test_a_deleted_file_leaves_no_position(fed: Fed) -> None:
    """The position in a file that is gone is forgotten; what was stored of it stays."""
    fed.write("a.jsonl", span_line("end", 1))
    fed.feed()
    (fed.folder / "a.jsonl").unlink()
    fed.feed()
    writer = SqliteWriter(fed.folder / STORE_FOLDER)
    assert writer.positions() == []
    writer.close()
    assert fed.summaries() == [("1", 1, 0)]


def test_damage_is_passed_over(fed: Fed) -> None:
    """Whole records around and within damaged lines are stored, the damage is counted."""
    good = [span_line("end", 1, trace=number) for number in (1, 2, 3)]
    fed.write("a.jsonl", good[0], b"garbage", good[1][:60] + good[1], b"\0" * 40, b"[1]", good[2])
    records, skipped = fed.feed()
    assert records == 3
    assert skipped == 4
    assert [one[0] for one in fed.summaries()] == ["1", "2", "3"]


@pytest.mark.parametrize(
    "line",
    [
        span_line("end", 1, seq=2**63),
        span_line("end", 1).replace(b'"' + b"0" * 31 + b"1", b'"' + b"g" * 31 + b"1"),
        span_line("end", 1).replace(b'"span_id":"', b'"span_id":"0'),
        span_line("end", 0xAB, trace=2).replace(b"0ab", b"0AB"),
        span_line("end", 2, trace=0xAB).replace(b"0ab", b"0AB"),
        b'{"__tracer_meta__": []}',
        b'{"__tracer_meta__": {"kind": "span"}}',
        b'{"__tracer_meta__": {"kind": "process", "process": 7, "event": 8}}',
        b'{"__tracer_meta__": {"kind": ["span"]}}',
        b"[" * 100_000,
    ],
)
def test_what_cannot_be_stored_is_counted(fed: Fed, line: bytes) -> None:
    """A hostile line neither stops the feed nor hides the others."""
    fed.write("a.jsonl", line, span_line("end", 2, trace=2))
    records, skipped = fed.feed()
    assert (records, skipped > 0) == (1, True)
    assert fed.summaries() == [("2", 1, 0)]


def test_a_suspended_program_is_seen(fed: Fed) -> None:
    """Records that wait in the ring buffer of a program that hangs are stored, too."""
    text = (
        f"{HEAD}with tracer.start_as_current_span('first'):\n    pass\nhandle.flush()\n"
        "span = tracer.start_span('waits')\nos.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    program = write_program(fed.folder, text)
    records = fed.folder / "records"
    with started(python(program, records), cwd=fed.folder) as process:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert any("waits" in str(line.meta) for ring in read_rings(records) for line in ring.lines)
        other = Fed(records)

        def is_stored() -> bool:
            other.feed()
            return "waits" in [one.name for one in other.store.candidates(TraceQuery())]

        wait_until(is_stored, "the span in the ring buffer is stored")
        other.store.close()


def test_a_killed_feed_goes_on(fed: Fed, tmp_path: Path) -> None:
    """After kill -9 at any time the next feed completes the store, and nothing is there twice."""
    lines = [process_line()]
    for trace in range(1, 2_001):
        lines.append(span_line("start", 1, trace=trace, seq=trace * 3))
        lines.append(span_line("end", 1, trace=trace, seq=trace * 3 + 1))
        lines.append(log_line("done", trace=trace, span=1, seq=trace * 3 + 2))
    fed.write("a.jsonl", *lines)
    program = write_program(
        tmp_path,
        "import sys, pathlib\n"
        "from otel_ext.feed import feeder\n"
        "from otel_ext.store.sqlite.writer import SqliteWriter\n"
        "feeder._BATCH_BYTES = 20_000\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "print('begun', flush=True)\n"
        "one = feeder.Feeder(folder, SqliteWriter(folder / '.store'))\n"
        "while one.step().size: print('step', flush=True)\n",
    )
    for steps in (1, 3, 7):
        with subprocess.Popen(python(program, fed.folder), stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(steps + 1):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
    fed.feed()
    assert len(fed.summaries()) == 2_000
    assert all(one[1:] == (1, 0) for one in fed.summaries())
    assert len(list(fed.store.logs(LogQuery()))) == 2_000
    (job,) = fed.store.operations(0, 2**62)
    assert sum(job.durations.values()) == 2_000


def test_the_store_is_that_of_the_files(fed: Fed) -> None:
    """A store that grew with the files has the same trees as the files."""
    lines = [span_line("start", 1, trace=t, seq=t) for t in range(1, 9)]
    lines += [span_line("end", 1, trace=t, seq=t + 20) for t in range(1, 5)]
    for at in range(0, len(lines), 3):
        fed.write("a.jsonl", *lines[at : at + 3])
        fed.feed()
    stored = StoredTraces(fed.store)
    for trace_id, trees in trees_in(lines).items():
        found = [[span.state for span in tree.spans] for tree in stored.trees_of(trace_id)]
        assert found == [[span.state for span in tree.spans] for tree in trees]
