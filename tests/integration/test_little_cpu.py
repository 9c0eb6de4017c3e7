"""Servers with workers start where they get little processor time."""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from tests.programs import EVERYTHING, SCRIPTS, free_port, recorded, spans_in, wait_until
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Generator

APP = Path(__file__).parent / "app"
# Version 2 of control groups, and version 1: folder, file and text of half a processor.
GROUPS = (
    (Path("/sys/fs/cgroup"), "cpu.max", "50000 100000"),
    (Path("/sys/fs/cgroup/cpu"), "cpu.cfs_quota_us", "50000"),
)


@contextmanager
def half_a_processor(name: str) -> Generator[str, None, None]:
    """Yield a shell command that limits the processor time of the shell and its children.

    Uses a control group where this user can make one, else the lowest priority on one
    processor.
    """
    for root, file, text in GROUPS:
        group = root / name
        members = group / "cgroup.procs"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            # "r+" does not create the file, which only a control group has.
            with (group / file).open("r+") as limit:
                limit.write(text)
        except OSError:
            group.rmdir()
            continue
        try:
            yield f"echo $$ > {shlex.quote(str(members))}"
        finally:
            wait_until(lambda: not members.read_text(), "the group is empty")  # noqa: B023
            group.rmdir()
        return
    cpu = min(os.sched_getaffinity(0))
    yield f"taskset -pc {cpu} $$ > /dev/null; renice -n 19 -p $$ > /dev/null"


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_uvicorn_with_workers_and_half_a_processor(tmp_path: Path) -> None:
    """Workers pass uvicorn's health check, and requests are recorded."""
    port = free_port()
    server = [str(SCRIPTS / "uvicorn"), "--workers", "2", "--port", str(port), "shop:app"]
    command = shlex.join(recorded(tmp_path / "traces", *server))
    with half_a_processor(f"otel-ext-test-{os.getpid()}") as limit:
        shell = ["sh", "-c", f"{limit}; exec {command}"]
        variables = {**EVERYTHING, "PYTHONPATH": str(APP)}
        with serving(shell, port, tmp_path, variables) as url:
            assert requests.get(f"{url}/price/1", timeout=100).status_code == 200
    # uvicorn kills and restarts workers that answer too slowly, for ever if all do.
    assert spans_in(tmp_path / "traces", "GET /price/{item}")
