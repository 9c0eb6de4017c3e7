"""Tests that a later run of the benchmarks is compared with an earlier one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks.compare import compare, main, read_results
from benchmarks.figures import Figure
from benchmarks.published import Published, read_published, write_published
from benchmarks.result import SHORT_RUN, Result, Table, to_json

if TYPE_CHECKING:
    from pathlib import Path

HERE = {"processor": "a processor", "memory": "8 GiB"}
RATIO = ("span_cost", "cpu over Batch + null")
AMOUNT = ("hot_path", "the table, µs")
COUNTED = ("instructions", "4 attributes: ours: caller, instructions")
FAILING = ("instructions", "with an exception: ours: caller, instructions")


def _run(at: tuple[str, str], figure: Figure, **machine: str) -> Published:
    return Published({**HERE, **machine}, {at: figure})


def _verdict(at: tuple[str, str], before: Figure, now: Figure, **machine: str) -> str:
    (change,) = compare(_run(at, before), _run(at, now, **machine))
    return change.verdict


def _steady(value: float) -> Figure:
    return Figure(value, value, value, 9)


def _write_results(folder: Path, *results: Result) -> Path:
    folder.mkdir()
    for result in results:
        (folder / f"{result.name}.json").write_text(json.dumps(to_json(result)), "utf-8")
    (folder / "machine.json").write_text(json.dumps(HERE), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("at", "before", "now", "verdict"),
    [
        (RATIO, _steady(1.0), _steady(1.3), "worse"),
        (RATIO, _steady(1.3), _steady(1.0), "better"),
        (RATIO, _steady(1.0), _steady(1.09), "same"),
        # The middle halves overlap.
        (RATIO, Figure(1.0, 0.8, 1.25, 9), Figure(1.3, 1.2, 1.4, 9), "same"),
        # What is counted hardly varies.
        (COUNTED, _steady(2.0), _steady(2.19), "worse"),
        (COUNTED, _steady(2.0), _steady(2.15), "same"),
        (FAILING, _steady(2.0), _steady(2.19), "same"),
        # One value each has no spread.
        (RATIO, Figure(1.0, 1.0, 1.0, 1), Figure(1.2, 1.2, 1.2, 1), "same"),
        (RATIO, Figure(1.0, 1.0, 1.0, 1), Figure(1.3, 1.3, 1.3, 1), "worse"),
        # Percent of nearly nothing are points.
        (("application", "requests lost, %"), _steady(0.1), _steady(0.9), "same"),
        (("application", "requests lost, %"), _steady(0.1), _steady(1.9), "worse"),
        # What was less than nothing, by chance, may become more.
        (RATIO, _steady(-0.10), _steady(-0.05), "worse"),
        (RATIO, _steady(0.0), _steady(0.0), "same"),
    ],
)
def test_a_figure_is_judged_by_spread_and_share(
    at: tuple[str, str], before: Figure, now: Figure, verdict: str
) -> None:
    """A figure is worse if both its spread and its share are exceeded."""
    assert _verdict(at, before, now) == verdict


def test_amounts_of_other_machines_are_not_judged() -> None:
    """Microseconds say nothing on another processor; ratios do."""
    assert _verdict(AMOUNT, _steady(1.0), _steady(2.0)) == "worse"
    assert _verdict(AMOUNT, _steady(1.0), _steady(2.0), processor="another") == "other machine"
    for ratio in (RATIO, COUNTED, ("spans_apart", "1 ms apart: ours: CPU, over Batch + null")):
        assert _verdict(ratio, _steady(1.0), _steady(2.0), processor="another") == "worse"
    for amount in ("ms for 1,000 spans", "configure(), ms beyond", "memory, MiB"):
        at = ("measure", amount)
        assert _verdict(at, _steady(1.0), _steady(2.0), processor="another") == "other machine"


def test_published_figures_are_read_back(tmp_path: Path) -> None:
    """The file has all figures and the machine, and a line for each figure; no tables."""
    result = Result("span_cost", "S", "about", {'a "key", µs': Figure(1.2345678, 1, 2, 3)})
    result.tables.append(Table("a table", [], []))
    other = Result("store", "S", "about", {"x": Figure(1, 1, 1, 1), "y": Figure(2, 2, 2, 1)})
    empty = Result("logs", "L", "about")
    path = write_published([result, empty, other], HERE.items(), tmp_path)
    text = path.read_text("utf-8")
    assert read_published(text) == Published(
        HERE,
        {
            ("span_cost", 'a "key", µs'): Figure(1.23457, 1, 2, 3),
            ("store", "x"): Figure(1, 1, 1, 1),
            ("store", "y"): Figure(2, 2, 2, 1),
        },
    )
    assert "a table" not in text
    assert text.count("[") == 3
    assert read_published(write_published([], [], tmp_path).read_text("utf-8")).figures == {}


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"measures": {}}', '{"machine": {}, "measures": {"a": [1]}}']
)
def test_something_else_is_refused(text: str) -> None:
    """A file that is not one of figures is an error."""
    with pytest.raises(ValueError, match="not the figures of a run"):
        read_published(text)


def test_a_worse_figure_fails_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints what is worse and exits with 1; with 0 if nothing is."""
    now = Result("span_cost", "S", "about", {"cpu": _steady(1.5), "other": _steady(1.0)})
    before = Result("span_cost", "S", "about", {"cpu": _steady(1.0), "gone": _steady(1.0)})
    results = _write_results(tmp_path / "now", now)
    earlier = write_published([before], HERE.items(), tmp_path)
    assert main(["--results", str(results), "--against", str(earlier)]) == 1
    printed = capsys.readouterr().out
    assert "worse  span_cost  cpu" in printed
    assert "+50.0 %" in printed
    assert "not measured now: 1" in printed

    earlier = write_published([now], HERE.items(), tmp_path)
    assert main(["--results", str(results), "--against", str(earlier)]) == 0
    assert capsys.readouterr().out == "2 same\n"


@pytest.mark.parametrize("notes", [[], [SHORT_RUN]])
def test_without_figures_there_is_nothing_to_compare(
    notes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No results, those of a short run, or no earlier file: exits with 2 and the way out."""
    figures = {"cpu": _steady(1.0)} if notes else {}
    folder = _write_results(tmp_path / "now", Result("m", "M", "about", figures, notes=notes))
    with pytest.raises(ValueError, match="run `make bench`"):
        read_results(folder)
    assert main(["--results", str(folder)]) == 2
    assert capsys.readouterr().err.startswith("nothing to compare: ")


def test_an_earlier_file_that_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message has the path of the file, or of what is damaged."""
    figures = {"cpu": _steady(1.0)}
    folder = _write_results(tmp_path / "now", Result("m", "M", "about", figures))
    missing = str(tmp_path / "missing.json")
    assert main(["--results", str(folder), "--against", missing]) == 2
    assert missing in capsys.readouterr().err
    other = write_published([Result("x", "X", "a", figures)], [], tmp_path)
    assert main(["--results", str(folder), "--against", str(other)]) == 2
    assert "no figure in common" in capsys.readouterr().err
    (folder / "m.json").write_text("{}", "utf-8")
    assert main(["--results", str(folder), "--against", str(other)]) == 2
    assert "m.json" in capsys.readouterr().err
