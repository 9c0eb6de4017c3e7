"""The one form of errors: `{"error": {"message": ..., "hint": ...}}`.

A message never repeats what the client has sent, and never says what failed inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from otel_ext.errors import OtelExtError, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from starlette.requests import Request
    from starlette.types import Send

    Header = tuple[bytes, bytes]
    Handler = Callable[[Request, Exception], Awaitable[Response]]

__all__ = [
    "INTERNAL_ERROR",
    "RequestError",
    "error_document",
    "error_headers",
    "exception_handlers",
    "retry_after",
    "send_error",
]


class RequestError(OtelExtError):
    """A request is answered with an error.

    Args:
        status: The HTTP status.
        message: What is wrong, without what the client has sent.
        hint: The way out, as an imperative sentence; may be empty.
        headers: Headers of the answer, names in lower case.
        at: Where in the search the mistake is, in characters; None if it is not about a search.

    >>> error = RequestError(413, "The body is too large", hint="Send less at once.")
    >>> error.status, str(error)
    (413, 'The body is too large. Send less at once.')
    """

    code = "request"

    def __init__(
        self,
        status: int,
        message: str,
        *,
        hint: str = "",
        headers: Iterable[Header] = (),
        at: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.headers = tuple(headers)
        self.at = at


INTERNAL_ERROR: Final = RequestError(
    500,
    "The server failed to answer",
    hint="The reason is in the output of the server.",
)
"""The answer to a request that fails for a reason that is not the client's."""


def error_document(message: str, hint: str = "", *, at: int | None = None) -> bytes:
    """Return the body of an error.

    >>> error_document("No such trace", "Copy the id from the list.")
    b'{"error":{"message":"No such trace","hint":"Copy the id from the list."}}'
    """
    error: dict[str, str | int] = {"message": message, "hint": hint}
    if at is not None:
        error["at"] = at
    return orjson.dumps({"error": error})


def error_headers(body: bytes, headers: Iterable[Header] = ()) -> list[Header]:
    """Return the headers of an error with this body."""
    length = str(len(body)).encode()
    return [(b"content-type", b"application/json"), (b"content-length", length), *headers]


def retry_after(seconds: int) -> Header:
    """Return the header that says when a client may try again.

    >>> retry_after(1)
    (b'retry-after', b'1')
    """
    return b"retry-after", str(seconds).encode()


async def send_error(send: Send, error: RequestError) -> None:
    """Answer a request with an error."""
    body = error_document(error.message, error.hint, at=error.at)
    headers = error_headers(body, error.headers)
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def exception_handlers() -> dict[type[Exception], Handler]:
    """Return the handlers for `Starlette(exception_handlers=...)`.

    They answer `RequestError` and Starlette's own errors (404, 405) with their status,
    `UsageError` such as a mistake in a search with 400, and all other exceptions with 500.
    """
    return {
        RequestError: _answer,
        UsageError: _answer,
        HTTPException: _answer,
        Exception: _answer,
    }


async def _answer(_: Request, error: Exception) -> Response:
    found = _request_error(error)
    response = Response(
        error_document(found.message, found.hint, at=found.at),
        status_code=found.status,
        media_type="application/json",
    )
    response.raw_headers.extend(found.headers)
    return response


def _request_error(error: Exception) -> RequestError:
    match error:
        case RequestError():
            return error
        case UsageError():
            at: object = getattr(error, "at", None)
            place = at if isinstance(at, int) else None
            return RequestError(400, error.message, hint=error.hint, at=place)
        case HTTPException():
            allow = (error.headers or {}).get("Allow")
            headers = [(b"allow", allow.encode("latin-1"))] if allow else []
            return RequestError(error.status_code, error.detail, headers=headers)
        case _:
            return INTERNAL_ERROR
