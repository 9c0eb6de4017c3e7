"""Puts everything that protects a server around an application."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

from otel_ext.server.security.failures import ErrorGuard, Linger
from otel_ext.server.security.limits import DEFAULT_LIMITS
from otel_ext.server.security.origin_check import OriginCheck
from otel_ext.server.security.protocol import guarded_protocol
from otel_ext.server.security.response_headers import ResponseHeaders
from otel_ext.server.security.token_gate import TokenGate
from otel_ext.server.security.tokens import TokenAuthority

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from otel_ext.runtime.counters import Counters
    from otel_ext.server.security.access import Access
    from otel_ext.server.security.limits import ServerLimits

__all__ = ["secured", "server_config", "token_authority"]


def token_authority(access: Access) -> TokenAuthority | None:
    """Return what checks tokens and makes one-time links; None if no token is needed."""
    if access.token is None:
        return None
    return TokenAuthority(
        access.token, link_seconds=access.link_seconds, session_seconds=access.session_seconds
    )


def secured(
    app: ASGIApp,
    access: Access,
    counters: Counters,
    limits: ServerLimits = DEFAULT_LIMITS,
    authority: TokenAuthority | None = None,
) -> ASGIApp:
    """Return an application that answers only those who may ask, and reveals no failures.

    Args:
        app: The application; its routes read bodies with `BodyReader`.
        access: Who may use it.
        counters: Counts refusals and failures under `server.`.
        limits: The limits.
        authority: What `token_authority` has returned, if it also makes links.
    """
    authority = authority or token_authority(access)
    gated = app if authority is None else TokenGate(app, access, authority, counters)
    guarded = ErrorGuard(OriginCheck(gated, access, counters), counters)
    return ResponseHeaders(Linger(guarded, limits.linger_seconds))


def server_config(
    app: ASGIApp, counters: Counters, limits: ServerLimits = DEFAULT_LIMITS
) -> uvicorn.Config:
    """Return how uvicorn serves an application on a socket that is bound already.

    Requests are not logged: addresses have codes of one-time links, and are written by
    clients. Headers of proxies are not believed.

    Args:
        app: The application, as `secured` has returned it.
        counters: Counts what connections do; see `GuardedProtocol`.
        limits: The limits.

    Returns:
        For `uvicorn.Server(config).serve(sockets=[...])`.
    """
    return uvicorn.Config(
        app,
        http=guarded_protocol(limits, counters),
        ws="none",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=limits.keep_alive_seconds,
        timeout_graceful_shutdown=limits.shutdown_seconds,
    )
