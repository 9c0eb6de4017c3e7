"""Error context in blocks, spans, logs and exceptions; see also `test_error_context_leaks`."""

from __future__ import annotations

import asyncio
import logging
import pickle
import sys
import traceback
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars

from otel_ext.context import error_context, error_scope
from otel_ext.context.error_context import child, enrich, get, with_context
from otel_ext.context.manual import end_span, start_span
from otel_ext.context.spans import with_span
from otel_ext.runtime.listeners import LISTENERS
from otel_ext.setup.structlog import configure_structlog
from tests.structlog_kit import Kept
from tests.threads import on_thread

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.context.tracing import Tracing

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def clean() -> Generator[None]:
    """Start without fields, and end without any."""
    structlog.contextvars.clear_contextvars()
    yield
    assert get() == {}


def notes_of(error: BaseException) -> list[str]:
    """Return the notes of an exception, also before Python 3.11."""
    return list(vars(error).get("__notes__", ()))


def test_fields_hold_in_their_block() -> None:
    """Inner blocks add fields and replace those of the same name, until they end."""
    with with_context(order=7, step="pay"):
        with with_context(step="check", item="lamp"):
            assert get() == {"order": 7, "step": "check", "item": "lamp"}
        assert get() == {"order": 7, "step": "pay"}
    assert get() == {}


def test_fields_set_in_a_block_end_with_it() -> None:
    """`set` in a block replaces its fields too, and the block restores what was before it."""
    with with_context(order=7):
        with with_context():
            error_context.set(order=8, item="lamp")
            error_context.set(order=9)
            assert get() == {"order": 9, "item": "lamp"}
        assert get() == {"order": 7}


def test_fields_set_in_a_span_end_with_it(traced: Tracing) -> None:
    """Without a block, `set` holds until the span around it ends, through its children."""
    with with_span("request"):
        error_context.set(order=7)
        with with_span("inner"):
            assert get() == {"order": 7}
            error_context.set(order=8, item="lamp")
            assert get() == {"order": 8, "item": "lamp"}
        assert get() == {"order": 7}
    assert get_contextvars() == {}
    assert len(traced.spans) == 2


def test_fields_set_by_hand_end_with_the_span(traced: Tracing) -> None:
    """So it is with `start_span` and with a span of any tracer."""
    span = start_span("by hand")
    error_context.set(order=7)
    end_span(span)
    assert get_contextvars() == {}
    with traced.provider.get_tracer("shop").start_as_current_span("of a tracer"):
        error_context.set(order=7)
    assert get_contextvars() == {}


def test_fields_set_in_a_span_within_a_block_end_with_the_span(traced: Tracing) -> None:
    """The inner of block and span decides."""
    with with_context(worker=1):
        with with_span("request"):
            error_context.set(order=7)
            with with_context(item="lamp"):
                error_context.set(count=2)
                assert get() == {"worker": 1, "order": 7, "item": "lamp", "count": 2}
            assert get() == {"worker": 1, "order": 7}
        assert get_contextvars() == {"worker": 1}
    assert len(traced.spans) == 1


def test_fields_of_an_unsampled_span_end_with_it(unsampled: Tracing) -> None:
    """A span that is sampled out bounds the fields as well."""
    with with_span("request"):
        error_context.set(order=7)
        with with_span("inner"):
            assert get() == {"order": 7}
    assert get_contextvars() == {}
    assert unsampled.spans == []


def test_a_child_context_is_for_another_thread() -> None:
    """`child` takes the fields that hold here along, and adds others."""
    with with_context(order=7, item="lamp"):
        context = child(item="chair", count=2)
    found: list[dict[str, object]] = []

    def work() -> None:
        with context:
            found.append(get())
        found.append(get())

    on_thread(work)
    assert found == [{"order": 7, "item": "chair", "count": 2}, {}]


def test_one_block_can_be_entered_again() -> None:
    """Also within itself, and in copies of its context."""
    block = with_context(order=7)
    with block, with_context(order=8):
        with block:
            assert get() == {"order": 7}
        assert get() == {"order": 8}
        copied = copy_context()
        copied.run(block.__enter__)
        assert copied.run(get) == {"order": 7}
        assert get() == {"order": 8}


def test_fields_of_the_program_are_part_of_it() -> None:
    """What the program binds with structlog is found by `get`, and restored."""
    with bound_contextvars(request="a"):
        with with_context(request="b"):
            assert get() == {"request": "b"}
            bind_contextvars(other=1)
        assert get() == {"request": "a", "other": 1}
    structlog.contextvars.unbind_contextvars("other")


def test_any_name_can_be_a_field() -> None:
    """`self` is a name as any other."""
    with with_context(self=1, fields=2), child(error=3):
        assert get() == {"self": 1, "fields": 2, "error": 3}


def test_every_log_has_the_fields(kept: Kept, traced: Tracing) -> None:
    """Logs of structlog and of `logging` have the fields of block and span, and no others."""
    log, stdlib = structlog.get_logger("shop"), logging.getLogger("shop")
    with with_span("request"):
        error_context.set(user=1)
        with with_context(order=7):
            log.info("within", own=3)
            stdlib.info("within too")
        log.info("after")
    stdlib.info("last")
    fields = [dict(record.attributes) for record in kept.records]
    assert fields[0] == {"user": 1, "order": 7, "own": 3}
    assert {name: fields[1].get(name) for name in ("user", "order")} == {"user": 1, "order": 7}
    assert fields[2] == {"user": 1}
    assert not {"user", "order"} & fields[3].keys()
    assert kept.records[0].trace_id == traced.records.spans[0].trace_id


@pytest.mark.parametrize("merges", [True, False], ids=["merges", "does not merge"])
@pytest.mark.usefixtures("unconfigured_structlog")
def test_records_of_a_chain_of_the_program_have_the_fields(
    merges: bool, traced: Tracing, capfd: pytest.CaptureFixture[str]
) -> None:
    """It prints them only if it merges context variables itself; an ended span leaves none."""
    exporter = Kept()
    first = [structlog.contextvars.merge_contextvars] if merges else []
    structlog.configure(processors=[*first, structlog.processors.KeyValueRenderer(sort_keys=True)])
    configure_structlog(exporter)
    log = structlog.get_logger()
    with with_span("request"), with_context(order=7):
        log.info("paid", order=8)
        log.info("sent")
    span = start_span("elsewhere")
    error_context.set(user=1)
    on_thread(lambda: end_span(span))
    log.info("after")
    fields = [dict(record.attributes) for record in exporter.records]
    assert fields == [{"order": 8}, {"order": 7}, {}]
    end_span(start_span("next"))  # makes no span current again
    assert {Path(record.call_site.file).name for record in exporter.records} == {
        Path(__file__).name
    }
    lines = capfd.readouterr().out.splitlines()
    assert lines == ["event='paid' order=8", "event='sent'" + " order=7" * merges, "event='after'"]
    assert len(traced.spans) == 3


def test_records_are_heard_only_while_a_field_waits_for_a_span(traced: Tracing) -> None:
    """After the span the processor exports as if nothing listened."""
    with with_span("request"):
        error_context.set(order=7)
        assert error_scope.hear in LISTENERS.active
    with with_span("next"):
        pass
    assert LISTENERS.active == ()
    assert len(traced.spans) == 2


def test_an_exception_gets_a_note_and_its_event_the_fields(traced: Tracing) -> None:
    """The innermost fields are in the traceback once, and in the event of each span."""
    with (
        pytest.raises(ValueError, match="no") as raised,
        with_span("outer"),
        with_context(order=7),
        with_span("inner"),
        with_context(order=8, item="lamp"),
    ):
        raise ValueError("no")
    assert notes_of(raised.value) == ["error context: item='lamp', order=8"]
    if sys.version_info >= (3, 11):
        text = "".join(traceback.format_exception(raised.value))
        assert text.count("error context:") == 1
    for name in ("inner", "outer"):
        event = traced.exception_of(name)
        assert (event["order"], event["item"]) == (8, "lamp")
        assert event["exception.type"] == "ValueError"


def test_notes_of_the_program_stay(traced: Tracing) -> None:
    """A note that the exception has already comes before ours."""
    error = ValueError("no")
    error.__notes__ = ["of the program"]  # type: ignore[attr-defined,unused-ignore]
    with pytest.raises(ValueError, match="no"), with_span("work"), with_context(order=7):
        raise error
    assert notes_of(error) == ["of the program", "error context: order=7"]
    assert traced.exception_of("work")["order"] == 7


def test_without_fields_an_exception_stays_as_it_is(traced: Tracing) -> None:
    """Nothing is added to an exception where there is no error context."""
    with pytest.raises(ValueError, match="no") as raised, with_span("work"):
        raise ValueError("no")
    assert vars(raised.value) == {}
    assert traced.end_of("work")[0] == "ERROR"


def test_one_exception_for_all_requests_has_the_fields_of_each(traced: Tracing) -> None:
    """An object that is raised in one trace after another has the latest fields only."""
    error = LookupError("not found")
    for order in (1, 2, None):
        fields = {} if order is None else {"order": order}
        with pytest.raises(LookupError), with_span(f"request {order}"), with_context(**fields):
            raise error
    assert traced.exception_of("request 1")["order"] == 1
    assert traced.exception_of("request 2")["order"] == 2
    assert "order" not in traced.exception_of("request None")
    assert notes_of(error) == []


def test_one_exception_for_all_requests_without_tracing() -> None:
    """Each outermost block gives it its own fields; the blocks within one keep the first."""
    error = LookupError("not found")
    for order in (1, 2):
        with pytest.raises(LookupError), with_context(order=order), with_context(item="lamp"):
            raise error
        assert notes_of(error) == [f"error context: item='lamp', order={order}"]


def test_a_pickled_exception_keeps_its_fields(traced: Tracing) -> None:
    """An exception from another process has note and fields, as plain values."""
    with pytest.raises(ValueError, match="no") as raised, with_span("work"), with_context(order=7):
        raise ValueError("no")
    copied = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 - made here
    assert notes_of(copied) == ["error context: order=7"]
    assert enrich(copied) == {"order": 7}
    assert b"otel_ext." not in pickle.dumps(raised.value)
    assert len(traced.spans) == 1


def test_values_are_bounded_and_plain() -> None:
    """Long texts are cut, other objects are short texts, and a note has 2,000 characters."""

    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    fields = {f"f{number}": "x" * 600 for number in range(9)}
    error = ValueError("no")
    with with_context(thing=Hostile(), many=list(range(9)), truth=True, **fields):
        found = enrich(error)
    assert found["truth"] is True
    assert found["many"] == "[0, 1, 2, 3, ...]"
    assert found["f0"] == "x" * 500 + "…"
    assert "Hostile" in str(found["thing"])
    assert len(notes_of(error)[0]) == 2_000


def test_hostile_exceptions_leave_the_block_as_they_are(traced: Tracing) -> None:
    """An exception that refuses attributes is neither replaced nor does it keep the fields."""

    class Refusing(Exception):  # noqa: N818 - a name for the test
        __slots__ = ()

        def __getattribute__(self, name: str) -> object:
            raise RuntimeError(name)

        def __setattr__(self, name: str, value: object) -> None:
            raise RuntimeError(name)

    error = Refusing()
    with pytest.raises(Refusing) as raised, with_span("work"), with_context(order=7):
        raise error
    assert raised.value is error
    assert get() == {}
    assert traced.end_of("work")[0] == "ERROR"


def test_tasks_have_their_own_fields(traced: Tracing) -> None:
    """A task starts with the fields of its maker; neither changes the other's."""

    async def work(number: int, ready: asyncio.Event) -> dict[str, object]:
        error_context.set(task=number)
        with with_context(order=number):
            await ready.wait()
            error_context.set(item=number)
            await asyncio.sleep(0)
            return get()

    async def main() -> list[dict[str, object]]:
        async with with_span("main"):
            error_context.set(user=1)
            ready = asyncio.Event()
            tasks = [asyncio.create_task(work(number, ready)) for number in range(50)]
            await asyncio.sleep(0)
            ready.set()
            found = await asyncio.gather(*tasks)
            assert get() == {"user": 1}
        return found

    found = asyncio.run(main())
    assert found == [{"user": 1, "task": n, "order": n, "item": n} for n in range(50)]
    assert len(traced.spans) == 1


def test_a_task_that_outlives_its_span_keeps_the_fields(traced: Tracing) -> None:
    """The end of span and block in the maker takes nothing from the task."""

    async def outlive(is_over: asyncio.Event) -> dict[str, object]:
        await is_over.wait()
        with with_span("later"):
            return get()

    async def main() -> dict[str, object]:
        is_over = asyncio.Event()
        async with with_span("request"):
            error_context.set(user=1)
            with with_context(order=7):
                task = asyncio.create_task(outlive(is_over))
        assert get() == {}
        is_over.set()
        return await task

    assert asyncio.run(main()) == {"user": 1, "order": 7}
    assert traced.parent_of("later") == "request"
