"""Routes that answer questions, and describe them."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import TYPE_CHECKING

import orjson
from starlette.routing import Route

from otel_ext.errors import StoreError
from otel_ext.server.api.openapi import openapi
from otel_ext.server.api.parameters import read_values
from otel_ext.server.api.routes import PREFIX, ROUTES
from otel_ext.server.http.json_answers import json_answer
from otel_ext.server.security.answers import RequestError
from otel_ext.server.unavailable import unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor

    from starlette.requests import Request
    from starlette.responses import Response

    from otel_ext.server.api.context import Context
    from otel_ext.server.api.parameters import Values
    from otel_ext.server.api.routes import Route as Question

__all__ = ["answering_routes", "given_in", "unreadable"]


def answering_routes(context: Context, executor: Executor) -> list[Route]:
    """Return a route for each question.

    Args:
        context: What answers are made of.
        executor: Runs the functions that answer.
    """
    routes = [
        Route(f"{PREFIX}{question.path}", _endpoint(question, context, executor), methods=["GET"])
        for question in ROUTES
    ]
    document = orjson.dumps(openapi(version("otel-ext")))

    async def describe(_: Request) -> Response:
        return json_answer(document)

    return [*routes, Route(f"{PREFIX}/openapi.json", describe, methods=["GET"])]


def given_in(request: Request) -> dict[str, str]:
    """Return the parameters in a request.

    Raises:
        RequestError: One is there twice.
    """
    items = request.query_params.multi_items()
    given = {**dict(items), **request.path_params}
    if len(given) < len(items) + len(request.path_params):
        raise RequestError(400, "A parameter is there twice", hint="Give each one once.")
    return given


def unreadable(error: StoreError) -> RequestError:
    """Return the error for a store that cannot be read now."""
    message = "The store cannot be read now"
    if error.is_temporary:
        return unavailable(message, error.hint)
    return unavailable(message, error.hint, retry_seconds=0)


def _endpoint(
    question: Question, context: Context, executor: Executor
) -> Callable[[Request], Awaitable[Response]]:
    def answer(values: Values) -> bytes:
        try:
            found = question.answer(context, values)
        except StoreError as error:
            raise unreadable(error) from error
        return found if isinstance(found, bytes) else orjson.dumps(found)

    async def endpoint(request: Request) -> Response:
        values = read_values(question.parameters, given_in(request))
        loop = asyncio.get_running_loop()
        content = await loop.run_in_executor(executor, answer, values)
        return json_answer(content)

    return endpoint
