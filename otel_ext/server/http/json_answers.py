"""Answers in JSON."""

from __future__ import annotations

from typing import Final

import orjson
from starlette.responses import Response

__all__ = ["JSON", "json_answer"]

JSON: Final = "application/json"
"""The media type."""


def json_answer(document: object, status: int = 200) -> Response:
    """Return a response.

    Args:
        document: What it says; bytes are JSON already.
        status: The HTTP status.
    """
    content = document if isinstance(document, bytes) else orjson.dumps(document)
    return Response(content, status_code=status, media_type=JSON)
