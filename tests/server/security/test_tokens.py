"""Tokens, one-time links and sessions let the owner in and no other."""

from __future__ import annotations

import logging
import re

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_ext.server.security.tokens import TokenAuthority
from tests.server.security.served import TOKEN, Server, served

LINK = 100.0
SESSION = 1000.0


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def authority(clock: Clock, token: str = TOKEN) -> TokenAuthority:
    """Return a server's authority."""
    return TokenAuthority(token, link_seconds=LINK, session_seconds=SESSION, clock=clock)


def test_a_link_works_once() -> None:
    """A code lets one browser in; several codes let several in."""
    owner = authority(Clock())
    codes = [owner.new_code() for _ in range(3)]
    assert [owner.redeem(code) for code in codes] == [True] * 3
    assert [owner.redeem(code) for code in codes] == [False] * 3


def test_a_link_expires() -> None:
    """An unused code is worthless after its time; so is the memory of a used one, which goes."""
    clock = Clock()
    owner = authority(clock)
    unused, used = owner.new_code(), owner.new_code()
    assert owner.redeem(used)
    clock.now += LINK
    assert not owner.redeem(unused)
    assert not owner.redeem(used)
    clock.now -= 1
    assert owner.redeem(unused)


def test_another_process_with_the_token_makes_links() -> None:
    """A command that knows the token makes a link without asking the server."""
    clock = Clock()
    link = authority(clock).new_link("http://box:8318")
    match = re.fullmatch(r"http://box:8318/\?token=([\w.-]+)", link)
    assert match is not None
    assert authority(clock).redeem(match[1])
    assert not authority(clock, TOKEN + "x").redeem(match[1])


def test_a_session_outlives_a_restart_but_not_its_time_or_its_token() -> None:
    """Sessions are not stored; they end in time, or when the token changes."""
    clock = Clock()
    session = authority(clock).new_session()
    assert authority(clock).accepts_session(session)
    assert not authority(clock, TOKEN + "x").accepts_session(session)
    clock.now += SESSION
    assert not authority(clock).accepts_session(session)


def test_a_code_is_not_a_session_and_neither_is_the_token() -> None:
    """What was made for one purpose does not serve another."""
    owner = authority(Clock())
    assert not owner.accepts_session(owner.new_code())
    assert not owner.redeem(owner.new_session())
    assert not owner.redeem(TOKEN)
    assert not owner.accepts_session(TOKEN)
    assert not owner.accepts_bearer(f"Bearer {owner.new_session()}")
    assert not owner.accepts_bearer(f"Bearer {owner.new_code()}")


@given(st.text(max_size=80), st.integers(0, 200), st.characters())
@example("\ud800", 0, "\ud800")
@example("\udcff", 60, "\ud800")
def test_nothing_forged_is_accepted(text: str, place: int, letter: str) -> None:
    """Neither any text nor a changed code or session is accepted, and none raises."""
    owner = authority(Clock())
    for valid, accepts in [
        (owner.new_code(), owner.redeem),
        (owner.new_session(), owner.accepts_session),
    ]:
        changed = valid[:place] + letter + valid[place + 1 :]
        assert not accepts(text)
        assert changed == valid or not accepts(changed)
    assert text == TOKEN or not owner.accepts_bearer(f"Bearer {text}")


@pytest.mark.parametrize(
    ("value", "is_right"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer {TOKEN}", True),
        (f"BEARER  {TOKEN} ", True),
        (f"Bearer {TOKEN}x", False),
        (f"Bearer {TOKEN[:-1]}", False),
        ("Bearer ", False),
        ("Bearer", False),
        ("", False),
        (TOKEN, False),
        (f"Basic {TOKEN}", False),
        (f"Bearer {TOKEN.upper()}", False),
        ("Bearer \udcff", False),
    ],
)
def test_the_token_is_sent_as_a_bearer_token(value: str, *, is_right: bool) -> None:
    """Any case of the scheme, exactly the token."""
    assert authority(Clock()).accepts_bearer(value) is is_right


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each comparison of something secret is `hmac.compare_digest`."""
    compared: list[object] = []

    def compare(one: object, two: object) -> bool:
        compared.append(one)
        return one == two

    owner = authority(Clock())
    code, session = owner.new_code(), owner.new_session()
    monkeypatch.setattr("hmac.compare_digest", compare)
    assert owner.accepts_bearer(f"Bearer {TOKEN}")
    assert owner.redeem(code)
    assert owner.accepts_session(session)
    assert len(compared) == 3


def browser(server: Server) -> httpx.Client:
    """Return a client that keeps cookies, and does not follow redirects by itself."""
    return httpx.Client(base_url=server.url, timeout=30, trust_env=False)


def test_a_browser_comes_in_by_a_link_and_stays() -> None:
    """The link sets a cookie for this site and leads to the same page without the code."""
    with served(token=TOKEN) as server, browser(server) as client:
        assert client.get("/data").status_code == 401
        found = client.get(f"/data?a=1&token={server.code()}&b=2%20x")
        assert (found.status_code, found.headers["location"]) == (303, "/data?a=1&b=2%20x")
        assert found.headers["cache-control"] == "no-store"
        cookie = found.headers["set-cookie"]
        parts = cookie.split("; ")
        assert parts[0].startswith(f"otel-ext-{server.port}=")
        assert parts[1:4] == ["Path=/", "HttpOnly", "SameSite=Strict"]
        assert re.fullmatch(r"Max-Age=\d+", parts[4])
        assert TOKEN not in cookie
        assert client.get("/data").json() == {"data": 1}
        assert client.post("/take", json={}).status_code == 200


def test_a_used_link_lets_no_other_browser_in() -> None:
    """In the browser that has used it, it leads to the page; elsewhere it is refused."""
    with served(token=TOKEN) as server, browser(server) as mine, browser(server) as other:
        link = f"/?token={server.code()}"
        assert mine.get(link).status_code == 303
        again = mine.get(link)
        assert (again.status_code, again.headers["location"]) == (303, "/")
        assert "set-cookie" not in again.headers
        refused = other.get(link)
        assert refused.status_code == 401
        assert "was used before" in refused.json()["error"]["message"]
        assert other.get("/data").status_code == 401
        assert other.get(f"/?token={server.code()}").status_code == 303
        assert other.get("/data").status_code == 200
        assert mine.get("/data").status_code == 200


def test_a_link_is_used_by_getting_it_only() -> None:
    """A program that looks at the headers of a link in a chat does not use it up."""
    with served(token=TOKEN) as server, browser(server) as client:
        link = f"/data?token={server.code()}"
        assert client.head(link).status_code == 401
        assert client.post(link).status_code == 401
        assert client.get(link).status_code == 303


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("//evil.example/?token=CODE", "/"),
        ("///evil.example?token=CODE", "/"),
        ("/%5Cevil.example?token=CODE", "/%5Cevil.example"),
        ("/a//b?token=CODE", "/a//b"),
        ("/a?x=%0d%0aSet-Cookie:b&token=CODE", "/a?x=%0d%0aSet-Cookie:b"),
        ('/a?x="&token=CODE', "/"),
        ("/?token=CODE&token=other", "/"),
        ("/?token=CODE#x", "/"),
    ],
)
def test_a_link_leads_nowhere_else(target: str, location: str) -> None:
    """The redirect stays on this server, and holds nothing that would end a header."""
    with served(token=TOKEN) as server:
        answer = server.ask(f"GET {target.replace('CODE', server.code())}")
        assert (answer.status, answer.header("location")) == (303, location)


def test_a_program_sends_the_token_as_a_header() -> None:
    """What exporters are configured with: `authorization=Bearer TOKEN`; a wrong one is 401."""
    with served(token=TOKEN) as server, browser(server) as client:
        right = {"authorization": f"Bearer {TOKEN}"}
        assert client.post("/take", json={}, headers=right).status_code == 200
        wrong = client.post("/take", json={}, headers={"authorization": f"Bearer {TOKEN}x"})
        assert wrong.status_code == 401
        assert wrong.headers["www-authenticate"] == 'Bearer realm="otel-ext"'
        assert wrong.json()["error"]["message"] == "The token is wrong"
        assert client.get(f"/data?token={TOKEN}").status_code == 401
        assert server.counters.value("server.refused.token") == 2


def test_a_wrong_header_is_not_made_up_for_by_a_cookie() -> None:
    """A client that sends a wrong token learns it; another scheme is not for us."""
    with served(token=TOKEN) as server, browser(server) as client:
        client.get(f"/?token={server.code()}")
        assert client.get("/data", headers={"authorization": "Bearer x"}).status_code == 401
        assert client.get("/data", headers={"authorization": "Basic eDp5"}).status_code == 200


@pytest.mark.parametrize("path", ["/data", "/stream", "/fail", "/refuse", "/not-there", "//"])
def test_without_the_token_every_path_looks_alike(path: str) -> None:
    """Only pages and probes are open; it is not revealed which other paths there are."""
    with served(token=TOKEN) as server:
        answer = server.ask(f"GET {path}")
        assert answer.status == 401
        assert b"This server needs a token" in answer.body
        assert server.ask("GET /").status == server.ask("GET /health").status == 200


def test_a_stranger_cannot_make_the_server_read_a_body() -> None:
    """The token is checked first: a body of a stranger is not read into memory."""
    with served(token=TOKEN) as server:
        body = "Content-Type: application/json", "Content-Length: 8000000"
        assert server.ask("POST /take", *body).status == 401
        assert server.bodies.budget.used == 0


def test_a_cookie_behind_tls_is_sent_over_tls_only() -> None:
    """The browser's connection to a proxy is what counts."""
    with served(token=TOKEN, public_origins=("https://traces.example.com",)) as server:
        link = f"GET /?token={server.code()}"
        public = server.ask(link, host="traces.example.com")
        assert public.header("set-cookie").endswith("; Secure")
        local = server.ask(f"GET /?token={server.code()}")
        assert "Secure" not in local.header("set-cookie")


def test_cookies_of_other_servers_do_not_disturb() -> None:
    """Browsers send the cookies of all ports of a host, and whatever they were given."""
    with served(token=TOKEN) as server:
        name = f"otel-ext-{server.port}"
        value = server.ask(f"GET /?token={server.code()}").header("set-cookie").split(";")[0]
        for cookie in (
            f"a=b; {value}",
            f"{value};",
            f"x; ;=; {name}=; {value}",
            f'q="a;b"; {value}',
        ):
            assert server.ask("GET /data", f"Cookie: {cookie}").status == 200
        for cookie in (value.replace(name, "otel-ext-1"), value[:-1], f"{name}=\xff", f"{value}0"):
            assert server.ask("GET /data", f"Cookie: {cookie}").status == 401


def test_no_token_is_asked_for_on_loopback() -> None:
    """By default; a `token` in an address has no meaning then."""
    with served() as server:
        assert server.ask("GET /data").status == 200
        assert server.ask("GET /data?token=x").status == 200


def test_tokens_are_not_logged(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither a token, a code nor a cookie is in any log, whatever happens with the request."""
    caplog.set_level(logging.DEBUG)
    with served(token=TOKEN) as server:
        codes = [server.code() for _ in range(3)]
        cookie = server.ask(f"GET /?token={codes[0]}").header("set-cookie").split(";")[0]
        server.ask(f"GET /?token={codes[0]}")
        server.ask(f"GET /fail?token={codes[1]}")
        server.ask("GET /fail", f"Cookie: {cookie}")
        server.ask("GET /fail", f"Authorization: Bearer {TOKEN}")
        server.ask("GET /data", f"Authorization: Bearer {TOKEN}x")
        server.ask(f"GET /?token={codes[2]}", host="evil.example")
        server.send(f"GET /?token={codes[2]} HTTP/9.9\r\n\r\n".encode())
    output = capfd.readouterr()
    said = caplog.text + output.out + output.err
    assert "ValueError" in said
    for secret in (TOKEN, *codes, cookie.partition("=")[2]):
        assert secret not in said
