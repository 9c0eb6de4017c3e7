"""`Processes`: finds the process of each resource in a request, and introduces it.

A process that does not name itself gets an id that is made of its resource, so it is the same in
all requests and after a restart of the server. Each request introduces its processes again: its
lines need no others, whichever file they are in. Such a `process.start` has number 0, which no
process gives to a record of its own, so that the one of the process itself counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.formats.read.imported import Importer, introduction
from otel_ext.record.codec import encode_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_ext.record.model import Process

__all__ = ["INTRODUCTION", "Processes", "received"]

INTRODUCTION: Final = 0
"""The number of a `process.start` that is not the process's own."""


def received() -> Importer:
    """Return what makes records of received spans, with processes that are always the same."""
    return Importer(keeps_ids=True)


class Processes:
    """The processes of one request.

    Args:
        write: Takes the lines that introduce them.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._importer = received()
        self._introduced: set[str] = set()

    def find(self, resource: Mapping[str, object], process_id: object = None) -> Process:
        """Return the process of a resource.

        Args:
            resource: The resource, as OTLP/JSON has it.
            process_id: Its id, if the sender names it.
        """
        return self._importer.process_of(resource, process_id=process_id)

    def note(self, process: Process) -> None:
        """Note that the request itself has the start of a process."""
        self._introduced.add(process.id)

    def introduce(self, process: Process, time_ns: int) -> None:
        """Write the start of a process, once.

        Args:
            process: The process.
            time_ns: The time of its first record, nanoseconds since the epoch.
        """
        if process.id not in self._introduced:
            self._introduced.add(process.id)
            self._write(encode_line(introduction(process, time_ns)._replace(seq=INTRODUCTION)))
