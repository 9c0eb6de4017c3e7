"""`Loaded`: spans that were read from files, and how to read the rest of their records."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from otel_ext.analysis.traces.forest import Forest
from otel_ext.errors import RecordError
from otel_ext.observe.process_names import ProcessName
from otel_ext.record.decode import decode_line
from otel_ext.record.sanitise.values import MAX_LINE_BYTES
from otel_ext.runtime.process.records import process_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from otel_ext.analysis.traces.span import Span
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Process, Record

__all__ = ["OFFSET_BITS", "Loaded"]

OFFSET_BITS: Final = 48
"""A span's source is the number of its file above so many bits for the offset in it."""

_OFFSET_MASK: Final = (1 << OFFSET_BITS) - 1


class Loaded:
    """What was read.

    Attributes:
        forest: The spans.
        processes: The name of each process, by its id.
        skipped: How many damaged stretches there were.
        files: The files, in the order in which they were read.
        logs: Where the logs and events of each trace are, by its id, if they were asked for.
    """

    def __init__(self) -> None:
        self.forest = Forest()
        self.processes: dict[str, ProcessName] = {}
        self.skipped = 0
        self.files: list[Path] = []
        self.logs: dict[str, list[int | bytes]] = {}
        self._facts: dict[str, Process] = {}
        # The processes of which only such a start was read.
        self._from_resource: set[str] = set()

    @property
    def services(self) -> dict[str, str]:
        """The service of each process that has one, by the process's id."""
        return {name: one.service for name, one in self.processes.items() if one.service}

    def introduce(self, name: str, meta: Mapping[str, object]) -> None:
        """Note what a `process.start` record says of a process, unless one says more.

        One with number 0 is made by a receiver, which knows only the resource.
        """
        is_own = meta.get("seq") != 0
        if name not in self.processes or (is_own and name in self._from_resource):
            self._from_resource.discard(name)
            if not is_own:
                self._from_resource.add(name)
            self.processes[name] = ProcessName.from_start(meta)
            self._facts[name] = process_from(name, meta)

    def records_of(self, spans: Iterable[Span], containing: bytes = b"") -> dict[SpanKey, Record]:
        """Return the whole records of some spans, by trace and span id.

        Spans do not keep their attributes, events and links, so these are read again. What is
        no longer there is left out.

        Args:
            spans: The spans.
            containing: Only records whose line contains this; others are not decoded.
        """
        found: dict[SpanKey, Record] = {}
        by_source = {span.source: span for span in spans if span.source is not None}
        for source, record in self._read(by_source, containing):
            span = by_source[source]
            if record.key == span.key and record.seq == span.seq:
                found[span.key] = record
        return found

    def attributes_of(self, spans: Iterable[Span]) -> Mapping[SpanKey, Mapping[str, object]]:
        """Return the attributes of some spans, by trace and span id."""
        return {key: record.attributes for key, record in self.records_of(spans).items()}

    def logs_of(self, trace_id: str, process: str = "") -> list[Record]:
        """Return the logs and events of a trace, by time.

        Args:
            trace_id: Its id.
            process: Only those of this process, if others use the same id; empty for all.
        """
        found = (
            record
            for _, record in self._read(self.logs.get(trace_id, ()))
            if process in {"", record.process.id}
        )
        # A record may be in a file and in a ring buffer.
        records = {(record.process.id, record.seq): record for record in found}.values()
        return sorted(records, key=lambda record: (record.time_ns, record.seq))

    def _read(
        self, sources: Iterable[int | bytes], containing: bytes = b""
    ) -> Iterator[tuple[int | bytes, Record]]:
        """Yield the records that are still at some places, with the places."""
        by_file: dict[int, list[int]] = {}
        for source in sources:
            if isinstance(source, bytes):
                if containing in source:
                    yield from self._decoded(source, source)
            else:
                by_file.setdefault(source >> OFFSET_BITS, []).append(source)
        for number, places in by_file.items():
            with suppress(OSError), self.files[number].open("rb") as file:
                for source in sorted(places):
                    file.seek(source & _OFFSET_MASK)
                    line = file.readline(MAX_LINE_BYTES + 1)
                    if containing in line:
                        yield from self._decoded(source, line)

    def _decoded(self, source: int | bytes, line: bytes) -> Iterator[tuple[int | bytes, Record]]:
        with suppress(RecordError):
            record = decode_line(line)
            process = self._facts.get(record.process.id, record.process)
            yield source, record._replace(process=process)
