"""`Context`: what answers are made of."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, NamedTuple

from otel_ext.server.security.answers import RequestError
from otel_ext.store.stored import StoredTraces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from otel_ext.analysis.traces.forest import Observed
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.server.api.running_now import RunningNow
    from otel_ext.store.protocol import Store

__all__ = ["About", "Context", "trees_of"]


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

    def services(self) -> Mapping[str, str]:
        """Return the service of each process that has one, by the process's id."""
        return self.traces().services

    @staticmethod
    def now_ns() -> int:
        """Return the time, nanoseconds since the epoch."""
        return time_ns()


def trees_of(traces: StoredTraces, trace_id: str) -> list[TraceTree]:
    """Return the trees of a trace.

    Raises:
        RequestError: There is no such trace.
    """
    trees = traces.trees_of(trace_id)
    if not trees:
        hint = "It may have been deleted with its day; copy the id from the list of traces."
        raise RequestError(404, "There is no such trace", hint=hint)
    return trees
