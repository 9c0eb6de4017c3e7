"""What commands print with `--json` is as the schemas in the documentation say."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.commands import call

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
COMMANDS = {
    "tree": ["traces"],
    "waterfall": ["traces", "--last", "0"],
    "critical-path": ["traces", "--last", "0"],
    "analyze": ["traces"],
    "diff": ["traces", "traces"],
    "grep": ["pay or quick", "traces"],
}
# The same as for `tree`.
SHARED = {"waterfall": "tree"}
# Its types are incomplete.
JUDGE: Any = import_module("jsonschema").Draft202012Validator


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("shop", ["open_shop", "dead_shop"])
def test_the_output_follows_its_schema(
    command: str, shop: str, request: pytest.FixtureRequest
) -> None:
    """Of traces that run, and of one whose process was killed."""
    file = SCHEMAS / f"{SHARED.get(command, command)}.schema.json"
    schema = json.loads(file.read_text("utf-8"))
    JUDGE.check_schema(schema)
    done = call(command, *COMMANDS[command], "--json", cwd=request.getfixturevalue(shop).folder)
    assert done.documents
    for document in done.documents:
        JUDGE(schema).validate(document)


def test_each_schema_has_a_command() -> None:
    """And nothing else is in the folder."""
    names = {f"{name}.schema.json" for name in COMMANDS.keys() - SHARED}
    assert {path.name for path in SCHEMAS.iterdir()} == names
