"""Spans of agents are recognised as the viewer recognises them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from otel_ext.store.agents import is_agent_attribute, is_agent_key

FILE = Path(__file__).parents[1] / "cases" / "agents" / "predicate.json"
CASES: list[dict[str, Any]] = json.loads(FILE.read_text("utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: json.dumps(case["attributes"]))
def test_the_shared_cases(case: dict[str, Any]) -> None:
    """The cases that the tests of the viewer read, too."""
    found = any(
        is_agent_key(key) and is_agent_attribute(key, value)
        for key, value in case["attributes"].items()
    )
    assert found == case["agent"]
