"""The events of a stream: what has changed, numbered so that a client can go on later."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from otel_ext.errors import StoreError
from otel_ext.feed.feeder import Feeder
from otel_ext.search.parse import parse
from otel_ext.server.live.changes import Changes, Wanted
from otel_ext.views.report_columns import STATES
from tests.programs import suspend, wait_until
from tests.server.api.asked import Asked, asked, judge
from tests.server.api.test_one_trace import spans_in
from tests.server.api.test_running import states, watched
from tests.store.records import NOON, SECOND, log_line, process_line, span_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_ext.store.protocol import TraceSummary

ID = f"{1:032x}"
FORMS = {"trace": "LiveTrace", "running": "Running"}


class Event(NamedTuple):
    """An event; `id` is 0 if it has none."""

    name: str
    id: int
    data: Any


def events_of(text: bytes) -> list[Event]:
    """Return the events in what was sent, their forms checked."""
    found: list[Event] = []
    for block in text.decode().split("\n\n")[:-1]:
        values = dict(line.split(": ", 1) for line in block.splitlines())
        one = Event(values["event"], int(values.get("id", 0)), json.loads(values["data"]))
        if one.name in FORMS:
            judge(FORMS[one.name], one.data)
        for summary in one.data.get("traces", ()) if one.name == "traces" else ():
            judge("Summary", summary)
        for log in one.data.get("logs", ()) if one.name == "logs" else ():
            judge("Log", log)
        found.append(one)
    return found


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Asked]:
    """Return a store with one trace."""
    with asked(tmp_path) as one:
        one.write(process_line(), span_line("end", 1, seq=2))
        yield one


def test_only_what_has_changed(api: Asked) -> None:
    """Traces and logs come once, what runs when it is another."""
    changes = Changes(api.context, Wanted(("traces", "logs", "running")), 0)
    hello = events_of(changes.hello())[0]
    assert (hello.name, hello.data["sequence"]) == ("hello", api.store.change())
    judge("Info", hello.data["info"])
    assert [one.name for one in events_of(changes.next())] == ["running"]
    assert changes.next() == b""
    api.write(span_line("end", 1, trace=2, seq=3), log_line("hi", seq=4))
    traces, logs = events_of(changes.next())
    assert [one["trace_id"] for one in traces.data["traces"]] == [f"{2:032x}"]
    assert [one["text"] for one in logs.data["logs"]] == ["hi"]
    assert (traces.id, logs.id) == (hello.data["sequence"], api.store.change())
    assert changes.next() == b""


def test_a_trace_that_is_watched(api: Asked) -> None:
    """It comes as a whole first, then what changes of it, and nothing of others."""
    changes = Changes(api.context, Wanted((), ID), 0)
    first, *rest = events_of(changes.next())
    assert (first.name, len(spans_in(first.data)), rest) == ("trace", 1, [])
    api.write(span_line("end", 1, trace=2, seq=3))
    assert changes.next() == b""
    api.write(span_line("start", 2, parent=1, seq=4, at=NOON + SECOND))
    assert [list(spans_in(one.data)) for one in events_of(changes.next())] == [[f"{2:016x}"]]


def test_a_trace_that_comes_later(tmp_path: Path) -> None:
    """It is sent as a whole when it is there, also if it is the first of all."""
    with asked(tmp_path) as api:
        changes = Changes(api.context, Wanted((), ID), 0)
        assert changes.next() == b""
        api.write(span_line("end", 1))
        assert [len(spans_in(one.data)) for one in events_of(changes.next())] == [1]


def test_a_client_that_comes_again(api: Asked) -> None:
    """Whatever the last event that it has seen, it gets all that has changed since."""
    wanted = Wanted(("traces", "logs"), ID)
    before = api.store.change()
    api.write(span_line("end", 2, seq=3), log_line("hi", trace=1, span=1, seq=4))
    sent = events_of(Changes(api.context, wanted, before).next())
    assert [one.name for one in sent] == ["trace", "traces", "logs"]
    for seen in range(len(sent)):
        again = events_of(Changes(api.context, wanted, sent[seen].id or before).next())
        names = {one.name for one in (*sent[: seen + 1], *again)}
        assert names == {"trace", "traces", "logs"}
    assert events_of(Changes(api.context, wanted, sent[-1].id).next()) == []


def test_a_trace_whose_process_hangs(tmp_path: Path) -> None:
    """Its open spans come again as they are seen, though nothing more is recorded."""
    with watched(tmp_path) as (api, process):
        wait_until(lambda: states(api) == {"outer": "running", "inner": "running"}, "they run")
        feeder = Feeder(tmp_path / "records", api.writer)

        def are_stored() -> bool:
            feeder.step()
            return api.store.totals().spans == 2

        wait_until(are_stored, "both are stored")
        trace_id = api.ask("/running")["spans"][0]["trace_id"]
        changes = Changes(api.context, Wanted((), trace_id), 0)

        def shown(events: bytes) -> list[list[str]]:
            return [
                [STATES[number] for number in one.data["spans"]["state"]]
                for one in events_of(events)
            ]

        assert shown(changes.next()) == [["running", "running"]]
        assert changes.next() == b""
        suspend(process)
        wait_until(lambda: set(states(api).values()) == {"hung"}, "they hang")
        assert shown(changes.next()) == [["hung", "hung"]]
        assert changes.next() == b""
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: set(states(api).values()) == {"running"}, "they go on")
        assert shown(changes.next()) == [["running", "running"]]
        assert changes.next() == b""
        assert shown(Changes(api.context, Wanted((), trace_id), api.store.change()).next()) == [
            ["running", "running"]
        ]


def test_a_client_that_knows_another_store(api: Asked) -> None:
    """A number of the future is none: the trace comes as a whole."""
    changes = Changes(api.context, Wanted((), ID), 99_999)
    assert [len(spans_in(one.data)) for one in events_of(changes.next())] == [1]


def test_a_search(api: Asked) -> None:
    """Only traces that are found are sent, with the spans that were found."""
    changes = Changes(api.context, Wanted(("traces",), node=parse("error")), 0)
    api.write(span_line("end", 1, trace=2, seq=3), span_line("end", 1, trace=3, seq=4, error="no"))
    found = events_of(changes.next())[0].data["traces"]
    assert [(one["trace_id"], one["matches"]) for one in found] == [(f"{3:032x}", [f"{1:016x}"])]


def test_many_changes_at_once(api: Asked) -> None:
    """The newest come, and the event says that there are more."""
    changes = Changes(api.context, Wanted(("traces", "logs")), 0)
    api.write(
        *(span_line("end", 1, trace=n, seq=n) for n in range(10, 260)),
        *(log_line("x", seq=n) for n in range(1_000, 1_600)),
    )
    traces, logs = events_of(changes.next())
    assert (len(traces.data["traces"]), traces.data["more"]) == (200, True)
    assert (len(logs.data["logs"]), logs.data["more"]) == (500, True)


def test_a_store_that_cannot_be_read(api: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be sent comes with the next call."""
    changes = Changes(api.context, Wanted(("traces", "running"), ID), api.store.change())
    changes.next()
    api.write(span_line("end", 2, seq=3))

    def fail(*_: int) -> list[TraceSummary]:
        raise StoreError("locked", hint="")

    with monkeypatch.context() as patch:
        patch.setattr(api.store, "changed_traces", fail)
        with pytest.raises(StoreError):
            changes.next()
    assert [one.name for one in events_of(changes.next())] == ["trace", "traces"]


def test_a_store_that_was_made_anew(tmp_path: Path) -> None:
    """Its numbers are smaller, and everything in it is new."""
    with asked(tmp_path) as api, asked(tmp_path) as other:
        for seq in range(5):
            api.write(span_line("end", 1, trace=9, seq=seq + 1, at=NOON + seq * SECOND))
        changes = Changes(api.context, Wanted(("traces",)), 0)
        other.write(span_line("end", 1))
        api.context.store = other.store
        sent = events_of(changes.next())
        assert [one["trace_id"] for one in sent[0].data["traces"]] == [ID]
        assert sent[0].id == other.store.change()
