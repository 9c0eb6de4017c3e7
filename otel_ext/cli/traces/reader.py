"""`TraceReader`: reads traces and chooses among them by the options of a command."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.analysis.traces.load import Loader
from otel_ext.analysis.traces.observed import observed_of
from otel_ext.cli.inputs import no_records_message
from otel_ext.cli.traces.options import search_of
from otel_ext.journal.files import is_folder
from otel_ext.journal.names import list_segments
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.readable import count_of, local_time
from otel_ext.search.matches import matches_in
from otel_ext.terminal.progress import progress_bar
from otel_ext.terminal.text import printable, printable_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from otel_ext.analysis.traces.loaded import Loaded
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.observe.spans import ObservedSpan
    from otel_ext.record.merge import SpanKey

__all__ = ["Chosen", "ChosenTraces", "TraceReader", "files_in", "size_of_files", "why_nothing"]

# By how much the clocks of two machines with parts of one trace may differ.
_SLACK_NS: Final = 60_000_000_000


class Chosen(NamedTuple):
    """A trace to show.

    Attributes:
        tree: The trace.
        matches: The numbers of the selected spans; None if all are selected.
    """

    tree: TraceTree
    matches: Collection[int] | None

    @property
    def is_chosen(self) -> bool:
        """Whether a span is selected."""
        return self.matches is None or bool(self.matches)

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from all other traces: its id, and its process if several use that."""
        return self.tree.trace_id, self.tree.process


class ChosenTraces(NamedTuple):
    """The traces to show, and what was read.

    Attributes:
        traces: The newest ones, oldest first.
        earlier: How many earlier ones there are; None if they were not read.
        loaded: All that was read.
        running: The open spans, by key.
        nothing: Why there is none; empty if there is one.
    """

    traces: list[Chosen]
    earlier: int | None
    loaded: Loaded
    running: Mapping[SpanKey, ObservedSpan]
    nothing: str


class TraceReader:
    """Reads the traces that the options of a command choose, and later what was added.

    Args:
        args: The command's arguments.
        inputs: The files and folders.
        since_ns: Only traces that started then or later, nanoseconds since the epoch.
        with_logs: Whether the logs of traces are needed too.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        inputs: Sequence[Path],
        *,
        since_ns: int = 0,
        with_logs: bool = False,
    ) -> None:
        self._args = args
        self._inputs = list(inputs)
        self._search = search_of(args)
        self._since_ns = since_ns
        self._adjust_clocks = bool(getattr(args, "adjust_clocks", False))
        self._with_logs = with_logs or self._search is not None
        self._snapshots = SnapshotReader(inputs, other_hosts=True)
        self._running: Mapping[SpanKey, ObservedSpan] = {}
        self._loader = Loader(
            inputs,
            prefix=args.trace,
            since_ns=max(since_ns - _SLACK_NS, 0),
            with_logs=self._with_logs,
        )

    def read(self) -> ChosenTraces:
        """Return the newest traces as they are now."""
        self._load(with_progress=True)
        return self._newest(self._found())

    def read_all(self, *, is_first: bool = False) -> ChosenTraces:
        """Return all traces as they are now, also those in which the search finds nothing.

        Args:
            is_first: Whether a progress bar may show how much is read, and traces that may
                have begun earlier are read from their beginnings.
        """
        self._load(with_progress=is_first)
        found, whole = self._found(), set[str]()
        while is_first and self._since_ns and self._read_beginnings(found, whole):
            found = self._found()
        return self._newest(found)._replace(traces=found, earlier=0)

    def _load(self, *, with_progress: bool) -> None:
        # Running spans first: a span that ends in between is then read as ended.
        self._running = {one.record.key: one for one in self._snapshots.read().spans}
        with progress_bar(size_of_files(self._inputs) if with_progress else 0) as advance:
            self._loader.read(advance)

    def read_beginnings(self, found: ChosenTraces) -> ChosenTraces:
        """Return the traces again, those that may have begun earlier read from their beginnings."""
        whole: set[str] = set()
        while self._read_beginnings(found.traces, whole):
            found = self._newest(self._found())
        return found

    def _read_beginnings(self, traces: Iterable[Chosen], whole: set[str]) -> bool:
        """Read from their beginnings traces that may have begun earlier; return whether any has.

        A span whose parent was not read shows that the parent started before the time from
        which was read, or that it is in records that are elsewhere.

        Args:
            traces: The traces.
            whole: The ids of those that were read so already; gets further ones.
        """
        begun = {one.tree.trace_id for one in traces if one.tree.missing} - whole
        if not begun:
            return False
        whole |= begun
        loaded = self._loader.loaded
        damage = loaded.skipped
        loader = Loader(self._inputs, trace_ids=begun, with_logs=self._with_logs, into=loaded)
        with progress_bar(size_of_files(self._inputs)) as advance:
            loader.read(advance)
        loaded.skipped = damage  # of that it has counted a part twice
        return True

    def _found(self) -> list[Chosen]:
        """Return all traces of the time that was asked for, oldest first."""
        loaded, search = self._loader.loaded, self._search
        traces = [
            Chosen(tree, None if search is None else matches_in(tree, search, loaded))
            for found in loaded.forest.trees(observed_of(self._running.values()))
            if not self._since_ns or found.start_ns >= self._since_ns
            for tree in (found._replace(adjust_clocks=self._adjust_clocks),)
        ]
        traces.sort(key=lambda one: one.tree.start_ns)
        return traces

    def _newest(self, found: list[Chosen]) -> ChosenTraces:
        loaded = self._loader.loaded
        traces = [one for one in found if one.is_chosen]
        newest = traces[-self._args.last :]
        nothing = ""
        if not newest:
            args = self._args
            nothing = why_nothing(
                self._inputs, loaded, args, prefix=args.trace, since_ns=args.since
            )
        return ChosenTraces(newest, len(traces) - len(newest), loaded, self._running, nothing)

    def look_in(self, inputs: Iterable[Path]) -> None:
        """Read other inputs from now on; what was read of those before is kept."""
        self._inputs = self._snapshots.paths = self._loader.paths = list(inputs)

    def forget(self, kept: Collection[str]) -> None:
        """Forget the traces that have ended, except for some, so that memory stays bounded.

        Args:
            kept: The ids of those to keep.
        """
        loaded = self._loader.loaded
        loaded.forest.forget(kept, observed_of(self._running.values()))
        for gone in [one for one in loaded.logs if one not in loaded.forest]:
            del loaded.logs[gone]


def files_in(path: Path) -> list[Path]:
    """Return the files of records of an input."""
    return list_segments(path) if is_folder(path) else [path]


def size_of_files(inputs: Iterable[Path]) -> int:
    """Return how many bytes of records there are in some inputs."""
    total = 0
    for path in inputs:
        for file in files_in(path):
            with suppress(OSError):
                total += file.stat().st_size
    return total


def why_nothing(
    inputs: Sequence[Path],
    loaded: Loaded,
    args: argparse.Namespace,
    *,
    prefix: str = "",
    since_ns: int | None = None,
) -> str:
    """Return the message that there is no trace to show, and why.

    Args:
        inputs: The files and folders that were read.
        loaded: What was read of them.
        args: The command's arguments.
        prefix: With what the ids of traces had to begin.
        since_ns: When traces had to start, nanoseconds since the epoch; None or 0 at any time.
    """
    if message := no_records_message(inputs, args):
        return message
    names = ", ".join(printable_path(path.absolute()) for path in inputs)
    number = len(loaded.forest)
    if prefix and not number:
        return f"no trace matches; no id in {names} begins with {printable(prefix)}"
    if since_ns:  # what is older was not read, so it is not counted
        since = f"{local_time(since_ns, date=True)} (--since)"
        return f"no trace in {names} that {'matches and ' * bool(number)}started since {since}"
    if number:
        return f"no trace matches; {names} has {count_of(number, 'span')}"
    return f"no span in {names}"
