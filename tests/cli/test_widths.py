"""No line is wider than the terminal, and names stay long enough to tell them apart."""

from __future__ import annotations

import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.main import main
from otel_ext.terminal.text import cells
from tests.cli.written import exported
from tests.exporters.samples import end, start

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.record.model import Record

    Lines = Callable[[int, list[str]], list[str]]

EXAMPLES = Path(__file__).parents[2] / "examples" / "traces"
NAMES = ["agent", "library", "shop"]
COMMANDS = [
    ["tree", "--last", "0"],
    ["tree", "--last", "0", "--no-fold"],
    ["waterfall", "--last", "0"],
    ["critical-path", "--last", "0"],
    ["critical-path", "--last", "0", "--no-fold"],
    ["analyze", "--top", "0"],
    ["grep", "is:root or error"],
    ["diff"],
]
COLOR = re.compile(r"\x1b\[\d*m")
SECOND = 1_000_000_000


@pytest.fixture
def lines_of(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lines:
    """Return what a command prints on what looks like a terminal, without colors."""

    def call(columns: int, words: list[str]) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert main(words) == 0
        return COLOR.sub("", capsys.readouterr().out).splitlines()

    return call


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_examples_fit(words: list[str], name: str, columns: int, lines_of: Lines) -> None:
    """Each command with each of them."""
    path = str(EXAMPLES / f"{name}.jsonl")
    other = [str(EXAMPLES / "shop.jsonl")] * (words == ["diff"])
    lines = lines_of(columns, [*words, path, *other])
    assert max(map(cells, lines)) <= columns, [line for line in lines if cells(line) > columns]
    for heading, line in pairwise(lines):
        if columns >= 60 and "OPERATION" in heading:
            at = heading.index("OPERATION")
            assert len(line[at:]) >= 19 or "…" not in line[at:]


def long_ones() -> list[Record]:
    """Return a trace of spans with long durations, and one that is open."""
    names = ["checkout of an order of several things", "payment by a card that is slow"]
    spans = [
        end(names[number % 2], number, took=number * 31 * SECOND, parent_span_id=f"{1:016x}")
        for number in range(2, 40)
    ]
    return [start("nightly import of all that others have sent"), *spans]


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 100])
@pytest.mark.parametrize("words", COMMANDS[:-1], ids=" ".join)
def test_long_durations_fit(
    words: list[str], columns: int, lines_of: Lines, tmp_path: Path
) -> None:
    """Of minutes and hours."""
    lines = lines_of(columns, [*words, str(exported(tmp_path / "traces", *long_ones()))])
    assert max(map(cells, lines)) <= columns, [line for line in lines if cells(line) > columns]


def test_columns_that_matter_least_are_left_out(lines_of: Lines) -> None:
    """On 80 columns; on 200 there are all."""
    words = ["analyze", str(EXAMPLES / "shop.jsonl")]
    assert not any({"P99", "TOTAL"} & set(line.split()) for line in lines_of(80, words))
    assert any({"P99", "TOTAL"} <= set(line.split()) for line in lines_of(200, words))


def test_a_heading_keeps_its_duration(lines_of: Lines, tmp_path: Path) -> None:
    """The name is cut instead."""
    folder = exported(tmp_path / "traces", end("name " * 20))
    for columns in (40, 60, 80):
        head = lines_of(columns, ["critical-path", str(folder)])[0]
        assert head.endswith("… 12.3 ms")
        assert "name n" in head


def test_of_many_paths_the_longest_are_shown(lines_of: Lines, tmp_path: Path) -> None:
    """With the number of the others."""
    # Each starts after the end of its parent, which did not wait for it.
    tasks = [
        end(f"task {number}", number, took=number * SECOND, parent_span_id=f"{1:016x}")
        for number in range(2, 30)
    ]
    tasks = [
        one._replace(start_ns=one.start_ns + SECOND, time_ns=one.time_ns + SECOND) for one in tasks
    ]
    folder = str(exported(tmp_path / "traces", end("request"), *tasks))
    lines = lines_of(80, ["critical-path", folder])
    heads = [line for line in lines if line.startswith("trace ")]
    assert [head.split("  ")[-1].split(" ")[1] for head in heads[1:]] == [
        f"{number}" for number in range(21, 30)
    ]
    assert "request" in heads[0]
    assert lines[-1] == "… 19 shorter paths; --no-fold shows all"
    lines = lines_of(80, ["critical-path", "--no-fold", folder])
    assert sum(line.startswith("trace ") for line in lines) == 29
    assert "--no-fold" not in lines[-1]


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_axis_of_a_waterfall_ends_with_its_length(columns: int, lines_of: Lines) -> None:
    """However few ticks have room before it."""
    for name in NAMES:
        head, axis, *bars = lines_of(columns, ["waterfall", str(EXAMPLES / f"{name}.jsonl")])
        assert head.startswith("trace ")
        assert axis.split()[0] == "0"
        ends = [at for bar in bars for at, char in enumerate(bar) if char in "━─"]
        assert abs(len(axis) - 1 - max(ends)) <= 1


def test_attributes_of_which_none_fits_are_left_out(lines_of: Lines, tmp_path: Path) -> None:
    """Without a lone ellipsis in their place; of those that fit, it stays."""
    facts = {"order.identifier": "A-1042", "n": 1}
    folder = str(exported(tmp_path / "traces", end("a name of some length", attributes=facts)))
    found = lines_of(40, ["tree", folder])[1]
    assert found.rstrip().endswith("12.3 ms")
    assert not any(line.endswith(" …") for line in lines_of(40, ["tree", str(EXAMPLES)]))
    wider = [lines_of(columns, ["tree", folder])[1] for columns in range(60, 110)]
    assert any("order.identifier=A-1042 …" in line for line in wider)
