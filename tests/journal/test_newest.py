"""Where the newest traces begin is found without reading everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.read import newest
from otel_ext.journal.read.newest import start_of_newest, time_in, time_of_last
from otel_ext.record.codec import encode_line
from otel_ext.record.timestamps import format_ns
from tests.exporters.samples import end, log, start

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.record.model import Record

SECOND = 1_000_000_000
ROOT = f"{1:016x}"


def trace(number: int) -> list[Record]:
    """Return the records of a trace that starts at second `number`, with one child."""
    trace_id = f"{number:032x}"
    at = number * SECOND
    step = end("step", 2, trace_id=trace_id, parent_span_id=ROOT)
    return [
        start("job", 1, trace_id=trace_id)._replace(time_ns=at),
        step._replace(time_ns=at + 1, start_ns=at),
        end("job", 1, trace_id=trace_id)._replace(time_ns=at + 2, start_ns=at),
    ]


def write(path: Path, records: list[Record]) -> Path:
    """Write records to a file."""
    path.write_bytes(b"".join(map(encode_line, records)))
    return path


@pytest.fixture(params=[8 * 1024 * 1024, 1_500], ids=["one step", "many steps"])
def _step(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the files in large and in small steps, which cut lines."""
    monkeypatch.setattr(newest, "_STEP", request.param)


@pytest.mark.usefixtures("_step")
@pytest.mark.parametrize("number", [1, 3, 20])
def test_so_many_traces_started_since_then(tmp_path: Path, number: int) -> None:
    """Over several files, in any order; an earlier time is allowed, a later one is not."""
    old = write(tmp_path / "z.jsonl", [record for one in range(1, 11) for record in trace(one)])
    new = write(tmp_path / "a.jsonl", [record for one in range(11, 31) for record in trace(one)])
    since = start_of_newest([old, new], number)
    starts = [format_ns(one * SECOND) for one in range(1, 31)]
    assert sum(one >= since for one in starts) >= number
    if newest._STEP > 1_000_000:  # noqa: SLF001 - no line is cut
        assert since == starts[-number]


def test_fewer_traces_than_wanted_need_everything(tmp_path: Path) -> None:
    """Also without files, and in files without spans or with damage only."""
    path = write(tmp_path / "a.jsonl", trace(1))
    assert start_of_newest([path], 1) == start_of_newest([path], 2) == ""
    assert start_of_newest([], 1) == ""
    assert start_of_newest([write(tmp_path / "b.jsonl", [log("stored")])], 1) == ""
    path.write_bytes(b"\0" * 5_000 + b"garbage\n[1]\n")
    assert start_of_newest([path, tmp_path / "missing.jsonl"], 1) == ""
    assert time_of_last(path) == time_of_last(tmp_path / "missing.jsonl") == ""


def test_old_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only their last lines are."""
    paths = [write(tmp_path / f"{one}.jsonl", trace(one)) for one in range(1, 6)]
    read: list[str] = []
    add = newest._Newest.add  # noqa: SLF001

    def noting(self: newest._Newest, lines: list[bytes]) -> str:
        found = list(lines)
        read.append(time_in(found[0]))
        return add(self, found)

    monkeypatch.setattr(newest._Newest, "add", noting)  # noqa: SLF001
    assert start_of_newest(paths, 2) == format_ns(4 * SECOND)
    assert read == [format_ns(5 * SECOND), format_ns(4 * SECOND)]


def test_the_time_of_a_line() -> None:
    """Wherever the timestamp stands in it."""
    [first, *_] = map(encode_line, trace(7))
    assert time_in(first) == format_ns(7 * SECOND)
    other = first.replace(b'{"__tracer_meta__":', b'{"a":1,"__tracer_meta__":', 1)
    assert time_in(other) == time_in(first)
    assert time_in(b"{}") == time_in(b"") == time_in(b"[") == ""
