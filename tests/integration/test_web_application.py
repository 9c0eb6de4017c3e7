"""FastAPI, requests and sqlite3 with their stock instrumentations, unchanged, over real HTTP."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from tests.programs import (
    EVERYTHING,
    OTEL_EXT,
    SCRIPTS,
    environment,
    execute,
    free_port,
    ids,
    is_listening,
    recorded,
    spans_in,
    started,
    wait_until,
    write_program,
)

if TYPE_CHECKING:
    from otel_ext.record.model import Record

APP = Path(__file__).parent / "app"
NOWHERE = {
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
}
ROUTES = {
    "otel-ext run": {},
    "otel-ext run, SDK by the environment": {**NOWHERE, "OTEL_TRACES_EXPORTER": "console"},
    "opentelemetry-instrument": {**NOWHERE, "OTEL_EXT_AUTO": "true"},
}


def install_witness(folder: Path) -> Path:
    """Install the stock in-memory exporter as an instrumentation; return its import path."""
    lib = folder / "lib"
    write_program(lib, (APP / "witness.py").read_text(), "witness.py")
    info = "witness-1.0.dist-info"
    write_program(lib, "Metadata-Version: 2.1\nName: witness\nVersion: 1.0\n", f"{info}/METADATA")
    hook = "[opentelemetry_instrumentor]\nwitness = witness:WitnessInstrumentor\n"
    write_program(lib, hook, f"{info}/entry_points.txt")
    return lib


def serve_and_use(folder: Path, route: str) -> None:
    """Run the shop in the way `route`, use it over HTTP, and stop it."""
    port = free_port()
    env = environment(
        **EVERYTHING,
        **ROUTES[route],
        PYTHONPATH=os.pathsep.join([str(install_witness(folder)), str(APP)]),
        SHOP_DATABASE=str(folder / "shop.db"),
        SHOP_URL=f"http://127.0.0.1:{port}",
        WITNESS_FOLDER=str(folder / "witness"),
        OTEL_EXT_OUTPUT=str(folder / "traces"),
    )
    (folder / "witness").mkdir()
    server = [str(SCRIPTS / "uvicorn"), "shop:app", "--port", str(port)]
    if route == "opentelemetry-instrument":
        command = [str(SCRIPTS / "opentelemetry-instrument"), *server]
    else:
        command = recorded(folder / "traces", *server)
    with started(command, cwd=folder, env=env) as process:
        wait_until(lambda: is_listening(port), "the shop opens")
        for item in range(10):
            answer = requests.get(f"http://127.0.0.1:{port}/order/{item}", timeout=30)
            assert answer.json() == {"item": item, "orders": item + 1}
        assert requests.get(f"http://127.0.0.1:{port}/order/13", timeout=30).status_code == 404
        assert requests.get(f"http://127.0.0.1:{port}/crash", timeout=30).status_code == 500
        # After SIGTERM uvicorn kills itself by that signal, and the witness, which
        # writes its file at exit, would not write it.
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, (folder / "output.txt").read_text()


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

    checked = execute([OTEL_EXT, "validate", str(tmp_path / "traces")], cwd=tmp_path)
    assert checked.code == 0, checked.out + checked.err

    # One order, through all three libraries, is one trace.
    insert = next(r for r in spans if r.name == "INSERT" and r.phase == "start")
    assert lineage(spans, insert) == ["INSERT", "GET /order/{item}"]
    asked = next(r for r in spans if r.name == "GET /price/{item}" and r.phase == "start")
    assert lineage(spans, asked) == ["GET /price/{item}", "GET", "GET /order/{item}"]
    crashed = next(r for r in spans if r.name == "GET /crash" and r.phase == "end")
    assert crashed.status is not None
    assert crashed.status.code == "error"
