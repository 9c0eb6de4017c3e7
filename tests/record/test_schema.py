"""The JSON Schema is valid, strict where it must be, and agrees with the validator."""

from __future__ import annotations

import copy
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.record.model import META_KEY
from otel_ext.record.schema.rules import META_RULES, SHAPES, TIMESTAMP_PATTERN
from otel_ext.record.schema.validation import validate_line
from tests.examples import examples
from tests.record.format_examples import Document, documents, line_of, meta_of
from tests.record.schema_judge import SCHEMA, check_schema, is_valid

DEFS = cast("dict[str, dict[str, Any]]", SCHEMA["$defs"])
META = DEFS["meta"]


def test_the_schema_is_valid() -> None:
    """It follows JSON Schema 2020-12."""
    check_schema()
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_schema_is_strict_inside_and_open_outside() -> None:
    """Unknown keys are refused in metadata and all its parts, and allowed at top level."""
    closed = [name for name, part in DEFS.items() if "properties" in part]
    assert {"meta", "scope", "worker", "link", "status", "span_event", "frame"} == set(closed)
    assert all(DEFS[name]["additionalProperties"] is False for name in closed)
    assert "additionalProperties" not in SCHEMA


def test_schema_and_validator_know_the_same_keys() -> None:
    """Both have the same keys."""
    assert set(META["properties"]) == set(META_RULES)


def test_schema_and_validator_know_the_same_shapes() -> None:
    """In both, each kind and phase has the same keys, required and allowed."""
    always = frozenset(META["required"])
    in_schema = {
        (
            always.union(rule["then"].get("required", [])),
            frozenset(rule["then"]["propertyNames"]["enum"]),
        )
        for rule in META["allOf"]
    }
    assert in_schema == {(shape.required, shape.allowed) for shape in SHAPES.values()}
    assert len(META["allOf"]) == len(SHAPES)


def test_schema_and_validator_know_the_same_days() -> None:
    """The pattern of timestamps is the same text in both."""
    assert DEFS["timestamp"]["pattern"] == f"^{TIMESTAMP_PATTERN}$"


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("2024-02-29T23:59:59.999999Z", True),
        ("2000-02-29T00:00:00.000000Z", True),
        ("0001-01-01T00:00:00.000000Z", True),
        ("9999-12-31T23:59:59.999999Z", True),
        ("2025-02-29T00:00:00.000000Z", False),
        ("1900-02-29T00:00:00.000000Z", False),
        ("0000-01-01T00:00:00.000000Z", False),
        ("2026-04-31T00:00:00.000000Z", False),
        ("2026-13-01T00:00:00.000000Z", False),
        ("2026-01-01T24:00:00.000000Z", False),
        ("2026-01-01T00:00:60.000000Z", False),
        ("2026-01-01T00:00:00.000Z", False),
        ("2026-01-01T00:00:00.000000+00:00", False),
        ("2026-01-01T00:00:00.000000Z\n", False),
        ("٢٠٢٦-01-01T00:00:00.000000Z", False),
    ],
)
def test_only_moments_that_exist_are_timestamps(text: str, *, good: bool) -> None:
    """Both know the calendar, and accept only one way of writing."""
    document = documents()[0]
    meta_of(document)["timestamp"] = text
    assert is_valid(document) is good
    assert (validate_line(line_of(document)) == []) is good


_ODD: list[object] = [
    *(None, True, False, "", "x", "0" * 32, "0" * 16, "a" * 32, "a" * 16, "A" * 16, "a" * 31),
    *(-1, 0, 1, 2, 3, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 0.5, -7.25),
    *([], [1], ["x"], [{}], {}, {"x": 1}, {"x": -1}, {"id": 1, "name": "n"}, {"name": 5}),
    *("span", "log", "event", "process", "start", "update", "end", "internal", "ok"),
    *("a.start", "a.update", "a.end", "a.end\n", ".start", "process.start", "process.end"),
    *("shutdown", "SIGKILL", "SIGRTMIN+3", "9", "a b", "../x", "p" * 129),
    *({"code": "ok"}, {"code": "OK"}, [{"trace_id": "a" * 32, "span_id": "b" * 16}]),
    *("2026-02-29T00:00:00.000000Z", "2026-11-20T16:00:00.000250Z"),
    *([{"name": "e", "timestamp": "now"}], [{"file": "f", "line": 1, "function": "g"}]),
]
ODD_VALUES = st.sampled_from(_ODD)
KEYS = st.sampled_from(
    [*META_RULES, "name", "id", "code", "description", "attributes", "more", "a/b~c"]
)

EXAMPLES = documents()


@st.composite
def mutated(draw: st.DrawFn) -> Document:
    """Draw an example record with up to three keys removed, changed, or added inside."""
    document = copy.deepcopy(draw(st.sampled_from(EXAMPLES)))
    for _ in range(draw(st.integers(0, 3))):
        part = _choose_part(draw, meta_of(document))
        key = draw(st.sampled_from(sorted(part)) | KEYS) if part else draw(KEYS)
        how = draw(st.sampled_from(["remove", "odd", "borrow"]))
        if how == "remove":
            part.pop(key, None)
        elif how == "odd":
            part[key] = copy.deepcopy(draw(ODD_VALUES))
        else:
            lenders = [meta for meta in map(meta_of, EXAMPLES) if key in meta]
            lent = draw(st.sampled_from(lenders)).get(key) if lenders else draw(ODD_VALUES)
            part[key] = copy.deepcopy(lent)
    return document


def _choose_part(draw: st.DrawFn, meta: Document) -> Document:
    parts = [meta]
    for value in meta.values():
        items = cast("list[object]", value) if isinstance(value, list) else [value]
        parts += [cast("Document", item) for item in items if isinstance(item, dict)]
    return meta if draw(st.booleans()) else draw(st.sampled_from(parts))


@pytest.mark.timeout(240)
@examples(10)
@given(mutated())
def test_schema_and_validator_agree(document: Document) -> None:
    """Both give the same result for any change of a record."""
    reasons = validate_line(line_of(document))
    assert is_valid(document) is (not reasons), reasons


@pytest.mark.parametrize("whole", [None, 7, "text", [], {}, {META_KEY: None}, {META_KEY: [1]}])
def test_values_that_are_not_records_are_refused_by_both(whole: object) -> None:
    """A value of another type, or an object without metadata, is not a record."""
    assert not is_valid(whole)
    assert validate_line(line_of(cast("Document", whole)))


def test_the_one_rule_the_schema_cannot_express() -> None:
    """JSON Schema treats 7.0 as an integer; the validator requires 7."""
    document = documents()[0]
    meta_of(document)["seq"] = 7.0
    assert is_valid(document)
    assert "is 7.0" in validate_line(line_of(document))[0]
