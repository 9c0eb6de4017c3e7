"""Of large folders only what the newest traces need is read, with the same result."""

from __future__ import annotations

from argparse import ArgumentParser
from time import time_ns
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.traces import choice
from otel_ext.cli.traces.options import add_traces
from otel_ext.cli.traces.reader import TraceReader
from tests.cli.watched import run_on_traces
from tests.cli.written import exported
from tests.exporters.samples import end, start

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.record.model import Record

MINUTE = 60_000_000_000


def trace(number: int) -> list[Record]:
    """Return the records of a trace that took a second, `number` minutes after the first."""
    at = number * MINUTE
    own = {"trace_id": f"{number + 1:032x}", "attributes": {"number": number}}
    found = [end("step", 2, parent_span_id=f"{1:016x}", **own), end("job", 1, **own)]  # type: ignore[arg-type]
    return [one._replace(time_ns=one.time_ns + at, start_ns=one.started_ns + at) for one in found]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with thirty traces, in two files."""
    for numbers in (range(20), range(20, 30)):
        exported(tmp_path / "traces", *[one for number in numbers for one in trace(number)])
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["--last", "3"],
        ["--last", "0"],
        ["--last", "2", "--search", "number=4"],
        ["--last", "2", "--search", "number<9"],
        ["--last", "2", "--search", "number=99"],
        ["--last", "40"],
        ["--last", "1", "--trace", f"{5:032x}"],
    ],
    ids=" ".join,
)
def test_the_result_is_that_of_reading_everything(
    folder: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many traces, searched or not."""
    whole = run_on_traces(folder, "tree", *words)
    monkeypatch.setattr(choice, "_LARGE", 0)
    monkeypatch.setattr(choice, "_MORE", 2)
    part = run_on_traces(folder, "tree", *words)
    assert (part.code, part.out) == (whole.code, whole.out)


def test_earlier_traces_are_not_counted_then(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They were not read."""
    assert "earlier traces not shown: 27;" in run_on_traces(folder, "tree", "--last", "3").err
    monkeypatch.setattr(choice, "_LARGE", 0)
    done = run_on_traces(folder, "tree", "--last", "3")
    assert "earlier traces not shown; --last 0 takes all" in done.err


def test_a_trace_that_began_long_before_is_not_among_the_newest(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even if the only record of it among the newest is that of a step of it."""
    own = {"trace_id": "f" * 32}
    begun = start("night job", 1, **own)
    newest = run_on_traces(folder, "tree", "--json", "--last", "1").document["traces"][0]["start"]
    at = begun.time_ns + 29 * MINUTE + MINUTE // 2
    step = end("step", 2, parent_span_id=f"{1:016x}", **own)  # type: ignore[arg-type]
    step = step._replace(time_ns=at + 9, start_ns=at)
    exported(folder / "traces", begun._replace(time_ns=begun.time_ns - MINUTE), step)
    whole = run_on_traces(folder, "tree", "--last", "3")
    assert "night job" not in whole.out
    monkeypatch.setattr(choice, "_LARGE", 0)
    assert run_on_traces(folder, "tree", "--last", "3").out == whole.out
    assert "night job" in run_on_traces(folder, "tree", "--trace", "ffff").out
    # All spans of it started later than this, but it did not.
    since = run_on_traces(folder, "tree", "--since", newest, "--last", "0")
    assert since.out.count("trace ") == 1
    assert "(not recorded)" not in since.out


def test_traces_that_began_elsewhere_are_found_without_reading_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that others call has no root span in its own records."""
    for number in range(30):
        step, _ = trace(number)
        exported(tmp_path / "traces", step)
    whole = run_on_traces(tmp_path, "tree", "--last", "3")
    monkeypatch.setattr(choice, "_LARGE", 0)
    part = run_on_traces(tmp_path, "tree", "--last", "3")
    assert part.out == whole.out
    assert "earlier traces not shown;" in part.err


def test_following_since_leaves_out_what_started_before(tmp_path: Path) -> None:
    """Also if only a later span of it was read."""
    now = time_ns()
    own = {"trace_id": "f" * 32}
    begun = start("night job", 1, **own)._replace(time_ns=now - 90 * MINUTE)
    step = end("step", 2, parent_span_id=f"{1:016x}", **own)  # type: ignore[arg-type]
    exported(tmp_path / "traces", begun, step._replace(time_ns=now - 9, start_ns=now - 99))
    parser = ArgumentParser()
    add_traces(parser)
    args = parser.parse_args(["--since", "10m"])
    reader = TraceReader(args, [tmp_path / "traces"], since_ns=args.since)
    assert reader.read_all(is_first=True).traces == []


def test_since_leaves_out_what_started_before(folder: Path) -> None:
    """By a date and time; a duration is before now."""
    first = run_on_traces(folder, "tree", "--json", "--last", "0").document["traces"][17]["start"]
    done = run_on_traces(folder, "tree", "--last", "0", "--since", first, "--json")
    assert len(done.document["traces"]) == 13
    done = run_on_traces(folder, "tree", "--since", "2100-01-01T00:00Z")
    assert (done.code, done.out) == (1, "")
    assert "started since 2100-01-01" in done.err
    assert "(--since)" in done.err
    done = run_on_traces(folder, "tree", "--since", "noon")
    assert done.code == 2
    assert "'noon' is not a time; use 10m (ago) or 2026-11-29T12:00" in done.err
