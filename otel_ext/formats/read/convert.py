"""Converts what other tools have written to records: finds the format and reads it."""

from __future__ import annotations

from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.errors import RecordError
from otel_ext.formats.read.documents import documents
from otel_ext.formats.read.flat import FlatReader, is_flat
from otel_ext.formats.read.imported import Importer, Rejected
from otel_ext.formats.read.jaeger import is_jaeger, read_jaeger
from otel_ext.formats.read.otlp import is_otlp, read_otlp
from otel_ext.formats.read.pieces import fields_of
from otel_ext.formats.read.sdk import is_sdk_span, read_sdk_span
from otel_ext.record.model import META_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_ext.formats.read.pieces import Fields
    from otel_ext.record.model import Record

__all__ = ["A_RECORD", "FORMATS", "Problem", "convert"]

FORMATS: Final = "OTLP/JSON, Jaeger's JSON, spans as the SDK prints them, the flat first format"
"""The formats that are recognised."""

A_RECORD: Final = "a record already"
"""The beginning of the reason of a problem that is one of all the lines of a file of records."""

# What tells inputs apart: a file is not read twice, and a pipe cannot be.
_BEGINNING_LINES: Final = 256
_BEGINNING_BYTES: Final = 65_536


class Problem(NamedTuple):
    """What is not converted: the number of its document's first line, and why."""

    line: int
    reason: str


def convert(lines: Iterable[bytes]) -> Iterator[Record | Problem]:
    """Yield the records of documents, one after another, each in one or in several lines.

    The same lines always become the same records. Records of inputs whose beginnings differ are
    of different processes, so that none is taken for another one with its number.

    Args:
        lines: Lines of text; the formats may differ.
    """
    beginning, lines = _beginning(iter(lines))
    importer = Importer(beginning)
    flat = FlatReader(importer)
    for number, document in documents(lines):
        if isinstance(document, str):
            yield Problem(number, document)
            continue
        try:
            for item in _records(document, importer, flat):
                yield Problem(number, item.reason) if isinstance(item, Rejected) else item
        except RecordError as error:
            yield Problem(number, str(error))
        except Exception as error:  # noqa: BLE001 - the document may be anything
            yield Problem(number, f"{type(error).__name__}: {error}"[:200])


def _beginning(lines: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the digest of the first lines, and all lines."""
    digest, kept, size = blake2b(digest_size=16), list[bytes](), 0
    for line in lines:
        kept.append(line)
        digest.update(line)
        size += len(line)
        if len(kept) >= _BEGINNING_LINES or size >= _BEGINNING_BYTES:
            break
    return digest.digest(), chain(kept, lines)


def _records(document: Fields, importer: Importer, flat: FlatReader) -> Iterator[Record | Rejected]:
    if is_flat(document):  # first: a user's own keys may be those of another format
        return flat.read(document)
    if "version" in fields_of(document.get(META_KEY)):
        raise RecordError(A_RECORD, hint="Commands read it as it is.")
    if is_otlp(document):
        return read_otlp(document, importer)
    if is_jaeger(document):
        return read_jaeger(document, importer)
    if is_sdk_span(document):
        return read_sdk_span(document, importer)
    raise RecordError("the format is not known", hint=f"These are: {FORMATS}.")
