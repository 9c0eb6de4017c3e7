"""Routes for the files of the viewer, which are read once when the server starts."""

from __future__ import annotations

import gzip
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

__all__ = ["PAGE_PATHS", "page_routes"]

_FOLDER: Final = Path(__file__).parents[1] / "static"
_FILES: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/app.css": ("app.css", "text/css; charset=utf-8"),
}
PAGE_PATHS: Final = tuple(_FILES)
"""The paths of the viewer; they have no data."""


class _File(NamedTuple):
    """A file, as it is and compressed."""

    plain: bytes
    compressed: bytes
    media_type: str
    tag: str


def page_routes() -> list[Route]:
    """Return a route for each file."""
    routes: list[Route] = []
    for path, (name, media_type) in _FILES.items():
        plain = (_FOLDER / name).read_bytes()
        tag = f'"{blake2b(plain, digest_size=12).hexdigest()}"'
        file = _File(plain, gzip.compress(plain, 9, mtime=0), media_type, tag)
        routes.append(Route(path, _endpoint(file), methods=["GET"]))
    return routes


def _endpoint(file: _File) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        headers = {"etag": file.tag, "vary": "accept-encoding"}
        if file.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(file.compressed, headers=headers, media_type=file.media_type)
        return Response(file.plain, headers=headers, media_type=file.media_type)

    return endpoint
