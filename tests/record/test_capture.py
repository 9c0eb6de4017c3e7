"""Capture from the SDK's spans: snapshots, and the one private attribute with its fallback."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext

from otel_ext.record import capture
from otel_ext.record.capture import (
    capture_end_python,
    capture_start_python,
    current_task,
    current_thread,
    identify,
    identify_python,
)
from otel_ext.record.codec import encode_line
from otel_ext.record.model import EMPTY, UNSET_STATUS, Process
from otel_ext.record.schema.validation import validate_line
from tests.programs import execute

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_ext.record.model import ThreadInfo

PROCESS = Process("b00t-7-1-cafe0001")
CONTEXT = SpanContext(1, 2, is_remote=False)


def new_span(**fields: Any) -> Span:  # noqa: ANN401 - what start_span takes
    """Return a span of the SDK that records."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t", "1")
    return cast("Span", tracer.start_span("job", **fields))


def test_the_private_attribute_is_still_there() -> None:
    """Fails if the SDK no longer has `_attributes`, which disables the fast path."""
    span = new_span(attributes={"a": 1}, links=[Link(CONTEXT, {"b": 2})])
    span.add_event("e", {"c": 3})
    for holder in (span, span.links[0], span.events[0]):
        private: Any = holder._attributes  # noqa: SLF001
        assert dict(private.copy()) == dict(holder.attributes or {})
        assert private.copy() is not private


class Without:
    """A span, event or link of a later SDK, with only the public view."""

    def __init__(self, attributes: object) -> None:
        self.attributes = attributes


@pytest.mark.parametrize("attributes", [{"a": 1}, {}, None])
def test_without_it_the_public_view_is_used(attributes: dict[str, object] | None) -> None:
    """The fallback gives a copy as well."""
    holder = Without(attributes)
    got = capture._attributes_of(holder)  # noqa: SLF001 - the function with the fallback
    assert dict(got) == (attributes or {})
    assert got is not attributes


def test_other_libraries_spans_are_taken() -> None:
    """A span built by hand, with plain attributes or none, is captured."""
    plain = ReadableSpan(
        "hand-made",
        context=CONTEXT,
        attributes={"a": 1},
        events=[Event("e", {"b": 2}, 5)],
        start_time=1,
        end_time=9,
    )
    record = capture_end_python(plain, PROCESS, 3, None)
    assert (record.attributes, record.events[0].attributes) == ({"a": 1}, {"b": 2})
    assert (record.start_ns, record.time_ns, record.scope) == (1, 9, None)
    bare = capture_end_python(ReadableSpan("bare", context=CONTEXT), PROCESS, 4, None)
    assert bare.attributes == EMPTY
    assert bare.status == UNSET_STATUS
    assert bare.time_ns >= bare.start_ns > 0


def test_span_without_a_context_is_refused() -> None:
    """A span without ids is not recorded."""
    span = ReadableSpan("no context")
    assert identify(span, True) is None  # noqa: FBT003
    with pytest.raises(ValueError, match="no context"):
        capture_start_python(span, PROCESS, 1)


def test_record_shares_nothing_with_the_span() -> None:
    """Later changes of a span's attributes, events and links do not change the record."""
    span = new_span(attributes={"list": ["a"], "n": 1}, links=[Link(CONTEXT, {"x": 1})])
    span.add_event("first", {"y": 1})
    before = capture_end_python(span, PROCESS, 1, None)
    span.set_attribute("n", 2)
    span.set_attributes({"more": True})
    span.add_event("second")
    span.add_link(CONTEXT)
    assert before.attributes == {"list": ("a",), "n": 1}
    assert [event.name for event in before.events] == ["first"]
    assert len(before.links) == 1


def test_ids_are_hex_of_full_length() -> None:
    """Leading zeros are kept."""
    record = capture_start_python(new_span(context=parent_with(7, 9)), PROCESS, 1)
    assert record.trace_id == "0" * 31 + "7"
    assert record.parent_span_id == "0" * 15 + "9"
    assert len(record.span_id) == 16


def parent_with(trace_id: int, span_id: int) -> Any:  # noqa: ANN401 - a Context
    """Return a context with a sampled remote parent."""
    parent = SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(3))
    return trace.set_span_in_context(trace.NonRecordingSpan(parent))


@pytest.mark.parametrize("function", [identify, identify_python])
def test_key_of_spans_to_be_recorded(
    function: Callable[[ReadableSpan, bool], tuple[int, int] | None],
) -> None:
    """The sampled bit decides, unless record-only spans count too."""
    for flags, record_only, wanted in (
        (0, False, False),
        (0, True, True),
        (1, False, True),
        (2, False, False),
        (3, False, True),
    ):
        context = SpanContext(1, 2, is_remote=False, trace_flags=trace.TraceFlags(flags))
        got = function(ReadableSpan("s", context=context), record_only)
        assert got == ((1, 2) if wanted else None)


def test_scopes_are_described_once_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One instrumentation scope is one object; endlessly many do not fill memory."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("one", "1.0")
    made = [capture_start_python(cast("Span", tracer.start_span("s")), PROCESS, 1) for _ in "ab"]
    assert made[0].scope is made[1].scope
    monkeypatch.setattr(capture, "_MAX_SCOPES", 10)
    for number in range(100):
        other = TracerProvider(shutdown_on_exit=False).get_tracer(f"scope-{number}")
        record = capture_start_python(cast("Span", other.start_span("s")), PROCESS, 1)
        assert record.scope is not None
        assert record.scope.name == f"scope-{number}"
    assert len(capture._scopes) <= 10  # noqa: SLF001 - its size is what is tested


def test_thread_is_described_once() -> None:
    """Each thread has one description, with its identifier and name."""
    assert current_thread() is current_thread()
    found: list[ThreadInfo] = []
    thread = threading.Thread(target=lambda: found.append(current_thread()), name="other")
    thread.start()
    thread.join()
    assert (found[0].name, found[0].id) == ("other", thread.ident)


def test_task_is_reported_inside_asyncio_only() -> None:
    """Outside a running loop there is no task."""
    assert current_task() is None

    async def work() -> None:
        found = current_task()
        assert found is not None
        task = asyncio.current_task()
        assert task is not None
        assert (found.id, found.name) == (id(task), task.get_name())

    asyncio.run(work())


def test_asyncio_is_not_imported_for_it(tmp_path: Path) -> None:
    """A program without asyncio does not import it."""
    text = (
        "import sys\n"
        "from otel_ext.record.capture import current_task\n"
        "before = 'asyncio' in sys.modules\n"
        "print(current_task(), before == ('asyncio' in sys.modules))"
    )
    done = execute([sys.executable, "-c", text], cwd=tmp_path)
    assert done.out == "None True\n", done.err


CAPTURES = {
    "chosen": (capture.capture_start, capture.capture_end),
    "python": (capture_start_python, capture_end_python),
}


@pytest.mark.parametrize("captures", CAPTURES.values(), ids=CAPTURES)
def test_links_without_a_valid_context_are_left_out(captures: Any) -> None:  # noqa: ANN401
    """The SDK keeps an invalid link if it has attributes; a record does not."""
    nowhere = [SpanContext(*ids, is_remote=True) for ids in ((0, 0), (1, 0), (0, 2))]
    links = [Link(context, {"why": "unknown"}) for context in nowhere]
    span = new_span(links=[*links, Link(CONTEXT, {"b": 2})])
    assert len(span.links) == 4
    start = captures[0](span, PROCESS, 1)
    span.end()
    end = captures[1](span, PROCESS, 2, start)
    for record in (start, end):
        assert [link.attributes for link in record.links] == [{"b": 2}]
        assert validate_line(encode_line(record)) == []
    alone = captures[0](new_span(links=links), PROCESS, 3)
    assert alone.links == ()
    assert validate_line(encode_line(alone)) == []


class Mute:
    """A value whose text cannot be read."""

    def __str__(self) -> str:
        """Raise."""
        raise RuntimeError("no text")

    def __bool__(self) -> bool:
        """Raise as well."""
        raise RuntimeError("neither")


@pytest.mark.parametrize("captures", CAPTURES.values(), ids=CAPTURES)
@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("a", 5, ("a", "5")),
        (7, 1.5, ("7", "1.5")),
        ("a", 0, ("a", "0")),
        ("a", None, ("a", "")),
        ("a", Mute(), ("a", "<unprintable: Mute>")),
    ],
    ids=["version", "both", "zero", "none", "mute"],
)
def test_names_and_versions_of_scopes_become_text(
    captures: Any,  # noqa: ANN401
    name: Any,  # noqa: ANN401
    version: Any,  # noqa: ANN401
    expected: tuple[str, str],
) -> None:
    """The SDK accepts anything as a tracer's name and version; its spans are recorded."""
    span = new_span()
    span._instrumentation_scope = InstrumentationScope(name, version)  # noqa: SLF001
    record = captures[0](span, PROCESS, 1)
    assert (record.scope.name, record.scope.version) == expected
    assert validate_line(encode_line(record)) == []


def test_spans_of_a_tracer_with_a_number_for_a_version(tmp_path: Path) -> None:
    """Both records of such a span are written, in a whole program."""
    program = tmp_path / "program.py"
    program.write_text(
        """
import otel_ext
from opentelemetry import trace
otel_ext.configure(output="traces")
with trace.get_tracer("a", 5).start_as_current_span("x", attributes={
    "code.file.path": "a.py", "code.line.number": True}):
    pass
""",
        encoding="utf-8",
    )
    done = execute([sys.executable, program], cwd=tmp_path)
    assert done.code == 0, done.err
    (file,) = (tmp_path / "traces").glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    assert [reason for line in lines for reason in validate_line(line)] == []
    spans = [line for line in lines if b'"kind":"span"' in line]
    assert len(spans) == 2
    assert all(b'"scope":{"name":"a","version":"5"}' in line for line in spans)
    assert all(b'"code.line.number":true' in line for line in spans)
