"""With a span in each frame down to the recursion limit, no start and no end is lost."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from otel_ext.exporters import JsonlExporter
from otel_ext.processors import LifecycleSpanProcessor, lifecycle
from otel_ext.processors.lifecycle import _MAX_LATE
from otel_ext.record.codec import encode_line
from otel_ext.record.schema.validation import validate_line
from tests.processors.spans import Recorder, provider_of, provider_with
from tests.programs import python, spans_in, succeed, write_program

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.record.model import Record

PROGRAM = """
import sys

if {plain}:
    sys.modules["otel_ext._speed"] = None  # as if the compiled part was not built

from opentelemetry import trace

import otel_ext

otel_ext.configure(output="traces", console="off")
tracer = trace.get_tracer("t")
made = []
sys.setrecursionlimit(150)  # the SDK renders the whole stack for each span: CPU seconds if deep


def down(depth):
    with tracer.start_as_current_span(f"depth {{depth}}", attributes={attributes}) as span:
        made.append(depth)
        span.add_event("here", {{"list": ("a", "b")}})
        down(depth + 1)


try:
    down(0)
except RecursionError:
    print(len(made))
tracer.start_span("after").end()
"""


@pytest.mark.parametrize("plain", [False, True], ids=["compiled", "plain"])
@pytest.mark.parametrize("attributes", ['{"n": 1}', '{"é": b"x"}'])
def test_spans_down_to_the_recursion_limit(tmp_path: Path, attributes: str, plain: bool) -> None:
    """Each has one start and one end, all valid; the program gets its own exception."""
    program = write_program(tmp_path, PROGRAM.format(plain=plain, attributes=attributes))
    done = succeed(python(program), tmp_path)
    phases: dict[str, Counter[str | None]] = {"start": Counter(), "end": Counter()}
    for path in (tmp_path / "traces").glob("*.jsonl"):
        for line in path.read_bytes().splitlines(keepends=True):
            assert validate_line(line) == []
    for record in spans_in(tmp_path / "traces"):
        assert record.abandoned is None
        phases.setdefault(str(record.phase), Counter())[record.span_id] += 1
    assert phases["start"] == phases["end"]
    assert set(phases["end"].values()) == {1}
    # One more span may be open when the limit is reached, and one comes after.
    assert len(phases["end"]) - int(done.out) in {1, 2}


class NoStack(Recorder):
    """Raises RecursionError for as long as the test wants."""

    fails = True

    def export(self, record: Record) -> None:
        """Keep the record, or raise."""
        if self.fails:
            raise RecursionError
        super().export(record)


@pytest.mark.parametrize("hooks", ["as chosen", "python"])
def test_records_that_met_a_recursion_error_are_exported_later(
    hooks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush or the worker exports start and end, each once and with all their data."""
    if hooks == "python":
        monkeypatch.setattr(lifecycle, "begin_span", LifecycleSpanProcessor.begin_span)
        monkeypatch.setattr(lifecycle, "end_span", LifecycleSpanProcessor.end_span)
    exporter = NoStack()
    processor = LifecycleSpanProcessor(exporter)
    # The worker may export them at any moment.
    monkeypatch.setattr(processor, "_catch_up", lambda: None)
    provider = provider_of(processor)
    tracer = provider.get_tracer("t")
    tracer.start_span("whole", attributes={"n": 1}).end()
    opened = tracer.start_span("still open")
    monkeypatch.undo()
    exporter.fails = False
    assert provider.force_flush()
    assert Counter((one.name, one.phase) for one in exporter.spans) == {
        ("whole", "start"): 1,
        ("whole", "end"): 1,
        ("still open", "start"): 1,
    }
    end = next(one for one in exporter.spans if one.phase == "end")
    assert (dict(end.attributes), end.abandoned) == ({"n": 1}, None)
    opened.end()
    assert exporter.of("still open")[-1].phase == "end"
    provider.shutdown()


def test_waiting_records_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that recurses again and again before the worker runs does not fill memory."""
    exporter = NoStack()
    processor = LifecycleSpanProcessor(exporter)
    monkeypatch.setattr(processor, "_late", [(None, "")] * (_MAX_LATE + 1))
    monkeypatch.setattr(processor, "_catch_up", lambda: None)
    provider = provider_of(processor)
    provider.get_tracer("t").start_span("one too many").end()
    assert len(processor._late) == _MAX_LATE + 1  # noqa: SLF001 - its size is what is tested
    monkeypatch.undo()
    exporter.fails = False
    provider.shutdown()


def test_a_loss_that_cannot_be_reported_for_lack_of_stack_is_made_up_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The program gets no RecursionError from the report, and a flush exports the records."""

    class Failing(NoStack):
        def export(self, record: Record) -> None:
            if self.fails:
                raise OSError
            super().export(record)

    def no_stack(*_: object) -> None:
        raise RecursionError

    exporter = Failing()
    processor = LifecycleSpanProcessor(exporter)
    monkeypatch.setattr(processor, "_catch_up", lambda: None)
    monkeypatch.setattr(processor, "_note_loss", no_stack)
    provider = provider_of(processor)
    provider.get_tracer("t").start_span("whole").end()
    monkeypatch.undo()
    exporter.fails = False
    assert provider.force_flush()
    assert [one.phase for one in exporter.spans] == ["start", "end"]
    provider.shutdown()


def test_a_record_that_cannot_be_encoded_is_written_in_reduced_form(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A span whose end cannot be encoded ends in the file, with one message."""

    def fails_on_data(record: Record) -> bytes:
        if record.attributes and "…" not in record.attributes:
            raise LookupError("the encoder's own")
        return encode_line(record)

    exporter = JsonlExporter(tmp_path)

    class Through(Recorder):
        def export(self, record: Record) -> None:
            exporter.export_as(record, fails_on_data)

    provider_with(Through()).get_tracer("t").start_span("job", attributes={"a": 1, "b": 2}).end()
    exporter.shutdown()
    start, end = spans_in(tmp_path)
    assert start.key == end.key
    assert dict(end.attributes) == {"…": "<left out: 2 keys>"}
    assert capfd.readouterr().err.count("written without its data: LookupError") == 1
