"""`Context`: what answers are made of."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, NamedTuple

from otel_ext.store.stored import StoredTraces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from otel_ext.analysis.traces.forest import Observed
    from otel_ext.observe.process_names import ProcessName
    from otel_ext.server.api.running_now import RunningNow
    from otel_ext.store.protocol import Store

__all__ = ["About", "Context"]


class About(NamedTuple):
    """What a viewer has to know of the server.

    Attributes:
        folder: The folder of records.
        otlp_http: Where OTLP is taken over HTTP; None if it is not.
        otlp_grpc: Where OTLP is taken over gRPC; None if it is not.
        viewer: The address of the viewer.
        roots: Folders whose files may be opened in an editor.
        editor: The scheme of the editor's links, such as `vscode`.
    """

    folder: Path
    otlp_http: str | None = None
    otlp_grpc: str | None = None
    viewer: str | None = None
    roots: Sequence[Path] = ()
    editor: str = "vscode"


class Context:
    """What answers are made of; safe to use from several threads.

    Args:
        store: The store.
        running: Looks at the processes.
        about: What a viewer has to know of the server.
    """

    def __init__(self, store: Store, running: RunningNow, about: About) -> None:
        self.store = store
        self.running = running
        self.about = about

    def observed(self) -> Observed:
        """Return what is seen now of processes that may run."""
        return self.running.look().observed

    def traces(self) -> StoredTraces:
        """Return a reader of traces, open spans in the state in which they are now."""
        return StoredTraces(self.store, self.observed())

    def processes(self) -> Mapping[str, ProcessName]:
        """Return the name of each process, by its id; does not look at what runs now."""
        return StoredTraces(self.store).processes

    def services(self) -> Mapping[str, str]:
        """Return the service of each process that has one, by the process's id."""
        return StoredTraces(self.store).services

    @staticmethod
    def now_ns() -> int:
        """Return the time, nanoseconds since the epoch."""
        return time_ns()
