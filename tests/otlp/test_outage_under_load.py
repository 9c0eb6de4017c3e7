"""A collector killed under load, with queues of the default size: the short form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.chaos import collector_outage
from tests.figures import report_figures
from tests.programs import environment, execute, python

PROGRAM = Path(collector_outage.__file__)


@pytest.mark.storm
@pytest.mark.timeout(240)
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_nothing_is_missing_after_an_outage_under_load(tmp_path: Path, protocol: str) -> None:
    """Every final span and every start of a long one arrives; repeated ones are counted."""
    pytest.importorskip("rotel")
    words = python(PROGRAM, "12", "2000", protocol, "5.5")
    done = execute(words, cwd=tmp_path, env=environment(), timeout=200)
    assert done.out, done.err
    report = json.loads(done.out)
    report_figures(
        f"outage at {report['rate']} spans a second over {protocol}",
        made=report["made"],
        twice=report["twice"],
        persisted=report["counters"].get("remote.persisted", 0),
        grown_KiB=report["grown"] >> 10,
        p99_us=round(report["p99_us"]),
        calm_p99_us=round(report["calm_p99_us"]),
    )
    assert report["kills"]
    assert not report["problems"], report
    assert "remote.full_finals" not in report["counters"]
