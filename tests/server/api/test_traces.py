"""Lists of traces, searches, pages, and how many traces there were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.server.security.answers import RequestError
from tests.server.api.asked import Asked, asked
from tests.store.records import NOON, SECOND, log_line, process_line, span_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MISSING = "f" * 32
ORDERS = ("newest", "oldest", "longest", "shortest")


def trace_id(number: int) -> str:
    """Return the id of a trace of the tests."""
    return f"{number:032x}"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Asked]:
    """Return a store with 12 traces of one span, each a second after the other and longer."""
    with asked(tmp_path) as one:
        one.write(
            process_line(),
            *(
                span_line(
                    "end",
                    1,
                    trace=number,
                    seq=number + 1,
                    at=NOON + number * SECOND,
                    duration=number * SECOND,
                    error="ValueError: no cover" if number % 4 == 0 else "",
                    user="ann" if number % 2 else "bob",
                )
                for number in range(1, 13)
            ),
            log_line("paid", trace=3, span=1, seq=99, at=NOON + 3 * SECOND, amount=7),
        )
        yield one


def listed(answer: dict[str, list[dict[str, str]]]) -> list[int]:
    """Return the numbers of the traces of a list."""
    return [int(one["trace_id"], 16) for one in answer["traces"]]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("search", ["", "user:ann", "error"])
def test_pages_have_neither_gaps_nor_repeats(api: Asked, order: str, search: str) -> None:
    """Followed to its end, `next` leads to all traces, each once and in order."""
    expected = [n for n in range(1, 13) if not search or (n % 2 if "ann" in search else n % 4 == 0)]
    if order in {"newest", "longest"}:
        expected.reverse()
    found: list[int] = []
    given = {"order": order, "limit": "2", **({"q": search} if search else {})}
    answer = api.ask("/traces", **given)
    found += listed(answer)
    while answer["next"] is not None:
        answer = api.ask("/traces", cursor=answer["next"], **given)
        found += listed(answer)
    assert found == expected


def test_a_summary(api: Asked) -> None:
    """It names the root, its service, the state and the times, as texts."""
    one = api.ask("/traces", q="no cover", limit="1")["traces"][0]
    assert one == {
        "trace_id": trace_id(12),
        "start_ns": str(NOON + 12 * SECOND),
        "end_ns": str(NOON + 24 * SECOND),
        "duration_ns": 12 * SECOND,
        "name": "job",
        "service": "shop",
        "services": ["shop"],
        "state": "error",
        "spans": 1,
        "open": 0,
        "errors": 1,
        "abandoned": 0,
        "stalled": 0,
        "missing_root": False,
        "repeated": False,
        "matches": [f"{1:016x}"],
        "match_count": 1,
    }
    assert "matches" not in api.ask("/traces", limit="1")["traces"][0]


def test_a_stretch_of_time(api: Asked) -> None:
    """`since` is included, `until` is not."""
    times = {"since": str(NOON + 3 * SECOND), "until": str(NOON + 5 * SECOND)}
    assert listed(api.ask("/traces", **times)) == [4, 3]


@pytest.mark.parametrize("search", ["", "user:ann"])
def test_a_histogram(api: Asked, search: str) -> None:
    """Each trace is counted once, in the stretch in which it started."""
    times = {"since": str(NOON), "until": str(NOON + 20 * SECOND), "buckets": "4"}
    answer = api.ask("/traces/histogram", **times, **({"q": search} if search else {}))
    assert answer["width_ns"] == 5 * SECOND
    assert answer["traces"] == ([2, 3, 1, 0] if search else [4, 5, 3, 0])
    assert answer["errors"] == ([0, 0, 0, 0] if search else [1, 1, 1, 0])


@pytest.mark.parametrize(
    ("path", "given", "word"),
    [
        ("/traces", {"limit": "0"}, "limit"),
        ("/traces", {"limit": "201"}, "limit"),
        ("/traces", {"limit": "many"}, "limit"),
        ("/traces", {"limit": "٣"}, "limit"),
        ("/traces", {"since": "-1"}, "since"),
        ("/traces", {"until": "1e9"}, "until"),
        ("/traces", {"until": "9" * 19}, "until"),
        ("/traces", {"order": "random"}, "order"),
        ("/traces", {"cursor": "x"}, "cursor"),
        ("/traces", {"cursor": "+5"}, "cursor"),
        ("/traces", {"cursor": "1.2", "order": "longest"}, "cursor"),
        ("/traces", {"q": "x" * 2_001}, "q"),
        ("/traces", {"page": "2"}, "no such parameter"),
        ("/traces/histogram", {"since": "5", "until": "5"}, "since"),
        ("/traces/histogram", {"buckets": "501"}, "buckets"),
        (f"/traces/{'g' * 32}", {}, "trace_id"),
        (f"/traces/{'A' * 32}", {}, "trace_id"),
        (f"/traces/{MISSING}", {"after": "-1"}, "after"),
        (f"/traces/{MISSING}/spans/12", {}, "span_id"),
        (f"/traces/{MISSING}/analysis/everything", {}, "analysis"),
        ("/compare", {"a": MISSING}, "b is missing"),
        ("/processes", {"all": "yes"}, "all"),
        ("/operations", {"since": "5", "until": "4"}, "since"),
        ("/errors", {"limit": "1001"}, "limit"),
        ("/logs", {"cursor": "+1"}, "cursor"),
        ("/logs", {"span_id": "1"}, "span_id"),
        ("/running", {"q": "x"}, "no such parameter"),
    ],
)
def test_a_wrong_parameter(api: Asked, path: str, given: dict[str, str], word: str) -> None:
    """It is answered by 400, with the parameter's name and a hint, never with what was sent."""
    with pytest.raises(RequestError) as raised:
        api.ask(path, **given)
    assert raised.value.status == 400
    assert word in raised.value.message
    assert raised.value.hint


@pytest.mark.parametrize(("search", "at"), [("dur:>x", 4), ('"open', 0), ("(a", 0), ("a or )", 5)])
def test_a_mistake_in_a_search(api: Asked, search: str, at: int) -> None:
    """The error says where the mistake is."""
    with pytest.raises(RequestError) as raised:
        api.ask("/traces", q=search)
    assert raised.value.status == 400
    assert raised.value.at is not None
    assert abs(raised.value.at - at) <= 2


@pytest.mark.parametrize(
    "path",
    [
        f"/traces/{MISSING}",
        f"/traces/{MISSING}/details",
        f"/traces/{MISSING}/spans/{1:016x}",
        f"/traces/{1:032x}/spans/{9:016x}",
        f"/traces/{MISSING}/analysis/errors",
    ],
)
def test_an_unknown_id(api: Asked, path: str) -> None:
    """It is answered by 404 with a hint."""
    with pytest.raises(RequestError) as raised:
        api.ask(path)
    assert (raised.value.status, bool(raised.value.hint)) == (404, True)
