"""`resume`: runs an operation in a span, from the checkpoint of the attempt before."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, cast

from opentelemetry.trace import INVALID_SPAN, Link, SpanContext, get_current_span

from otel_ext.context.async_block import AsyncBlock
from otel_ext.context.checkpoints.claims import Claims
from otel_ext.context.checkpoints.reading import STATE, find_newest
from otel_ext.context.checkpoints.state import plain_state
from otel_ext.context.checkpoints.writing import BLOCKS, check_name, store, store_done
from otel_ext.context.current import enter, leave, open_span, take_ending
from otel_ext.context.error_context import keep_fields
from otel_ext.context.outcome import finish
from otel_ext.errors import ConfigError
from otel_ext.inflight.origin import Origin, origin_here
from otel_ext.inflight.tracker import event_senders
from otel_ext.journal.outputs import newest_output
from otel_ext.journal.read.incarnations import base_id
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process import incarnation

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.trace import Span

    from otel_ext.context.checkpoints.reading import Newest
    from otel_ext.context.checkpoints.state import State, Storable
    from otel_ext.context.current import Opened
    from otel_ext.journal.outputs import Output
    from otel_ext.record.model import Record

__all__ = ["ATTEMPT_ATTRIBUTE", "Resumption", "resume"]

ATTEMPT_ATTRIBUTE: Final = "otel_ext.checkpoint.attempt"
"""The attribute of the span with the number of the attempt."""

_claims: Final[dict[str, Claims]] = {}


class Resumption:
    """One attempt of an operation, which `resume` returns.

    Attributes:
        name: The operation's name.
        state: What the attempts before have stored last; None if nothing.
        attempt: Which attempt this is, from 1.
        span: Its span.
    """

    def __init__(self, name: str, state: State, attempt: int, run: int, span: Span) -> None:
        self.name = name
        self.state = state
        self.attempt = attempt
        self.span = span
        self._run = run
        self._process = incarnation.current().id
        self._latest = state
        self._is_open = True

    def checkpoint(self, state: Storable) -> bool:
        """Store a state, from which the next attempt continues; see `checkpoint`.

        Args:
            state: What to store.

        Returns:
            Whether it is stored.

        Raises:
            ConfigError: The state would not come back as it is; or the block has ended, or
                this is a forked child, which does not own the operation.
        """
        return self._store(state, origin_here(2))

    def _store(self, state: object, origin: Origin) -> bool:
        if not self._is_open:
            raise ConfigError(
                f"checkpoint {self.name!r}: its resume block has ended",
                hint="Store the state inside of the block.",
            )
        if not self.is_own:
            raise ConfigError(
                f"checkpoint {self.name!r}: process {self._process} runs it, not this child",
                hint="Store the state in the process that called resume.",
            )
        plain = plain_state(state)
        # It belongs to the operation's span, also from a span within.
        is_stored = store(self.name, plain, self._run, self.attempt, self._at(origin))
        self._latest = plain.value
        return is_stored

    @property
    def is_own(self) -> bool:
        """Whether this process runs it; a forked child does not."""
        return incarnation.current().id == self._process

    def begin(self) -> None:
        """Store that this attempt runs, with the state that it continues from."""
        self._store_quietly(is_over=False)
        BLOCKS[self.name] = self._store

    def forget(self) -> None:
        """Leave the name to other blocks."""
        if BLOCKS.get(self.name) == self._store:
            BLOCKS.pop(self.name, None)

    def end(self, *, is_done: bool) -> None:
        """Store that the operation is done, or that an exception has ended this attempt."""
        self._is_open = False
        if is_done:
            problem: Exception | str = "the buffer is full, or the folder cannot be written to"
            try:
                origin = self._at(origin_here(2))
                is_stored = store_done(self.name, self._run, self.attempt, origin)
            except ConfigError as error:  # redaction alters even this record
                is_stored, problem = False, error
            if not is_stored and event_senders():
                report_problem(f"resume({self.name!r}): that it is done is not stored", problem)
        else:
            self._store_quietly(is_over=True)

    def _store_quietly(self, *, is_over: bool) -> None:
        try:
            origin = self._at(origin_here(2))
            state = plain_state(self._latest)
            store(self.name, state, self._run, self.attempt, origin, is_over=is_over)
        except ConfigError as error:  # redaction has other rules than when it was stored
            report_problem(f"the checkpoint {self.name!r} is not stored", error)

    def _at(self, origin: Origin) -> Origin:
        context = self.span.get_span_context()
        if not context.is_valid:
            return origin
        return origin._replace(
            trace_id=f"{context.trace_id:032x}", span_id=f"{context.span_id:016x}"
        )


class resume(AsyncBlock):  # noqa: N801 - used like a function
    """Runs an operation in a span, from where an earlier attempt was killed or has failed.

    The span has the operation's name, the attempt's number as the attribute
    `otel_ext.checkpoint.attempt`, and a link to the span of the attempt before. If the block
    ends without an exception, the operation is done, and the next `resume` begins from the
    beginning. If an exception ends it, or the process dies, the next `resume` gets the last
    state that the block has stored. The states are as safe as other records, see
    `checkpoint`.

    What was done after the last checkpoint is done again. So that each step counts once, it
    has to be harmless to repeat, or to be stored together with the number of the step.

    Of several processes that use one folder of records, only one runs an operation at a
    time. Entering reads the folder, about two seconds for 512 MiB, also with `async with`.
    Without a folder of records it is always the first attempt.

    Args:
        name: The operation's name; use it for nothing else.

    Raises:
        ConfigError: On entering: the attempt before still runs, in this process or another.
        JournalError: On entering: the folder exists and cannot be read.

    >>> with resume("import") as work:
    ...     work.attempt, work.state
    (1, None)
    """

    __slots__ = ("_name", "_opened")

    def __init__(self, name: str) -> None:
        check_name(name)
        self._name = name
        self._opened: list[Opened[Resumption]] = []

    def __enter__(self) -> Resumption:
        """Claim the operation, and start the span."""
        name, output = self._name, newest_output()
        claims = _the_claims()
        is_mine, blocks = False, len(self._opened)
        try:
            _claim(claims, name, output)
            is_mine = True
            found = None if output is None else find_newest(name, output)
            if found is not None:
                _refuse_running(name, found)
            resumption = _begin(name, found)
            span = resumption.span
            left = None if span is INVALID_SPAN else enter(span)
            self._opened.append((span, left, resumption))
            resumption.begin()
        except BaseException as error:  # also a Ctrl-C: no `__exit__` follows
            if len(self._opened) > blocks:
                self.__exit__(type(error), error, error.__traceback__)
            elif is_mine:
                claims.release(name)
            raise
        return resumption

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the span, and store that the operation is done or may continue."""
        current = get_current_span()
        ending = take_ending(self._opened, current)
        if ending is None:
            return
        _, left, resumption = ending
        span = resumption.span
        # In a forked child its parent ends the span, and still runs the operation.
        is_own = resumption.is_own
        with ExitStack() as steps:  # each of them also after a Ctrl-C in the one before
            if is_own and error is not None:
                steps.callback(keep_fields, error)
            if is_own:
                steps.callback(_the_claims().release, self._name)
            if is_own and span is not INVALID_SPAN:
                steps.callback(finish, span, error)
            if left is not None:
                steps.callback(leave, left, is_current=span is current)
            resumption.forget()
            if is_own:
                resumption.end(is_done=error is None)


def _the_claims() -> Claims:
    found = _claims.get("claims")
    return found if found is not None else _claims.setdefault("claims", Claims())


def _claim(claims: Claims, name: str, output: Output | None) -> None:
    """Claim an operation, or raise `ConfigError`."""
    if not claims.take(name, None if output is None else output.folder):
        raise _runs(name, "another block or process runs it now")


def _begin(name: str, found: Newest | None) -> Resumption:
    """Start the span of the next attempt."""
    run, attempt, state = 1, 1, cast("State", None)
    links: tuple[Link, ...] = ()
    if found is not None and found.is_done:
        run = found.run + 1
    elif found is not None:
        run, attempt = found.run, found.attempt + 1
        state = cast("State", found.record.attributes.get(STATE))
        links = _links_to(found.record)
    span = open_span(name, {ATTEMPT_ATTRIBUTE: attempt}, links=links)
    return Resumption(name, state, attempt, run, span)


def _links_to(record: Record) -> tuple[Link, ...]:
    if not record.trace_id or not record.span_id:
        return ()
    context = SpanContext(int(record.trace_id, 16), int(record.span_id, 16), is_remote=True)
    return (Link(context),) if context.is_valid else ()


def _refuse_running(name: str, found: Newest) -> None:
    """Raise `ConfigError` if the attempt before still runs."""
    if found.is_done or found.is_over or not found.is_writer_alive:
        return
    process = base_id(found.record.process.id)
    if process != incarnation.current().id:
        raise _runs(name, f"process {process} runs attempt {found.attempt}")
    record = found.record
    key = int(record.trace_id or "0", 16), int(record.span_id or "0", 16)
    if any(tracker.table.get(key) is not None for tracker in event_senders()):
        raise _runs(name, f"the span of attempt {found.attempt} is open in this process")


def _runs(name: str, why: str) -> ConfigError:
    return ConfigError(
        f"resume({name!r}): {why}",
        hint="Wait until that attempt has ended, or end its process.",
        context={"name": name},
    )
