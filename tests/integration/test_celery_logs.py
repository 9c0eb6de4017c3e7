"""A Celery worker whose tasks log: it replaces standard output and the root logger's handlers."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.programs import (
    SCRIPTS,
    environment,
    logs_in,
    python,
    started,
    succeed,
    wait_until,
    write_program,
)

if TYPE_CHECKING:
    from otel_ext.record.model import Record

APP = Path(__file__).parent / "app"
TASKS = """
import logging
import celery
import otel_ext
import structlog
from opentelemetry import trace

options = dict.fromkeys(("data_folder_in", "data_folder_out", "processed_folder"), "queue")
options["polling_interval"] = 0.05  # a second otherwise, before each task
app = celery.Celery("tasks", broker_transport_options=options)
app.conf.broker_transport = "whole_files:Transport"
otel_ext.configure(output="traces")
otel_ext.configure_structlog(stdlib=True)


@app.task
def add(number):
    with trace.get_tracer("tasks").start_as_current_span("add"):
        logging.getLogger("shop").warning("by logging %d", number)
        structlog.get_logger("shop").warning("by structlog %d" % number)
"""
EXPECTED = sorted(f"by {way} {number}" for way in ("logging", "structlog") for number in range(3))


def ours_in(folder: Path) -> list[Record]:
    """Return the logs of the tasks that the folder has so far."""
    return [one for one in logs_in(folder) if one.logger == "shop"]


@pytest.mark.timeout(120)
def test_tasks_that_log_succeed_and_their_logs_are_recorded(tmp_path: Path) -> None:
    """Logs of tasks, by structlog and by `logging`, are recorded once, with their span."""
    write_program(tmp_path, TASKS, "tasks.py")
    (tmp_path / "queue").mkdir()
    variables = {"OTEL_EXT_CONFIG": "/dev/null", "PYTHONPATH": f"{APP}:{tmp_path}"}
    send = "import tasks\nfor number in range(4): tasks.add.delay(number)\n"
    succeed(python("-c", send), tmp_path, **variables)
    worker = [str(SCRIPTS / "celery"), "-A", "tasks", "worker", "--concurrency", "1"]
    # They wait for other workers.
    worker += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    env = environment(**variables, C_FORCE_ROOT="1")
    with started(worker, cwd=tmp_path, env=env) as process:
        wait_until(lambda: len(ours_in(tmp_path / "traces")) >= len(EXPECTED) + 2, "all logs", 60)
        # Celery itself would take five seconds to end in order.
        os.killpg(process.pid, signal.SIGKILL)
    logs = logs_in(tmp_path / "traces")
    # A log of these tasks that came twice would be before the logs of the last task.
    ours = [one for one in ours_in(tmp_path / "traces") if not one.name.endswith("3")]
    assert sorted(one.name for one in ours) == EXPECTED
    assert all(one.span_id for one in ours)
    # Lines that structlog prints go through Celery's redirection, and are not logged again.
    assert not [one for one in logs if one.logger == "celery.redirected"]
    output = (tmp_path / "output.txt").read_text()
    assert "raised unexpected" not in output
    assert output.count("by structlog 1") == output.count("by logging 1") == 1
