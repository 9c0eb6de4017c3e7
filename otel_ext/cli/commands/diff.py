"""`otel-ext diff`: compares the traces of two files, folders or variants of a flag by operation.

Exit code 0 if both have traces, 1 if not, 2 for wrong use or a wrong folder.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from otel_ext.analysis.analyzer import TraceAnalyzer
from otel_ext.analysis.json_forms import comparison_as_json
from otel_ext.analysis.traces.load import load
from otel_ext.analysis.traces.observed import observe
from otel_ext.analysis.variants import compare_variants
from otel_ext.cli.arguments import add_color
from otel_ext.cli.inputs import checked_inputs
from otel_ext.cli.traces.choice import warn_of_damage
from otel_ext.cli.traces.reader import size_of_files, why_nothing
from otel_ext.errors import UsageError
from otel_ext.readable import count_of
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.output import print_json, print_line, print_lines, warn
from otel_ext.terminal.progress import progress_bar
from otel_ext.terminal.text import printable, printable_path
from otel_ext.views.analysis_tables import comparison_lines, signed

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from otel_ext.analysis.comparison import Comparison
    from otel_ext.analysis.variants import Variants

__all__ = ["run", "set_up"]

_USAGE: Final = """\
%(prog)s [OPTIONS] BEFORE AFTER
       %(prog)s [OPTIONS] --flag NAME [A B] INPUT"""
_DESCRIPTION: Final = """\
Compare the traces of two runs by operation: what is slower, faster, new or
gone. Times are the self time for each trace, so that the differences add up
to that of the whole. With --flag, compare the traces of one run by the variant
of a feature flag, which its spans have as events feature_flag.evaluation.

examples:
  otel-ext diff before after
  otel-ext diff before.jsonl after.jsonl --json
  otel-ext diff --trace-before 4bf92f --trace-after 00f067 traces traces
  otel-ext diff --flag new-search traces
  otel-ext diff --flag new-search old new traces

exit code: 0 if both have traces, 1 if not, 2 for wrong use or a wrong folder
"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.usage = _USAGE
    parser.description = _DESCRIPTION
    parser.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="two files or folders of records; with --flag one, after two variants if it has"
        " more than two",
    )
    parser.add_argument(
        "--flag", default="", metavar="NAME", help="compare traces by the variant of this flag"
    )
    for name in ("before", "after"):
        parser.add_argument(
            f"--trace-{name}",
            default="",
            metavar="ID",
            help=f"of {name.upper()} only traces whose id begins with ID",
        )
    add_color(parser)
    parser.set_defaults(input_kind="paths", prog=parser.prog, all=True)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print what has changed, and return the exit code."""
    if args.flag:
        return _run_by_flag(args)
    if len(args.names) != 2:  # noqa: PLR2004 - two sides
        hint = f"Name two files or folders, or a flag: {args.prog} --flag NAME INPUT"
        raise UsageError(f"diff compares two sides, not {len(args.names)}", hint=hint)
    paths = checked_inputs(args.names, args)
    prefixes = args.trace_before, args.trace_after
    before, after = (
        _read(path, prefix, args) for path, prefix in zip(paths, prefixes, strict=True)
    )
    if before is None or after is None:
        return 1
    _print(after.compared_with(before), ("before", "after"), args)
    return 0


def _run_by_flag(args: argparse.Namespace) -> int:
    """Compare the traces of one input by the variant of a flag."""
    *pair, name = args.names
    if len(pair) not in {0, 2} or args.trace_before or args.trace_after:
        hint = f"Use {args.prog} --flag NAME [A B] INPUT"
        raise UsageError("with --flag, diff compares two variants of one input", hint=hint)
    [path] = checked_inputs([name], args)
    analyzer = _read(path, "", args)
    if analyzer is None:
        return 1
    variants = analyzer.by_variant(args.flag)
    if not variants.traces:
        flag = printable(args.flag)
        warn(f"no trace in {printable_path(path)} has run in one variant of the flag {flag!r}")
        return 1
    first, second = variants.pair(*pair)
    if absent := [one for one in (first, second) if one not in variants.traces]:
        known = ", ".join(sorted(variants.traces))
        warn(f"no trace has run in the variant {absent[0]!r}; the variants are {known}")
        return 1
    found = compare_variants(variants, first, second, analyzer.services)
    _print(found, (first, second), args, variants)
    return 0


def _print(
    found: Comparison,
    sides: tuple[str, str],
    args: argparse.Namespace,
    variants: Variants | None = None,
) -> None:
    if args.json:
        facts: dict[str, object] = {}
        if variants is not None:
            facts = {
                "flag": variants.flag,
                "variants": {name: len(traces) for name, traces in variants.traces.items()},
                "variant_before": sides[0],
                "variant_after": sides[1],
                "mixed_traces": len(variants.mixed),
                "traces_without": len(variants.without),
            }
        print_json(comparison_as_json(found, facts))
        return
    canvas = Canvas.of(sys.stdout, color=args.color)
    print_lines(comparison_lines(found, canvas))
    before, after = map(printable, sides)
    numbers = f"{count_of(found.traces_before, 'trace')} {before}, {found.traces_after:,} {after}"
    print_line(canvas.fitted(f"{numbers}; {signed(found.self_ns)} for each trace"))
    if variants is not None:
        left_out = f"{len(variants.mixed):,} in several variants, {len(variants.without):,} in none"
        print_line(canvas.fitted(f"left out: {left_out}"))


def _read(path: Path, prefix: str, args: argparse.Namespace) -> TraceAnalyzer | None:
    """Return the traces of one side; None if there are none, with a warning."""
    # Running spans first: a span that ends in between is then read as ended.
    observed = observe([path])
    with progress_bar(size_of_files([path])) as advance:
        loaded = load([path], prefix=prefix, progress=advance)
    warn_of_damage(loaded, printable_path(path))
    if not len(loaded.forest):
        warn(why_nothing([path], loaded, args, prefix=prefix))
        return None
    return TraceAnalyzer.of_loaded(loaded, observed)
