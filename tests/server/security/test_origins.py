"""The server answers only requests that are meant for it, from its own pages or from programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.server.security.served import TOKEN, Server, served

if TYPE_CHECKING:
    from collections.abc import Generator

ROUTES = ["/", "/data", "/stream", "/fail", "/refuse", "/not-there", "/large"]


@pytest.fixture(scope="module", name="server")
def _server() -> Generator[Server]:
    with served() as server:
        yield server


def is_refused(body: bytes) -> bool:
    """Return whether a body is an error with a message and a way out, and no more."""
    error = json.loads(body)["error"]
    return error.keys() == {"message", "hint"} and all(error.values())


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "LocalHost:{port}"]
)
def test_the_own_addresses_are_answered(server: Server, host: str) -> None:
    """The address that the server listens on and its name are its own, in any case."""
    assert server.ask("GET /data", host=host).body == b'{"data":1}'


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:{port}",
        "evil.example",
        "127.0.0.1",  # the default port is another one
        "127.0.0.1:80",
        "127.0.0.1:1",
        "localhost.:{port}",
        "a.localhost:{port}",
        "localhost.evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "127.evil.example:{port}",
        "127.0.0.1.nip.io:{port}",
        "127.1:{port}",
        "2130706433:{port}",
        "0x7f000001:{port}",
        "0177.0.0.1:{port}",
        "0.0.0.0:{port}",
        "127.0.0.2:{port}",
        "[::1]:{port}",
        "[::ffff:127.0.0.1]:{port}",
    ],
)
def test_another_host_is_misdirected(server: Server, host: str) -> None:
    """A page whose name resolves to this machine is not served: DNS rebinding."""
    answer = server.ask("GET /data", host=host)
    assert answer.status == 421
    assert is_refused(answer.body)
    assert b"evil" not in answer.body


@pytest.mark.parametrize(
    "host",
    [
        "user@127.0.0.1:{port}",
        "evil.example@127.0.0.1:{port}",
        "127.0.0.1:{port}@evil.example",
        "127.0.0.1:{port}:{port}",
        "127.0.0.1:0{port}",
        "127.0.0.1:",
        "127.0.0.1:{port}/",
        "127.0.0.1:{port},evil.example",
        "127.0.0.1:{port} evil.example",
        "::1:{port}",
        "[::1%25lo]:{port}",
    ],
)
def test_a_malformed_host_is_a_bad_request(server: Server, host: str) -> None:
    """No part of a malformed Host header is taken for the host."""
    answer = server.ask("GET /data", host=host)
    assert answer.status == 400
    assert is_refused(answer.body)


def test_a_request_has_one_host(server: Server) -> None:
    """A request without Host, or with two, has no address that could be trusted."""
    assert server.send(b"GET /data HTTP/1.1\r\nConnection: close\r\n\r\n").status == 400
    assert server.send(b"GET /data HTTP/1.0\r\n\r\n").status == 400
    assert server.ask("GET /data", "Host: 127.0.0.1:{port}").status == 400
    assert server.ask("GET /data", "Host: evil.example").status == 400


def test_the_host_is_checked_for_any_form_of_the_target(server: Server) -> None:
    """An absolute address in the request line does not replace the Host header."""
    answer = server.ask("GET http://127.0.0.1:{port}/data", host="evil.example")
    assert answer.status == 421


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "DELETE"])
def test_host_and_origin_are_checked_on_every_route(server: Server, method: str, path: str) -> None:
    """Pages, data, the event stream, errors and unknown paths: all are refused alike."""
    before = server.counters.snapshot()
    assert server.ask(f"{method} {path}", host="evil.example").status == 421
    assert server.ask(f"{method} {path}", "Origin: http://evil.example").status == 403
    after = server.counters.snapshot()
    for name in ("server.refused.host", "server.refused.origin"):
        assert after[name] == before.get(name, 0) + 1


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:{port}/",
        "http://127.0.0.1:{port}.evil.example",
        "http://127.0.0.1:{port}@evil.example",
        "http://127.0.0.1.evil.example:{port}",
        "http://LOCALHOST:{port}",
        "http://a.localhost:{port}",
        "http://localhost:{port} http://evil.example",
        "http://[::1]:{port}",
        "file://",
        "chrome-extension://abcdefgh",
        "127.0.0.1:{port}",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_origin_is_refused(server: Server, origin: str, method: str) -> None:
    """An Origin that is there must be exactly one of ours, as browsers write it."""
    answer = server.ask(f"{method} /data", f"Origin: {origin}")
    assert answer.status == 403
    assert is_refused(answer.body)


def test_the_own_origin_and_none_are_accepted(server: Server) -> None:
    """Our pages send our origin; programs such as exporters send none."""
    for host in ("127.0.0.1", "localhost"):
        assert server.ask("GET /data", f"Origin: http://{host}:{{port}}").status == 200
    assert server.ask("GET /data").status == 200
    two = ["Origin: http://localhost:{port}", "Origin: http://evil.example"]
    assert server.ask("GET /data", *two).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "other"])
def test_what_a_page_of_another_site_loads_is_refused(server: Server, site: str) -> None:
    """Images, frames and scripts of other sites get nothing, another port counts as another."""
    for mode, dest in [("no-cors", "image"), ("navigate", "iframe"), ("cors", "empty")]:
        headers = (f"Sec-Fetch-Mode: {mode}", f"Sec-Fetch-Dest: {dest}")
        answer = server.ask("GET /", f"Sec-Fetch-Site: {site}", *headers)
        assert answer.status == 403
        assert is_refused(answer.body)
    assert server.ask("GET /", f"Sec-Fetch-Site: {site}").status == 403


def test_a_link_of_another_site_leads_to_pages_only(server: Server) -> None:
    """A link in a chat opens the viewer, which has no data in itself; it opens no data."""
    link = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
    assert server.ask("GET /", *link).status == 200
    assert server.ask("GET /data", *link).status == 403
    assert server.ask("GET /stream", *link).status == 403
    assert server.ask("POST /", *link).status == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_own_pages_and_the_address_bar_are_accepted(server: Server, site: str) -> None:
    """What our page loads, and what the user types, has no other site behind it."""
    assert server.ask("GET /data", f"Sec-Fetch-Site: {site}").status == 200


def test_a_websocket_is_not_opened(server: Server) -> None:
    """There are none here: an upgrade is checked, and answered, like any other request."""
    upgrade = (
        *("Upgrade: websocket", "Sec-WebSocket-Version: 13"),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )

    def asked(*headers: str, host: str | None = None) -> int:
        request = server.request("GET /data", "Connection: Upgrade", *upgrade, *headers, host=host)
        with server.connect() as connection:
            connection.sendall(request)
            return int(connection.recv(65_536).split()[1])

    assert asked("Origin: http://evil.example") == 403
    assert asked(host="evil.example") == 421
    assert asked() == 200


@pytest.mark.parametrize("path", ROUTES[:-1])
def test_no_answer_allows_another_origin(server: Server, path: str) -> None:
    """There are no CORS headers, neither for our origin nor for a preflight of another."""
    if path != "/stream":
        own = server.ask(f"GET {path}", "Origin: http://127.0.0.1:{port}")
        assert not [name for name, _ in own.headers if name.startswith("access-control")]
    preflight = server.ask(
        f"OPTIONS {path}", "Origin: http://evil.example", "Access-Control-Request-Method: POST"
    )
    assert preflight.status == 403
    assert not [name for name, _ in preflight.headers if name.startswith("access-control")]


def test_a_server_on_all_addresses_knows_where_a_connection_arrives() -> None:
    """The address of the connection is its own, exactly; every other name must be listed."""
    bearer = f"Authorization: Bearer {TOKEN}"
    with served(host="0.0.0.0", token=TOKEN, names=("box",)) as server:  # noqa: S104

        def status(host: str, *headers: str) -> int:
            return server.ask("GET /data", bearer, *headers, host=host).status

        accepted = ["127.0.0.1:{port}", "localhost:{port}", "box:{port}"]
        assert [status(host) for host in accepted] == [200, 200, 200]
        refused = ["127.0.0.2:{port}", "0.0.0.0:{port}", "evil.example:{port}", "127.0.0.1"]
        assert [status(host) for host in refused] == [421] * 4
        own = "Origin: http://127.0.0.1:{port}"
        assert status("127.0.0.1:{port}", own) == 200
        assert status("127.0.0.1:{port}", own.replace("0.1", "0.2")) == 403


def test_a_server_behind_a_proxy_answers_for_the_public_address() -> None:
    """With its default port left out, as browsers do, or given."""
    public = "https://traces.example.com"
    bearer = f"Authorization: Bearer {TOKEN}"
    with served(token=TOKEN, public_origins=(public,)) as server:

        def status(host: str, *headers: str) -> int:
            return server.ask("GET /data", bearer, *headers, host=host).status

        assert status("traces.example.com") == 200
        assert status("traces.example.com:443") == 200
        assert status("traces.example.com:80") == 421
        assert status("traces.example.com", f"Origin: {public}") == 200
        assert status("traces.example.com", f"Origin: {public}:443") == 403
        assert status("traces.example.com", "Origin: http://traces.example.com") == 403
