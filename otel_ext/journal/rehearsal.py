"""Rehearse the first record of a process while the program sets itself up.

What is done for the first time is slow: modules are imported, patterns compiled,
the interpreter's and the processor's caches are cold. A record made up at set-up
goes the way of the first one and is thrown away, so that the first span, the
first one of each forked worker too, finds all of that done. No file is made, no
thread is started, and nothing is counted.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.journal.filesystem import file_system_of
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Process
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.incarnation import Incarnation
from otel_ext.runtime.process_records import process_start_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.record.model import Record

__all__ = ["rehearse"]

_RESOURCE: Final = {
    "service.name": "rehearsal",
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": "1",
}


def rehearse(redact: Callable[[Record], Record] | None = None) -> None:
    """Make, redact and encode a `process.start` record of no process; never raises.

    Args:
        redact: What records pass on their way; it finds nothing in this one.

    >>> rehearse()
    """
    try:
        # Not the current one: that begins with the first record, behind any fork.
        mine = Incarnation()
        process = Process(
            mine.id, mine.pid, mine.start_time, mine.boot_id, mine.host, ("python",), _RESOURCE
        )
        record = process_start_record(process, 1)
        encode_line(record if redact is None else redact(record))
        file_system_of(Path(os.sep))
    except Exception as error:  # noqa: BLE001 - the program's set-up must go on
        report_problem("the first record could not be prepared", error)
