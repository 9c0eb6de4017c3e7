"""`checkpoint`: stores a small state that survives a kill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.context.checkpoints.reading import ATTEMPT, OVER, RUN, STATE
from otel_ext.context.checkpoints.state import altered_error, plain_state
from otel_ext.errors import ConfigError
from otel_ext.inflight.exact_events import ExactData, write_exact_event
from otel_ext.inflight.origin import Origin, origin_here
from otel_ext.inflight.tracker import event_senders
from otel_ext.record.entities import CHECKPOINT, Entity
from otel_ext.runtime.guard import report_problem
from otel_ext.settings.limits import check_limit
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.context.checkpoints.state import PlainState, Storable

__all__ = ["BLOCKS", "check_name", "checkpoint", "store", "store_done"]

_LONGEST_NAME: Final = 200
_MOST_ATTEMPTS: Final = 2**31
_EVENT: Final = "checkpoint"
_DONE: Final = "checkpoint.done"
# About how many bytes the other fields take as JSON.
_REST: Final = 48

BLOCKS: Final[dict[str, Callable[[object, Origin], bool]]] = {}
"""By name, what stores a checkpoint for the `resume` block that is open in this process."""


def checkpoint(state: Storable, *, name: str, attempt: int = 1) -> bool:
    """Store a small state, from which a later attempt can continue after a kill.

    It takes about as long as the start of a span, on the caller's thread, and is kept as
    safe as other records: with `durability=mapped`, the default, in memory that survives
    `kill -9`. The state comes back as it was, or it is not stored. It is one of the
    program's records and leaves with them, to a collector too.

    Args:
        state: Dicts with texts as keys, lists, texts, finite numbers, bools and None; at
            most 65,536 bytes as JSON, nested at most 63 levels deep, without secrets.
        name: The operation's name. In a `resume` block of that name, the checkpoint is
            that block's.
        attempt: Which attempt this is, outside of such a block. Of several processes the
            one with the highest attempt counts. From 1 to 2,147,483,648.

    Returns:
        Whether it is stored. False if nothing is recorded, or the buffer is full.

    Raises:
        ConfigError: The state would not come back as it is, because it is too large, not
            JSON, or has what redaction takes for a secret. The message says where. Or the
            name or the attempt is wrong; or this is a forked child within a `resume` block
            of that name, which its parent runs.

    >>> checkpoint({"done": 3}, name="import")
    False
    """
    check_name(name)
    origin = origin_here(2)
    block = BLOCKS.get(name)
    if block is not None:
        return block(state, origin)
    check_limit("attempt", attempt)
    if attempt > _MOST_ATTEMPTS:
        raise ConfigError(
            f"checkpoint: attempt={short_repr(attempt)} is too high",
            hint=f"Count the attempts from 1; at most {_MOST_ATTEMPTS:,}.",
        )
    return store(name, plain_state(state), 1, attempt, origin)


def check_name(name: object) -> None:
    """Check the name of an operation.

    Raises:
        ConfigError: It is not a text of 1 to 200 characters that UTF-8 can encode.

    >>> check_name("import")
    """
    is_text = isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME
    if not is_text or any("\ud800" <= one <= "\udfff" for one in str(name)):
        raise ConfigError(
            f"checkpoint: name={short_repr(name)} is not a valid name",
            hint=f"Use a text of 1 to {_LONGEST_NAME} characters.",
        )


def store(
    name: str, state: PlainState, run: int, attempt: int, origin: Origin, *, is_over: bool = False
) -> bool:
    """Write the record of a checkpoint; return whether it is stored.

    Args:
        name: The operation's name.
        state: Its state.
        run: How often the operation was begun from its beginning.
        attempt: Which attempt of that run this is.
        origin: The span, the thread and the task.
        is_over: Whether an exception has ended the attempt.

    Raises:
        ConfigError: A destination would alter the state.
    """
    numbers: dict[str, object] = {ATTEMPT: attempt, RUN: run}
    if is_over:
        numbers[OVER] = True
    flat = None if state.flat is None else {**state.flat, **numbers}
    data = ExactData({STATE: state.value, **numbers}, state.size + _REST, flat)
    entity = Entity(CHECKPOINT, name)
    is_stored = _write(_EVENT, name, data, entity, origin)
    if is_over:
        # Else it would outlive the record, in another process, that the operation is done.
        for tracker in event_senders():
            tracker.living.forget(entity)
    return is_stored


def store_done(name: str, run: int, attempt: int, origin: Origin) -> bool:
    """Write the record that an operation is done; return whether it is stored."""
    attributes: dict[str, object] = {ATTEMPT: attempt, RUN: run}
    data = ExactData(attributes, _REST, attributes)
    return _write(_DONE, name, data, Entity(CHECKPOINT, name, deleted=True), origin)


def _write(event: str, name: str, data: ExactData, entity: Entity, origin: Origin) -> bool:
    try:
        outcome = write_exact_event(event, data, entity=entity, origin=origin)
    except Exception as error:  # noqa: BLE001 - the program's operation must go on
        report_problem(f"the checkpoint {name!r} is not stored", error)
        return False
    if outcome.altered is not None:
        raise altered_error(name, data.attributes, outcome.altered.attributes)
    return outcome.is_written
