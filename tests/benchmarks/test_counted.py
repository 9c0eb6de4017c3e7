"""Tests how instructions are counted, without valgrind, which takes a minute to start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import callgrind
from benchmarks.child import python
from benchmarks.counted import MARKS, WAYS, plan
from benchmarks.harness import Effort
from benchmarks.measures import instructions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TINY = Effort("tiny")
FULL = Effort("full")


def _write(folder: Path, name: str, total: int) -> None:
    head = "# callgrind format\nversion: 1\npart: 1\nthread: 1\n"
    body = f"events: Ir\nfn=(1) main\n0 {total}\n\ntotals: {total}\n"
    (folder / name).write_text(f"{head}{body}", "utf-8")


def test_parts_are_read_in_their_order(tmp_path: Path) -> None:
    """Parts are ordered by number, not by name; the end of the program is no part."""
    for part in (2, 10, 1):
        _write(tmp_path, f"counted.{part}", part * 100)
    (tmp_path / "counted").write_text("", "utf-8")
    assert callgrind.read_parts(tmp_path.iterdir()) == [100, 200, 1_000]


def test_other_threads_are_passed_over(tmp_path: Path) -> None:
    """Where threads are apart, the main one counts."""
    _write(tmp_path, "counted.1-01", 5)
    _write(tmp_path, "counted.1-02", 50)
    _write(tmp_path, "counted-02", 500)
    assert callgrind.read_parts(tmp_path.iterdir()) == [5]


def test_a_part_without_a_total_is_an_error(tmp_path: Path) -> None:
    """A file that was cut off, by a full disk, is not taken for zero."""
    (tmp_path / "counted.1").write_text("events: Ir\n", "utf-8")
    with pytest.raises(RuntimeError, match="no total"):
        callgrind.read_parts(tmp_path.iterdir())


@pytest.mark.slow
def test_all_records_of_what_is_counted_are_exported() -> None:
    """The counted program runs without valgrind too, and exports two records for each span."""
    spans = sum(stretch.spans for stretch in plan(TINY))
    way = "otel-ext: configure()"
    printed = python("-m", "benchmarks.counted", way, TINY.name, extra=WAYS[way].environ)
    assert int(printed) >= WAYS[way].records * spans


def _pretend(
    arguments: Sequence[str], _mark: str, *, only_caller: bool, extra: Mapping[str, str]
) -> callgrind.Counted:
    """Return what a run would: the work of a span costs what its way's place says."""
    way = arguments[2]
    assert extra == WAYS[way].environ
    place = list(WAYS).index(way) + 1
    parts: list[int] = []
    for stretch in plan(TINY):
        flush = 100 if only_caller else 100 + 10 * stretch.spans * place
        parts += [999_999, 1_000 * stretch.spans * place, flush]
    return callgrind.Counted("100000\n", parts)


def test_instructions_are_those_beyond_no_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The part before a stretch belongs to no way, and what no processor costs is subtracted."""
    monkeypatch.setattr(instructions, "is_installed", lambda: True)
    monkeypatch.setattr(instructions, "count_instructions", _pretend)
    result = instructions.measure(TINY)
    # The ways are second, fourth and so on: one, three and so on thousands beyond the first.
    assert result.figures["caller, over Batch + null"].value == 3
    assert result.figures["caller, over Batch + null, added by hand"].value == 5
    assert result.figures["all threads, over Batch + null"].value == pytest.approx(3)
    key = "4 attributes: otel-ext: configure(redact='off')"
    added = result.figures[f"{key}: caller, instructions"]
    others = result.figures[f"{key}: other threads, instructions"]
    assert (added.value, round(others.value)) == (3_000, 30)
    assert not any("Batch + null exporter:" in key for key in result.figures)
    assert len(result.tables) == len({stretch.shape for stretch in plan(TINY)})


def test_several_processes_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The median of the processes of a way counts, and a note says how far they differ."""
    runs = iter((0, 3_000, 1_000))

    def vary(
        arguments: Sequence[str], _mark: str, *, only_caller: bool, **_extra: object
    ) -> callgrind.Counted:
        more = next(runs) if only_caller and arguments[2] == "Batch + null exporter" else 0
        parts = [10_000, 0, 0] * len(plan(FULL))
        for at, stretch in enumerate(plan(FULL)):
            place = list(WAYS).index(arguments[2]) + 1
            parts[MARKS * at + 1] = (1_000 * place + more) * stretch.spans
        return callgrind.Counted("100000\n", parts)

    monkeypatch.setattr(instructions, "is_installed", lambda: True)
    monkeypatch.setattr(instructions, "count_instructions", vary)
    result = instructions.measure(FULL)
    # Beyond the 1,000 of no processor: 3,000 of ours, and 2,000 of Batch in its middle run.
    assert result.figures["caller, over Batch + null"].value == 1.5
    (note,) = (one for one in result.notes if one.startswith("Batch + null exporter:"))
    assert "of 3 processes" in note
    assert "3000 instructions, 150.00 %" in note


def test_marks_that_are_missing_leave_the_measure_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ended early has no figures, and a note for each instead."""

    def cut_off(*arguments: Sequence[str], **_options: object) -> callgrind.Counted:
        return callgrind.Counted("100000\n", [1] * (MARKS * len(plan(TINY)) - len(arguments)))

    monkeypatch.setattr(instructions, "is_installed", lambda: True)
    monkeypatch.setattr(instructions, "count_instructions", cut_off)
    result = instructions.measure(TINY)
    assert not result.figures
    assert "caller, over Batch + null: valgrind failed." in result.notes


def test_without_valgrind_the_measure_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing fails where valgrind is not installed."""
    monkeypatch.setenv("PATH", "")
    result = instructions.measure(TINY)
    assert not result.figures
    assert "caller, over Batch + null: valgrind is not installed." in result.notes
