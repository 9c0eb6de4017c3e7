"""Registers the agents of a program, each gone with the thread or process that owns it.

Run: python examples/agents.py
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

import subprocess
import sys
import threading
from time import sleep

import otel_ext
from otel_ext import with_span
from otel_ext.services import AgentRegistry, NotRegisteredError

agents = AgentRegistry()
PROGRAM = [sys.executable, "-c", "import time; time.sleep(60)"]


def work(leave: threading.Event) -> None:
    """Work as an agent, which `otel-ext ps` and other processes see with its current span."""
    agents.register("importer", role="import", queue="orders")
    with with_span("import orders"):
        leave.wait()


def wait_for(count: int) -> None:
    """Wait until so many agents are left."""
    while len(agents) != count:
        sleep(0.01)


def main() -> None:
    """Register agents with owners of several kinds, and let the owners end."""
    otel_ext.configure()
    leave = threading.Event()
    thread = threading.Thread(target=work, args=(leave,), name="importer-thread")
    thread.start()
    wait_for(1)
    child = subprocess.Popen(PROGRAM)  # noqa: S603 - a program of its own
    agents.register("watcher", owner=child, role="watch")
    for agent in agents.list():
        print(agent.id, dict(agent.metadata), agent.owner.split()[0])
    try:
        agents.get("importr")
    except NotRegisteredError as error:
        print(error)
    child.kill()
    wait_for(1)
    leave.set()
    thread.join()
    wait_for(0)
    child.wait()
    print("left:", agents.list())


if __name__ == "__main__":
    main()
