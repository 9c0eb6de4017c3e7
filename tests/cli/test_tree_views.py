"""Lines of `otel-ext tree`, selection of spans, and folding of equal siblings."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from otel_ext.cli.main import main
from otel_ext.record.model import Process, SpanEvent, Status
from otel_ext.terminal.text import cells
from tests.cli.written import DEAD, FAR, exported, span, write
from tests.commands import call
from tests.exporters.samples import end, start

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.record.model import Record

ROOT = f"{1:016x}"
MILLISECOND = 1_000_000


def failed(name: str, number: int, text: str, **fields: Any) -> Record:  # noqa: ANN401 - any field of a record
    """Return the end of a span that failed with a ValueError."""
    exception = SpanEvent(
        "exception", 1, {"exception.type": "builtins.ValueError", "exception.message": text}
    )
    return end(name, number, status=Status("error", text), events=(exception,), **fields)


def shown(folder: Path, *words: str) -> list[str]:
    """Return the lines that `otel-ext tree` prints for some arguments."""
    return call("tree", folder, *words).out.splitlines()


def test_the_error_follows_the_duration(tmp_path: Path) -> None:
    """The exception, else the status's text; then the HTTP status code before other attributes."""
    attributes = {"http.request.method": "GET", "http.response.status_code": 402, "order.id": 3}
    folder = exported(
        tmp_path,
        failed("charge card", 1, "card\ndeclined", attributes=attributes),
        end("no exception", 2, status=Status("error", "text of the status")),
        end("no text", 3, status=Status("error")),
    )
    lines = shown(folder)
    assert lines[1].startswith(
        "✗ charge card 12.3 ms  ValueError: card declined  http.response.status_code=402 order.id=3"
    )
    assert lines[2].startswith("✗ no exception 12.3 ms  text of the status")
    assert lines[3].startswith("✗ no text 12.3 ms error")


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_the_name_is_cut_before_the_state(
    columns: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lines keep their state at any width, and none is wider than the terminal."""
    folder = exported(
        tmp_path,
        start("日本語 spän " * 20),
        end("日本語 spän " * 20, abandoned="owner-died"),
        failed("x" * 200, 2, "y" * 500, attributes={"a": "z" * 500}),
    )
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    main(["tree", str(folder)])  # on what looks like a terminal
    lines = capsys.readouterr().out.splitlines()
    assert "abandoned: owner-died" in lines[1]
    assert "12.3 ms" in lines[2]
    assert max(map(cells, lines)) <= columns


def test_how_a_process_ended_is_reported(tmp_path: Path) -> None:
    """A span that was lost with its process shows the signal."""
    folder = exported(tmp_path, end(abandoned="process-died", extra={"signal": "SIGKILL"}))
    (line,) = shown(folder)[1:]
    assert "abandoned: process-died, ended by SIGKILL" in line


def test_a_span_of_another_process_names_it(tmp_path: Path) -> None:
    """Only the topmost span of a process shows the process."""
    worker = Process("b0-9-1-worker", pid=9, resource={"service.name": "worker"})
    lines = [
        record._replace(process=worker, name="process.start", kind="process", phase=None)
        for record in [start(extra={"pid": 9, "resource": {"service.name": "worker"}})]
    ]
    folder = exported(
        tmp_path,
        *lines,
        start("send"),
        end("send"),
        end("task", 2, parent_span_id=ROOT, process=worker),
        end("step", 3, parent_span_id=f"{2:016x}", process=worker),
    )
    _, client, task, step = shown(folder)
    assert "[9 worker]" in task
    assert "[" not in step
    assert "[9 worker]" not in client


def spans_of_every_outcome() -> list[Record]:
    """Return a trace with a failed, a slow, a lost, an open and a fine span."""
    return [
        end("root", 1, took=900 * MILLISECOND),
        failed("bad", 2, "no", parent_span_id=ROOT),
        end("slow", 3, took=700 * MILLISECOND, parent_span_id=ROOT),
        end("lost", 4, abandoned="process-died", parent_span_id=ROOT),
        start("open", 5, parent_span_id=ROOT),
        end("fine", 6, parent_span_id=ROOT),
    ]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--errors"], ["root", "bad"]),
        (["--search", "error or name:l*"], ["root", "bad", "lost"]),
        (["--slower", "0.5"], ["root", "slow", "open"]),
        (["--name", "f*e"], ["root", "fine"]),
        (["--name", "ine"], []),
        (["--running"], ["root", "open"]),
        (["--lost"], ["root", "lost"]),
        (["--errors", "--slower", "0.5"], []),
    ],
)
def test_selected_spans_come_with_those_above(
    words: list[str], names: list[str], tmp_path: Path
) -> None:
    """A span must match every option."""
    folder = exported(tmp_path, *spans_of_every_outcome())
    traces = call("tree", folder, "--json", *words).document["traces"]
    found: list[str] = []
    waiting = [span for trace in traces for span in reversed(trace["spans"])]
    while waiting:
        span = waiting.pop()
        found.append(span["name"])
        waiting += reversed(span["children"])
    assert found == names


def test_equal_siblings_become_one_line(tmp_path: Path) -> None:
    """Only siblings that ended well; a failed span, and those above it, keep their lines."""
    children = [
        end("index file", number, took=number * MILLISECOND, parent_span_id=ROOT)
        for number in range(2, 102)
    ]
    bad = failed("index file", 200, "no such file", parent_span_id=ROOT)
    above = end("index file", 201, parent_span_id=ROOT)
    below = failed("read", 202, "cannot", parent_span_id=f"{201:016x}")
    few = [end("few", number, parent_span_id=ROOT) for number in range(300, 304)]
    folder = exported(tmp_path, end("all", 1), *children, bad, above, below, *few)
    head, *lines = shown(folder)
    assert "108 spans" in head
    assert next(line for line in lines if " 100 p95 " in line).startswith(
        "├─ ✓ index file × 100 p95 96.0 ms"  # noqa: RUF001 - the sign is meant
    )
    assert len(lines) == 1 + 1 + 1 + 2 + 4
    assert sum("ValueError" in line for line in lines) == 2
    assert len(shown(folder, "--no-fold")) == 1 + 108


def library() -> list[Record]:
    """Return six equal siblings with two spans below each."""
    spans = [end("index", 1)]
    for number in range(10, 16):
        below: dict[str, Any] = {"parent_span_id": f"{number:016x}"}
        spans.append(end("file", number, parent_span_id=ROOT))
        spans.append(end("parse", number + 10, **below))
        spans.append(end("store", number + 20, **below))
    return spans


def test_what_a_search_finds_is_not_folded_away(tmp_path: Path) -> None:
    """Each match has a line, unless it is one of many equal ones without a match below."""
    folder = exported(tmp_path, *library())
    head, _, *lines = shown(folder, "--search", "name:parse")
    assert head.endswith("  13 spans")
    assert sum("✓ file " in line for line in lines) == 6
    assert sum("✓ parse " in line for line in lines) == 6
    head, _, *lines = shown(folder, "--search", "name:parse or name:file")
    assert head.endswith("  13 spans")
    assert sum("✓ parse " in line for line in lines) == 6
    head, _, line = shown(folder, "--search", "name:file")
    assert head.endswith("  7 spans")
    assert line.startswith("└─ ✓ file × 6 p95 ")  # noqa: RUF001 - the sign is meant


def test_a_folded_line_says_how_many_spans_are_below(tmp_path: Path) -> None:
    """In the tree and in the waterfall; the heading counts all."""
    folder = exported(tmp_path, *library())
    head, _, line = shown(folder)
    assert head.endswith("  19 spans")
    assert line.startswith("└─ ✓ file × 6 (+12 below) p95 ")  # noqa: RUF001 - the sign is meant
    assert "file x 6 (+12 below) " in call("waterfall", folder, encoding="ascii").out


@pytest.mark.parametrize("command", ["tree", "waterfall"])
def test_a_lost_span_lasted_as_long_as_those_below_it(command: str, tmp_path: Path) -> None:
    """In all views, however early the last sign of its own process was."""
    opened = span("work")
    below = span("job", 2, FAR, parent=ROOT, phase="end")
    below = below._replace(start_ns=opened.time_ns, time_ns=opened.time_ns + 22_700_000)
    write(tmp_path, DEAD, opened)
    write(tmp_path, FAR, below)
    _, *lines = call(command, tmp_path).out.splitlines()
    *_, root, child = (line for line in lines if "22.7 ms" in line)
    assert "lost 22.7 ms" in root
    assert "job" in child
    (trace,) = call(command, tmp_path, "--json").document["traces"]
    (one,) = trace["spans"]
    found = call("grep", "name:work", tmp_path, "--json").document
    assert one["duration_ns"] == found["duration_ns"] == 22_700_000
    assert "work lost 22.7 ms" in call("grep", "lost", tmp_path).out


def test_ids_that_processes_have_in_common_are_kept_apart(tmp_path: Path) -> None:
    """With a seeded `random` in several workers: a trace per process, and the reason."""
    one, two = Process("b0-1-1-aa", pid=1), Process("b0-2-1-bb", pid=2)
    folder = exported(
        tmp_path,
        start("epoch", process=one),
        end("epoch", process=one),
        start("epoch", process=two),
    )
    lines = shown(folder)
    assert len(lines) == 4
    assert sum("other processes use the same ids" in line for line in lines) == 2
    assert sum(line.startswith("✓ epoch") for line in lines) == 1


def test_a_span_ended_by_a_forked_child_stays_one_span(tmp_path: Path) -> None:
    """Ids are repeated only if starts repeat; an end of another process ends the span."""
    parent, child = Process("b0-1-1-aa", pid=1), Process("b0-2-1-bb", pid=2)
    folder = exported(tmp_path, start("job", process=parent), end("job", process=child))
    head, line = shown(folder)
    assert head.endswith("1 span")
    assert line.startswith("✓ job")


def test_json_is_complete_and_utf8_in_any_locale(tmp_path: Path) -> None:
    """Attributes, status, error and process, in UTF-8 whatever the output's encoding is."""
    exported(tmp_path, failed("wörk", 1, "kaputt: ä", attributes={"größe": [1, {"a": None}]}))
    (trace,) = call("tree", tmp_path, "--json", encoding="ascii").document["traces"]
    (span,) = trace["spans"]
    assert (span["name"], span["error"]) == ("wörk", "ValueError: kaputt: ä")
    assert (span["status"], span["attributes"]) == ("error", {"größe": [1, {"a": None}]})
    assert span["process"]["pid"]


def test_an_unknown_process_has_no_label(tmp_path: Path) -> None:
    """Of converted records only the service may be known, or nothing."""
    ids = {"traceId": "a" * 32, "startTimeUnixNano": "1000", "endTimeUnixNano": "2000"}
    service = [{"key": "service.name", "value": {"stringValue": "shop"}}]
    document = {
        "resourceSpans": [
            {"scopeSpans": [{"spans": [{**ids, "spanId": "1" * 16, "name": "one"}]}]},
            {
                "resource": {"attributes": service},
                "scopeSpans": [{"spans": [{**ids, "spanId": "2" * 16, "name": "two"}]}],
            },
        ]
    }
    source, records = tmp_path / "otlp.json", tmp_path / "records.jsonl"
    source.write_text(json.dumps(document), "utf-8")
    assert call("convert", source, "-o", records).code == 0
    for found in (call("tree", records).out, call("grep", "name:*", records).out):
        assert "[?" not in found
        assert "[]" not in found
        assert "[shop]" in found
