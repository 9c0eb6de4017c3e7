"""How spans end: each row of the table in `otel_ext.context.outcome`."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest
from opentelemetry.trace import StatusCode

from otel_ext.context.outcome import Failure, mark_failure, settle_as
from otel_ext.context.spans import with_span
from tests.context.tracing import exceptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.context.tracing import Tracing

# Python 3.10 has no exception groups.
GROUPS = import_module("builtins" if sys.version_info >= (3, 11) else "exceptiongroup")


class Unprintable(Exception):  # noqa: N818 - its name is in what the tests expect
    """An exception whose texts raise."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Evasive(Exception):  # noqa: N818 - as above
    """An exception that has no attributes, not even those that do not exist."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(name)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise RuntimeError(name)


class Cancelled(BaseException):
    """As trio's."""


class GreenletExit(BaseException):
    """As gevent's."""


class Derived(asyncio.CancelledError):
    """A cancellation of a program's own."""


def group(message: str, errors: Sequence[BaseException]) -> BaseException:
    """Return a group of exceptions: an `ExceptionGroup` if all are ordinary ones."""
    return cast("BaseException", GROUPS.BaseExceptionGroup(message, errors))


def end_by(error: BaseException) -> None:
    """Run a span called `work` that this exception ends."""
    with pytest.raises(type(error)) as raised, with_span("work"):
        raise error
    assert raised.value is error


def test_a_block_that_returns_is_ok(traced: Tracing) -> None:
    """A block without an exception gives status ok, no attribute and no event."""
    with with_span("work", order=7):
        pass
    assert traced.end_of("work") == ("OK", None, {"order": 7})
    assert not traced.span("work").events


@pytest.mark.parametrize(
    ("error", "description", "kind"),
    [
        (ValueError("no"), "ValueError: no", "ValueError"),
        (ValueError(), "ValueError", "ValueError"),
        (StopIteration(3), "StopIteration: 3", "StopIteration"),
        (asyncio.TimeoutError("late"), "TimeoutError: late", None),
        (Unprintable(), "Unprintable: <unprintable>", f"{__name__}.Unprintable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_exception_is_an_error(
    traced: Tracing, error: Exception, description: str, kind: str | None
) -> None:
    """An exception gives status error, its type as `error.type`, and one exception event."""
    end_by(error)
    status, text, attributes = traced.end_of("work")
    assert (status, text) == ("ERROR", description)
    assert attributes == {"error.type": kind or attributes["error.type"]}
    event = traced.exception_of("work")
    assert event["exception.type"] == attributes["error.type"]
    assert event["exception.message"] == (description.partition(": ")[2])


def test_an_exception_that_takes_no_attributes_is_an_error(traced: Tracing) -> None:
    """A class that raises for each attribute loses nothing but the note."""
    end_by(Evasive("odd"))
    assert traced.end_of("work")[:2] == ("ERROR", "Evasive: odd")
    assert traced.exception_of("work")["exception.message"] == "odd"


def test_a_long_message_is_cut(traced: Tracing) -> None:
    """The description of the status has at most 1,000 characters."""
    end_by(ValueError("x" * 5_000))
    assert traced.end_of("work")[1] == ("ValueError: " + "x" * 5_000)[:1_000]


def test_a_keyboard_interrupt_is_an_error(traced: Tracing) -> None:
    """`KeyboardInterrupt` gives an error with its event, and is named as what ended the span."""
    end_by(KeyboardInterrupt())
    assert traced.end_of("work") == (
        "ERROR",
        "KeyboardInterrupt",
        {"otel_ext.ended_by": "KeyboardInterrupt", "error.type": "KeyboardInterrupt"},
    )
    assert traced.exception_of("work")["exception.type"] == "KeyboardInterrupt"


@pytest.mark.parametrize("code", [0, None])
def test_an_exit_without_a_mistake_is_ok(traced: Tracing, code: int | None) -> None:
    """`sys.exit(0)` and `sys.exit()` give status ok and no exception event."""
    end_by(SystemExit(code))
    assert traced.end_of("work") == ("OK", None, {"otel_ext.ended_by": "SystemExit"})
    assert not traced.span("work").events


@pytest.mark.parametrize("code", [3, "no such file"])
def test_an_exit_with_a_mistake_is_an_error(traced: Tracing, code: object) -> None:
    """Another code of `sys.exit` gives status error without an exception event."""
    end_by(SystemExit(code))
    assert traced.end_of("work") == (
        "ERROR",
        f"SystemExit: {code}",
        {"otel_ext.ended_by": "SystemExit", "error.type": "SystemExit"},
    )
    assert not traced.span("work").events


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError("stop"),
        Cancelled(),
        GreenletExit(),
        Derived(),
        GeneratorExit(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_cancellation_leaves_the_status_unset(traced: Tracing, error: BaseException) -> None:
    """Cancellation in asyncio, trio and gevent, and `GeneratorExit`, are named and no error."""
    end_by(error)
    kind = type(error).__name__
    assert traced.end_of("work") == ("UNSET", None, {"otel_ext.ended_by": kind})
    assert not traced.span("work").events


def test_an_exception_called_cancelled_is_an_error(traced: Tracing) -> None:
    """An ordinary exception whose class has the name of a cancellation is an error."""
    kind = type("CancelledError", (Exception,), {})
    end_by(kind("by the customer"))
    assert traced.end_of("work")[:2] == ("ERROR", "CancelledError: by the customer")


def test_a_group_lists_the_exceptions_in_it(traced: Tracing) -> None:
    """A nested exception group is an error whose event lists the types of all its leaves."""
    end_by(group("both", [ValueError(1), group("in", [KeyError(2), OSError()])]))
    status, _, attributes = traced.end_of("work")
    assert status == "ERROR"
    assert str(attributes["error.type"]).endswith("ExceptionGroup")
    found = traced.exception_of("work")["otel_ext.exception.grouped"]
    assert sorted(found) == ["KeyError", "OSError", "ValueError"]  # type: ignore[call-overload]


def test_a_group_with_many_exceptions_is_bounded(traced: Tracing) -> None:
    """Of a group, at most 32 types are listed."""
    end_by(group("many", [ValueError(number) for number in range(500)]))
    found = traced.exception_of("work")["otel_ext.exception.grouped"]
    assert found == ("ValueError",) * 32


def test_a_group_of_cancellations_is_a_cancellation(traced: Tracing) -> None:
    """A group with nothing but cancellations, nested too, leaves the status unset."""
    cancelled = asyncio.CancelledError()
    end_by(group("all", [cancelled, group("in", [Cancelled()])]))
    assert traced.end_of("work")[0] == "UNSET"
    assert traced.end_of("work")[2]["otel_ext.ended_by"] in {"CancelledError", "Cancelled"}
    assert not traced.span("work").events


def test_a_group_with_one_error_is_an_error(traced: Tracing) -> None:
    """A cancellation beside an error does not hide the error."""
    end_by(group("mixed", [asyncio.CancelledError(), ValueError("no")]))
    assert traced.end_of("work")[0] == "ERROR"
    found = traced.exception_of("work")["otel_ext.exception.grouped"]
    assert sorted(str(one).rpartition(".")[2] for one in found) == [  # type: ignore[attr-defined]
        "CancelledError",
        "ValueError",
    ]


def test_many_cancellations_do_not_hide_an_error(traced: Tracing) -> None:
    """The last member of a large group decides, though only the first 32 are listed."""
    cancelled = [asyncio.CancelledError() for _ in range(500)]
    end_by(group("mixed", [*cancelled, ValueError("no")]))
    assert traced.end_of("work")[0] == "ERROR"
    assert len(traced.exception_of("work")["otel_ext.exception.grouped"]) == 32  # type: ignore[arg-type]


def test_a_failure_is_an_error_without_an_exception(traced: Tracing) -> None:
    """A returned `Failure` gives status error with its reason, and the caller gets it."""

    @with_span("work")
    def pay() -> Failure:
        return Failure("declined", 51)

    assert pay() == Failure("declined", 51)
    assert traced.end_of("work") == ("ERROR", "declined", {"error.type": "failure"})
    assert not traced.span("work").events


def test_mark_failure_marks_the_current_span(traced: Tracing) -> None:
    """`mark_failure` marks the current span, or the one that it is passed."""
    with with_span("outer") as outer, with_span("inner"):
        mark_failure("declined")
        mark_failure("late", span=outer)
    assert traced.end_of("inner") == ("ERROR", "declined", {"error.type": "failure"})
    assert traced.end_of("outer") == ("ERROR", "late", {"error.type": "failure"})


def test_mark_failure_takes_anything(traced: Tracing) -> None:
    """A reason without a text, and no current span, are ignored."""
    mark_failure("of nothing")
    with with_span("work"):
        mark_failure(Unprintable())  # type: ignore[arg-type]
    assert traced.end_of("work")[0] in {"OK", "UNSET"}


@pytest.mark.parametrize("error", [None, ValueError("no"), SystemExit(0), SystemExit(3)])
@pytest.mark.parametrize("code", [StatusCode.OK, StatusCode.ERROR])
def test_a_status_of_the_program_stays(
    traced: Tracing, code: StatusCode, error: BaseException | None
) -> None:
    """What the program has set as status is kept, however the block ends."""
    mine = "mine" if code is StatusCode.ERROR else None

    def work() -> None:
        with with_span("work") as span:
            span.set_status(code, mine)
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(type(error)):
            work()
    assert traced.end_of("work")[:2] == (code.name, mine)
    assert len(exceptions(traced.span("work"))) == isinstance(error, ValueError)


def test_a_status_of_the_program_stays_with_a_failure(traced: Tracing) -> None:
    """A returned `Failure` does not replace a status either."""

    @with_span("work")
    def pay() -> Failure:
        mark_failure("the first reason")
        return Failure("another")

    pay()
    assert traced.end_of("work")[:2] == ("ERROR", "the first reason")


def test_hostile_attributes_are_no_obstacle(traced: Tracing) -> None:
    """Values that are no attributes, or raise, are no obstacle; the span is made."""

    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

        def __bool__(self) -> bool:
            raise RuntimeError("no truth")

    hostile: Any = Hostile()
    with with_span("work", good=1, bad=hostile, worse={"a": hostile}):
        pass
    status, _, attributes = traced.end_of("work")
    # What becomes of the others depends on the release of OpenTelemetry.
    assert (status, attributes["good"]) == ("OK", 1)


def test_an_unknown_outcome_counts_as_an_error(
    traced: Tracing, capfd: pytest.CaptureFixture[str]
) -> None:
    """A word that is not an outcome is reported, and the span is an error."""
    with with_span("work") as span:
        settle_as(span, "fine", "why")
    assert traced.end_of("work")[:2] == ("ERROR", "why")
    assert "status='fine' is not a status: use ok, failure or error" in capfd.readouterr().err
