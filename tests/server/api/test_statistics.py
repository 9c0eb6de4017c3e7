"""Operations, errors, logs, completion and what there is to know of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otel_ext.server.api.openapi import openapi
from otel_ext.server.api.routes import ROUTES
from tests.server.api.asked import Asked, asked
from tests.store.records import NOON, SECOND, log_line, process_line, span_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMES = {"since": str(NOON - 60 * SECOND), "until": str(NOON + 600 * SECOND)}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Asked]:
    """Return a store with spans of two processes of one service, and one of another service."""
    with asked(tmp_path) as one:
        one.write(
            *(process_line(process=process, seq=1) for process in ("p", "q")),
            process_line(process="r", service="bank"),
            *(
                span_line(
                    "end",
                    1,
                    trace=number,
                    process="pqr"[number % 3],
                    seq=number + 1,
                    at=NOON + number * SECOND,
                    duration=number * SECOND,
                    error="ValueError: no: cover" if number % 2 else "",
                    name="pay",
                )
                for number in range(1, 10)
            ),
            span_line("start", 1, trace=20, seq=90, name="pay"),
            *(
                log_line(
                    f"line {n}", trace=1, span=1 + n % 2, seq=100 + n, at=NOON + n * 1_000, amount=n
                )
                for n in range(7)
            ),
            log_line("Broken", level="error", seq=120, process="r", at=NOON - SECOND),
        )
        yield one


def test_operations(api: Asked) -> None:
    """Spans of processes of one service count together; an open one has no duration."""
    shop = api.ask("/operations", service="shop", **TIMES)["operations"]
    assert [(one["name"], one["count"], one["open"], one["errors"]) for one in shop] == [
        ("pay", 7, 1, 4)
    ]
    assert shop[0]["total_ns"] == (1 + 3 + 4 + 6 + 7 + 9) * SECOND
    assert shop[0]["max_ns"] == 9 * SECOND
    assert shop[0]["p50_ns"] == pytest.approx(4 * SECOND, rel=0.05)
    assert shop[0]["p99_ns"] <= shop[0]["max_ns"]
    assert sum(count for _, count in shop[0]["buckets"]) == 6
    every = api.ask("/operations", **TIMES)["operations"]
    assert {one["service"] for one in every} == {"shop", "bank"}
    assert api.ask("/operations")["operations"] == []  # the last hour


def test_errors(api: Asked) -> None:
    """Those of one service, operation and text are one, with the newest as an example."""
    found = api.ask("/errors", **TIMES)["errors"]
    assert [(one["service"], one["count"], one["type"], one["text"]) for one in found] == [
        ("shop", 4, "ValueError", "no: cover"),
        ("bank", 1, "ValueError", "no: cover"),
    ]
    assert found[0]["trace_id"] == f"{9:032x}"
    assert found[0]["place"] == "app.py:3"
    assert len(api.ask("/errors", limit="1", **TIMES)["errors"]) == 1


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ({}, [*(f"line {n}" for n in range(6, -1, -1)), "Broken"]),
        ({"q": "LINE 3"}, ["line 3"]),
        ({"q": "6"}, ["line 6"]),
        ({"level": "error"}, ["Broken"]),
        ({"trace_id": f"{1:032x}", "span_id": f"{2:016x}"}, ["line 5", "line 3", "line 1"]),
        ({"since": str(NOON + 5_000)}, ["line 6", "line 5"]),
        ({"until": str(NOON)}, ["Broken"]),
    ],
)
@pytest.mark.parametrize("limit", ["1", "3", "1000"])
def test_logs(api: Asked, given: dict[str, str], texts: list[str], limit: str) -> None:
    """The newest first; `next` leads to all, each once."""
    found: list[dict[str, Any]] = []
    answer = api.ask("/logs", limit=limit, **given)
    found += answer["logs"]
    while answer["next"]:
        answer = api.ask("/logs", limit=limit, cursor=answer["next"], **given)
        found += answer["logs"]
    assert [one["text"] for one in found] == texts
    assert len({one["id"] for one in found}) == len(texts)


@pytest.mark.parametrize(
    ("search", "word"),
    [
        ("err", "error"),
        ("pay and na", "name:"),
        ("am", None),
        ("state:aban", "state:abandoned"),
        ("name:p", "name:pay"),
        ("-(service:b", "service:bank"),
        ("", "dur:"),
    ],
)
def test_completion(api: Asked, search: str, word: str | None) -> None:
    """Keys, states and values that are stored complete the last word."""
    words = [one["text"] for one in api.ask("/completion", q=search)["words"]]
    assert (word in words) if word else not words


def test_info(api: Asked, tmp_path: Path) -> None:
    """It names the folder and how much is stored."""
    answer = api.ask("/info")
    assert (answer["folder"], answer["traces"], answer["spans"]) == (str(tmp_path), 10, 10)
    assert answer["since_ns"] == str(NOON)


def test_the_description() -> None:
    """Each question is described, with the form of its answer and its parameters."""
    document: Any = openapi("1")
    for route in ROUTES:
        operation = document["paths"][f"/api/v1{route.path}"]["get"]
        assert route.form in document["components"]["schemas"]
        assert {one["name"] for one in operation["parameters"]} == {
            one.name for one in route.parameters
        }
    paths = document["paths"].values()
    ids = [made["operationId"] for path in paths for made in path.values()]
    assert len(set(ids)) == len(ids)
