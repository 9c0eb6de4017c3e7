"""Makes folders as a killed process leaves them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NamedTuple

from tests.journal.builders import program

if TYPE_CHECKING:
    from pathlib import Path

# argv: folder, durability, how many spans stay open, path inside the folder ('' for itself)
DIES = """
    import os, signal, sys
    from pathlib import Path
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from otel_ext.exporters.jsonl import JsonlExporter
    from otel_ext.journal.settings import JournalSettings
    from otel_ext.processors.lifecycle import LifecycleSpanProcessor
    from otel_ext.runtime.process.incarnation import current
    folder, mode, count, name = sys.argv[1:5]
    path = Path(folder, name) if name else Path(folder)
    settings = JournalSettings(durability=mode, recover_on_start=False)
    exporter = JsonlExporter(path, settings=settings)
    provider = TracerProvider(resource=Resource({"service.name": "doomed"}), shutdown_on_exit=False)
    provider.add_span_processor(LifecycleSpanProcessor(exporter))
    tracer = provider.get_tracer("the scope", "1.0")
    for number in range(10):
        tracer.start_span(f"done {number}").end()
    if mode != "mapped":
        assert exporter.force_flush(5_000)
    with tracer.start_as_current_span("outer", attributes={"who": "outer"}):
        kept = [tracer.start_span(f"open {n}", attributes={"n": n}) for n in range(int(count))]
        if mode != "mapped":
            assert exporter.force_flush(5_000)
        print(current().id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


class Dead(NamedTuple):
    """A process that was killed."""

    id: str
    pid: int

    @property
    def named(self) -> tuple[int, int]:
        """Its pid and start time, the key of its outcome."""
        return self.pid, int(self.id.split("-")[2])


def die(folder: Path, mode: str = "mapped", count: int = 3, name: str = "") -> Dead:
    """Run a program that leaves `count` + 1 spans open in `folder` and is killed."""
    command = program(DIES, folder, mode, str(count), name)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        out, _ = process.communicate(timeout=50)
        assert process.returncode == -9, process.returncode
        return Dead(out.strip(), process.pid)
