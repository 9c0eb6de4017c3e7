"""The cost of a sent span, compared with the stock exporter in the same run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.figures import report_figures
from tests.programs import environment, execute, python

if TYPE_CHECKING:
    from tests.otlp.sink import Collector, Sink

PROGRAM = Path(__file__).parent / "programs" / "cpu_per_span.py"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_span_costs_hardly_more_than_with_the_stock_exporter(
    peers: tuple[Collector, Sink], tmp_path: Path
) -> None:
    """The CPU time of a sent span is close to that of the stock processor and exporter.

    On an idle machine it must be 1.10 times that at most. The pipeline of `configure`
    also redacts each span and writes it to a file.
    """
    collector, _ = peers
    done = execute(
        python(PROGRAM, "9", "1500"),
        cwd=tmp_path,
        env=environment(**collector.settings("http/protobuf")),
        timeout=100,
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    report_figures(
        "CPU time of a span that is sent",
        stock_us=found["stock"],
        ours=found["ratio"],
        configured=found["configured_ratio"],
    )
    assert found["finals"] >= 10 * 1_500
    assert found["ratio"] < 1.3, found
    assert found["configured_ratio"] < 3, found
