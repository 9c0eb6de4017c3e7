"""Records as lines of a spill file, and back: nothing a destination is told gets lost.

A record's line names its process only by its id. So the facts of each process
stand in the file too, in a line of their own before the first record of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from otel_ext.errors import RecordError
from otel_ext.record.codec import encode_line
from otel_ext.record.decode import decode_line
from otel_ext.record.model import EMPTY, Process
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process_records import process_start_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_ext.record.model import Record

__all__ = ["decode_lines", "encode_record", "process_line"]

_MARK: Final = "spill"
_FACTS: Final = frozenset({"pid", "start_time", "boot_id", "host", "argv", "resource"})


def encode_record(record: Record) -> bytes | None:
    """Return the line of a record; None if it cannot be made."""
    try:
        return encode_line(record)
    except Exception as error:  # noqa: BLE001 - the others must be kept
        COUNTERS.add("remote.not_encoded")
        report_problem("spill: a record is lost", error)
        return None


def process_line(process: Process) -> bytes:
    """Return the line that tells who `process` is."""
    record = process_start_record(process, 0)
    return encode_line(record._replace(extra={**record.extra, _MARK: True}))


def decode_lines(lines: Iterable[bytes], known: dict[str, Process]) -> list[Record]:
    """Return the records of `lines`, each with what is known of its process.

    Args:
        lines: Lines of one file, in their order; what is no record is counted and
            left out.
        known: The processes by their ids; those that the lines tell of are added.

    >>> from otel_ext.record.model import Record
    >>> process = Process("b0-7-1-aa", pid=7, resource={"service.name": "shop"})
    >>> record = Record("event", None, "deployed", 0, 1, process)
    >>> decode_lines([process_line(process), encode_line(record)], {})[0].process.resource
    {'service.name': 'shop'}
    """
    records: list[Record] = []
    for line in lines:
        try:
            record = decode_line(line)
        except RecordError:
            COUNTERS.add("remote.spill_damaged")
            continue
        if record.kind == "process" and record.extra.get(_MARK) is True:
            known[record.process.id] = _process(record)
        else:
            process = known.get(record.process.id)
            # A process that tells of itself carries its facts.
            if process is None and record.kind == "process" and "resource" in record.extra:
                process = known[record.process.id] = _process(record)
            records.append(record if process is None else record._replace(process=process))
    return records


def _process(record: Record) -> Process:
    facts = {key: value for key, value in record.extra.items() if key in _FACTS}
    argv = facts.get("argv")
    resource = facts.get("resource")
    return Process(
        record.process.id,
        pid=_number(facts.get("pid")),
        start_time=_number(facts.get("start_time")),
        boot_id=str(facts.get("boot_id") or ""),
        host=str(facts.get("host") or ""),
        argv=tuple(map(str, cast("list[object]", argv))) if isinstance(argv, list) else (),
        resource=cast("Mapping[str, object]", resource) if isinstance(resource, dict) else EMPTY,
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
