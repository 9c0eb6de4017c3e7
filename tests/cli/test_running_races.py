"""`ps` and `top` beside a program at work: what they show is true of the moment they looked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from otel_ext.cli.running import Collector
from otel_ext.journal.folder import read_folder, read_incarnations
from tests.cli.interleaved import Interleaved

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEEDS: Final = int(os.environ.get("SEEDS", "12"))


def shown_by_collector(collector: Collector) -> set[int]:
    """Return the numbers of the spans that `ps` and `top` show."""
    return {int(span.record.span_id, 16) for span in collector.collect().spans}


def shown_by_folder(folder: Path) -> set[int]:
    """Return the numbers of the spans that the careful reader calls running."""
    return {
        int(span.start.span_id, 16)
        for state in read_folder(folder).incarnations
        for span in state.running
    }


def shown_by_recovery(folder: Path) -> set[int]:
    """Return the numbers of the spans that recovery would end."""
    readers, _ = read_incarnations(folder, every_segment=True)
    return {int(span.start.span_id, 16) for one in readers.values() for span in one.running()}


@pytest.mark.parametrize("reader", ["top", "ps", "read_folder", "recover"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_look_is_true(
    tmp_path: Path, seed: int, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No span is shown whose end was stored before the look; none that is open is missed."""
    run = Interleaved(tmp_path, seed, monkeypatch)
    collector = Collector([tmp_path])
    looks: dict[str, Callable[[], set[int]]] = {
        "top": lambda: shown_by_collector(collector),
        "ps": lambda: shown_by_collector(Collector([tmp_path])),
        "read_folder": lambda: shown_by_folder(tmp_path),
        "recover": lambda: shown_by_recovery(tmp_path),
    }
    faults: list[str] = []

    def look() -> None:
        at = run.moment
        shown = looks[reader]()
        over = {number for number, moment in run.ended.items() if moment <= at}
        open_then = {number for number, moment in run.started.items() if moment <= at}
        faults.extend(f"{number} had ended" for number in shown & over)
        faults.extend(f"{number} is missed" for number in open_then - set(run.ending) - shown)

    run.run(look)
    assert not faults
