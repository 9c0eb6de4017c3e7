"""`Question`: one call of a tool, and how spans are written in every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.mcp.arguments import Values
    from otel_ext.mcp.sources.source import Source, Trace
    from otel_ext.mcp.texts import Texts

__all__ = ["Question"]


class Question(NamedTuple):
    """One call of a tool.

    Attributes:
        source: Where traces are from.
        texts: Makes recorded texts safe.
        values: The arguments of the call.
    """

    source: Source
    texts: Texts
    values: Values

    def safe(self, text: str) -> str:
        """Return a recorded text as it may be in an answer."""
        return self.texts.safe(text)

    def trace(self) -> Trace:
        """Return the trace that the argument `trace_id` names, and what `search` finds in it."""
        return self.source.trace(self.values.text("trace_id"), self.values.text("search"))

    def note_on_trees(self, trace: Trace, tree: TraceTree) -> str:
        """Return which of several processes a tree is of; empty if there is one tree."""
        if len(trace.trees) == 1:
            return ""
        label = self.safe(trace.labels.get(tree.process) or tree.process)
        return f"only of process {label}: other processes use the same trace id"
