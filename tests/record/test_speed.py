"""The compiled hot path gives exactly the results of the Python one."""

from __future__ import annotations

import json
import shutil
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from otel_ext.record import capture, codec
from otel_ext.record.model import (
    UNSET_STATUS,
    CallSite,
    Link,
    Process,
    Record,
    Scope,
    SpanEvent,
    Status,
    TaskInfo,
    ThreadInfo,
)
from tests import programs

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span
    from opentelemetry.util.types import Attributes

PROCESS = Process("b00t-1-2-cafe0001")

texts = st.one_of(
    st.sampled_from(["", "GET /x", 'say "hi"', "é", "\x7f\x85\u202e", "\ud800", "__tracer_meta__"]),
    st.text(max_size=12),
    st.builds("x".__mul__, st.sampled_from([4_096, 4_097, 70_000])),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63 - 1, -(2**63), 2**64 - 1, 2**64]),
    st.floats(),
    texts,
    st.binary(max_size=8),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(texts, inner, max_size=3),
    ),
    max_leaves=8,
)
times = st.one_of(
    st.integers(-(2**62), 2**63 - 1),
    st.sampled_from([0, -1, 2**80, 951_782_399_999_999_999, 4_107_542_399_000_000_000]),
)
records = st.builds(
    Record,
    kind=st.sampled_from(["span", "span", "log", "log", "event"]),
    phase=st.sampled_from(["start", "update", "end"]),
    name=texts,
    time_ns=times,
    seq=st.integers(0, 2**40),
    process=st.just(PROCESS),
    call_site=st.builds(CallSite, texts, st.integers(0, 10_000), texts),
    attributes=st.dictionaries(texts, values, max_size=5),
    trace_id=st.sampled_from(["ab" * 16, "ab" * 16, ""]),
    span_id=st.just("cd" * 8),
    parent_span_id=st.sampled_from(["", "ef" * 8]),
    span_kind=st.sampled_from(["", "internal", "server"]),
    scope=st.one_of(st.none(), st.builds(Scope, texts, texts)),
    links=st.lists(st.builds(Link, st.just("a" * 32), st.just("b" * 16)), max_size=2).map(tuple),
    thread=st.one_of(st.none(), st.builds(ThreadInfo, st.integers(0, 9), texts)),
    task=st.one_of(st.none(), st.builds(TaskInfo, st.integers(0, 9), texts)),
    start_ns=times,
    status=st.one_of(st.none(), st.just(UNSET_STATUS), st.builds(Status, st.just("error"), texts)),
    events=st.lists(st.builds(SpanEvent, texts, times), max_size=2).map(tuple),
    abandoned=st.sampled_from([None, "expired"]),
    level=st.one_of(st.just("info"), texts),
    logger=texts,
    extra=st.sampled_from([{}, {"stalled": True, "age_ns": 5}]),
)


def test_the_extension_is_used_if_it_can_be_built() -> None:
    """If there is a compiler, the package has its compiled part and uses it."""
    compiler = str(sysconfig.get_config_var("CC") or "cc").split()[0]
    header = Path(sysconfig.get_path("include"), "Python.h")
    can_be_built = shutil.which(compiler) is not None and header.exists()
    if sysconfig.get_config_var("Py_GIL_DISABLED") or not can_be_built:
        assert codec.encode_line is codec.encode_line_python
        return
    assert codec.encode_line is not codec.encode_line_python, "otel_ext._speed was not built"
    assert capture.capture_start is not capture.capture_start_python


@given(records)
def test_both_encoders_write_the_same_bytes(record: Record) -> None:
    """For any record, the compiled encoder writes what the Python one writes."""
    assert codec.encode_line(record) == codec.encode_line_python(record)


@pytest.mark.usefixtures("untraced")  # it takes long enough without
def test_every_day_is_written_alike() -> None:
    """Dates agree over centuries, including leap years and ends of months."""
    for day in range(-719_162, 106_000, 13):
        record = Record("span", "start", "n", day * 86_400 * 10**9 // 10**4, 1, PROCESS)
        assert codec.encode_line(record) == codec.encode_line_python(record)


class Both(SpanProcessor):
    """Captures each span twice, by the compiled and the Python code."""

    def __init__(self) -> None:
        self.starts: list[tuple[Record, Record]] = []
        self.ends: list[tuple[Record, Record]] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Capture the start."""
        made: list[Record] = []
        for function in (capture.capture_start, capture.capture_start_python):
            made.append(function(span, PROCESS, 1))  # noqa: PERF401 - both from one line
        self.starts.append((made[0], made[1]))

    def on_end(self, span: ReadableSpan) -> None:
        """Capture the end of the span whose start was captured last."""
        start = self.starts[-1][1]
        self.ends.append(
            (
                capture.capture_end(span, PROCESS, 2, start),
                capture.capture_end_python(span, PROCESS, 2, start),
            ),
        )


@pytest.mark.parametrize(
    "attributes",
    [
        None,
        {"a": 1, "sizes": [1, 2]},
        {"code.file.path": "/elsewhere/job.py", "code.line.number": 7},
        {"code.filepath": "/elsewhere/old.py"},
    ],
)
@pytest.mark.parametrize("kind", list(trace.SpanKind))
def test_both_captures_make_the_same_record(attributes: Attributes, kind: trace.SpanKind) -> None:
    """The compiled code makes the same record of a span as the Python code."""
    both = Both()
    provider = TracerProvider()
    provider.add_span_processor(both)
    tracer = provider.get_tracer("tests", "1.2")
    with tracer.start_as_current_span("outer") as outer:
        link = trace.Link(outer.get_span_context(), {"k": "v"})
        with tracer.start_as_current_span("x", kind=kind, attributes=attributes, links=[link]) as x:
            x.set_attribute("later", "yes")
            x.add_event("halfway", {"n": 1})
            x.set_status(trace.StatusCode.ERROR, "no")
    for compiled, python in both.starts + both.ends:
        assert compiled == python
        assert "later" not in compiled.attributes or compiled.phase == "end"


def test_a_changed_sdk_only_costs_speed() -> None:
    """A span without the private fields is captured by the Python code."""

    class Foreign:
        """A readable span that is not of the SDK's class."""

        def __init__(self, span: ReadableSpan) -> None:
            self._span = span

        def __getattr__(self, name: str) -> object:
            if name.startswith("_"):
                raise AttributeError(name)
            return getattr(self._span, name)

    provider = TracerProvider()
    span = cast("ReadableSpan", provider.get_tracer("tests").start_span("x", attributes={"a": 1}))
    record = capture.capture_start(cast("ReadableSpan", Foreign(span)), PROCESS, 1)
    expected = capture.capture_start_python(span, PROCESS, 1)
    assert record._replace(call_site=expected.call_site) == expected


LEAKING = """
import gc, sys
from opentelemetry.sdk.trace import TracerProvider
from otel_ext.record import capture, codec
from otel_ext.record.model import Process
process = Process("b0-1-1-aa", pid=1)
span = TracerProvider().get_tracer("tests").start_span("x", attributes={"a": 1})
odd = {"é": [1.5, None], "n": float("nan")}
def once():
    record = capture.capture_start(span, process, 1)
    codec.encode_line(record)
    codec.encode_line(record._replace(attributes=odd, time_ns=2**80))
    codec.encode_line(capture.capture_end(span, process, 2, record))
watched = [process, span, odd, None]
def changes():
    before = [sys.getrefcount(thing) for thing in watched]
    for _ in range(2_000):
        once()
    return [abs(sys.getrefcount(thing) - n) for thing, n in zip(watched, before, strict=True)]
once()
gc.collect()  # what the imports have left refers to None, too
# A leak is in every round; what else refers to None changes now and then.
print(*map(min, zip(*(changes() for _ in range(5)), strict=True)))
"""


def test_the_compiled_code_leaks_nothing(tmp_path: Path) -> None:
    """Capturing and encoding leave the reference counts unchanged."""
    # In a program of its own: coverage and the garbage of other tests refer to None, too.
    changes = programs.succeed(programs.python("-c", LEAKING), tmp_path).out.split()
    assert len(changes) == 4
    assert all(int(change) < 50 for change in changes), changes


@pytest.mark.parametrize("start", [0, 5, -5, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("end", [0, 5, -5, 2**63 - 1, -(2**63), 10**40])
def test_durations_stay_within_64_bits(start: int, end: int) -> None:
    """Whatever times a user sets, readers can read the duration."""
    record = Record("span", "end", "n", end, 1, PROCESS, start_ns=start)
    line = codec.encode_line(record)
    assert line == codec.encode_line_python(record)
    duration = json.loads(line)["__tracer_meta__"]["duration_ns"]
    assert abs(duration) < 2**63
