"""Reads the flat first format: metadata beside the user's data, or nested but without a version.

A span is an event that ends in `.start` and another that ends in `.end`; others are logs.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from otel_ext.formats.read.pieces import fields_of
from otel_ext.formats.read.times import time_in
from otel_ext.record.model import EMPTY, META_KEY, UNKNOWN_CALL_SITE, CallSite, Record, Status
from otel_ext.runtime.process.records import whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.formats.read.imported import Importer
    from otel_ext.formats.read.pieces import Fields

__all__ = ["FlatReader", "is_flat"]

_SITE: Final[tuple[str, ...]] = ("file", "line", "function")
_META: Final = frozenset(
    (
        *("timestamp", "event", "trace_id", "span_id", "parent_span_id", "parent_id"),
        *(*_SITE, "provisional", "level", "logger"),
    )
)
_HEX: Final = re.compile(r"[0-9a-f]+")
_LINE: Final = re.compile(r"\d{1,18}", re.ASCII)
_MOST_OPEN: Final = 100_000


def is_flat(document: Fields) -> bool:
    """Whether a JSON object is a record of the flat format.

    Only metadata under its own key has a version: beside the user's data, it is the user's.
    """
    nested = fields_of(document.get(META_KEY))
    meta = nested or document
    return "event" in meta and "timestamp" in meta and "version" not in nested


class FlatReader:
    """Makes records of lines of the flat format; the ends of spans need their starts.

    Args:
        importer: Numbers the records.
    """

    def __init__(self, importer: Importer) -> None:
        self._importer = importer
        self._process = importer.process_of(EMPTY, "flat")
        self._starts: dict[tuple[str, str], Record] = {}

    def read(self, document: Fields) -> Iterator[Record]:
        """Yield the record of a line, and before the first one that of a process.

        Raises:
            RecordError: It has no valid time.
        """
        meta = fields_of(document.get(META_KEY)) or document
        event = str(meta.get("event") or "")
        trace_id, span_id = _id(meta.get("trace_id"), 32), _id(meta.get("span_id"), 16)
        has_ids = bool(trace_id and span_id)
        record = Record(
            kind="log",
            phase=None,
            name=event,
            time_ns=time_in(meta.get("timestamp"), "timestamp"),
            seq=0,
            process=self._process,
            call_site=_call_site(meta),
            attributes=_attributes(document, meta),
            trace_id=trace_id if has_ids else "",
            span_id=span_id if has_ids else "",
        )
        name, _, phase = event.rpartition(".")
        if name and phase in {"start", "end"} and has_ids:
            record = self._span(record, name, phase, meta)
        else:
            level, logger = str(meta.get("level") or "info"), str(meta.get("logger") or "")
            record = record._replace(level=level, logger=logger)
        yield from self._importer.numbered(record, record.time_ns)

    def _span(self, record: Record, name: str, phase: str, meta: Fields) -> Record:
        parent = _id(meta.get("parent_span_id") or meta.get("parent_id"), 16)
        # The record of a span has no level and no logger of its own.
        own = {key: meta[key] for key in ("level", "logger") if meta.get(key)}
        record = record._replace(
            kind="span",
            name=name,
            parent_span_id=parent,
            span_kind="internal",
            attributes={**own, **record.attributes},
        )
        if phase == "start":
            record = record._replace(phase="start")
            if len(self._starts) < _MOST_OPEN:
                self._starts[record.key] = record
            return record
        has_failed = bool(record.attributes.get("error"))
        start = self._starts.pop(record.key, None)
        if start is not None:
            # Readers take all of a span from its end.
            record = record._replace(
                parent_span_id=parent or start.parent_span_id,
                call_site=start.call_site,
                attributes={**start.attributes, **record.attributes},
            )
        return record._replace(
            phase="end",
            start_ns=record.time_ns if start is None else min(start.time_ns, record.time_ns),
            status=Status("error" if has_failed else "unset"),
        )


def _attributes(document: Fields, meta: Fields) -> dict[str, object]:
    """Return the user's data, and of the metadata what has no place in a record."""
    unplaced = _unplaced(meta)
    placed = _META.difference(unplaced) if unplaced else _META
    own = {name: value for name, value in meta.items() if name not in placed}
    if meta is document:
        return own
    # Compat mode writes the timestamp a second time.
    return own | {
        name: value
        for name, value in document.items()
        if name != META_KEY and not (name == "timestamp" and value == meta.get(name))
    }


def _unplaced(meta: Fields) -> list[str]:
    """Return the names of metadata that a record cannot have as they are."""
    unplaced = [name for name in _SITE if name in meta]
    if isinstance(meta.get("file"), str):
        is_placed = meta.get("line") is None or _line(meta) > 0
        unplaced = [] if is_placed else ["line"]
    if not (meta.get("trace_id") and meta.get("span_id")):
        unplaced += [name for name in ("trace_id", "span_id") if meta.get(name)]
    return unplaced


def _call_site(meta: Fields) -> CallSite:
    file = meta.get("file")
    if not isinstance(file, str):
        return UNKNOWN_CALL_SITE
    return CallSite(file, _line(meta), str(meta.get("function") or "<unknown>"))


def _line(meta: Fields) -> int:
    """Return the number of a line, which may be a text; 0 if it is not one."""
    line = meta.get("line")
    is_text = isinstance(line, str) and _LINE.fullmatch(line)
    return int(str(line)) if is_text else whole_number(line)


def _id(value: object, size: int) -> str:
    """Return an id in hex: as it is if it can be one, else the digest of another text."""
    text = str(value or "").lower().removeprefix("0x").replace("-", "")
    if not text:
        return ""
    if _HEX.fullmatch(text) and len(text) <= size and text.strip("0"):
        return text.zfill(size)
    return blake2b(text.encode("utf-8", "replace"), digest_size=size // 2).hexdigest()
