"""Warms up the path of the first record during set-up, so that the first span is fast.

The first record is slow: modules are imported, patterns compiled, and caches are cold. At
set-up a made-up record takes the same path and is thrown away, so that the first span, also
of each forked worker, need not do that. The process identity and the file system of the
records are looked up here, too. No file is created, no thread is started, and nothing is
counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.journal.filesystem import file_system_of
from otel_ext.journal.ring_layout import RingFacts
from otel_ext.journal.write.ring_buffer import CHUNKS, RingBuffer, appender
from otel_ext.record.codec import encode_line
from otel_ext.record.own_code import judge_carriers
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process import incarnation
from otel_ext.runtime.process.records import process_start_record
from otel_ext.runtime.threads import may_start_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.record.model import Record

__all__ = ["warm_up", "warm_up_redaction"]

_CHUNK_BYTES: Final = 65_536
# The attributes that the SDK and its detectors put into a resource.
_RESOURCE: Final = {
    "service.name": "warm-up",
    "service.instance.id": "00000000-0000-0000-0000-000000000000",
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": "1",
}


def warm_up(path: Path) -> None:
    """Prepare everything that the first record needs, except redaction; never raises.

    Args:
        path: Where records are to go.

    >>> from pathlib import Path
    >>> warm_up(Path("/tmp/records"))
    """
    try:
        _store(encode_line(_first_record()))
        may_start_threads()
        judge_carriers()
        for folder in (path, *path.parents):
            if file_system_of(folder).kind:
                break
    except Exception as error:  # noqa: BLE001 - the program's set-up must go on
        report_problem("the first record could not be prepared", error)


def warm_up_redaction(redact: Callable[[Record], Record]) -> None:
    """Redact and encode the made-up record; never raises.

    Args:
        redact: Redacts a record; it finds nothing in this one.

    >>> warm_up_redaction(lambda record: record)
    """
    try:
        encode_line(redact(_first_record()))
    except Exception as error:  # noqa: BLE001 - the program's set-up must go on
        report_problem("redaction could not be prepared", error)


def _store(line: bytes) -> None:
    """Store a line in a ring buffer in this process's memory, without a file."""
    process = incarnation.current().process
    facts = RingFacts(process, 0, "", CHUNKS * _CHUNK_BYTES, _CHUNK_BYTES)
    appender(RingBuffer(-1, Path(), facts))(line)


def _first_record() -> Record:
    """Return a `process.start` record like this process's, with a made-up resource."""
    mine = incarnation.current()
    return process_start_record(mine.describe(mine.id, _RESOURCE), 1)
