"""`otel-ext tree`: traces as trees, running spans marked.

Exit code 0 when something is shown, 1 when there is no span to show, 2 for a
wrong use.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from otel_ext.cli.ps import places
from otel_ext.cli.running import Collector
from otel_ext.cli.streams import can_show_unicode, painter_for, say, warn, width_of
from otel_ext.cli.tree_forest import make_forest, read_spans, start_of
from otel_ext.exporters.console_text import cells, cut, duration, in_short, printable
from otel_ext.record.timestamps import format_ns

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from otel_ext.cli.commands import Subparsers
    from otel_ext.cli.running import Running
    from otel_ext.cli.tree_forest import Node, Trace
    from otel_ext.exporters.console_text import Painter
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record

__all__ = ["register", "run"]

_DESCRIPTION: Final = """\
Shows traces as trees: each span under its parent, with how long it took, or for how
long it has been running. A span that never ended is marked with what became of it.

examples:
  otel-ext tree traces                  the newest traces in a folder
  otel-ext tree --trace 4bf92f traces   the one whose id begins like that
  otel-ext tree --depth 2 --last 0      all, the upper levels only
"""
_DEFAULT_LAST: Final = 10
_SHORT_ID: Final = 8


def register(subparsers: Subparsers) -> None:
    """Add the subcommand's parser.

    Args:
        subparsers: Of the parser of `otel-ext`.
    """
    from argparse import RawDescriptionHelpFormatter  # noqa: PLC0415 - argparse is the caller's

    parser = subparsers.add_parser(
        "tree",
        help="traces as trees, running spans marked",
        description=_DESCRIPTION,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("places", nargs="*", metavar="FILE|DIR", help="file or folder of records")
    parser.add_argument("--trace", default="", metavar="ID", help="only traces whose id begins so")
    parser.add_argument("--running", action="store_true", help="only traces that are not over")
    parser.add_argument(
        "--last",
        type=_number,
        default=_DEFAULT_LAST,
        metavar="N",
        help=f"the newest N traces (default: {_DEFAULT_LAST}); 0 for all",
    )
    parser.add_argument(
        "--depth", type=_number, default=0, metavar="N", help="levels to show (default: all)"
    )
    parser.add_argument("--no-color", action="store_true", help="no colour, whatever the terminal")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def _number(text: str) -> int:
    from argparse import ArgumentTypeError  # noqa: PLC0415 - as above

    if text.isdecimal() and text.isascii():
        return int(text)
    message = f"{text!r} is no whole number; give 0 or more"
    raise ArgumentTypeError(message)


class _Look(NamedTuple):
    """How to draw."""

    width: int
    paint: Painter
    ascii_only: bool
    running: Mapping[SpanKey, Running]


def run(args: argparse.Namespace) -> int:
    """Show the trees of the files of `args`, and return the exit code.

    Args:
        args: As `register` defines them.

    Raises:
        UsageError: A file or folder is not there, or cannot be read.
    """
    found = places(args.places)
    # In this order: what ends in between has ended.
    running = {one.record.key: one for one in Collector(found, elsewhere=True).collect().spans}
    spans, skipped = read_spans(found)
    ascii_only = not can_show_unicode(sys.stdout)
    traces = [
        trace
        for trace in make_forest(spans.values(), ascii_only=ascii_only)
        if trace.trace_id.startswith(args.trace.lower()) and (not args.running or _is_open(trace))
    ]
    shown = traces[-args.last :]
    if skipped:
        warn(f"{skipped:,} damaged places were passed over; otel-ext validate names them")
    if args.json:
        say(_as_json(shown, running, args.depth))
        return 0 if shown else 1
    if not shown:
        names = ", ".join(printable(str(place)) for place in found) or "here"
        warn(f"no such trace: {names} has {len(spans):,} spans" if spans else f"no span: {names}")
        return 1
    paint = painter_for(sys.stdout, enabled=not args.no_color)
    look = _Look(width_of(sys.stdout), paint, ascii_only, running)
    for trace in shown:
        _show(trace, look, args.depth)
    if len(shown) < len(traces):
        warn(f"{len(traces) - len(shown):,} earlier not shown; --last 0 shows all")
    return 0


def _is_open(trace: Trace) -> bool:
    return any(node.record.phase != "end" for node in trace.nodes)


def _show(trace: Trace, look: _Look, depth: int) -> None:
    number = len(trace.nodes)
    spans = "1 span" if number == 1 else f"{number:,} spans"
    head = f"trace {trace.trace_id[:_SHORT_ID]}  {format_ns(trace.start_ns)}  {spans}"
    say(look.paint("dim", head))
    for node in trace.nodes:
        if not depth or node.depth < depth:
            say(_line(node, look))


def _line(node: Node, look: _Look) -> str:
    record = node.record
    mark, style, words = _state(record, look)
    name = printable(record.name)
    text = f"{node.branch}{mark} {name} {words}"
    site = f"{printable(record.site.file)}:{record.site.line}" if record.site.line else ""
    if look.width:
        rest = look.width - cells(text) - cells(site) - 4
        if rest < 0:
            site, rest = "", look.width - cells(text) - 2
    else:
        rest = 200
    if look.width and cells(text) > look.width:
        return cut(text, look.width)
    attributes = in_short(record.attributes, rest) if rest > 0 else ""
    painted = f"{node.branch}{look.paint(style, mark)} {look.paint('bold', name)}"
    parts = [f"{painted} {look.paint(style, words)}"]
    parts += [look.paint("dim", one) for one in (attributes, site) if one]
    return "  ".join(parts)


def _state(record: Record, look: _Look) -> tuple[str, str, str]:
    """Return mark, style and words for what has become of a span."""
    if record.phase != "end":
        one = look.running.get(record.key)
        state = "open" if one is None else one.state
        age = "" if one is None else f" {duration(one.age_ns)}"
        return ">" if look.ascii_only else "▶", "red" if state == "lost" else "yellow", state + age
    took = duration(record.time_ns - record.start_ns)
    failed = "x" if look.ascii_only else "✗"
    if record.abandoned:
        return failed, "red", f"{took} abandoned: {record.abandoned}"
    if record.status is not None and record.status.code == "error":
        return failed, "red", f"{took} error"
    if record.extra.get("cancelled") is True:
        return "c" if look.ascii_only else "⊘", "yellow", f"{took} cancelled"
    return "+" if look.ascii_only else "✓", "green", took


def _as_json(traces: list[Trace], running: Mapping[SpanKey, Running], depth: int) -> str:
    document = [
        {
            "trace_id": trace.trace_id,
            "start": format_ns(trace.start_ns),
            "spans": [
                _span(node, running) for node in trace.nodes if not depth or node.depth < depth
            ],
        }
        for trace in traces
    ]
    return orjson.dumps({"traces": document}, option=orjson.OPT_INDENT_2).decode()


def _span(node: Node, running: Mapping[SpanKey, Running]) -> dict[str, object]:
    record = node.record
    one = running.get(record.key)
    is_over = record.phase == "end"
    return {
        "span_id": record.span_id,
        "parent_span_id": record.parent_span_id or None,
        "depth": node.depth,
        "name": record.name,
        "state": record.abandoned or ("ended" if is_over else one.state if one else "open"),
        "status": record.status.code if record.status else None,
        "cancelled": record.extra.get("cancelled") is True,
        "start": format_ns(start_of(record)),
        "duration_ns": record.time_ns - record.start_ns if is_over else one.age_ns if one else None,
        "file": record.site.file,
        "line": record.site.line,
        "function": record.site.function,
    }
