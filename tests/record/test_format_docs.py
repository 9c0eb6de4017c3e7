"""docs/record-format.md is correct: its examples are valid, its tables are complete."""

from __future__ import annotations

import re

import pytest

from otel_ext.record.codec import encode_compat_line, encode_line
from otel_ext.record.decode import decode_line
from otel_ext.record.model import ABANDONED_CAUSES
from otel_ext.record.sanitise.values import MAX_DEPTH, MAX_LINE_BYTES, MAX_TEXT
from otel_ext.record.schema.rules import META_RULES, SHAPES, shape_of
from otel_ext.record.schema.validation import validate_line
from tests.record.format_examples import TEXT, Document, documents, headings, line_of, meta_of
from tests.record.schema_judge import errors_of

EXAMPLES = [
    pytest.param(document, id=heading)
    for document, heading in zip(documents(), headings(), strict=True)
]


@pytest.mark.parametrize("document", EXAMPLES)
def test_an_example_passes_the_schema(document: Document) -> None:
    """The JSON Schema accepts each example."""
    assert errors_of(document) == []


@pytest.mark.parametrize("document", EXAMPLES)
def test_an_example_passes_the_validator(document: Document) -> None:
    """The validator finds nothing wrong with any example."""
    assert validate_line(line_of(document)) == []


@pytest.mark.parametrize("document", EXAMPLES)
def test_an_example_is_what_the_codec_writes(document: Document) -> None:
    """Reading an example and writing it again gives the same bytes, the order of keys included."""
    encode = encode_compat_line if "timestamp" in document else encode_line
    line = line_of(document)
    assert encode(decode_line(line)) == line


def test_there_is_an_example_of_every_shape() -> None:
    """Each kind and phase of record has an example, and so does compat mode."""
    shapes = {shape_of(meta_of(document)) for document in documents()}
    assert shapes == set(SHAPES)
    assert any("timestamp" in document for document in documents())


def test_every_key_is_explained() -> None:
    """Each key of the metadata is in a table of the text."""
    rows = re.findall(r"^\| ([^|]*) \|", TEXT, re.MULTILINE)
    explained = {key for row in rows for key in re.findall(r"`([a-z_]+)`", row)}
    assert set(META_RULES) <= explained


def test_every_cause_is_explained() -> None:
    """Each cause of an abandoned end is in the table of causes."""
    rows = set(re.findall(r"^\| `([a-z-]+)` \|", TEXT, re.MULTILINE))
    assert set(ABANDONED_CAUSES) <= rows


def test_the_limits_are_those_of_the_code() -> None:
    """The text names the limits in the code."""
    assert f"{MAX_LINE_BYTES:,} bytes" in TEXT
    assert f"beyond {MAX_DEPTH} levels" in TEXT
    assert f"beyond {MAX_TEXT:,} characters" in TEXT
