"""Checks and issues what lets a client in: the token, one-time links, sessions of browsers.

One-time codes and sessions are signed with the token and not stored: a session outlives a
restart of the server, and whoever knows the token can make a new link, also in another process.
All of them end when the token changes.
"""

from __future__ import annotations

import hmac
from secrets import token_urlsafe
from time import time
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    Purpose = Literal["link", "session"]

__all__ = ["TokenAuthority"]

_BEARER: Final = "bearer "


class TokenAuthority:
    """Decides who knows the token of a server.

    Its own process remembers which links were used, until they expire.

    Args:
        token: The token.
        link_seconds: How long a one-time link is valid.
        session_seconds: How long a browser stays signed in.
        clock: Returns seconds since the epoch.

    >>> authority = TokenAuthority("a-token-for-the-example", link_seconds=9, session_seconds=9)
    >>> code = authority.new_code()
    >>> authority.redeem(code), authority.redeem(code)
    (True, False)
    >>> authority.accepts_bearer("Bearer a-token-for-the-example")
    True
    """

    def __init__(
        self,
        token: str,
        *,
        link_seconds: float,
        session_seconds: float,
        clock: Callable[[], float] = time,
    ) -> None:
        self._token = token.encode()
        self._link_seconds = link_seconds
        self._session_seconds = session_seconds
        self._clock = clock
        self._used: dict[str, int] = {}

    def new_link(self, origin: str) -> str:
        """Return an address that lets one browser in, once.

        Args:
            origin: Where that browser finds the server, such as `http://192.168.1.5:8318`.
        """
        return f"{origin}/?token={self.new_code()}"

    def new_code(self) -> str:
        """Return the code of a one-time link."""
        return self._signed("link", self._link_seconds)

    def redeem(self, code: str) -> bool:
        """Whether a code is valid and was not used before; then it is used."""
        now = self._clock()
        expires = self._expiry("link", code)
        if expires <= now or code in self._used:
            return False
        # Only the owner can sign codes, so that these are few.
        self._used = {one: end for one, end in self._used.items() if end > now}
        self._used[code] = expires
        return True

    def new_session(self) -> str:
        """Return the value of a cookie that lets a browser in."""
        return self._signed("session", self._session_seconds)

    def accepts_session(self, value: str) -> bool:
        """Whether a cookie has a session that is valid."""
        return self._expiry("session", value) > self._clock()

    def accepts_bearer(self, authorization: str) -> bool:
        """Whether the value of an `Authorization` header, or of gRPC metadata, has the token."""
        scheme, value = authorization[: len(_BEARER)], authorization[len(_BEARER) :].strip()
        given = value.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(given, self._token) and scheme.lower() == _BEARER

    def _signed(self, purpose: Purpose, seconds: float) -> str:
        claim = f"{int(self._clock() + seconds)}.{token_urlsafe(24)}"
        return f"{claim}.{self._signature(purpose, claim)}"

    def _expiry(self, purpose: Purpose, value: str) -> int:
        """Return when a signed value expires, in seconds since the epoch; 0 if it is forged."""
        claim, _, signature = value.rpartition(".")
        right = self._signature(purpose, claim).encode()
        if not hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), right):
            return 0
        return int(claim.partition(".")[0])

    def _signature(self, purpose: Purpose, claim: str) -> str:
        text = f"otel-ext {purpose}:{claim}".encode("utf-8", "surrogatepass")
        return hmac.new(self._token, text, "sha256").hexdigest()
