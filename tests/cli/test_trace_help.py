"""The help of the commands that show traces."""

from __future__ import annotations

import re

import pytest

from otel_ext.search.parse import FIELDS, STATES
from otel_ext.terminal.text import cells
from tests.commands import call


def test_the_help_of_analyze_says_whose_paths_it_adds_up() -> None:
    """What no parent waits for has a path elsewhere."""
    text = " ".join(call("analyze", "--help").out.split())
    assert "Bottlenecks are of the paths of the roots: what no parent waits for has" in text


@pytest.mark.parametrize(
    ("command", "only"),
    [
        *((name, "only traces with a span") for name in ("analyze", "critical-path", "report")),
        ("export", "only traces with a span"),
        *((name, "only spans") for name in ("tree", "waterfall")),
    ],
)
def test_the_help_says_whether_traces_are_whole(command: str, only: str) -> None:
    """Of each option that selects spans."""
    text = " ".join(call(command, "--help", COLUMNS="80").out.split())
    for what in (" that this finds", " of this name", " that took", " that failed", " that run"):
        assert f"{only}{what}" in text
    assert f"{only} without an end because" in text
    assert "errors." not in text, "an example would seem to write only what failed"


def test_the_help_of_grep_has_the_whole_grammar() -> None:
    """Each field, each state and each form, in lines that fit."""
    text = call("grep", "--help", COLUMNS="80").out
    assert max(map(cells, text.splitlines())) <= 80
    words = set(re.findall(r"[\w-]+", text.partition("examples:")[0]))
    assert words >= {*FIELDS, *STATES, "root", "leaf", "critical", "orphan", "logs"}
    assert words >= {"internal", "server", "client", "producer", "consumer", "not", "or"}
    for form in ("=a,b", ":a,b", "GET*", ":/", ":>5", "1..5", "has:", "under:(X)", "has-child:(X)"):
        assert form in text
    assert '"odd key":"a (b)"' in text
