"""Refuses requests that are for another server, or that a page of another site sends.

- `Host` must be one of the server's own addresses with its port: otherwise a page whose name
  was made to resolve to this machine (DNS rebinding) could read the answers.
- `Origin` must be one of the server's own, if there is one: browsers send it with everything
  that a page of another site could do harm with. Programs that are not browsers send none.
- `Sec-Fetch-Site` catches what has no `Origin`, such as images. Of other sites, only links to
  pages without data are let through.

No answer has CORS headers.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

from otel_ext.server.security.access import (
    Access,
    Authority,
    origin_of,
    parse_authority,
    parse_origin,
)
from otel_ext.server.security.answers import RequestError, send_error

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from otel_ext.runtime.counters import Counters

__all__ = ["OriginCheck", "header_values"]

_OWN_SITES: Final = frozenset({b"same-origin", b"none"})
_HINT: Final = "Open the address that the server printed when it started."


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """Return the values of all headers with this name, in lower case, of a request."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return [value for key, value in headers if key == name]


class OriginCheck:
    """ASGI middleware that lets only requests through that are meant for this server.

    Args:
        app: The application behind it.
        access: The server's own addresses.
        counters: Counts `server.refused.host` and `server.refused.origin`.
    """

    def __init__(self, app: ASGIApp, access: Access, counters: Counters) -> None:
        self._app = app
        self._access = access
        self._counters = counters
        self._authorities = _authorities(access.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 400, 403 or 421 to a request that is not for this server or not from it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            # There are no WebSockets here; uvicorn answers this with 403.
            await send({"type": "websocket.close", "code": 1008})
        elif (error := self._host_error(scope)) is not None:
            self._counters.add("server.refused.host")
            await send_error(send, error)
        elif (error := self._origin_error(scope)) is not None:
            self._counters.add("server.refused.origin")
            await send_error(send, error)
        else:
            await self._app(scope, receive, send)

    def _host_error(self, scope: Scope) -> RequestError | None:
        values = header_values(scope, b"host")
        authority = parse_authority(values[0].decode("latin-1")) if len(values) == 1 else None
        if authority is None:
            return RequestError(400, "The Host header is missing or malformed", hint=_HINT)
        if authority in self._authorities or authority == self._local_authority(scope):
            return None
        return RequestError(421, "The Host header names another server", hint=_HINT)

    def _origin_error(self, scope: Scope) -> RequestError | None:
        origins = header_values(scope, b"origin")
        if origins and not (len(origins) == 1 and self._is_own_origin(origins[0], scope)):
            return RequestError(403, "Pages of other sites may not use this server", hint=_HINT)
        sites = header_values(scope, b"sec-fetch-site")
        if _OWN_SITES.issuperset(sites) or self._is_link(scope):
            return None
        return RequestError(403, "Other sites may not use this server", hint=_HINT)

    def _is_own_origin(self, origin: bytes, scope: Scope) -> bool:
        text = origin.decode("latin-1")
        if text in self._access.origins:
            return True
        local = self._local_authority(scope)
        return local is not None and text == origin_of(local.host, local.port or 0)

    def _is_link(self, scope: Scope) -> bool:
        """Whether the user has followed a link to a page: the other site cannot read it."""
        return (
            scope["method"] == "GET"
            and header_values(scope, b"sec-fetch-mode") == [b"navigate"]
            and header_values(scope, b"sec-fetch-dest") == [b"document"]
            and self._access.is_open(scope["path"])
        )

    def _local_authority(self, scope: Scope) -> Authority | None:
        """Return where the connection has arrived, if all addresses of the machine are own.

        An IP address cannot be made to resolve to another one, so this lets no rebinding in.
        """
        server: tuple[str, int] | None = scope.get("server")
        if not self._access.any_local_address or server is None:
            return None
        address = ip_address(server[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return Authority(str(address), self._access.port)


def _authorities(origins: frozenset[str]) -> frozenset[Authority]:
    """Return the `Host` headers for origins: with the default port also without a port."""
    found: set[Authority] = set()
    for origin in origins:
        authority = parse_origin(origin)
        if authority is not None:
            found.add(authority)
            if parse_authority(origin.partition("://")[2]) == authority._replace(port=None):
                found.add(authority._replace(port=None))
    return frozenset(found)
