"""Runs a web server as a program, and ends it in order."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import requests

from tests.programs import environment, is_listening, started, wait_until

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping, Sequence
    from pathlib import Path

__all__ = ["answers", "serving"]


@contextmanager
def serving(
    command: Sequence[str],
    port: int,
    cwd: Path,
    variables: Mapping[str, str],
    *,
    codes: Collection[int] = (0, -signal.SIGTERM),
    end_by: signal.Signals = signal.SIGTERM,
) -> Generator[str]:
    """Run a server that listens on `port`; yields its address. It has to end in order.

    Args:
        command: The command.
        port: A free port, which the command has in its arguments.
        cwd: The working directory.
        variables: Environment variables.
        codes: The exit codes that it may end with.
        end_by: The signal that ends it.
    """

    def printed() -> str:
        return (cwd / "output.txt").read_text("utf-8")

    with started(command, cwd=cwd, env=environment(**variables)) as process:
        wait_until(
            lambda: is_listening(port) or process.poll() is not None, f"{command} listens", 60
        )
        assert process.poll() is None, printed()
        yield f"http://127.0.0.1:{port}"
        process.send_signal(end_by)
        # Less than the 60 seconds after which servers kill workers that have not stopped.
        assert process.wait(40) in codes, printed()


def answers(url: str, times: int = 1) -> set[str]:
    """Make requests, each on a connection of its own, and return the different answers."""
    headers = {"Connection": "close"}
    replies = [requests.get(url, headers=headers, timeout=30) for _ in range(times)]
    assert {reply.status_code for reply in replies} == {200}, [reply.text for reply in replies]
    return {reply.text for reply in replies}
