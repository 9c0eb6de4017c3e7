"""The memory that open spans cost a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.durability.kit import command, printed_object
from tests.figures import report_figures

if TYPE_CHECKING:
    from pathlib import Path

MANY_OPEN = """
    import gc, json
    from pathlib import Path
    from opentelemetry.sdk.trace import TracerProvider
    COUNT = int(sys.argv[3])
    attributes = {"http.method": "GET", "http.route": "/orders", "id": 7, "n": 1}
    def memory():
        gc.collect()
        lines = Path("/proc/self/status").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024
    def start(tracer):
        before = memory()
        kept = [tracer.start_span("GET /orders", attributes=attributes) for _ in range(COUNT)]
        return kept, memory() - before
    if sys.argv[2] == "sdk":
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("plain")
    tracer.start_span("warm").end()
    spans, taken = start(tracer)
    watched = len(otel_ext.open_spans())
    from otel_ext.runtime.counters import COUNTERS
    print(json.dumps({
        "mb": taken / 1e6, "watched": watched, "dropped": sum(COUNTERS.dropped().values()),
    }))
    sys.stdout.flush()
    os._exit(0)
"""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.storm)])
def test_many_open_spans_take_little_memory(tmp_path: Path, count: int) -> None:
    """Beyond the SDK's own span objects, the processor takes less than 100 MB for 100,000."""
    sdk, both = (
        cast(
            "dict[str, float]",
            printed_object(command(MANY_OPEN, tmp_path / who, who, count), timeout=85),
        )
        for who in ("sdk", "ours")
    )
    report_figures(
        f"{count:,} open spans",
        sdk_alone=f"{sdk['mb']:.0f} MB",
        with_ours=f"{both['mb']:.0f} MB",
        ours=f"{both['mb'] - sdk['mb']:.0f} MB",
        dropped=both["dropped"],
    )
    assert both["watched"] == count
    # Some memory does not depend on their number.
    assert both["mb"] - sdk["mb"] < max(count * 0.001, 15)
