"""Groups traces by the variant of a feature flag in which they ran, to compare them.

The variant is in span events `feature_flag.evaluation`, by OpenTelemetry's semantic
conventions, whichever library records them. Of a span that is open only its updates have events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.analysis.comparison import compare
from otel_ext.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from otel_ext.analysis.comparison import Comparison
    from otel_ext.analysis.traces.span import Span
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record

__all__ = ["EVALUATION_TEXT", "Variants", "compare_variants", "group_by_variant"]

EVALUATION_TEXT: Final = b"feature_flag.key"
"""What the line of each record with an evaluation contains."""

_EVENTS: Final = ("feature_flag.evaluation", "feature_flag")
_KEY: Final = "feature_flag.key"
# The newer name first; the value stands for a missing variant.
_RESULTS: Final = (
    "feature_flag.result.variant",
    "feature_flag.variant",
    "feature_flag.result.value",
)


class Variants(NamedTuple):
    """Traces by the variant of one flag.

    Attributes:
        flag: The flag.
        traces: The traces that ran in each variant, by its name.
        mixed: Those that ran in several.
        without: Those in which the flag was not evaluated, as far as is recorded.
    """

    flag: str
    traces: Mapping[str, Sequence[TraceTree]]
    mixed: Sequence[TraceTree] = ()
    without: Sequence[TraceTree] = ()

    def pair(self, before: str = "", after: str = "") -> tuple[str, str]:
        """Return the names of two variants: those given, or the only two, `off` first.

        Raises:
            ConfigError: No two are given, and there are not just two.

        >>> Variants("search", {"on": (), "off": ()}).pair()
        ('off', 'on')
        """
        if before and after:
            return before, after
        names = sorted(self.traces, key=lambda name: (name in {"on", "true"}, name))
        if len(names) == 2 and not before and not after:  # noqa: PLR2004 - a pair
            return names[0], names[1]
        found = f"traces in the variants {', '.join(names)}" if names else "no traces with it"
        hint = "Name two variants" if names else "Record its evaluations on spans"
        raise ConfigError(f"of the flag {self.flag!r} there are {found}", hint=hint)


def group_by_variant(
    trees: Iterable[TraceTree],
    read: Callable[[Iterable[Span]], Mapping[SpanKey, Record]],
    flag: str,
) -> Variants:
    """Return traces by the variant of a flag in which they ran.

    Args:
        trees: The traces.
        read: Returns the records of some spans; those without evaluations may be missing.
        flag: The name of the flag.

    >>> from otel_ext.analysis.traces.span import Span
    >>> from otel_ext.analysis.traces.tree import make_tree
    >>> tree = make_tree([Span("t", "a", "", "job", "ended", 0, 100, 100)])
    >>> len(group_by_variant([tree], lambda spans: {}, "search").without)
    1
    """
    traces: dict[str, list[TraceTree]] = {}
    mixed: list[TraceTree] = []
    without: list[TraceTree] = []
    # Processes that use the same ids for different spans are read one after the other.
    by_process: dict[str, list[TraceTree]] = {}
    for tree in trees:
        by_process.setdefault(tree.process, []).append(tree)
    for some in by_process.values():
        records = read(span for tree in some for span in tree.spans)
        for tree in some:
            names = set(_variants_in(tree, records, flag))
            if len(names) == 1:
                traces.setdefault(names.pop(), []).append(tree)
            else:
                (mixed if names else without).append(tree)
    return Variants(flag, traces, mixed, without)


def compare_variants(
    variants: Variants,
    before: str = "",
    after: str = "",
    services: Mapping[str, str] | None = None,
    *,
    tolerance: float = 0.05,
) -> Comparison:
    """Return what is different in the traces of one variant from those of another.

    Args:
        variants: The traces by variant.
        before: The variant to compare with; by default the other one, or `off`.
        after: The variant to compare; by default `on`.
        services: As for `compare`.
        tolerance: As for `compare`.

    Raises:
        ConfigError: No two variants are given, and there are not just two.

    >>> compare_variants(Variants("search", {"on": (), "off": ()})).traces_before
    0
    """
    first, second = variants.pair(before, after)
    sides = variants.traces.get(first, ()), variants.traces.get(second, ())
    return compare(*sides, services, tolerance=tolerance)


def _variants_in(tree: TraceTree, records: Mapping[SpanKey, Record], flag: str) -> Iterator[str]:
    """Yield the variant of each evaluation of a flag in a trace."""
    for span in tree.spans:
        record = records.get(span.key)
        for event in () if record is None else record.events:
            if event.name in _EVENTS and event.attributes.get(_KEY) == flag:
                results = (event.attributes.get(name) for name in _RESULTS)
                yield next((_text(one) for one in results if one is not None), "(unknown)")


def _text(result: object) -> str:
    return str(result).lower() if isinstance(result, bool) else str(result)
