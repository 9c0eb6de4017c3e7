"""Programs with entities, which tests kill, and snapshots of what they have recorded."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from otel_ext.observe.snapshot import SnapshotReader
from tests.programs import python, started, wait_until, write_program

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator
    from pathlib import Path

    from otel_ext.observe.entities import ObservedEntity

HEAD: Final = """\
import os, signal, sys, threading, time
from opentelemetry.sdk.trace import TracerProvider
from otel_ext.exporters import JsonlExporter
from otel_ext.inflight.event_records import write_event
from otel_ext.inflight.origin import origin_here
from otel_ext.journal.settings import JournalSettings
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.record.entities import Entity

def register(name, kind="agent", **attributes):
    write_event(f"{kind}.registered", attributes, entity=Entity(kind, name), origin=origin_here())

def remove(name, kind="agent"):
    write_event(f"{kind}.unregistered", entity=Entity(kind, name, deleted=True))

def wait():
    provider.force_flush()
    open(sys.argv[1] + "/ready", "w").close()
    time.sleep(600)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

settings = JournalSettings(sys.argv[2], ring_size=1 << 20, segment_size=1 << 16)
provider = TracerProvider()
provider.add_span_processor(LifecycleSpanProcessor(JsonlExporter(sys.argv[1], settings=settings)))
tracer = provider.get_tracer("agents")
"""
"""The first lines of a program; its arguments are the folder of records and the durability."""

TWO_AGENTS: Final = """\
register("importer", role="import")
register("mailer")
with tracer.start_as_current_span("fetch"):
    wait()
"""
"""Two agents of one thread, which has an open span."""


@contextmanager
def running(
    tmp_path: Path, body: str = TWO_AGENTS, durability: str = "mapped", name: str = "agents.py"
) -> Generator[tuple[Path, subprocess.Popen[bytes]]]:
    """Run a program until it waits; yield the folder of its records, and its process."""
    program = write_program(tmp_path, HEAD + body, name)
    folder = tmp_path / "records"
    ready = folder / "ready"
    ready.unlink(missing_ok=True)
    with started(python(program, folder, durability), cwd=tmp_path) as process:
        wait_until(lambda: ready.exists() or process.poll() is not None, "the program begins")
        yield folder, process


def entities_in(folder: Path) -> dict[str, ObservedEntity]:
    """Return the entities of a new snapshot by their ids."""
    found = SnapshotReader([folder]).read().entities
    assert len({one.entity.id for one in found}) == len(found)
    return {one.entity.id: one for one in found}


def states_in(folder: Path) -> dict[str, str]:
    """Return the state of each entity by its id."""
    return {name: one.state for name, one in entities_in(folder).items()}
