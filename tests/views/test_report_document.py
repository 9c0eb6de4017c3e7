"""The document of a report: what Python writes is what the viewer's tests read."""

from __future__ import annotations

from typing import Any

import orjson

from otel_ext.views.report_data import STATES
from tests.views.report_case import ERRORS, FILE, document, errors, plain


def columns() -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Return the document, the columns of its first trace, and the names of those spans."""
    found = plain(document())
    spans = found["traces"][0]["spans"]
    return found, spans, [found["strings"][one] for one in spans["name"]]


def test_the_shared_document_is_what_is_written() -> None:
    """After a change of the format: `python -m tests.views.report_case`."""
    assert plain(FILE.read_bytes()) == plain(document())


def test_the_shared_errors_are_what_the_terminal_finds() -> None:
    """The viewer finds the same in the shared document."""
    assert orjson.loads(ERRORS.read_bytes()) == errors()


def test_every_state_is_in_it() -> None:
    """A span without an end is `open` where its process was not observed."""
    _, spans, names = columns()
    assert {STATES[one] for one in spans["state"]} == set(STATES)
    states: list[str] = [STATES[one] for one in spans["state"]]
    state_of = dict(zip(names, states, strict=True))
    assert (state_of["POST /checkout"], state_of["watch"]) == ("running", "open")


def test_events_are_relative_to_the_base() -> None:
    """As all times of the document are."""
    found, _, names = columns()
    details = found["chunks"]["chunk-0"][names.index("charge")]
    assert [event["time"] for event in details["events"]] == [130_000_000, 190_000_000]


def test_where_a_stalled_span_is_now() -> None:
    """Apart from where it was opened."""
    found, spans, names = columns()
    at = names.index("wait for lock")
    assert found["strings"][spans["where"][at]] == "shop/locks.py:41 wait"
    assert spans["line"][at] == 20
    assert spans["where"][names.index("POST /checkout")] == -1


def test_processes_have_a_state_and_a_missing_span_has_none() -> None:
    """Known from the open spans; a placeholder belongs to no process."""
    found, spans, names = columns()
    states = {found["strings"][one["id"]]: one["state"] for one in found["processes"]}
    assert states == {"shop-1": "alive", "bank-1": "alive", "mail-1": "lost"}
    assert spans["process"][names.index("(not recorded)")] == -1
