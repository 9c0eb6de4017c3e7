"""FastAPI, requests and sqlite3 with their stock instrumentations, unchanged, over real HTTP."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from tests.commands import call
from tests.distributions import install
from tests.programs import (
    EVERYTHING,
    INSTRUMENT,
    NOWHERE,
    SCRIPTS,
    free_port,
    ids,
    recorded,
    spans_in,
)
from tests.serving import serving

if TYPE_CHECKING:
    from otel_ext.record.model import Record

APP = Path(__file__).parent / "app"
ROUTES = {
    "otel-ext run": {},
    "otel-ext run, SDK by the environment": {**NOWHERE, "OTEL_TRACES_EXPORTER": "console"},
    "opentelemetry-instrument": {**NOWHERE, "OTEL_EXT_AUTO": "true"},
}


def serve_and_use(folder: Path, route: str) -> None:
    """Run the shop in the way `route`, use it over HTTP, and stop it.

    The stock in-memory exporter is installed as an instrumentation.
    """
    hook = "[opentelemetry_instrumentor]\nwitness = witness:WitnessInstrumentor\n"
    witness = (APP / "witness.py").read_text("utf-8")
    install(folder / "lib", "witness", witness, entry_points=hook)
    (folder / "witness").mkdir()
    port = free_port()
    variables = {
        **EVERYTHING,
        **ROUTES[route],
        "PYTHONPATH": os.pathsep.join([str(folder / "lib"), str(APP)]),
        "SHOP_DATABASE": str(folder / "shop.db"),
        "SHOP_URL": f"http://127.0.0.1:{port}",
        "WITNESS_FOLDER": str(folder / "witness"),
        "OTEL_EXT_OUTPUT": str(folder / "traces"),
    }
    server = [str(SCRIPTS / "uvicorn"), "shop:app", "--port", str(port)]
    if route == "opentelemetry-instrument":
        command = [INSTRUMENT, *server]
    else:
        command = recorded(folder / "traces", *server)
    # After SIGTERM uvicorn kills itself by that signal, and the witness, which
    # writes its file at exit, would not write it.
    ending = signal.SIGINT
    with serving(command, port, folder, variables, codes=[0], end_by=ending) as url:
        for item in range(10):
            answer = requests.get(f"{url}/order/{item}", timeout=30)
            assert answer.json() == {"item": item, "orders": item + 1}
        assert requests.get(f"{url}/order/13", timeout=30).status_code == 404
        assert requests.get(f"{url}/crash", timeout=30).status_code == 500


def lineage(records: list[Record], span: Record) -> list[str]:
    """Return the names of a span and its ancestors, up to the root."""
    starts = {record.key: record for record in records if record.phase == "start"}
    names = [span.name]
    while span.parent_span_id:
        span = starts[span.trace_id, span.parent_span_id]
        names.append(span.name)
    return names


@pytest.mark.timeout(120)
@pytest.mark.parametrize("route", ROUTES)
def test_every_span_has_one_start_and_one_end(tmp_path: Path, route: str) -> None:
    """Each span the stock exporter saw has exactly one start and one end record, all valid."""
    serve_and_use(tmp_path, route)
    spans = spans_in(tmp_path / "traces")
    witnessed = sorted(
        one
        for file in (tmp_path / "witness").glob("*.json")
        for one in json.loads(file.read_text())
    )
    assert len(witnessed) > 100
    assert ids(spans, "start") == witnessed
    assert ids(spans, "end") == witnessed

    checked = call("validate", tmp_path / "traces")
    assert checked.code == 0, checked.output

    # One order, through all three libraries, is one trace.
    insert = next(r for r in spans if r.name == "INSERT" and r.phase == "start")
    assert lineage(spans, insert) == ["INSERT", "GET /order/{item}"]
    asked = next(r for r in spans if r.name == "GET /price/{item}" and r.phase == "start")
    assert lineage(spans, asked) == ["GET /price/{item}", "GET", "GET /order/{item}"]
    crashed = next(r for r in spans if r.name == "GET /crash" and r.phase == "end")
    assert crashed.status is not None
    assert crashed.status.code == "error"
