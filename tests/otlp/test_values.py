"""Endless data is cut before it is sent, and the attributes beside it stay."""

from __future__ import annotations

import pytest

from otel_ext.exporters.otlp.encoding.values import clean_attributes


def circular() -> dict[str, object]:
    """Return a parent whose children refer to it."""
    parent: dict[str, object] = {}
    parent["children"] = [{"parent": parent, "n": number} for number in range(9)]
    return parent


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "value",
    [circular(), [[[["x" * 1_000_000] * 1_000] * 1_000] * 1_000], [[[1] * 9_999] * 9_999] * 9_999],
    ids=["circular", "texts", "numbers"],
)
def test_endless_data_is_cut_and_other_attributes_stay(value: object) -> None:
    """The exporter's own walk is bounded even without redaction before it."""
    found = clean_attributes({"before": [1], "value": value, "after": {"a": [2]}})
    assert (found["before"], found["after"]) == ([1], {"a": [2]})
    assert "left out" in repr(found["value"]) or "…[+" in repr(found["value"])
