"""Searches find what the shared cases say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.analysis.traces.span import Span
from otel_ext.analysis.traces.tree import make_tree
from otel_ext.search.found import SearchedTree
from otel_ext.search.parse import SearchError, parse

if TYPE_CHECKING:
    from otel_ext.analysis.traces.tree import TraceTree

FILE = Path(__file__).parents[1] / "cases" / "search" / "cases.json"
CASES: dict[str, Any] = json.loads(FILE.read_text("utf-8"))


def span_of(fields: dict[str, Any]) -> Span:
    """Return a span of the cases."""
    end = fields.get("end_ns")
    process = fields.get("process", "p")
    return Span(
        "t",
        fields["id"],
        fields.get("parent", ""),
        fields["name"],
        fields["state"],
        fields["start_ns"],
        end,
        end or CASES["now_ns"],
        fields.get("kind", "internal"),
        process=process,
        lineage=(process, 1, 0, ""),
        error=fields.get("error", ""),
    )


@pytest.fixture(name="tree")
def _tree() -> TraceTree:
    return make_tree(map(span_of, CASES["spans"]))


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["search"])
def test_a_search_finds_these_spans(case: dict[str, Any], tree: TraceTree) -> None:
    """Or it is wrong at this character."""
    if "error" in case:
        with pytest.raises(SearchError) as found:
            parse(case["search"])
        assert found.value.at == case["error"]
        assert found.value.hint
        return
    by_id = {one["id"]: one for one in CASES["spans"]}
    ids = [span.span_id for span in tree.spans]
    searched = SearchedTree(
        tree,
        CASES["services"],
        lambda one: by_id.get(ids[one], {}).get("attributes", {}),
        lambda one: by_id.get(ids[one], {}).get("logs", ()),
        CASES["now_ns"],
    )
    assert sorted(ids[one] for one in searched.find(parse(case["search"]))) == case["finds"]


@given(st.text(max_size=60) | st.text(alphabet='ab()":=,-/<>.* ornt', max_size=40))
def test_any_text_is_a_search_or_an_error_with_its_place(text: str) -> None:
    """Never another exception."""
    try:
        parse(text)
    except SearchError as error:
        at = error.at
    else:
        at = 0
    assert 0 <= at <= len(text)


@pytest.mark.parametrize("text", ["(" * 500, "not " * 400, "a" * 3_000, "under:(" * 100])
def test_a_search_is_bounded(text: str) -> None:
    """By its length and its depth."""
    with pytest.raises(SearchError):
        parse(text)
