"""Celery tasks over a broker of files, so that no server is needed."""
# pyright: basic

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery  # type: ignore[import-untyped]
from opentelemetry import trace

FOLDER = Path(os.environ["JOBS_FOLDER"])
for part in ("queue", "control", "results"):
    (FOLDER / part).mkdir(parents=True, exist_ok=True)

tracer = trace.get_tracer("jobs")
app = Celery("jobs", backend=f"file://{FOLDER / 'results'}")
app.conf.broker_transport = "whole_files:Transport"
app.conf.broker_transport_options = {
    "data_folder_in": str(FOLDER / "queue"),
    "data_folder_out": str(FOLDER / "queue"),
    "control_folder": str(FOLDER / "control"),
    # Otherwise a task waits for up to a second.
    "polling_interval": 0.05,
}


@app.task(name="jobs.double")  # type: ignore[untyped-decorator]
def double(number: int) -> int:
    """Double a number, as a span."""
    with tracer.start_as_current_span("double", attributes={"number": number}):
        return number * 2
