"""Events in files and ring buffers: every filter, damage, repeats, rotation and kills."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.journal.names import list_segments
from otel_ext.observe.event_files import EventFiles, events_in_lines
from otel_ext.observe.event_query import EventPlace, EventQuery, event_in
from tests.observe.agents import running
from tests.store.records import NOON, SECOND, event_line, log_line, process_line, span_line

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.observe.event_query import RecordedEvent

PID_7, PID_8 = "b0-7-1-00000000", "b0-8-1-11111111"
DOTTED: dict[str, Any] = {"correlation.id": 7}
LINES = (
    process_line(process=PID_7),
    event_line("cache.full", seq=2, process=PID_7, trace=1, correlation_id="c-1", size=3),
    span_line("end", 1, seq=3, process=PID_7),
    event_line("cache.hit", seq=4, process=f"{PID_7}.2", at=NOON + SECOND, trace=0xAB << 120),
    event_line("agent.x", seq=5, process=PID_8, at=NOON + 2 * SECOND, entity=("agent", "a")),
    log_line("cache.full", seq=6, process=PID_8, at=NOON + 3 * SECOND),
    event_line("page", seq=7, process=PID_8, at=NOON + 4 * SECOND, **DOTTED),
)


def names(path: Path, **query: Any) -> list[str]:  # noqa: ANN401 - the fields of a query
    """Return the names of the events in a folder or file, the newest first."""
    return [one.name for one in EventFiles([path]).events(EventQuery(**query))]


def written(folder: Path, *lines: bytes, name: str = "a.jsonl") -> Path:
    """Write a file of records."""
    path = folder / name
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["page", "agent.x", "cache.hit", "cache.full"]),
        ({"kinds": ("log",)}, ["cache.full"]),
        ({"kinds": ("event", "log"), "name": "cache.full"}, ["cache.full", "cache.full"]),
        ({"kinds": ()}, []),
        ({"name": "cache.*"}, ["cache.hit", "cache.full"]),
        ({"name": "*.full"}, ["cache.full"]),
        ({"name": "CACHE.*"}, []),
        ({"name": "page"}, ["page"]),
        ({"name": "pag"}, []),
        ({"since_ns": NOON + SECOND}, ["page", "agent.x", "cache.hit"]),
        ({"until_ns": NOON + SECOND}, ["cache.full"]),
        ({"trace_id": f"{1:032x}"}, ["cache.full"]),
        ({"trace_id": "ab"}, ["cache.hit"]),
        ({"trace_id": "ac"}, []),
        ({"correlation": "c-1"}, ["cache.full"]),
        ({"correlation": "7"}, ["page"]),
        ({"process": "7"}, ["cache.hit", "cache.full"]),
        ({"process": PID_7}, ["cache.hit", "cache.full"]),
        ({"process": f"{PID_7}.2"}, ["cache.hit"]),
        ({"process": "1"}, []),
        ({"entity_type": "agent"}, ["agent.x"]),
        ({"entity_type": "service"}, []),
        ({"entity_id": "a"}, ["agent.x"]),
        ({"entity_type": "agent", "entity_id": "b"}, []),
        ({"limit": 2}, ["page", "agent.x"]),
        ({"limit": 0}, []),
        ({"before": EventPlace(NOON + 2 * SECOND, 5, PID_8)}, ["cache.hit", "cache.full"]),
    ],
    ids=str,
)
def test_every_filter(tmp_path: Path, query: dict[str, Any], found: list[str]) -> None:
    """Each of them alone, on a folder and on the file."""
    path = written(tmp_path, *LINES)
    assert names(tmp_path, **query) == names(path, **query) == found


def test_pages_follow_each_other(tmp_path: Path) -> None:
    """A cursor leads through all, without gaps or repeats, also among those of one time."""
    lines = [event_line(f"e{n}", seq=n, process=f"p{n % 3}", at=NOON) for n in range(20)]
    written(tmp_path, *lines)
    files, before = EventFiles([tmp_path]), None
    found: list[RecordedEvent] = []
    while page := files.events(EventQuery(limit=3, before=before)):
        found += page
        before = EventPlace.parse(str(page[-1].place))
        assert before is not None
    assert [one.name for one in found] == [f"e{n}" for n in reversed(range(20))]


def test_what_a_new_file_repeats_counts_once(tmp_path: Path) -> None:
    """Also with a limit that leaves out most."""
    lines = [event_line(f"e{n}", seq=n, at=NOON + n) for n in range(9)]
    written(tmp_path, *lines)
    written(tmp_path, *lines[::-1], name="b.jsonl")
    assert names(tmp_path) == [f"e{n}" for n in reversed(range(9))]
    assert names(tmp_path, limit=3) == ["e8", "e7", "e6"]


def test_records_of_other_writers(tmp_path: Path) -> None:
    """Blanks and another order of the keys make no difference."""
    loaded = json.loads(LINES[1])
    spaced = json.dumps(dict(reversed(loaded.items())), indent=None).encode()
    assert b'": "' in spaced
    written(tmp_path, spaced)
    assert names(tmp_path) == ["cache.full"]


def test_damage_between_and_within_lines(tmp_path: Path) -> None:
    """Whole records are found in it, and nothing else."""
    torn = LINES[1][: len(LINES[1]) // 2]
    odd = [b"", b"{}", b"null", b"[1]", b"\0" * 50, torn, torn + LINES[4], b"\xff" + LINES[3]]
    written(tmp_path, *odd)
    assert names(tmp_path) == ["agent.x", "cache.hit"]


ODD = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers())


@given(st.dictionaries(st.sampled_from(sorted(json.loads(LINES[1])["__tracer_meta__"])), ODD))
def test_odd_metadata(odd: dict[str, object]) -> None:
    """Whatever a record holds, it is an event of plain types, or none."""
    loaded = json.loads(LINES[1])
    loaded["__tracer_meta__"] |= odd
    for one in events_in_lines([json.dumps(loaded).encode("utf-8", "replace")]):
        assert {type(text) for text in (one.name, one.trace_id, one.span_id, one.level)} == {str}
        assert EventQuery(kinds=("event", "log")).matches(one) == (one.place.time_ns >= 0)
        assert EventPlace.parse(str(one.place)) in {one.place, None}


def test_old_files_are_left_out(tmp_path: Path) -> None:
    """Those last written an hour before the time that is asked for are not read."""
    now = time.time_ns() // SECOND * SECOND
    path = written(tmp_path, event_line("late", at=now))
    assert names(tmp_path, since_ns=now) == ["late"]
    os.utime(path, ns=(now - 3_601 * SECOND, now - 3_601 * SECOND))
    assert names(tmp_path, since_ns=now) == []
    assert names(tmp_path, since_ns=now - 2 * SECOND) == ["late"]


def test_paths_that_are_gone(tmp_path: Path) -> None:
    """They have no events."""
    assert names(tmp_path / "gone") == names(tmp_path / "gone.jsonl") == []


@pytest.mark.parametrize("text", ["", "1", "1.2", "1.2.", "a.b.c", ".1.p", "1.2." + "p" * 201])
def test_wrong_cursors(text: str) -> None:
    """They are not places."""
    assert EventPlace.parse(text) is None


def test_a_killed_program(tmp_path: Path) -> None:
    """What it wrote just before is there, from the ring buffer or the file, each once."""
    body = """\
for n in range(2000):
    write_event(f"e{n}", {"text": "x" * 100})
    if not n:
        provider.force_flush()
die()
"""
    with running(tmp_path, body) as (folder, process):
        process.wait()
    assert names(folder, limit=5_000) == [f"e{n}" for n in reversed(range(2000))]
    assert names(folder, process=str(process.pid), limit=1) == ["e1999"]
    assert names(list_segments(folder)[-1], limit=1) == ["e1999"]


def test_while_files_are_rotated(tmp_path: Path) -> None:
    """A reader finds all, however often it looks, and the entity's record once."""
    body = """\
register("a")
for n in range(600):
    write_event(f"e{n}", {"text": "x" * 1000})
    if n % 20 == 0:
        provider.force_flush()
wait()
"""
    with running(tmp_path, body) as (folder, process):
        assert len(list_segments(folder)) > 5
        found = names(folder)
        process.kill()
    assert found == [*(f"e{n}" for n in reversed(range(600))), "agent.registered"]


def test_an_event_keeps_what_it_is_about() -> None:
    """Entity, attributes and ids."""
    event = event_in(LINES[4])
    assert event is not None
    assert (event.entity, event.attributes) == (("agent", "a", False), {})
    assert event_in(LINES[0]) is event_in(LINES[2]) is None
