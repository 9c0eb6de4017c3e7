"""Makes the records that a process writes about itself, at its start and at its end.

Span records contain only the id of their process; the `process.start` record at the
start of the file contains its facts and its resource.
"""

from __future__ import annotations

import os
import sys
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, Final, cast

from otel_ext.record.model import EMPTY, UNKNOWN_CALL_SITE, CallSite, Process, Record
from otel_ext.record.sanitise.sanitiser import marked_safe
from otel_ext.record.sanitise.scalars import is_utf8
from otel_ext.record.sanitise.values import encode_value
from otel_ext.runtime.counters import BUFFER_PEAK, COUNTERS
from otel_ext.runtime.process import incarnation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "PROCESS_END",
    "PROCESS_HEARTBEAT",
    "PROCESS_START",
    "closing_records",
    "dropped_in",
    "is_main_known",
    "process_end_record",
    "process_from",
    "process_record",
    "process_start_record",
    "whole_number",
]

PROCESS_START: Final = "process.start"
PROCESS_HEARTBEAT: Final = "process.heartbeat"
PROCESS_END: Final = "process.end"

_MAX_ARGV: Final = 16_384
_MAX_ARGUMENT: Final = 4_096
_MAX_RESOURCE: Final = 65_536
# The most that one character takes in JSON: \uXXXX, or two of those.
_LONGEST_ESCAPE: Final = 12
# The last main script seen: Python removes its name before it runs exit handlers.
_main: Final[dict[str, CallSite]] = {}


def process_start_record(process: Process, seq: int) -> Record:
    """Return the record that starts the file of `process`: its facts and its resource.

    Args:
        process: The process with one resource.
        seq: The record's number within the process.

    >>> from otel_ext.record.model import Process
    >>> record = process_start_record(Process("b0-7-1-aa", pid=7, start_time=1), 1)
    >>> record.event, record.extra["pid"], record.extra["start_time"]
    ('process.start', 7, 1)
    """
    record = process_record(PROCESS_START, process, seq, _facts_of(process, monotonic_ns()))
    # Usually plain as it is; this is part of a program's first span.
    return record._replace(attributes=marked_safe(EMPTY)) if _is_plain(process) else record


def _facts_of(process: Process, steady_ns: int) -> dict[str, object]:
    facts: dict[str, object] = {
        "pid": process.pid,
        "start_time": process.start_time,
        "boot_id": process.boot_id,
        "host": process.host,
        "argv": _bounded(process.argv),
        "resource": _bounded_resource(process.resource),
        "steady_ns": steady_ns,
    }
    if process.pid_namespace:
        facts["pid_namespace"] = process.pid_namespace
    if process.heartbeat_ms:
        facts["heartbeat_ms"] = process.heartbeat_ms
    if process.schema_url:
        facts["schema_url"] = process.schema_url
    return facts


def process_end_record(process: Process, seq: int, totals: Mapping[str, object] = EMPTY) -> Record:
    """Return the record that ends the file of `process` in order, with the counters."""
    return process_record(PROCESS_END, process, seq, totals)


def closing_records(
    processes: Iterable[Process], open_spans: Callable[[], int], *, pending: bool
) -> list[Record]:
    """Return the records that end a file, with the counters of this moment.

    Args:
        processes: Those with a start record in the file; other pids are left out.
        open_spans: Returns how many spans may have no end in the file; 0 if all are complete.
            Called after the records have their numbers, so that it counts every span
            whose start has a lower one.
        pending: Whether records still wait to be written, before these.
    """
    current = incarnation.current()
    accepted, written = COUNTERS.value("accepted"), COUNTERS.value("written")
    dropped = COUNTERS.dropped()
    if pending:
        written = accepted - sum(dropped.values())
    records: list[Record] = []
    own = [(one, current.next_seq()) for one in list(processes) if one.pid == current.pid]
    left = open_spans()
    for number, (process, seq) in enumerate(own, 1):
        # A reader of one of these records has it, and those before it, in the file.
        totals: dict[str, object] = {
            "last_seq": seq,
            "accepted": accepted + number,
            "written": written + number,
            "dropped": dropped,
            "buffer_peak": COUNTERS.value(BUFFER_PEAK),
            **({"open_spans": left} if left else {}),
        }
        records.append(process_end_record(process, seq, totals))
    return records


def process_record(
    name: str, process: Process, seq: int, facts: Mapping[str, object] = EMPTY
) -> Record:
    """Return a record of kind `process` with the current time, and `facts` as its metadata."""
    return Record("process", None, name, time_ns(), seq, process, _main_call_site(), extra=facts)


def is_main_known() -> bool:
    """Return whether the main script runs yet; False while Python imports the module `site`."""
    return hasattr(sys.modules.get("__main__"), "__file__")


def _main_call_site() -> CallSite:
    """Return the program's main script as the call site of process records."""
    path: object = getattr(sys.modules.get("__main__"), "__file__", None)
    if not isinstance(path, str):
        return _main.get("call_site", UNKNOWN_CALL_SITE)
    try:
        root = os.getcwd() + os.sep  # noqa: PTH109 - a removed folder must not matter
    except OSError:
        root = os.sep * 2
    call_site = _main["call_site"] = CallSite(path.removeprefix(root), 0, "<module>")
    return call_site


def _bounded(argv: tuple[str, ...]) -> list[str]:
    """Return the command line, cut to the limit of a record."""
    kept: list[str] = []
    room = _MAX_ARGV
    for argument in argv:
        if room <= 0:
            kept.append(f"<left out: {len(argv) - len(kept)} arguments>")
            break
        kept.append(argument[: min(room, _MAX_ARGUMENT)])
        room -= len(kept[-1]) + 1
    return kept


def _bounded_resource(resource: Mapping[str, object]) -> dict[str, object]:
    """Return the resource, cut to the limit of a record."""
    if _fits(resource):
        return dict(resource)
    kept: dict[str, object] = {}
    room = _MAX_RESOURCE
    for key, value in resource.items():
        room -= len(key) + len(encode_value(value))
        if room < 0:
            kept["…"] = f"<left out: {len(resource) - len(kept)} attributes>"
            break
        kept[key] = value
    return kept


def _is_plain(process: Process) -> bool:
    """Fast check: are the command line and the resource texts that fit, and valid?"""
    resource = process.resource
    return _fits(resource) and is_utf8(
        "".join(
            (process.host, *process.argv, *resource, *cast("dict[str, str]", resource).values())
        )
    )


def _fits(resource: Mapping[str, object]) -> bool:
    """Fast check: are all values texts that fit, even if every character is escaped?"""
    room = _MAX_RESOURCE
    for key, value in resource.items():
        if type(value) is not str or type(key) is not str:
            return False
        room -= len(key) + _LONGEST_ESCAPE * len(value)
    return room >= 0


def whole_number(value: object) -> int:
    """Return `value` if a record may contain it as a count; 0 for anything else.

    >>> whole_number(7), whole_number(True), whole_number("7")
    (7, 0, 0)
    """
    return value if type(value) is int and 0 <= value < 2**63 else 0


def dropped_in(facts: Mapping[str, object]) -> int:
    """Return how many dropped records a heartbeat or `process.end` record reports.

    Args:
        facts: The metadata of the record.

    >>> dropped_in({"dropped": {"queue_full": 2, "closed": 1}}), dropped_in({})
    (3, 0)
    """
    reasons = facts.get("dropped")
    if not isinstance(reasons, dict):
        return 0
    return sum(map(whole_number, cast("dict[str, object]", reasons).values()))


def process_from(process_id: str, facts: Mapping[str, object]) -> Process:
    """Return the process that a `process.start` record describes.

    Args:
        process_id: Its incarnation's id.
        facts: The metadata of the record; a missing or mistyped value is unknown.

    >>> process_from("b0-7-1-00000000", {"pid": 7, "host": None}).pid
    7
    """
    argv, resource = facts.get("argv"), facts.get("resource")
    return Process(
        process_id,
        pid=whole_number(facts.get("pid")),
        start_time=whole_number(facts.get("start_time")),
        boot_id=str(facts.get("boot_id") or ""),
        host=str(facts.get("host") or ""),
        argv=tuple(map(str, cast("list[object]", argv))) if isinstance(argv, list) else (),
        resource=cast("dict[str, object]", resource) if isinstance(resource, dict) else EMPTY,
        pid_namespace=whole_number(facts.get("pid_namespace")),
        heartbeat_ms=whole_number(facts.get("heartbeat_ms")),
        schema_url=str(facts.get("schema_url") or ""),
    )
