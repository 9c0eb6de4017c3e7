"""A report is one page with the traces in it, whatever they contain."""

from __future__ import annotations

import gzip
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.context import BufferedLogger, with_span
from otel_ext.errors import OtelExtError
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.runtime.process.records import process_end_record
from otel_ext.testing import RecordCapture
from otel_ext.views import report, write_report
from otel_ext.views.report_data import STATES
from tests.cli.watched import run_on_traces
from tests.cli.written import FAR, exported, span, write
from tests.exporters.samples import end, log, start
from tests.global_provider import as_global

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "</script><script>alert(1)</script><!-- \u202e \x1b]0;x\x07"
ROOT = f"{1:016x}"


def document_of(page: str) -> dict[str, Any]:
    """Return the data in a page."""
    text = page[page.rindex("H4sI") :].split("<", 1)[0].strip()
    found: dict[str, Any] = orjson.loads(gzip.decompress(b64decode(text)))
    return found


def report_of(folder: Path, *words: str) -> tuple[str, dict[str, Any]]:
    """Return the page that a command writes, and the data in it."""
    done = run_on_traces(folder, "report", "-o", str(folder / "trace.html"), *words)
    assert done.code == 0, done.err
    page = (folder / "trace.html").read_text("utf-8")
    return page, document_of(page)


def test_nothing_in_the_data_is_in_the_page_as_text(tmp_path: Path) -> None:
    """Names, attributes, errors and logs are compressed, so they cannot end an element."""
    attributes = {HOSTILE: HOSTILE, "__proto__": 1}
    exported(
        tmp_path / "traces",
        end(HOSTILE, attributes=attributes),
        log(HOSTILE, trace_id=end().trace_id, span_id=ROOT, attributes=attributes),
    )
    page, document = report_of(tmp_path)
    assert "alert(1)" not in page
    assert any("alert(1)" in text for text in document["strings"])
    assert "default-src 'none'" in page


def test_a_report_has_the_traces_with_their_logs(tmp_path: Path) -> None:
    """Spans by column, and each log once though it is in the ring buffer too."""
    trace_id = end().trace_id
    exported(
        tmp_path / "traces",
        start("job"),
        end("step", 2, parent_span_id=ROOT),
        log("stored", trace_id=trace_id, span_id=ROOT),
    )
    _, document = report_of(tmp_path)
    (trace,) = document["traces"]
    names = [document["strings"][one] for one in trace["spans"]["name"]]
    assert (names, trace["spans"]["parent"]) == (["job", "step"], [-1, 0])
    assert len(trace["logs"]) == 1


def test_what_is_left_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit the first spans are in the report, with those above them."""
    monkeypatch.setattr(report, "MOST_SPANS", 10)
    children = [end(f"step {one}", one, parent_span_id=ROOT) for one in range(2, 30)]
    exported(tmp_path / "traces", end("job"), *children)
    done = run_on_traces(tmp_path, "report", "-o", str(tmp_path / "a.html"))
    assert "19 spans beyond" in done.err
    (trace,) = document_of((tmp_path / "a.html").read_text("utf-8"))["traces"]
    assert (len(trace["spans"]["id"]), trace["left_out"]) == (10, 19)


def test_figures_are_those_of_the_whole_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left out counts for self times, and its piece of the path for the span above."""
    monkeypatch.setattr(report, "MOST_SPANS", 2)
    below = (("step", 2, 1), ("query", 3, 2), ("fetch", 4, 3))
    exported(
        tmp_path / "traces",
        end("job", took=1_000),
        *(end(name, one, 900, parent_span_id=f"{above:016x}") for name, one, above in below),
    )
    _, document = report_of(tmp_path)
    (trace,) = document["traces"]
    assert trace["spans"]["self"] == [100, 0]
    assert trace["paths"][0]["segments"] == [[1, 0, 900, -1, 0], [0, 900, 1_000, -1, 0]]
    assert "2 spans of the deepest levels" in trace["note"]


def test_whole_traces_beyond_the_limit_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest are kept; the message and the page say how many are not."""
    monkeypatch.setattr(report, "MOST_SPANS", 3)
    traces = [
        end("job", one, trace_id=f"{one:032x}", start_ns=end().start_ns + one)
        for one in range(1, 6)
    ]
    exported(tmp_path / "traces", *traces)
    done = run_on_traces(tmp_path, "report", "-o", str(tmp_path / "a.html"))
    document = document_of((tmp_path / "a.html").read_text("utf-8"))
    assert [trace["trace_id"] for trace in document["traces"]] == [
        f"{one:032x}" for one in (5, 4, 3)
    ]
    assert "left out: 2 spans beyond 3, with 2 whole traces" in done.err
    assert document["note"] in done.err


@pytest.mark.parametrize(("has_ended", "state"), [(False, "running"), (True, "open")])
def test_an_open_span_of_a_process_that_was_not_observed(
    tmp_path: Path, *, has_ended: bool, state: str
) -> None:
    """It is `open`, as in a terminal; the other one is running."""
    ended = [process_end_record(FAR, 9)] if has_ended else []
    write(tmp_path / "traces", FAR, span("job", 2, FAR), *ended)
    assert state in run_on_traces(tmp_path, "tree").out
    _, document = report_of(tmp_path)
    assert STATES[document["traces"][0]["spans"]["state"][0]] == state


def test_a_stalled_span_is_where_it_was_last_seen(tmp_path: Path) -> None:
    """Not where it was opened: the command knows the stack of its last update."""
    begun = span("job", 2, FAR)
    stack = [{"file": "locks.py", "line": 41, "function": "wait"}]
    extra = {"stalled": True, "stack": stack, "age_ns": 5_000_000_000}
    update = begun._replace(
        phase="update", seq=3, time_ns=begun.time_ns + 5_000_000_000, extra=extra
    )
    write(tmp_path / "traces", FAR, begun, update)
    _, document = report_of(tmp_path)
    spans, strings = document["traces"][0]["spans"], document["strings"]
    assert STATES[spans["state"][0]] == "stalled"
    assert strings[spans["where"][0]] == "locks.py:41 wait"
    assert (strings[spans["file"][0]], spans["line"]) == ("a.py", [3])


def test_a_buffered_logger_makes_the_report_of_its_trace(tmp_path: Path) -> None:
    """Beside its file, by one argument."""
    provider = TracerProvider()
    provider.add_span_processor(LifecycleSpanProcessor(RecordCapture()))
    path = tmp_path / "nightly.jsonl"
    with as_global(provider), BufferedLogger(path, report=write_report), with_span("load"):
        pass
    document = document_of((tmp_path / "nightly.html").read_text("utf-8"))
    names = [document["strings"][one] for one in document["traces"][0]["spans"]["name"]]
    assert names == ["nightly", "load"]
    provider.shutdown()


def test_a_file_without_spans_has_no_report(tmp_path: Path) -> None:
    """The message names it; nothing is written."""
    path = tmp_path / "empty.jsonl"
    path.touch()
    with pytest.raises(OtelExtError, match=r"empty\.jsonl has no span"):
        write_report(path)
    assert list(tmp_path.iterdir()) == [path]
