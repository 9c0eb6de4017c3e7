"""Which addresses are the server's own, and when a token is needed."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.errors import ConfigError
from otel_ext.server.security.access import (
    Access,
    Authority,
    is_loopback,
    new_token,
    origin_of,
    parse_authority,
    parse_origin,
)
from otel_ext.server.security.limits import ServerLimits

TOKEN = new_token()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("localhost:8318", ("localhost", 8318)),
        ("LOCALHOST:8318", ("localhost", 8318)),
        ("127.0.0.1:8318", ("127.0.0.1", 8318)),
        ("127.0.0.1", ("127.0.0.1", None)),
        ("[::1]:8318", ("::1", 8318)),
        ("[0:0:0:0:0:0:0:1]:8318", ("::1", 8318)),
        ("[2001:DB8::0:5]:8318", ("2001:db8::5", 8318)),
        ("localhost.:8318", ("localhost.", 8318)),  # a name of its own, which is not listed
    ],
)
def test_host_and_port_are_parsed(text: str, found: tuple[str, int | None]) -> None:
    """A name is compared in lower case, an IPv6 address in its shortest form."""
    assert parse_authority(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":8318",
        "localhost:",
        "localhost:0",
        "localhost:08318",
        "localhost:65536",
        "localhost:83180000000",
        "localhost:+8318",
        "localhost:\N{FULLWIDTH DIGIT EIGHT}",
        "localhost :8318",
        " localhost:8318",
        "localhost:8318 ",
        "localhost:8318\n",
        "localhost:8318:8318",
        "user@localhost:8318",
        "evil.example@localhost:8318",
        "localhost:8318@evil.example",
        "localhost:8318/",
        "localhost:8318#",
        "localhost,evil.example",
        "http://localhost:8318",
        "l\N{CYRILLIC SMALL LETTER O}calhost:8318",
        "::1",
        "::1:8318",
        "[::1",
        "[::1]8318",
        "[::1%lo]:8318",
        "[::1%25lo]:8318",
        "[127.0.0.1]:8318",
        "[:::1]:8318",
        "%6cocalhost:8318",
    ],
)
def test_anything_but_host_and_port_is_not_an_address(text: str) -> None:
    """Nothing is cut off, decoded or repaired."""
    assert parse_authority(text) is None


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """Parsing raises for no text, and what it returns is written back as it was, but for case."""
    authority = parse_authority(text)
    if authority is not None and ":" not in authority.host:
        port = "" if authority.port is None else f":{authority.port}"
        assert f"{authority.host}{port}" == text.lower()


def test_an_origin_has_a_port_by_its_scheme() -> None:
    """Browsers leave the default port out; other schemes and paths are not origins."""
    assert parse_origin("http://a") == Authority("a", 80)
    assert parse_origin("https://a") == Authority("a", 443)
    assert parse_origin("http://[::1]:8318") == Authority("::1", 8318)
    refused = ["null", "file://", "a:80", "http://a/", "http:/a", "HTTP://a", "ftp://a", "//a"]
    assert [parse_origin(one) for one in refused] == [None] * len(refused)
    assert origin_of("0::1", 8318) == "http://[::1]:8318"


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_needs_no_token(host: str) -> None:
    """Only this machine reaches a server on a loopback address."""
    assert is_loopback(host)
    access = Access.listening(host, 8318)
    assert access.token is None
    assert not access.any_local_address
    assert "http://localhost:8318" in access.origins


@pytest.mark.parametrize(
    "host",
    [
        *("", "0.0.0.0", "::"),  # noqa: S104
        *("192.168.1.5", "fe80::1", "::ffff:127.0.0.1", "box", "127.0.0.1.evil.example"),
    ],
)
def test_anything_wider_needs_a_token(host: str) -> None:
    """A server that others can reach does not start without a token; the message says so."""
    with pytest.raises(ConfigError, match=r"there is no token\. Give a token, or listen on 127"):
        Access.listening(host, 8318)
    assert Access.listening(host, 8318, token=TOKEN).token == TOKEN


def test_a_public_address_needs_a_token() -> None:
    """A proxy makes a server on loopback reachable for others."""
    with pytest.raises(ConfigError, match="traces.example.com"):
        Access.listening("127.0.0.1", 8318, public_origins=["https://traces.example.com"])
    access = Access.listening(
        "127.0.0.1", 8318, token=TOKEN, public_origins=["https://traces.example.com"]
    )
    assert "https://traces.example.com" in access.origins
    # A port that is forwarded from this machine is not wider.
    Access.listening("127.0.0.1", 8318, public_origins=["http://localhost:9000"])


@pytest.mark.parametrize("origin", ["traces.example.com", "https://A", "https://a/", "ftp://a"])
def test_a_public_address_is_an_origin(origin: str) -> None:
    """A public address that no browser would send is a mistake."""
    with pytest.raises(ConfigError, match="is not an origin"):
        Access.listening("127.0.0.1", 8318, token=TOKEN, public_origins=[origin])


def test_the_own_addresses_are_those_of_the_host() -> None:
    """A server is asked by the address that it listens on, and by other names that are given."""
    origins = Access.listening("192.168.1.5", 80, token=TOKEN, names=["Box"]).origins
    assert origins == {"http://192.168.1.5", "http://box"}
    origins = Access.listening("localhost", 8318).origins
    assert origins == {f"http://{one}:8318" for one in ("localhost", "127.0.0.1", "[::1]")}
    everywhere = Access.listening("::", 8318, token=TOKEN)
    assert everywhere.any_local_address
    assert everywhere.origins == {"http://localhost:8318"}


@pytest.mark.parametrize(("host", "port"), [("a b", 1), ("a:1", 1), ("a", 0), ("a", 65_536)])
def test_an_address_that_is_none_is_a_mistake(host: str, port: int) -> None:
    """Neither a host with other characters nor port 0 can be asked for."""
    with pytest.raises(ConfigError, match="is not an address of a server"):
        Access.listening(host, port, token=TOKEN)


@pytest.mark.parametrize(
    "token", ["", "s3cret", "fifteen-letters", "with a blank in it", "with;semicolons;", "ü" * 20]
)
def test_a_weak_token_is_refused_without_repeating_it(token: str) -> None:
    """A token that could be guessed, or not be sent, is refused; the message does not show it."""
    with pytest.raises(ConfigError) as raised:
        Access.listening("127.0.0.1", 8318, token=token)
    assert not token or token not in str(raised.value)


def test_a_token_is_not_shown() -> None:
    """The settings can be printed: the token is left out. No two new tokens are equal."""
    assert TOKEN not in repr(Access.listening("127.0.0.1", 8318, token=TOKEN))
    assert len({new_token() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("path", "is_open"),
    [
        ("/", True),
        ("/assets/main.js", True),
        ("/assets/", False),
        ("/assets/../data", False),
        ("/assets/./data", False),
        ("/assets//data", False),
        ("/assets/..\\data", False),
        ("/assets", False),
        ("//", False),
        ("/data", False),
    ],
)
def test_only_listed_paths_are_open(path: str, *, is_open: bool) -> None:
    """A path is open if it is listed, or plainly below a listed folder."""
    access = Access.listening("::1", 8318, open_paths=["/"], open_prefixes=["/assets/"])
    assert access.is_open(path) is is_open


def test_settings_do_not_change() -> None:
    """Limits and access cannot be changed while a server uses them."""
    with pytest.raises(FrozenInstanceError):
        Access.listening("::1", 8318).port = 1  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        ServerLimits().connections = 1  # type: ignore[misc]


def test_limits_with_which_nothing_works_are_refused() -> None:
    """Each limit is positive, and one body fits into the memory for all."""
    with pytest.raises(ConfigError, match="header_seconds=0 is not positive"):
        ServerLimits(header_seconds=0)
    with pytest.raises(ConfigError, match="in_flight_bytes=1024 is smaller than one body"):
        replace(ServerLimits(), in_flight_bytes=1024)


def test_the_limits_are_those_that_are_promised() -> None:
    """8 MiB sent, 32 MiB inflated, 10 s for headers, 30 s for a body, 64 connections."""
    limits = ServerLimits()
    assert (limits.wire_bytes, limits.inflated_bytes) == (8 * 2**20, 32 * 2**20)
    assert (limits.header_seconds, limits.body_seconds) == (10, 30)
    assert (limits.connections, limits.in_flight_bytes) == (64, 48 * 2**20)
