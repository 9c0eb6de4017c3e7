"""The configurations for agents on the page start what they are meant to start."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from otel_ext.mcp.toolbox import TOOLS
from tests.cli.written import DEAD, span, write
from tests.mcp.asking import talk
from tests.pages import texts_of
from tests.programs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.mcp.asking import Agent

PAGE = ROOT / "docs" / "how-to" / "let-an-agent-look.md"


@pytest.mark.parametrize("number", range(2))
def test_an_agent_that_reads_the_configuration_can_ask(number: int, tmp_path: Path) -> None:
    """The command and its arguments, started in a project's folder, answer about its records."""
    document = json.loads(texts_of(PAGE, "json")[number])
    (servers,) = document.values()
    server = servers["otel-ext"]
    assert server["command"] == "otel-ext"
    assert server["args"][0] == "mcp"
    assert server.get("type", "stdio") == "stdio"
    write(tmp_path / "traces", DEAD, span("pay", phase="end"))

    async def conversation(agent: Agent) -> None:
        assert (await agent.ask("find_traces")).items[0]["name"] == "pay"

    talk(server["args"][1:], tmp_path, conversation)


def test_the_page_lists_the_tools() -> None:
    """Each tool has a row, in the order in which an agent gets them."""
    text = PAGE.read_text("utf-8")
    rows = [f"| `{tool.name}` |" for tool in TOOLS]
    assert [line for line in rows if line in text] == rows
    assert sorted(rows, key=text.index) == rows
