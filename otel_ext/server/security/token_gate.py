"""Lets only clients in that know the token, by a header or by a cookie."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from otel_ext.server.security.access import parse_authority
from otel_ext.server.security.answers import RequestError, send_error
from otel_ext.server.security.origin_check import header_values

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from otel_ext.runtime.counters import Counters
    from otel_ext.server.security.access import Access
    from otel_ext.server.security.tokens import TokenAuthority

__all__ = ["TokenGate"]

_PARAMETER: Final = b"token="
# The path of a link is repeated in a redirect. Two slashes would lead to another host.
_PATH: Final = re.compile(rb"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_QUERY: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
_CHALLENGE: Final = (b"www-authenticate", b'Bearer realm="otel-ext"')

_NO_TOKEN: Final = RequestError(
    401,
    "This server needs a token",
    hint="Open a one-time link of the server, or send the header `Authorization: Bearer TOKEN`.",
    headers=[_CHALLENGE],
)
_WRONG_TOKEN: Final = RequestError(
    401,
    "The token is wrong",
    hint="Send the server's token as `Authorization: Bearer TOKEN`.",
    headers=[_CHALLENGE],
)
_USED_LINK: Final = RequestError(
    401,
    "This link was used before, or has expired",
    hint="Make a new one-time link.",
    headers=[_CHALLENGE],
)


class TokenGate:
    """ASGI middleware that answers 401 to clients without the token.

    Programs send `Authorization: Bearer TOKEN`. A browser opens a one-time link; it gets a
    cookie that scripts cannot read and that is never sent for other sites, and is led to the
    same page without the code.

    Args:
        app: The application behind it.
        access: Which paths are open, and how long a session lasts.
        authority: Checks tokens, links and sessions.
        counters: Counts `server.refused.token`.
    """

    def __init__(
        self, app: ASGIApp, access: Access, authority: TokenAuthority, counters: Counters
    ) -> None:
        self._app = app
        self._access = access
        self._authority = authority
        self._counters = counters
        # Cookies are sent to all ports of a host.
        self._cookie = f"otel-ext-{access.port}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 or redirect, or let the request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        code = _code(scope)
        if code is not None and scope["method"] == "GET":
            await self._open_link(scope, send, code)
            return
        error = self._error(scope)
        if error is None or self._access.is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        self._counters.add("server.refused.token")
        await send_error(send, error)

    def _error(self, scope: Scope) -> RequestError | None:
        bearers = [
            value.decode("latin-1")
            for value in header_values(scope, b"authorization")
            if value[:7].lower() == b"bearer "
        ]
        if bearers:
            is_right = len(bearers) == 1 and self._authority.accepts_bearer(bearers[0])
            return None if is_right else _WRONG_TOKEN
        return None if self._has_session(scope) else _NO_TOKEN

    def _has_session(self, scope: Scope) -> bool:
        pairs = [
            pair.strip().partition(b"=")
            for header in header_values(scope, b"cookie")
            for pair in header.split(b";")
        ]
        sessions = [value.decode("latin-1") for name, _, value in pairs if name == self._cookie]
        return any(map(self._authority.accepts_session, sessions))

    async def _open_link(self, scope: Scope, send: Send, code: str) -> None:
        headers = [(b"location", _without_code(scope)), (b"content-length", b"0")]
        if self._authority.redeem(code):
            headers.append((b"set-cookie", self._new_cookie(scope)))
        elif not self._has_session(scope):
            self._counters.add("server.refused.token")
            await send_error(send, _USED_LINK)
            return
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _new_cookie(self, scope: Scope) -> bytes:
        session = self._authority.new_session().encode()
        age = str(int(self._access.session_seconds)).encode()
        attributes = b"; Path=/; HttpOnly; SameSite=Strict; Max-Age=" + age
        if self._is_encrypted(scope):
            attributes += b"; Secure"
        return self._cookie + b"=" + session + attributes

    def _is_encrypted(self, scope: Scope) -> bool:
        """Whether the browser uses TLS, up to a proxy: it asks for a host that is public so."""
        host = header_values(scope, b"host")[0].decode("latin-1")
        asked = parse_authority(host)
        secure = [one for one in self._access.origins if one.startswith("https://")]
        return asked in [parse_authority(one.partition("://")[2]) for one in secure]


def _code(scope: Scope) -> str | None:
    """Return the code of a one-time link; None if the address has none."""
    for pair in scope["query_string"].split(b"&"):
        if pair.startswith(_PARAMETER):
            code: bytes = pair[len(_PARAMETER) :]
            return code.decode("latin-1")
    return None


def _without_code(scope: Scope) -> bytes:
    """Return the path and query of a request without the code; `/` if they look strange."""
    path: bytes = scope["raw_path"]
    pairs = scope["query_string"].split(b"&")
    query: bytes = b"&".join(pair for pair in pairs if not pair.startswith(_PARAMETER))
    if not (_PATH.fullmatch(path) and _QUERY.fullmatch(query)):
        return b"/"
    return path + b"?" + query if query else path
