"""Asks the tools, by a real client that starts `otel-ext mcp`, or in this process."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import TextContent

from otel_ext.errors import OtelExtError
from otel_ext.mcp.sources.folder import FolderSource
from otel_ext.mcp.texts import Texts
from otel_ext.mcp.toolbox import ask
from tests.programs import OTEL_EXT, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from mcp_types import CallToolResult, Tool

__all__ = ["Agent", "Said", "asked", "recorded_lines", "spans_named", "talk"]


class Said(NamedTuple):
    """What a tool has said.

    Attributes:
        text: The text for a model.
        items: The items for programs.
        failed: Whether it is an error.
    """

    text: str
    items: list[dict[str, Any]]
    failed: bool


class Agent:
    """A client of the tools."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def tools(self) -> list[Tool]:
        """Return the tools that there are."""
        return (await self._client.list_tools()).tools

    async def ask(self, tool: str, /, **arguments: object) -> Said:
        """Call a tool; it must not fail."""
        said = await self.try_to_ask(tool, **arguments)
        assert not said.failed, said.text
        return said

    async def try_to_ask(self, tool: str, /, **arguments: object) -> Said:
        """Call a tool, which may fail."""
        return _said(await self._client.call_tool(tool, arguments))


def _said(result: CallToolResult) -> Said:
    (content,) = result.content
    assert isinstance(content, TextContent)
    document = cast("dict[str, Any]", result.structured_content or {})
    return Said(content.text, document.get("items", []), result.is_error)


def talk(
    words: list[str],
    cwd: Path,
    conversation: Callable[[Agent], Coroutine[None, None, None]],
    mode: str = "auto",
    **variables: str,
) -> None:
    """Start `otel-ext mcp` as an agent does, and hold a conversation with it.

    Args:
        words: The arguments of the command.
        cwd: Its working directory.
        conversation: Asks.
        mode: How they agree on a version of the protocol, as for `Client`.
        variables: Environment variables.
    """
    parameters = StdioServerParameters(
        command=OTEL_EXT, args=["mcp", *words], cwd=cwd, env=environment(**variables)
    )

    async def hold() -> Exception | None:
        with (cwd / "mcp-errors.txt").open("a", encoding="utf-8") as errors:
            async with Client(stdio_client(parameters, errlog=errors), mode=mode) as client:
                try:
                    await conversation(Agent(client))
                except Exception as error:  # noqa: BLE001 - the client would wrap it in groups
                    return error
        return None

    if (error := asyncio.run(hold())) is not None:
        raise error


def asked(folder: Path, tool: str, /, **arguments: object) -> Said:
    """Ask a tool about a folder in this process."""
    try:
        answer = ask(FolderSource(folder), Texts(), tool, arguments)
    except OtelExtError as error:
        return Said(str(error), [], failed=True)
    document = cast("dict[str, Any]", answer.structured or {})
    return Said(answer.text, document.get("items", []), failed=False)


def recorded_lines(text: str) -> list[str]:
    """Return the lines between the marks, of which each is there once."""
    assert text.count("\n<recorded>\n") == text.count("\n</recorded>") == 1, text
    return text.partition("\n<recorded>\n")[2].partition("\n</recorded>")[0].split("\n")


def spans_named(text: str, name: str) -> list[str]:
    """Return the ids of the spans with a name in a tree."""
    return re.findall(rf"[-*] {name} .*span=([0-9a-f]{{16}})", text)
