"""The headers that every answer has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    Header = tuple[bytes, bytes]

__all__ = [
    "ASSET_CACHE",
    "CONTENT_SECURITY_POLICY",
    "PAGE_CACHE",
    "SECURITY_HEADERS",
    "ResponseHeaders",
]

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""What a page may do: load scripts, styles and data from this server, and nothing else.

Text is never parsed as HTML, script or address of a script: the browser refuses every string
there (Trusted Types without a policy). Scripts may set single style properties.
"""

SECURITY_HEADERS: Final[tuple[Header, ...]] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""The headers of an answer with data."""

PAGE_CACHE: Final = "no-cache"
"""The `Cache-Control` for a page: it is kept, and asked for again each time."""

ASSET_CACHE: Final = "private, max-age=31536000, immutable"
"""The `Cache-Control` for a file whose name changes with its content."""

_OWN_CACHING: Final = frozenset({200, 206, 304})


class ResponseHeaders:
    """ASGI middleware that adds the headers; a route may set its own `Cache-Control`.

    Whatever else a route sets of them is replaced. Errors are never cached.

    Args:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers to the answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _with_headers(message)}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _with_headers(message: Message) -> list[Header]:
    given: list[Header] = list(message.get("headers", ()))
    kept = message["status"] in _OWN_CACHING and any(name == b"cache-control" for name, _ in given)
    ours = [pair for pair in SECURITY_HEADERS if not (kept and pair[0] == b"cache-control")]
    names = {name for name, _ in ours}
    return [pair for pair in given if pair[0].lower() not in names] + ours
