"""`otel-ext run --view`: the viewer beside a program."""

from __future__ import annotations

import re
import socket
import urllib.request
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.runner import viewer as module
from tests.programs import OTEL_EXT, environment, execute, is_listening, python, started, wait_until

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

WAITS = (
    "import os, time; from opentelemetry import trace\n"
    "with trace.get_tracer('a').start_as_current_span('job'):\n"
    "    while not os.path.exists('go'): time.sleep(0.05)\n"
    "raise SystemExit(7)\n"
)


def address_in(folder: Path) -> str:
    """Return the address that the command has printed; empty before."""
    found = re.search(r"watch it at (http://127.0.0.1:\d+)", (folder / "output.txt").read_text())
    return "" if found is None else found[1]


def answer(address: str) -> str:
    """Return what runs now."""
    with urllib.request.urlopen(f"{address}/api/v1/running", timeout=10) as response:  # noqa: S310
        return str(response.read(), "utf-8")


def test_the_viewer_runs_as_long_as_the_program(tmp_path: Path) -> None:
    """The span is there while it runs; without a terminal the viewer ends with the program."""
    command = [OTEL_EXT, "run", "--view", "--", *python("-c", WAITS)]
    with started(command, cwd=tmp_path) as process:
        wait_until(lambda: address_in(tmp_path), "the address is printed")
        address = address_in(tmp_path)
        wait_until(lambda: '"name":"job"' in answer(address), "the span is shown")
        (tmp_path / "go").touch()
        assert process.wait(30) == 7
    assert not is_listening(int(address.rpartition(":")[2]))
    assert "records in 1 file" in (tmp_path / "output.txt").read_text()


def test_the_viewer_ends_when_the_command_is_killed(tmp_path: Path) -> None:
    """It is in a session of its own, so no signal reaches it; the program goes on."""
    command = [OTEL_EXT, "run", "--view", "--", *python("-c", WAITS)]
    with started(command, cwd=tmp_path) as process:
        try:
            wait_until(lambda: address_in(tmp_path), "the address is printed")
            port = int(address_in(tmp_path).rpartition(":")[2])
            process.kill()
            process.wait(30)
            wait_until(lambda: not is_listening(port), "the viewer has ended")
        finally:
            (tmp_path / "go").touch()


def test_an_interrupt_while_the_viewer_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends."""
    viewers: list[subprocess.Popen[bytes]] = []

    def interrupt(process: subprocess.Popen[bytes]) -> str:
        viewers.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_address", interrupt)
    with pytest.raises(KeyboardInterrupt), module.viewer_beside(tmp_path, stays=False):
        pass
    assert viewers[0].poll() is not None


def test_another_port_if_the_usual_one_is_taken(tmp_path: Path) -> None:
    """A second viewer gets a port of its own."""
    (tmp_path / "go").touch()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not is_listening(8318):
            other.bind(("127.0.0.1", 8318))
            other.listen()
        done = execute([OTEL_EXT, "run", "--view", "--", *python("-c", WAITS)], cwd=tmp_path)
    assert done.code == 7
    assert re.search(r"watch it at http://127\.0\.0\.1:(?!8318)\d+", done.err)


def test_a_viewer_that_cannot_start(tmp_path: Path) -> None:
    """The program runs without it, and a line says so."""
    (tmp_path / "go").touch()
    broken = tmp_path / "starlette.py"
    broken.write_text("raise RuntimeError('broken')\n")
    command = [OTEL_EXT, "run", "--view", "--", *python("-c", WAITS)]
    done = execute(command, cwd=tmp_path, env=environment(PYTHONPATH=str(tmp_path)))
    assert done.code == 7
    assert "the viewer has not started; the program runs without it" in done.err
