"""A small platform of agents, to be watched from outside, killed, and started again.

Run: python examples/agent_platform.py; docs/how-to/an-agent-platform.md looks at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event
from time import sleep

import otel_ext
from otel_ext import with_span
from otel_ext.context import resume
from otel_ext.events import SampledEvents
from otel_ext.services import ChildContext, Settings, Supervisor, default_agents, default_services


@dataclass(frozen=True)
class Platform:
    """What an operator may change while the platform runs."""

    pause: float = 0.05


settings, calls = Settings(Platform(), name="platform"), SampledEvents(keys=["agent"])
finished = Event()


def import_catalogue(context: ChildContext) -> None:
    """Import 400 pages; after a crash, go on behind the last one that is done."""
    default_agents().register("importer", role="import")
    with resume("import catalogue") as work:
        for page in range(int(str(work.state or 0)), 400):
            with with_span("import page", page=page, life=context.life):
                calls.emit("model.called", {"tokens": 17}, {"agent": "importer"})
                sleep(settings.get().pause)
            work.checkpoint(page + 1)
    finished.set()


def answer_questions(context: ChildContext) -> None:
    """Answer questions until the platform stops."""
    default_agents().register("answerer", role="answer")
    model = default_services().wait_for("model", timeout=10)
    while not context.stopping.wait(settings.get().pause):
        with with_span("answer", model=str(model)):
            calls.emit("model.called", {"tokens": 250}, {"agent": "answerer"})
            sleep(0.5)


def main() -> None:
    """Run both agents under a supervisor, until the import is done."""
    otel_ext.configure(output="traces")
    default_services().register("model", "small-1", ready=False)
    with Supervisor("platform", max_restarts=5, within=60) as supervisor:
        supervisor.add("answerer", answer_questions)
        supervisor.add("importer", import_catalogue, restart="transient")
        settings.update(pause=0.1)
        default_services().mark_ready("model")
        finished.wait()


if __name__ == "__main__":
    main()
