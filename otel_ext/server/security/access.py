"""Which addresses are the server's own, and whether a client needs a token.

A web page of another site can make a browser send requests to a server on loopback, and with
DNS rebinding even read the answers. Such a request gives itself away by its `Host` or `Origin`
header: so the server answers only for addresses that are listed here, exactly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.errors import ConfigError
from otel_ext.settings.units import DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = [
    "Access",
    "Authority",
    "is_loopback",
    "new_token",
    "origin_of",
    "parse_authority",
    "parse_origin",
]

_AUTHORITY: Final = re.compile(
    r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9_.-]{1,253}))(?::([1-9][0-9]{0,4}))?", re.ASCII
)
_LAST_PORT: Final = 65_535
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_WILDCARDS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - recognised, not listened on
_SHORTEST_TOKEN: Final = 16
# What RFC 6750 allows in `Authorization: Bearer`.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,512}=*", re.ASCII)


class Authority(NamedTuple):
    """Host and port, as in a `Host` header.

    Attributes:
        host: A name in lower case, or an IP address in its shortest form without brackets.
        port: The port; None if it is left out.
    """

    host: str
    port: int | None


def parse_authority(text: str) -> Authority | None:
    """Parse the value of a `Host` header; None for anything but exactly host and port.

    There is no way to write an address that is compared by its beginning, by what a URL
    parser makes of it, or after a name was looked up.

    >>> parse_authority("LocalHost:8318"), parse_authority("[0:0::1]:80")
    (Authority(host='localhost', port=8318), Authority(host='::1', port=80))
    >>> parse_authority("user@localhost:8318"), parse_authority("localhost:08318")
    (None, None)
    """
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    port = int(match[3]) if match[3] else None
    if port is not None and port > _LAST_PORT:
        return None
    if match[1] is None:
        return Authority(match[2].lower(), port)
    try:
        return Authority(str(IPv6Address(match[1])), port)
    except AddressValueError:
        return None


def parse_origin(text: str) -> Authority | None:
    """Return host and port of an origin such as `https://traces.example.com`, with its port.

    Returns:
        Host and port, the default port of the scheme if none is given; None if the text
        is not an origin.

    >>> parse_origin("https://traces.example.com")
    Authority(host='traces.example.com', port=443)
    """
    scheme, separator, rest = text.partition("://")
    authority = parse_authority(rest)
    if scheme not in _DEFAULT_PORTS or not separator or authority is None:
        return None
    return authority._replace(port=authority.port or _DEFAULT_PORTS[scheme])


def origin_of(host: str, port: int) -> str:
    """Return the origin of a server without TLS, as browsers send it.

    >>> origin_of("::1", 8318), origin_of("Localhost", 80)
    ('http://[::1]:8318', 'http://localhost')
    """
    name = f"[{IPv6Address(host)}]" if ":" in host else host.lower()
    return f"http://{name}" if port == _DEFAULT_PORTS["http"] else f"http://{name}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`.

    A name other than `localhost` is not looked up, and counts as reachable by others.

    >>> [is_loopback(one) for one in ("localhost", "127.9.9.9", "::1", "127.evil.com", "")]
    [True, True, True, False, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        if ":" in host:
            # Not `is_loopback`: what it says of `::ffff:127.0.0.1` differs between Pythons.
            return IPv6Address(host) == IPv6Address("::1")
        return IPv4Address(host).is_loopback
    except AddressValueError:
        return False


def new_token() -> str:
    """Return a random token with 256 bits."""
    return token_urlsafe(32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Who may use one listening port; made by `Access.listening`.

    Attributes:
        port: The port that the server listens on.
        origins: The origins that are the server's own, as browsers write them.
        any_local_address: Whether the IP address that a connection has arrived at is one of
            the server's own, because the server listens on all of them.
        token: What clients have to know; None if none is needed.
        open_paths: Paths that need no token and may be opened by a link on another site:
            pages and probes without data.
        open_prefixes: The same for all paths with one of these beginnings, such as `/assets/`.
        link_seconds: How long a one-time link is valid.
        session_seconds: How long a browser stays signed in.
    """

    port: int
    origins: frozenset[str]
    any_local_address: bool = False
    token: str | None = field(default=None, repr=False)
    open_paths: frozenset[str] = frozenset()
    open_prefixes: tuple[str, ...] = ()
    link_seconds: float = HOUR
    session_seconds: float = 30 * DAY

    def __post_init__(self) -> None:
        """Refuse a token that clients could not send, or that could be guessed."""
        if self.token is None:
            return
        if len(self.token) < _SHORTEST_TOKEN or not _TOKEN.fullmatch(self.token):
            raise ConfigError(
                f"the token of the server is shorter than {_SHORTEST_TOKEN} characters, or has"
                " characters that a header cannot hold",
                hint='Use letters, digits and "-._~+/", for example what `openssl rand -hex 32`'
                " prints.",
            )

    @classmethod
    def listening(
        cls,
        host: str,
        port: int,
        *,
        token: str | None = None,
        names: Iterable[str] = (),
        public_origins: Iterable[str] = (),
        open_paths: Collection[str] = (),
        open_prefixes: Collection[str] = (),
    ) -> Access:
        """Return the access to a server by where it listens.

        Args:
            host: What the server listens on: an IP address, a name, or `0.0.0.0`, `::` or
                nothing for all addresses of the machine.
            port: The port; never 0, so bind the socket first.
            token: What clients have to know; needed unless only this machine can connect.
            names: Other names of this machine, with which clients ask for the same port.
            public_origins: Where clients find the server instead, behind a proxy or a
                forwarded port, such as `https://traces.example.com`.
            open_paths: See the attribute.
            open_prefixes: See the attribute.

        Raises:
            ConfigError: Others can reach the server and there is no token, or an argument
                is not what it should be.

        >>> sorted(Access.listening("127.0.0.1", 8318).origins)
        ['http://127.0.0.1:8318', 'http://localhost:8318']
        """
        is_everywhere = host in _WILDCARDS
        hosts = {*names} if is_everywhere else {host, *names}
        if is_everywhere or is_loopback(host):
            hosts.add("localhost")
        if host.lower() == "localhost":
            hosts |= {"127.0.0.1", "::1"}
        published = [(one, _checked_origin(one)) for one in public_origins]
        reached = [host, *(authority.host for _, authority in published)]
        exposed = [one for one in reached if not is_loopback(one)]
        if exposed and token is None:
            raise ConfigError(
                f"host {exposed[0]!r} can be reached from other machines, and there is no token",
                hint="Give a token, or listen on 127.0.0.1.",
            )
        return cls(
            port=port,
            origins=frozenset(
                [_checked_host(one, port) for one in hosts] + [one for one, _ in published]
            ),
            any_local_address=is_everywhere,
            token=token,
            open_paths=frozenset(open_paths),
            open_prefixes=tuple(open_prefixes),
        )

    def is_open(self, path: str) -> bool:
        """Whether a path has no data: it needs no token, and links of other sites may lead to it.

        >>> Access(port=1, origins=frozenset(), open_prefixes=("/a/",)).is_open("/a/../api")
        False
        """
        if path in self.open_paths:
            return True
        segments = path.split("/")[1:]
        is_plain = "\\" not in path and not {"", ".", ".."}.intersection(segments)
        return is_plain and path.startswith(self.open_prefixes)


def _checked_host(host: str, port: int) -> str:
    written = f"[{host}]" if ":" in host else host
    authority = parse_authority(written)
    if authority is None or authority.port is not None or not 0 < port <= _LAST_PORT:
        raise ConfigError(
            f"{host!r} with port {port} is not an address of a server",
            hint="Give an IP address or a name, and a port from 1 to 65535.",
        )
    return origin_of(authority.host, port)


def _checked_origin(text: str) -> Authority:
    authority = parse_origin(text)
    if authority is None or text != text.lower():
        raise ConfigError(
            f"public origin {text!r} is not an origin",
            hint="Give scheme, host and perhaps a port, such as https://traces.example.com.",
        )
    return authority
