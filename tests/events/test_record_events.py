"""Events of stalled and abandoned spans and of heartbeats, from every kind of processor."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

import otel_ext
from otel_ext.context import trace_context, with_span
from otel_ext.events import subscribe
from otel_ext.exporters import JsonlExporter
from otel_ext.inflight.settings import InflightSettings
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.testing import RecordCapture
from tests.events.heard import Heard
from tests.global_provider import as_global
from tests.processors.spans import provider_of
from tests.programs import in_child, python, succeed, write_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opentelemetry.sdk.trace import TracerProvider


def processor_with(
    exporter: RecordCapture | JsonlExporter, **settings: float
) -> tuple[TracerProvider, LifecycleSpanProcessor]:
    """Return a provider and its processor, with these settings of open spans."""
    processor = LifecycleSpanProcessor(exporter, inflight=InflightSettings(**settings))  # type: ignore[arg-type]
    return provider_of(processor), processor


def test_a_stalled_span() -> None:
    """A span that is open for too long makes one event, with its age; a dump makes none."""
    provider, _ = processor_with(RecordCapture(), stall_after=0.2, heartbeat_interval=60)
    heard = Heard()
    with subscribe("span.stalled", heard), as_global(provider):
        span = otel_ext.start_span("slow", order=7)
        assert otel_ext.dump() >= 1
        (event,) = heard.wait_for(1)
        otel_ext.end_span(span)
    provider.shutdown()
    assert event.metadata["name"] == "slow"
    assert event.metadata["attributes"] == {"order": 7}
    assert event.measurements["duration_ns"] >= 200_000_000


def test_an_abandoned_span() -> None:
    """A span that is collected unended makes one event, with the cause, and no stop."""
    provider, _ = processor_with(RecordCapture(), stall_after=0, owner_grace=0)
    heard = Heard()
    with subscribe("span.*", heard):
        provider.get_tracer("test").start_span("lost")
        gc.collect()
        heard.wait_for(2)
    provider.shutdown()
    assert heard.spans == ["span.start lost", "span.abandoned lost"]
    assert heard.events[1].metadata["cause"] == "garbage-collected"
    assert heard.events[1].measurements["duration_ns"] >= 0


def test_spans_that_a_shutdown_finds_open() -> None:
    """A span that is open at the shutdown is abandoned for that cause."""
    provider, _ = processor_with(RecordCapture())
    heard = Heard()
    with subscribe("span.abandoned", heard, inline=True):
        span = provider.get_tracer("test").start_span("open")
        provider.shutdown()
    assert [event.metadata["cause"] for event in heard.events] == ["shutdown"]
    span.end()


def test_heartbeats() -> None:
    """The heartbeat of a process is an event, with what the record has."""
    provider, _ = processor_with(RecordCapture(), heartbeat_interval=0.1)
    heard = Heard()
    with subscribe("process.*", heard), as_global(provider), with_span("work"):
        event = heard.wait_for(1)[0]
    provider.shutdown()
    assert event.name == "process.heartbeat"
    assert "open_spans" in event.metadata
    assert event.time_ns > 0


@pytest.mark.parametrize("make", [RecordCapture, None], ids=["capture", "journal"])
def test_without_subscribers_the_processor_exports_as_ever(
    make: Callable[[], RecordCapture] | None, tmp_path: Path
) -> None:
    """The processor's own export function is in place before, and again after a subscription."""
    provider, processor = processor_with(JsonlExporter(tmp_path) if make is None else make())
    before = processor._export  # noqa: SLF001
    assert before is processor._only_export  # noqa: SLF001
    with subscribe("span.stop", print) as subscription:
        assert processor._export is not before  # noqa: SLF001
        with subscribe("*", print):
            pass
        assert processor._export is not before  # noqa: SLF001
        with as_global(provider), trace_context("job") as trace:
            subscription.cancel()
            assert processor._export is not before  # noqa: SLF001
        assert len(trace.records()) == 2
    assert processor._export is before  # noqa: SLF001
    subscription.cancel()
    assert processor._export is before  # noqa: SLF001
    with subscribe("cache.*", print):
        assert processor._export is before  # noqa: SLF001 - events of the program alone
    provider.shutdown()


def test_a_processor_made_later_is_heard() -> None:
    """A processor that is made while a subscription exists calls it at once."""
    heard = Heard()
    with subscribe("span.start", heard, inline=True):
        provider, _ = processor_with(RecordCapture())
        provider.get_tracer("test").start_span("first").end()
    provider.get_tracer("test").start_span("second").end()
    provider.shutdown()
    assert heard.spans == ["span.start first"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_several_processors_give_each_event_once(count: int) -> None:
    """However many processors a provider has, each start and stop is one event."""
    provider = provider_of(*(LifecycleSpanProcessor(RecordCapture()) for _ in range(count)))
    heard = Heard()
    with subscribe("span.*", heard, inline=True), as_global(provider):
        for number in range(3):
            with with_span(f"work {number}"):
                pass
    provider.shutdown()
    assert heard.spans == [
        f"{event} work {number}" for number in range(3) for event in ("span.start", "span.stop")
    ]


def test_several_providers_give_all_their_events() -> None:
    """Spans of two providers are all heard."""
    providers = [provider_of(LifecycleSpanProcessor(RecordCapture())) for _ in range(2)]
    heard = Heard()
    with subscribe("span.stop", heard, inline=True):
        for number, provider in enumerate(providers):
            provider.get_tracer("test").start_span(f"of {number}").end()
    for provider in providers:
        provider.shutdown()
    assert heard.spans == ["span.stop of 0", "span.stop of 1"]


@pytest.mark.forks
@pytest.mark.parametrize("inline", [False, True], ids=["queued", "inline"])
def test_a_forked_child_hears_its_own_events(inline: bool) -> None:
    """In a child the handler gets the child's events, on a thread there, and not the parent's."""
    heard = Heard()
    with subscribe("span.*", heard, inline=inline) as subscription:
        with with_span("in the parent"):
            pass
        assert subscription.flush(30)

        def run() -> str:
            heard.events.clear()
            with with_span("in the child"):
                pass
            assert subscription.flush(30)
            return ", ".join(heard.spans)

        assert in_child(run) == "span.start in the child, span.stop in the child"
        with with_span("again"):
            pass
        assert subscription.flush(30)
    assert heard.spans == [
        *("span.start in the parent", "span.stop in the parent"),
        *("span.start again", "span.stop again"),
    ]


PROGRAM = """\
import otel_ext
from otel_ext.record import codec

heard = []
handle = otel_ext.configure(output="traces", console="off")
with otel_ext.with_span("before"):  # so that the processor has chosen its fast path
    pass
subscription = otel_ext.subscribe("span.*", heard.append, inline=True)
with otel_ext.with_span("outer", n=1), otel_ext.with_span("inner"):
    pass
subscription.cancel()
with otel_ext.with_span("after"):
    pass
handle.shutdown()
for event in heard:
    print(event.name, event.metadata["name"], event.metadata["attributes"], len(event.measurements))
"""


@pytest.mark.parametrize("pure", ["", "1"], ids=["compiled", "python"])
def test_compiled_and_plain_hooks_give_the_same_events(pure: str, tmp_path: Path) -> None:
    """Spans on the fast path are events while a subscription exists, compiled or not."""
    program = write_program(tmp_path, PROGRAM)
    done = succeed(python(program), tmp_path, OTEL_EXT_PURE_PYTHON=pure)
    assert done.err == ""
    assert done.out.splitlines() == [
        "span.start outer {'n': 1} 0",
        "span.start inner {} 0",
        "span.stop inner {} 1",
        "span.stop outer {'n': 1} 1",
    ]
