"""Serves the tools over the standard streams, by the SDK of the Model Context Protocol."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool, ToolAnnotations

from otel_ext.errors import OtelExtError
from otel_ext.mcp.texts import escaped
from otel_ext.mcp.toolbox import INSTRUCTIONS, TOOLS, ask
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp_types import CallToolRequestParams, PaginatedRequestParams

    from otel_ext.mcp.sources.source import Source
    from otel_ext.mcp.texts import Texts

__all__ = ["serve"]

_READ_ONLY: Final = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
_LONGEST: Final = 1_000


async def serve(source: Source, texts: Texts) -> None:
    """Answer one client until it closes the standard input.

    Args:
        source: Where traces are from.
        texts: Makes recorded texts safe.
    """
    # Sources are not made for several threads; a thread of their own leaves the loop free.
    lock = asyncio.Lock()

    async def list_tools(
        _context: ServerRequestContext[object], _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=tools())

    async def call_tool(
        _context: ServerRequestContext[object], params: CallToolRequestParams
    ) -> CallToolResult:
        async with lock:
            return await asyncio.to_thread(
                result_of, source, texts, params.name, params.arguments or {}
            )

    server = Server[object](
        "otel-ext",
        version=version("otel-ext"),
        title="Traces of running and finished programs",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def tools() -> list[Tool]:
    """Return the tools as a client gets them."""
    return [
        Tool(
            name=tool.name,
            title=tool.title,
            description=f"{tool.about} Reads only.",
            input_schema=tool.schema,
            annotations=_READ_ONLY,
        )
        for tool in TOOLS
    ]


def result_of(
    source: Source, texts: Texts, name: str, arguments: dict[str, object]
) -> CallToolResult:
    """Return the result of a call, which says what is wrong if it fails."""
    try:
        answer = ask(source, texts, name, arguments)
    except OtelExtError as error:
        return _failed(str(error))
    except Exception as error:  # noqa: BLE001 - the client needs an answer
        report_problem("otel-ext mcp", f"{name}: {type(error).__name__}: {error}")
        return _failed(f"otel-ext failed with {type(error).__name__}: its stderr says more")
    content = TextContent(type="text", text=answer.text)
    return CallToolResult(content=[content], structured_content=answer.structured)


def _failed(message: str) -> CallToolResult:
    text = TextContent(type="text", text=escaped(message, _LONGEST))
    return CallToolResult(content=[text], is_error=True)
