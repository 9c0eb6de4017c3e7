"""docs/commands.md documents every command."""

from __future__ import annotations

import re

from otel_ext.cli.registry import COMMANDS
from tests.programs import ROOT


def test_every_command_has_its_section() -> None:
    """Each subcommand has a section, with an example that the test of the guide runs."""
    text = (ROOT / "docs" / "commands.md").read_text("utf-8")
    sections = dict(
        re.findall(r"^## `otel-ext (\S+)`.*\n(?s:(.*?))(?=^## |\Z)", text, re.MULTILINE)
    )
    names = {command.name for command in COMMANDS}
    assert not names - set(sections), "docs/commands.md lacks a section for these"
    assert not set(sections) - names, "docs/commands.md has a section without a command"
    for name, section in sections.items():
        assert f"otel-ext {name}" in section, name
        assert "```console" in section, name
