"""`ServerClient`: asks a server of `otel-ext serve` by its API, and says what is wrong."""

from __future__ import annotations

from http.client import HTTPException
from typing import IO, TYPE_CHECKING, Final, cast
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import orjson

from otel_ext.errors import UsageError
from otel_ext.settings.units import MIB
from otel_ext.terminal.text import printable

if TYPE_CHECKING:
    from email.message import Message

__all__ = ["Document", "ServerClient", "checked_address", "rows_in"]

Document = dict[str, object]

_PREFIX: Final = "/api/v1"
_SECONDS: Final = 60.0
_MOST_BYTES: Final = 256 * MIB
_LONGEST: Final = 300
_UNAUTHORIZED: Final = 401


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirects, so that the token goes to no other server."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Return None: an error is raised."""


class ServerClient:
    """Asks a server.

    Args:
        address: Its address, such as `http://127.0.0.1:8318`, as `checked_address` returns it.
        token: Its token; empty if it needs none.
        token_variable: What to name in the hint that a token is needed.
    """

    def __init__(self, address: str, token: str = "", *, token_variable: str = "") -> None:
        self.address = address
        self._token = token
        self._variable = token_variable
        # What runs on this machine is not behind a proxy, and other servers see no token.
        self._opener = build_opener(ProxyHandler({}), _NoRedirects())

    def get(self, *path: str, **parameters: str | int) -> Document:
        """Return the document at a path.

        Args:
            path: The segments of the path below the API.
            parameters: The parameters; empty texts are left out.

        Raises:
            UsageError: There is none, or the server cannot be asked.
        """
        given = {name: value for name, value in parameters.items() if value != ""}
        below = "/".join(quote(segment, safe="") for segment in path)
        url = f"{self.address}{_PREFIX}/{below}"
        if given:
            url += f"?{urlencode(given)}"
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = Request(url, headers=headers)  # noqa: S310 - checked_address allows only HTTP
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                body: bytes = answer.read(_MOST_BYTES + 1)
        except HTTPError as error:
            with error:
                raise self._refused(error.code, error.read(MIB)) from None
        except (URLError, HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            hint = "Check that otel-ext serve runs there, and the port of its viewer"
            message = f"the server {self.address} does not answer: {printable(str(reason))}"
            raise UsageError(message, hint=hint) from None
        if len(body) > _MOST_BYTES:
            message = f"the answer of the server {self.address} is too large"
            raise UsageError(message, hint="Ask for one span, or for less")
        return self._decoded(body)

    def _decoded(self, body: bytes) -> Document:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            message = f"{self.address} is not a server of otel-ext"
            raise UsageError(message, hint="Give the address that otel-ext serve prints as viewer")
        return cast("Document", document)

    def _refused(self, status: int, body: bytes) -> UsageError:
        """Return the error for an answer that is one."""
        if status == _UNAUTHORIZED:
            hint = f"Set its token in the environment variable {self._variable}"
            return UsageError(
                f"the server {self.address} refuses the token, or needs one", hint=hint
            )
        found = self._decoded(body).get("error")
        error = cast("Document", found) if isinstance(found, dict) else {}
        message = printable(str(error.get("message") or f"the server answers {status}"), _LONGEST)
        return UsageError(message, hint=printable(str(error.get("hint") or ""), _LONGEST))


def checked_address(text: str) -> str:
    """Return the address of a server without a slash at its end.

    Raises:
        UsageError: It is not one.

    >>> checked_address("http://127.0.0.1:8318/")
    'http://127.0.0.1:8318'
    """
    shown, hint = printable(text), "Give an address such as http://127.0.0.1:8318"
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port  # a ValueError if it is not valid
    except ValueError:
        raise UsageError(f"{shown} is not the address of a server", hint=hint) from None
    if not is_address or not text.isprintable() or " " in text:
        raise UsageError(f"{shown} is not the address of a server", hint=hint)
    if parts.username is not None or parts.password is not None:
        # Not shown: it would have the password.
        raise UsageError("the address of the server has a user or a password", hint=hint)
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise UsageError(f"{shown}: an address ends after the port", hint=hint)
    return f"{parts.scheme}://{parts.netloc}"


def rows_in(document: Document, name: str) -> list[Document]:
    """Return the objects in a list of a document; empty without such a list."""
    found = document.get(name)
    rows = cast("list[object]", found) if isinstance(found, list) else []
    return [cast("Document", row) for row in rows if isinstance(row, dict)]
