"""A span that was not opened by user code: every reader shows that its location is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.ended_spans import EndedSpan, as_dicts, lines_of, open_in
from otel_ext.record.model import UNKNOWN_CALL_SITE
from otel_ext.terminal.canvas import Canvas
from tests.cli.written import DEAD, span, write
from tests.commands import call

if TYPE_CHECKING:
    from pathlib import Path

NOTHING = {"file": None, "line": None, "function": None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with one span without a location."""
    write(tmp_path, DEAD, span("GET /items")._replace(call_site=UNKNOWN_CALL_SITE))
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [["ps"], ["top", "--once"], ["dump"], ["tree"], ["tail", "--no-follow"]],
    ids=lambda words: words[0],
)
def test_tables_show_no_location(words: list[str], folder: Path) -> None:
    """The mark for an unknown location is not shown as a location."""
    out = call(*words, folder).out
    assert "GET /items" in out
    assert "<unknown>" not in out
    if words == ["ps"]:
        assert out.splitlines()[1].endswith(" -")


def test_a_recovered_span_is_shown_without_a_location(folder: Path) -> None:
    """The list of spans that were running has no location for it."""
    ended = [EndedSpan(one, 10**9) for one in open_in(folder)]
    (line,) = lines_of(ended, 1, Canvas())
    assert line == f"  1.00 s  GET /items  [{ended[0].span.process.label}]"
    assert as_dicts(ended)[DEAD.id][0]["where"] == {**NOTHING, "now": False}


def test_programs_get_null(folder: Path) -> None:
    """In JSON, file, line and function are null."""
    found = call("ps", "--json", folder).document
    assert found["opened"] == NOTHING
    assert {key: found["where"][key] for key in NOTHING} == NOTHING
    (trace,) = call("tree", "--json", folder).document["traces"]
    assert {key: trace["spans"][0][key] for key in NOTHING} == NOTHING


def test_such_a_file_is_valid(folder: Path) -> None:
    """The record format writes `<unknown>` and line 0."""
    assert call("validate", folder).code == 0
