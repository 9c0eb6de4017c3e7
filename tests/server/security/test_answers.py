"""Every answer has the headers, and errors have one form and say nothing of the inside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from otel_ext.server.security.answers import error_document
from otel_ext.server.security.response_headers import ASSET_CACHE, CONTENT_SECURITY_POLICY
from tests.programs import wait_until
from tests.server.security.served import TOKEN, Answer, Server, one_answer, served

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import Receive, Scope, Send


@pytest.fixture(scope="module", name="server")
def _server() -> Generator[Server]:
    with served() as server:
        yield server


def has_headers(answer: Answer) -> bool:
    """Return whether an answer has each header that protects, once."""
    assert answer.header("content-security-policy") == CONTENT_SECURITY_POLICY
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("referrer-policy") == "no-referrer"
    assert answer.header("cross-origin-opener-policy") == "same-origin"
    assert answer.header("cross-origin-resource-policy") == "same-origin"
    assert answer.header("cache-control")
    return True


def test_the_policy_allows_our_files_and_nothing_else() -> None:
    """No inline script or style, no other site, no frame, no form, no text as HTML."""
    parts = [part.partition(" ") for part in CONTENT_SECURITY_POLICY.split("; ")]
    directives = {name: value for name, _, value in parts}
    assert directives["default-src"] == "'none'"
    assert {value for name, value in directives.items() if name.endswith("-src")} == {
        "'none'",
        "'self'",
        "'self' data:",
    }
    assert directives["img-src"] == "'self' data:"
    closed = ("base-uri", "form-action", "frame-ancestors", "trusted-types")
    assert [directives[name] for name in closed] == ["'none'"] * 4
    assert directives["require-trusted-types-for"] == "'script'"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        *[("GET /", 200), ("GET /data", 200), ("GET /stream", 200), ("HEAD /data", 200)],
        *[("GET /fail", 500), ("GET /refuse", 404), ("GET /mistake", 400), ("GET /none", 404)],
        *[("POST /data", 405), ("POST /take", 415), ("OPTIONS /", 405), ("TRACE /", 405)],
    ],
)
def test_every_answer_has_the_headers(server: Server, line: str, status: int) -> None:
    """Pages, data, the event stream and all kinds of errors."""
    with server.connect() as connection:
        connection.sendall(server.request(line))
        answer = Answer(connection.recv(65_536))
    assert answer.status == status
    assert has_headers(answer)


def test_refusals_have_the_headers(server: Server) -> None:
    """Also those of the checks, of the connection and of the token."""
    assert has_headers(server.ask("GET /", host="evil.example"))
    assert has_headers(server.ask("GET /", host=""))
    assert has_headers(server.ask("GET /", "Origin: null"))
    assert has_headers(server.send(b"nonsense\r\n\r\n"))
    assert has_headers(server.ask("GET /", f"X: {'x' * 70_000}"))
    with served(token=TOKEN) as closed:
        assert has_headers(closed.ask("GET /data"))
        assert has_headers(closed.ask(f"GET /?token={closed.code()}"))


def test_the_server_does_not_say_what_it_is(server: Server) -> None:
    """No answer names the software."""
    assert server.ask("GET /data").header("server") == ""


def test_data_is_not_kept_and_a_page_is_asked_for_again(server: Server) -> None:
    """`no-store` unless the route says something else; errors are never kept."""
    assert server.ask("GET /data").header("cache-control") == "no-store"
    assert server.ask("GET /").header("cache-control") == "no-cache"
    assert server.ask("GET /refuse").header("cache-control") == "no-store"


def test_a_route_cannot_weaken_the_headers() -> None:
    """Of all these headers a route decides about the cache only, and only for a success."""

    async def weak(scope: Scope, _: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status = 200 if scope["path"] == "/" else 404
        headers = [
            (b"Content-Security-Policy", b"default-src *"),
            (b"x-content-type-options", b"none"),
            (b"cache-control", ASSET_CACHE.encode()),
            (b"content-length", b"0"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body"})

    with served(weak) as server:
        found = server.ask("GET /")
        assert has_headers(found)
        assert found.header("cache-control") == ASSET_CACHE
        assert server.ask("GET /gone").header("cache-control") == "no-store"


def test_errors_have_one_form(server: Server) -> None:
    """A message and a hint, from our own errors and from those of the framework."""

    def error(line: str) -> dict[str, str]:
        answer = server.ask(line)
        assert answer.header("content-type") == "application/json"
        document: dict[str, dict[str, str]] = json.loads(answer.body)
        assert document.keys() == {"error"}
        assert document["error"].keys() == {"message", "hint"}
        return document["error"]

    assert error("GET /refuse") == {"message": "There is no such trace", "hint": "Copy its id."}
    assert error("GET /mistake") == {"message": "the search is wrong", "hint": "Remove it."}
    assert error("GET /not-there")["message"] == "Not Found"
    assert error("DELETE /data")["message"] == "Method Not Allowed"
    allowed = server.ask("DELETE /data").header("allow").split(", ")
    assert sorted(allowed) == ["GET", "HEAD"]
    assert json.loads(error_document("m", at=3)) == {"error": {"message": "m", "hint": "", "at": 3}}


def test_an_unexpected_exception_reveals_nothing(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    """The client sees that it failed; the output of the server names the class and the line."""
    before = server.counters.value("server.failed")
    answer = server.ask("GET /fail")
    assert answer.status == 500
    assert json.loads(answer.body)["error"]["message"] == "The server failed to answer"
    assert b"secret" not in answer.body
    # Starlette sends the answer before the exception arrives where it is counted.
    wait_until(lambda: server.counters.value("server.failed") == before + 1, "it is counted")
    assert server.ask("GET /data").status == 200
    printed = capfd.readouterr().err
    assert "ValueError at security/routes.py:" in printed
    assert "secret" not in printed
    assert "Traceback" not in printed


def test_a_connection_stays_open_after_a_failure(server: Server) -> None:
    """A request that fails costs the client no connection, and the next one is answered."""
    with server.connect() as connection:
        for path, status in [("/fail", 500), ("/data", 200), ("/refuse", 404), ("/data", 200)]:
            connection.sendall(server.request(f"GET {path}"))
            assert one_answer(connection).status == status


def test_an_answer_that_breaks_off_is_not_complete(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    """After the beginning of an answer only the end of the connection can say that it failed."""
    before = server.counters.value("server.failed")
    answer = server.ask("GET /break")
    assert answer.status == 200
    assert answer.body.startswith(b"5\r\nbegin\r\n")
    assert not answer.body.endswith(b"0\r\n\r\n")
    assert server.counters.value("server.failed") == before + 1
    assert "secret" not in capfd.readouterr().err


def test_an_application_without_handlers_reveals_nothing_either() -> None:
    """The outermost guard answers for any ASGI application."""

    async def failing(scope: Scope, *_: Receive | Send) -> None:
        if scope["type"] == "http":
            raise ValueError("a secret of the inside")

    with served(failing) as server:
        answer = server.ask("GET /")
        assert answer.status == 500
        assert b"secret" not in answer.body
        assert has_headers(answer)
