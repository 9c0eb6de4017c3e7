"""Events by the server: the same query and the same answers as `otel-ext events`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otel_ext.server.security.answers import RequestError
from tests.observe.test_event_files import LINES, PID_7, PID_8
from tests.server.api.asked import Asked, asked
from tests.store.records import NOON, SECOND, event_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Asked]:
    """Return a server's answers from a store with some events."""
    with asked(tmp_path) as opened:
        opened.write(*LINES)
        yield opened


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, ["page", "agent.x", "cache.hit", "cache.full"]),
        ({"name": "cache.*"}, ["cache.hit", "cache.full"]),
        ({"trace_id": "ab"}, ["cache.hit"]),
        ({"correlation_id": "c-1"}, ["cache.full"]),
        ({"process": "7"}, ["cache.hit", "cache.full"]),
        ({"process": PID_8}, ["page", "agent.x"]),
        ({"entity_type": "agent"}, ["agent.x"]),
        ({"entity_type": "agent", "entity_id": "b"}, []),
        ({"kind": "log"}, ["cache.full"]),
        ({"kind": "all", "name": "cache.full"}, ["cache.full", "cache.full"]),
        ({"since": str(NOON + SECOND)}, ["page", "agent.x", "cache.hit"]),
        ({"until": str(NOON + SECOND)}, ["cache.full"]),
        ({"limit": "1"}, ["page"]),
    ],
)
def test_every_parameter(api: Asked, given: dict[str, str], names: list[str]) -> None:
    """Each of them alone."""
    assert [one["name"] for one in api.ask("/events", **given)["events"]] == names


def test_the_form(api: Asked) -> None:
    """Every fact of an event, and what it is about."""
    *_, agent, hit, full = api.ask("/events")["events"]
    assert full == {
        "id": f"{NOON}.2.{PID_7}",
        "time_ns": str(NOON),
        "kind": "event",
        "name": "cache.full",
        "level": "",
        "trace_id": f"{1:032x}",
        "span_id": f"{1:016x}",
        "process": PID_7,
        "service": "shop",
        "entity": None,
        "attributes": {"correlation_id": "c-1", "size": 3},
    }
    assert (hit["service"], agent["entity"]) == ("", {"type": "agent", "id": "a"})


def test_pages(api: Asked) -> None:
    """The cursor leads through all of them, and ends."""
    api.write(*(event_line(f"e{n}", seq=n, process=f"p{n % 2}") for n in range(7)))
    found: list[str] = []
    given: dict[str, Any] = {"limit": "2"}
    while True:
        answer = api.ask("/events", **given)
        found += [one["id"] for one in answer["events"]]
        if answer["next"] is None:
            break
        given["cursor"] = answer["next"]
    assert len(found) == len(set(found)) == 11


@pytest.mark.parametrize(
    "given",
    [
        *({"cursor": "soon"}, {"cursor": "1.2"}, {"limit": "0"}, {"limit": "1001"}),
        *({"kind": "span"}, {"since": "-1"}, {"name": "x" * 201}, {"trace": "ab"}),
    ],
)
def test_wrong_parameters(api: Asked, given: dict[str, str]) -> None:
    """They are refused with a message."""
    with pytest.raises(RequestError) as caught:
        api.ask("/events", **given)
    assert caught.value.status == 400


@pytest.mark.parametrize("name", ["*" * 200, "[", "[!", "\0", "'; drop table log; --", "*a" * 100])
def test_hostile_patterns(api: Asked, name: str) -> None:
    """They find what they match, or nothing, at once."""
    api.write(event_line("a" * 4_000, seq=50, process="h"))
    answer = api.ask("/events", name=name)
    assert bool(answer["events"]) == name.startswith("*")
