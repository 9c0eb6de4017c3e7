"""Answers are bounded in size whatever was recorded, and say how to get what they leave out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from otel_ext.mcp.answer import LIMIT
from otel_ext.mcp.sources.folder import FolderSource
from otel_ext.mcp.sources.source import ListQuery
from otel_ext.mcp.texts import Texts
from otel_ext.mcp.toolbox import ask
from otel_ext.record.model import Record, SpanEvent
from tests.cli.written import DEAD, FAR, span, write
from tests.mcp.asking import asked, recorded_lines, spans_named, talk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.mcp.asking import Agent

MANY = 20_000
TRACE = "a" * 32

# Traces of 20,000 spans; measuring coverage would take most of the time.
pytestmark = pytest.mark.usefixtures("untraced")


def chain(number: int) -> int:
    """Return the parent of a span, so that each has one child."""
    return number - 1


def flat(number: int) -> int:
    """Return the parent of a span, so that the first has all."""
    return int(number > 1)


def bushy(number: int) -> int:
    """Return the parent of a span, so that each has ten children."""
    return (number + 8) // 10


def large(folder: Path, shape: Callable[[int], int]) -> Path:
    """Write a trace with many spans, each with a name of its own, and return the folder."""
    records: list[Record] = []
    for number in range(1, MANY + 1):
        parent = shape(number)
        above = f"{parent:016x}" if parent else ""
        records.append(span(f"work {number}", number, parent=above, phase="end"))
    write(folder, DEAD, *records)
    return folder


@pytest.mark.parametrize("shape", [chain, flat, bushy])
def test_a_trace_of_20_000_spans(shape: Callable[[int], int], tmp_path: Path) -> None:
    """Every tool answers in bounded size, by a real client, too."""
    folder = large(tmp_path / "traces", shape)
    calls: list[tuple[str, dict[str, object]]] = [
        ("running_now", {}),
        ("find_traces", {}),
        ("find_traces", {"search": "name:work*"}),
        ("show_trace", {"trace_id": TRACE}),
        ("show_trace", {"trace_id": TRACE, "search": "name:work*"}),
        ("show_trace", {"trace_id": TRACE, "span_id": f"{5:016x}"}),
        ("critical_path", {"trace_id": TRACE}),
        ("errors", {}),
        ("compare_traces", {"before": TRACE, "after": TRACE}),
        ("logs", {"trace_id": TRACE}),
        ("show_span", {"trace_id": TRACE, "span_id": f"{5:016x}"}),
    ]

    async def conversation(agent: Agent) -> None:
        for tool, arguments in calls:
            said = await agent.ask(tool, **arguments)
            assert len(said.text.encode()) <= LIMIT, tool

    talk([str(folder)], tmp_path, conversation)


def test_a_flat_trace_is_read_on(tmp_path: Path) -> None:
    """The offset that an answer names leads to the next rows, without a gap."""
    folder = large(tmp_path / "traces", flat)
    first = asked(folder, "show_trace", trace_id=TRACE).text
    (offset,) = re.findall(r"more rows: go on with offset=(\d+)\.", first)
    second = asked(folder, "show_trace", trace_id=TRACE, offset=int(offset)).text
    shown = [line for text in (first, second) for line in recorded_lines(text)]
    assert len(shown) > int(offset)
    ids = [line.rpartition("span=")[2] for line in shown]
    assert len(set(ids)) == len(ids)


def test_several_trees_are_read_on(tmp_path: Path) -> None:
    """The offset counts the rows of all trees, so that each span is shown once."""
    for process in (DEAD, FAR):
        records = [
            span(f"{process.pid} work {number}", number, process, phase="end")
            for number in range(1, 301)
        ]
        write(tmp_path, process, *records)
    shown: list[str] = []
    offset = 0
    while True:
        text = asked(tmp_path, "show_trace", trace_id=TRACE, offset=offset).text
        shown += [line for line in recorded_lines(text) if line.startswith("- ")]
        more = re.findall(r"more rows: go on with offset=(\d+)\.", text)
        if not more:
            break
        (offset,) = map(int, more)
        assert len(shown) == offset
    assert len(shown) == len(set(shown)) == 600


def test_a_bushy_trace_is_read_below_a_span(tmp_path: Path) -> None:
    """The upper levels are shown with how much is below; a span shows its part."""
    folder = large(tmp_path / "traces", bushy)
    text = asked(folder, "show_trace", trace_id=TRACE).text
    assert "rows of deeper levels left out" in text
    line = next(one for one in recorded_lines(text) if re.search(r"\(\+[\d,]+ below\)", one))
    below = asked(folder, "show_trace", trace_id=TRACE, span_id=line.rpartition("span=")[2]).text
    assert recorded_lines(below)[0].startswith("- work")
    assert len(recorded_lines(below)) > 1


def test_a_deep_trace_shows_levels(tmp_path: Path) -> None:
    """A chain is not indented without end: each deep line names its level."""
    folder = large(tmp_path / "traces", chain)
    text = asked(folder, "show_trace", trace_id=TRACE).text
    assert "- (level 100) work 101" in text
    assert max(map(len, recorded_lines(text))) < 200


def test_large_values_are_cut(tmp_path: Path) -> None:
    """A long value is cut and counted; its attribute shows more of it, also in bounded size."""
    fields: dict[str, object] = {f"key {number}": "x" * 3_000 for number in range(200)}
    events = tuple(
        SpanEvent("exception", 0, {"exception.stacktrace": "line\n" * 1_500}) for _ in range(12)
    )
    record = span("big", 1, phase="end")._replace(attributes=fields, events=events)
    write(tmp_path, DEAD, record)
    which = {"trace_id": TRACE, "span_id": f"{1:016x}"}
    text = asked(tmp_path, "show_span", **which).text
    assert len(text.encode()) <= LIMIT
    assert "(3,002 characters)" in text
    assert re.search(r"attribute: and \d+ more: key ", text)
    assert "event " in text
    assert "lines left out" in text
    one = asked(tmp_path, "show_span", **which, attribute="key 7").text
    assert f'key 7 = "{"x" * 3_000}"' in one


@pytest.mark.parametrize("character", ["x", "貨", "\U0001f69a", "\U000e0101"])
def test_one_attribute_is_shown_whatever_its_characters(character: str, tmp_path: Path) -> None:
    """A long value fits into the answer, also if its characters take many bytes."""
    record = span("big", 1, phase="end")._replace(attributes={"card": character * 20_000})
    write(tmp_path, DEAD, record)
    which = {"trace_id": TRACE, "span_id": f"{1:016x}"}
    text = asked(tmp_path, "show_span", **which, attribute="card").text
    assert len(text.encode()) <= LIMIT
    (line,) = recorded_lines(text)
    assert line.startswith('card = "')
    assert len(line.encode()) > LIMIT // 3
    assert line.endswith(" characters)")


def test_lists_are_read_on(tmp_path: Path) -> None:
    """A list of traces goes on at the cursor that an answer names, to its end."""
    records = [
        span("work", number, phase="end")._replace(trace_id=f"{number:032x}")
        for number in range(1, 301)
    ]
    write(tmp_path, DEAD, *records)
    found: list[str] = []
    cursor = ""
    while True:
        said = asked(tmp_path, "find_traces", limit=60, cursor=cursor)
        assert len(said.text.encode()) <= LIMIT
        found += [str(item["trace_id"]) for item in said.items]
        more = re.search(r"go on with cursor=(\S+)\.", said.text)
        if more is None:
            break
        cursor = more[1]
    assert len(found) == len(set(found)) == 300


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    """A limit that is too large for one answer leads to a smaller one."""
    names = "x" * 150
    records = [
        span(names, number, phase="end")._replace(trace_id=f"{number:032x}")
        for number in range(1, 301)
    ]
    write(tmp_path, DEAD, *records)
    said = asked(tmp_path, "find_traces", limit=200)
    (limit,) = re.findall(r"did not fit: use limit=(\d+)", said.text)
    assert int(limit) == len(said.items) < 200


def a_day_earlier(record: Record) -> Record:
    """Return a record as it was made a day before."""
    day = 86_400 * 10**9
    return record._replace(start_ns=record.start_ns - day, time_ns=record.time_ns - day)


@pytest.mark.parametrize("search", ["card:visa", "declined"])
def test_an_old_trace_of_a_large_folder_is_searched(search: str, tmp_path: Path) -> None:
    """By attributes and logs too, although the folder's files are not all kept in memory."""
    old = span("old", 1, FAR, phase="end")._replace(attributes={"card": "visa"})
    log = old._replace(kind="log", phase=None, name="declined", seq=2, start_ns=0, level="info")
    news = [
        span("new", 2, phase="end")._replace(span_id=f"{n:016x}", trace_id=f"{n:032x}")
        for n in range(2, 1_200)
    ]
    write(tmp_path, DEAD, *news)
    write(tmp_path, FAR, a_day_earlier(old), a_day_earlier(log))
    source = FolderSource(tmp_path, large=1_000)
    ask(source, Texts(), "find_traces", {})
    found = ask(source, Texts(), "show_trace", {"trace_id": TRACE, "search": search}).text
    assert "finds 1 span," in found
    assert spans_named(found, "old") == [f"{1:016x}"]


def test_of_a_large_folder_the_newest_traces_are_kept(tmp_path: Path) -> None:
    """A list says so; older traces are still found by their id."""
    old, new = span("old", 1, phase="end"), span("new", 2, phase="end")
    old = a_day_earlier(old)
    news = [new._replace(span_id=f"{n:016x}", trace_id=f"{n:032x}") for n in range(2, 1_200)]
    write(tmp_path, DEAD, old, *news)
    source = FolderSource(tmp_path, large=1_000)
    found = source.traces(ListQuery("", 0, "newest", 2_000, ""))
    assert "old" not in {one.name for one in found.traces}
    answer = ask(source, Texts(), "find_traces", {})
    assert "The folder is large" in answer.text
    tree = ask(source, Texts(), "show_trace", {"trace_id": TRACE}).text
    assert spans_named(tree, "old") == [f"{1:016x}"]
