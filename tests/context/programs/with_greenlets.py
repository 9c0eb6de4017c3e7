"""Hands the context over between greenlets; prints as JSON what they have recorded.

Run: python with_greenlets.py
"""

# ruff: noqa: E402 - the patch comes first, as gevent's users must do it
from __future__ import annotations

from importlib import import_module

import_module("gevent.monkey").patch_all()

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import otel_ext
from otel_ext.context import carried, error_context
from otel_ext.events import emit
from otel_ext.runtime.threads import is_gevent
from otel_ext.structured import Pipeline, PipelineStage
from tests.global_provider import recording_globally

if TYPE_CHECKING:
    from otel_ext.testing import RecordCapture

LIMIT = 30.0


def child(name: str) -> dict[str, object]:
    """Record a span, with a switch to other greenlets within it; return the fields here."""
    gevent = import_module("gevent")
    with otel_ext.with_span(name):
        gevent.sleep(0)
        fields = error_context.get()
        error_context.set(left=name)
        return fields


def name_of_decorated(name: str) -> str:
    """Return the name of the span of a call."""
    return f"{name} decorated"


@otel_ext.auto_span(name=name_of_decorated)
def decorated(name: str) -> str:
    """Switch to other greenlets within a span."""
    import_module("gevent").sleep(0)
    return name


@otel_ext.with_span("killed")
def forever() -> None:
    """Wait in a span."""
    import_module("gevent").sleep(LIMIT)


def more(name: str) -> list[str]:
    """Use the other helpers; return how the spans of a structured trace have ended."""
    gevent = import_module("gevent")
    span = otel_ext.start_span(f"{name} by hand")
    decorated(name)
    otel_ext.end_span(span)
    trace = otel_ext.StructuredTrace()
    stage = PipelineStage(f"{name} stage", lambda _: gevent.sleep(0))
    Pipeline([stage], name=f"{name} pipeline").run({"trace": trace})
    with trace.with_span(f"{name} structured"):
        gevent.sleep(0)
        trace.info("message")
    return [span.status for span in trace.spans]


def more_kinds(records: RecordCapture) -> dict[str, object]:
    """Run them in greenlets, and kill one within its span."""
    gevent = import_module("gevent")
    kinds = [gevent.spawn(more, name) for name in "cd"]
    gevent.joinall(kinds, timeout=LIMIT)
    killed = gevent.spawn(forever)
    gevent.sleep(0)
    killed.kill()
    end = records.of("killed")[1]
    return {
        "kinds": [greenlet.value for greenlet in kinds],
        "killed": [end.status and end.status.code, end.attributes["otel_ext.ended_by"]],
    }


def main() -> None:
    """Run jobs in pools, threads and greenlets."""
    gevent = import_module("gevent")
    native = import_module("gevent.threadpool").ThreadPoolExecutor
    heard: list[str] = []
    subscription = otel_ext.subscribe("*", lambda event: heard.append(event.name))
    found: dict[str, object] = {"is gevent": is_gevent()}
    with recording_globally() as records:
        with otel_ext.traced_executor(ThreadPoolExecutor(2)) as executor:
            with otel_ext.with_span("pool"), otel_ext.with_context(order=1):
                jobs = [executor.submit(child, f"job {number}") for number in range(4)]
            found["jobs"] = [job.result(LIMIT) for job in jobs]
        with otel_ext.traced_executor(native(1)) as executor, otel_ext.with_span("native pool"):
            found["native"] = executor.submit(child, "native job").result(LIMIT)
        with otel_ext.with_span("starter"), otel_ext.with_context(order=2):
            thread = threading.Thread(target=carried(child), args=("thread",))
            carrier = otel_ext.propagate_context()
        thread.start()
        thread.join(LIMIT)

        def restore() -> dict[str, object]:
            with otel_ext.with_propagated_context(carrier):
                return child("greenlet")

        greenlets = [gevent.spawn(restore), gevent.spawn(child, "alone")]
        gevent.joinall(greenlets, timeout=LIMIT)
        found["greenlets"] = [greenlet.value for greenlet in greenlets]

        def own_trace(name: str) -> list[str]:
            with otel_ext.trace_context(name) as trace:
                child(f"{name} child")
            return [record.event for record in trace.records()]

        traces = [gevent.spawn(own_trace, name) for name in "ab"]
        gevent.joinall(traces, timeout=LIMIT)
        found["traces"] = [greenlet.value for greenlet in traces]

        found |= more_kinds(records)
        names = {record.span_id: record.name for record in records.spans}
        found["parents"] = {
            record.name: names.get(record.parent_span_id, "")
            for record in records.spans
            if record.phase == "end"
        }
        emit("own")
        subscription.flush(LIMIT)
        found["heard"] = [heard.count(name) for name in ("span.start", "span.stop", "own")]
        found["recorded"] = len(records.spans)
    subscription.cancel()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
