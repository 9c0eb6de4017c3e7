"""The fast reader of journals finds the same open spans as the full reader."""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from otel_ext.journal.read.file_reader import FileReader
from otel_ext.journal.read.folder import read_incarnations
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.record.codec import encode_compat_line, encode_line
from otel_ext.record.model import Process, Record
from tests.cli.watched import shop
from tests.programs import spans_in, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ME = Process("00000000-7-5-00000000", 7, 5, "00000000-0000", "here")
ID = "a" * 32


def line(phase: str, number: int, seq: int, kind: str = "plain") -> bytes:
    """Return a record's line; `kind` is the way it is written."""
    record = Record("span", "start", f"s{number}", 1_000 + seq, seq, ME, trace_id=ID)
    record = record._replace(span_id=f"{number:016x}", attributes={"kind": "span", "phase": "end"})
    if phase == "update":
        record = record._replace(phase="update")
    elif phase == "end":
        record = record._replace(phase="end", start_ns=1_000)
    if kind == "compat":
        return encode_compat_line(record)
    plain = encode_line(record)
    if kind == "other order":
        return json.dumps(json.loads(plain), sort_keys=True).encode() + b"\n"
    if kind == "behind damage":
        return plain[:40] + plain
    return b"\0" * 16 + plain if kind == "behind zeros" else plain


KINDS = st.sampled_from(["plain", "compat", "other order", "behind damage", "behind zeros"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["start", "update", "end"]), st.integers(1, 6), KINDS), max_size=40
)


def log_line(seq: int) -> bytes:
    """Return a log record whose data looks like a span's."""
    data = {"version": 2, "kind": "span", "phase": "start", "trace_id": ID}
    return encode_line(Record("log", None, "hello", 1_000, seq, ME, attributes=data, trace_id=ID))


@given(STEPS, st.integers(0, 40))
def test_the_fast_and_the_slow_path_agree(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, str]], cut: int
) -> None:
    """Both find the same open spans, in any order and form of the records.

    The file is read twice, as `top` does, with a line torn between the reads.
    """
    folder = tmp_path_factory.mktemp("scan")
    path = folder / f"{ME.id}.jsonl"
    lines = [line(phase, number, seq, kind) for seq, (phase, number, kind) in enumerate(steps, 1)]
    lines.append(log_line(99))
    data = b"".join(lines)
    reader = FileReader(path)
    path.write_bytes(data[: cut * 97])
    reader.read()
    path.write_bytes(data)
    reader.read()
    fast = {*reader.spans.starts, *reader.spans.updates}
    (full,) = read_incarnations(folder)[0].values()
    slow = {span.start.key for span in full.running()}
    assert {tuple(key.decode().split('","span_id":"')) for key in fast} == slow


def test_a_file_that_was_replaced_is_read_from_its_start(tmp_path: Path) -> None:
    """A file that became shorter is a new file; nothing of the old one stays."""
    path = tmp_path / f"{ME.id}.jsonl"
    path.write_bytes(line("start", 1, 1) + line("start", 2, 2))
    reader = FileReader(path)
    reader.read()
    path.write_bytes(line("start", 3, 1))
    reader.read()
    assert len(reader.spans.starts) == 1
    path.unlink()
    reader.read()
    assert len(reader.spans.starts) == 1, "what was read stays known"


def test_no_ended_span_is_shown_while_a_program_works(tmp_path: Path) -> None:
    """Every read shows the long-open spans and no span that had ended before it.

    Thousands of short spans go through a small ring buffer and many small files. They run one
    after the other, so the end of each is stored before the next one's start is dated.
    """
    body = """\
open("ready-" + sys.argv[3], "w").close()
        while True:
            with tracer.start_as_current_span("short"):
                pass
            time.sleep(0.0002)
"""
    seen: list[tuple[int, Record]] = []
    reads = 0
    with shop(tmp_path, body=body, segment_size="64KiB", ring_size="128KiB"):
        reader = SnapshotReader([tmp_path / "traces"])

        def has_seen_enough() -> bool:
            nonlocal reads
            at_ns = time.time_ns() // 1_000 * 1_000  # the resolution of records
            spans = [span.record for span in reader.read().spans]
            assert {"checkout", "pay"} <= {record.name for record in spans}
            seen.extend((at_ns, record) for record in spans if record.name == "short")
            reads += 1
            return reads > 50 and len(list((tmp_path / "traces").glob("*.jsonl"))) > 5

        wait_until(has_seen_enough, "many reads while the program changes files")
    records = spans_in(tmp_path / "traces", "short")
    starts = sorted({record.time_ns for record in records if record.phase == "start"})
    ended = {record.span_id for record in records if record.phase == "end"}  # without dropped ends
    seen = [(at_ns, record) for at_ns, record in seen if record.span_id in ended]
    # The next start after that of the span.
    following = [starts[bisect_right(starts, record.time_ns) :][:1] for _, record in seen]
    read_at = [at_ns for at_ns, _ in seen]
    wrong = [at for at, after in zip(read_at, following, strict=True) if after and after[0] < at]
    assert not wrong, f"{len(wrong)} of {len(seen)} in {reads} reads"
    assert len(ended) > 200


def test_zeros_at_the_end_of_a_file_may_become_a_line(tmp_path: Path) -> None:
    """On a network file system a file may grow before its bytes are there."""
    path = tmp_path / f"{ME.id}.jsonl"
    end = line("end", 1, 2)
    path.write_bytes(line("start", 1, 1) + bytes(len(end)))
    reader = FileReader(path)
    reader.read()
    assert len(reader.spans.starts) == 1
    path.write_bytes(line("start", 1, 1) + end)
    reader.read()
    assert not reader.spans.starts


def test_outdated_updates_do_not_stay_in_memory(tmp_path: Path) -> None:
    """Of the updates of a span that runs for days, few are kept."""
    path = tmp_path / f"{ME.id}.jsonl"
    path.write_bytes(line("start", 1, 1))
    reader = FileReader(path)
    for seq in range(2, 302):
        with path.open("ab") as file:
            file.write(line("update", 1, seq))
        reader.read()
        (running,) = reader.spans.running(lambda _: False, reader.decode)
        assert running.update is not None
        assert running.update.seq == seq
        reader.forget_decoded()
    assert len(reader._decoded) < 100  # noqa: SLF001 - what it keeps in memory


def test_only_the_ids_of_abandoned_spans_stay_in_memory(tmp_path: Path) -> None:
    """An attribute of that value is no abandoned span."""
    path = tmp_path / f"{ME.id}.jsonl"
    start = Record("span", "start", "s", 1_000, 1, ME, trace_id=ID, span_id="b" * 16)
    start = start._replace(attributes={"cart.state": "abandoned"})
    end = start._replace(phase="end", seq=2, start_ns=1_000)
    again = start._replace(seq=3, span_id="c" * 16)
    ended = again._replace(phase="end", seq=4, start_ns=1_000, abandoned="expired")
    path.write_bytes(log_line(9) + b"".join(map(encode_line, (start, end, again, ended))))
    reader = FileReader(path)
    reader.read()
    assert not reader.spans.starts
    assert [key[-16:] for key in reader.spans.ended] == [b"c" * 16]
