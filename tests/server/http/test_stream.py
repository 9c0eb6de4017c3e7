"""The stream, probes and refusals of a server that runs."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING

import httpx
import pytest

from otel_ext.server.api.routes import PREFIX, ROUTES
from otel_ext.server.live.hub import Hub
from otel_ext.server.security.answers import RequestError
from tests.programs import wait_until
from tests.server.http.running import LINES, Running, events, serving
from tests.store.records import event_line, span_line

if TYPE_CHECKING:
    from pathlib import Path


def send(running: Running, *lines: bytes) -> None:
    """Send lines of records."""
    body = b"\n".join(lines)
    answer = running.client.post("/api/v1/records", content=body, headers=LINES)
    assert answer.raise_for_status().json()["rejected"] == 0


def test_changes_arrive_and_can_be_resumed(tmp_path: Path) -> None:
    """Traces arrive as they come; a client that comes again misses none, also after a restart."""
    seen: list[str] = []
    last = 0
    for start in (1, 4):
        with serving(tmp_path) as one:
            headers = {"last-event-id": str(last)} if last else {}
            send(one, span_line("end", 1, trace=start, seq=start * 2))
            given = {"topics": "traces"}
            with one.client.stream(
                "GET", "/api/v1/stream", params=given, headers=headers
            ) as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                stream = events(response)
                assert next(stream)[0] == "hello"
                send(one, span_line("end", 1, trace=start + 1, seq=start * 2 + 1))
                while f"{start + 1:032x}" not in seen:
                    name, last, data = next(stream)
                    assert name == "traces"
                    seen += [trace["trace_id"] for trace in data["traces"]]
            send(one, span_line("end", 1, trace=start + 2, seq=start * 2 + 2))
            wait_until(lambda: one.count() >= start + 2, "all is stored")  # noqa: B023
    assert {f"{n:032x}" for n in (2, 3, 4, 5)} <= set(seen)


def test_streams_end_with_the_server(tmp_path: Path) -> None:
    """A stop ends the open streams in order; the server does not wait for their clients."""
    with httpx.Client(timeout=30) as client:
        with serving(tmp_path) as one:
            request = client.build_request("GET", f"{one.ui}/api/v1/stream")
            stream = events(client.send(request, stream=True))
            assert next(stream)[0] == "hello"
        assert list(stream) == []


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"topics": "weather"}, "topics"),
        ({"trace": "1"}, "trace"),
        ({"q": "dur:>x"}, "dur"),
        ({"after": "-1"}, "after"),
    ],
)
def test_a_wrong_stream(tmp_path: Path, given: dict[str, str], word: str) -> None:
    """It is answered by 400, not by a stream."""
    with serving(tmp_path) as one:
        answer = one.client.get("/api/v1/stream", params=given)
        assert answer.status_code == 400
        assert word in str(answer.json()["error"])


def test_too_many_streams() -> None:
    """There is a limit, below that of connections, and the answer says when to come again."""
    hub = Hub(most=1)
    with hub.stream():
        with pytest.raises(RequestError) as raised:
            hub.check_room()
        assert raised.value.status == 503
        assert dict(raised.value.headers)[b"retry-after"]
    hub.check_room()


def test_probes_and_metrics(tmp_path: Path) -> None:
    """The server is alive, and so are its parts."""
    with serving(tmp_path) as one:
        alive = one.client.get("/healthz").json()
        assert (alive["status"], alive["parts"]["store"]) == ("alive", "healthy")
        assert alive["health"] in {"healthy", "degraded"}


def test_a_probe_tells_of_the_programs(tmp_path: Path) -> None:
    """How many of their parts are not well; a part that is well again counts no more."""
    now = time_ns()

    def told(part: str, state: str, seq: int, *, deleted: bool = False) -> bytes:
        about = ("health", part)
        return event_line(
            "health.changed", seq=seq, at=now, entity=about, deleted=deleted, state=state
        )

    with serving(tmp_path) as one:
        send(one, told("journal", "failed", 5))
        send(one, told("rates", "degraded", 6), told("queue", "degraded", 7))
        send(one, told("queue", "healthy", 8, deleted=True))
        wait_until(
            lambda: one.client.get("/healthz").json()["programs"] == {"degraded": 1, "failed": 1},
            "both are counted",
        )


def test_what_was_sent_is_counted(tmp_path: Path) -> None:
    """Ready, and counters that grow with what is received."""
    with serving(tmp_path) as one:
        send(one, span_line("start", 1), span_line("end", 1, seq=2))
        wait_until(lambda: one.count() == 1, "the trace is stored")
        assert one.client.get("/readyz").json()["status"] == "ready"
        wait_until(
            lambda: "\notel_ext_server_stored_records_total 2\n" in one.client.get("/metrics").text,
            "the server knows that both records are stored",
        )
        lines = one.client.get("/metrics").text.splitlines()
        assert "otel_ext_server_received_records_total 2" in lines
        assert "otel_ext_server_store_problem 0" in lines


def test_other_sites_on_every_route(tmp_path: Path) -> None:
    """A request with the Host or Origin of another site gets no answer of any route."""
    paths = [*(f"{PREFIX}{route.path}" for route in ROUTES), f"{PREFIX}/stream", "/", "/healthz"]
    with serving(tmp_path) as one:
        for path in paths:
            filled = path.replace("{trace_id}", "1" * 32).replace("{span_id}", "1" * 16)
            filled = filled.replace("{analysis}", "errors")
            for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}):
                answer = one.client.get(filled, headers=headers)
                assert answer.status_code in {403, 421}, (filled, headers, answer.status_code)
        for port in (one.ui, one.otlp):
            for path in ("/v1/traces", "/v1/logs", "/api/v1/records"):
                headers = {"origin": "http://evil.example", **LINES}
                assert httpx.post(f"{port}{path}", headers=headers).status_code == 403
