"""One trace: as a whole, what changed of it, its spans, analyses and comparisons."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_ext.analysis.json_forms import ANALYSES
from tests.server.api.asked import asked
from tests.store.records import NOON, SECOND, log_line, process_line, span_line, span_lines

if TYPE_CHECKING:
    from tests.server.api.asked import Asked

ID = f"{1:032x}"


def spans_in(answer: dict[str, Any]) -> dict[str, dict[str, object]]:
    """Return the spans of a trace by their ids, indexes replaced by what they lead to."""
    texts, columns = answer["strings"], answer["spans"]
    found: dict[str, dict[str, object]] = {}
    for at, span_id in enumerate(columns["id"]):
        row = {name: column[at] for name, column in columns.items()}
        for name in ("name", "error", "file", "function", "where", "cause", "thread", "task"):
            row[name] = texts[row[name]] if row[name] >= 0 else ""
        row["process"] = texts[answer["processes"][row["process"]]["id"]]
        found[span_id] = row
    return found


def logs_in(answer: dict[str, Any]) -> dict[str, list[object]]:
    """Return the logs of a trace by their ids."""
    texts = answer["strings"]
    return {
        log_id: [span, time, texts[level], texts[text], texts[fields] if fields >= 0 else ""]
        for span, time, level, text, fields, log_id in answer["logs"]
    }


@settings(max_examples=25)
@given(st.lists(span_lines(), min_size=2, max_size=4), st.data())
def test_what_changed_completes_what_was_known(
    batches: list[list[bytes]], data: st.DataObject
) -> None:
    """What changed after N, applied to the whole at N, is the whole now."""
    with TemporaryDirectory() as folder, asked(Path(folder)) as api:
        known: list[tuple[int, dict[str, object], dict[str, list[object]]]] = []
        for seq, batch in enumerate(batches):
            api.write(*batch, log_line("said", trace=1, span=1, seq=1_000 + seq))
            whole = api.ask(f"/traces/{ID}") if api.store.summary(ID) else None
            if whole is not None:
                known.append((whole["sequence"], dict(spans_in(whole)), logs_in(whole)))
        if not known:
            return
        at, spans, logs = data.draw(st.sampled_from(known))
        changed = api.ask(f"/traces/{ID}", after=str(at))
        assert {**spans, **spans_in(changed)} == known[-1][1]
        assert {**logs, **logs_in(changed)} == known[-1][2]


def written(api: Asked) -> None:
    """Store a trace of three spans with a log, and another one."""
    api.write(
        process_line(),
        span_line("end", 1, seq=2, duration=4 * SECOND, user="ann"),
        span_line("end", 2, parent=1, seq=3, at=NOON + SECOND, error="ValueError: no", name="pay"),
        span_line("start", 3, parent=1, seq=4, at=NOON + 2 * SECOND, name="wait"),
        log_line("hello", trace=1, span=2, seq=5, at=NOON + SECOND, n=1),
        span_line("end", 1, trace=2, seq=6, duration=2 * SECOND),
    )


def test_a_whole_trace(tmp_path: Path) -> None:
    """All spans and logs are there, with times relative to a base."""
    with asked(tmp_path) as api:
        written(api)
        answer = api.ask(f"/traces/{ID}")
        spans = spans_in(answer)
        assert sorted(spans) == [f"{n:016x}" for n in (1, 2, 3)]
        start = NOON - int(answer["base_ns"])
        assert spans[f"{1:016x}"]["start"] == start
        assert spans[f"{1:016x}"]["end"] == start + 4 * SECOND
        assert (spans[f"{2:016x}"]["error"], spans[f"{2:016x}"]["name"]) == (
            "ValueError: no",
            "pay",
        )
        assert spans[f"{3:016x}"]["end"] is None
        assert list(logs_in(answer).values()) == [
            [f"{2:016x}", start + SECOND, "info", "hello", '{"n":1}']
        ]
        assert answer["total"] == 3


@pytest.mark.parametrize("after", ["0", "99999"])
def test_a_change_that_there_is_not(tmp_path: Path, after: str) -> None:
    """After 0, and after a number of the future, the answer is the whole trace."""
    with asked(tmp_path) as api:
        written(api)
        assert len(spans_in(api.ask(f"/traces/{ID}", after=after))) == 3
        now = api.store.change()
        assert not spans_in(api.ask(f"/traces/{ID}", after=str(now)))


def test_details(tmp_path: Path) -> None:
    """Of one span, with its whole record, and of all spans."""
    with asked(tmp_path) as api:
        written(api)
        one = api.ask(f"/traces/{ID}/spans/{1:016x}")
        assert one["attributes"] == {"user": "ann"}
        assert one["record"]["__tracer_meta__"]["span_id"] == f"{1:016x}"
        everything = api.ask(f"/traces/{ID}/details")["details"]
        assert everything[f"{1:016x}"]["attributes"] == {"user": "ann"}
        assert len(everything) == 3


def test_spans_that_link_to_one(tmp_path: Path) -> None:
    """Those of any trace are named, the newest trace first; nothing else is."""
    with asked(tmp_path) as api:
        api.write(
            span_line("end", 1, seq=1),
            span_line("end", 2, parent=1, seq=2, links=[(1, 1)]),
            span_line("start", 3, trace=2, seq=3, at=NOON + SECOND, links=[(1, 1)]),
            span_line("end", 4, trace=3, seq=4, links=[(1, 2)]),
        )
        assert api.ask(f"/traces/{ID}/spans/{1:016x}")["linked_from"] == [
            {"trace_id": f"{2:032x}", "span_id": f"{3:016x}"},
            {"trace_id": ID, "span_id": f"{2:016x}"},
        ]
        assert not api.ask(f"/traces/{2:032x}/spans/{3:016x}")["linked_from"]


def test_a_span_that_very_many_link_to(tmp_path: Path) -> None:
    """The newest of 5,000 links are in the answer."""
    with asked(tmp_path) as api:
        old = span_line("end", 0xABCDEF, trace=2, links=[(1, 1)])
        new = (
            span_line("end", n, trace=3, seq=n, at=NOON + SECOND, links=[(1, 1)])
            for n in range(1, 101)
        )
        olds = (old.replace(b"0000abcdef", f"{n:010x}".encode()) for n in range(1, 4_901))
        api.write(span_line("end", 1), *new, *olds)
        found = api.ask(f"/traces/{ID}/spans/{1:016x}")["linked_from"]
        assert [one["trace_id"] for one in found] == [f"{3:032x}"] * 100


@pytest.mark.parametrize("name", ANALYSES)
def test_analyses(tmp_path: Path, name: str) -> None:
    """Each is named in its answer."""
    with asked(tmp_path) as api:
        written(api)
        assert list(api.ask(f"/traces/{ID}/analysis/{name}")) == [name.replace("-", "_")]


def test_a_comparison(tmp_path: Path) -> None:
    """Two traces are compared by operation."""
    with asked(tmp_path) as api:
        written(api)
        names = [one["name"] for one in api.ask("/compare", a=ID, b=f"{2:032x}")["differences"]]
        assert "pay" in names
