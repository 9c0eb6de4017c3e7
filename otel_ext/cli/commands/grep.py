"""`otel-ext grep`: prints the spans that a search finds, one in each line.

Exit code 0 if one is found, 1 if none, 2 for wrong use or a wrong folder.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import orjson

from otel_ext.analysis.traces.times import times_of
from otel_ext.cli.arguments import add_color
from otel_ext.cli.inputs import add_inputs
from otel_ext.cli.traces.choice import choose_traces, outcome
from otel_ext.cli.traces.options import add_range
from otel_ext.readable import local_time
from otel_ext.record.timestamps import format_ns
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.output import print_json, print_line, warn
from otel_ext.terminal.text import printable
from otel_ext.views.trace_view import TraceView, short_id, shown_state, standing_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from otel_ext.cli.traces.reader import ChosenTraces

__all__ = ["run", "set_up"]

_DESCRIPTION: Final = """\
Print the spans that a search finds, one in each line, oldest trace first.
Terms with blanks between them must all hold:

  word  "two words"         text in names, errors, attributes and logs
  order.id:7  order.id=a,b  the field or attribute has this value; after = it is
                            taken as it stands, or in quotes
  name:GET*  name:a,b       it begins so; it is one of several
  name:/^GET|POST/          by a regular expression
  items:>5  items:1..5      numbers are compared, other values as text
  >500ms  dur:1s..5s        durations; self: and age: (of what is open) too
  has:order.id              it has the field or attribute, whatever the value
  error  state:lost         state: running, stalled, blocked, hung, lost,
                            abandoned, error, cancelled or ended
  kind:server               kind: internal, server, client, producer or consumer
  is:critical               place in the trace: root, leaf, critical or orphan
  level:error  log:/retry/  the level and the text of its logs
  since:10m  at:>12:30      it started in the last ten minutes; by time of day
  under:(X)  has-child:(X)  below a span that X finds; right above one
  not X  -X  X or Y  (X)    combinations; "or" binds less than a blank

Fields are name, service, kind, state, dur, self, age, trace, span, process,
thread, task, file, error, level, log, is, since and at. Any other key is that
of an attribute. Keys and values with blanks, brackets, quotes or colons are
quoted: "odd key":"a (b)"; a backslash before a quote makes it part of the text.

examples:
  otel-ext grep error
  otel-ext grep 'service:shop >500ms -name:health*' traces
  otel-ext grep 'under:(name:checkout) is:leaf' --json
  otel-ext grep -- '-kind:client lost' traces   -- if the search begins with -
  otel-ext grep 'is:critical' --trace 4bf92f traces

exit code: 0 if one is found, 1 if none, 2 for wrong use or a wrong folder
"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    # Checked by `run`: without one, the error is rather that `-error` is no option.
    parser.add_argument("search", metavar="SEARCH", nargs="?", default="", help="what to find")
    add_inputs(parser)
    add_range(parser, last=0)
    add_color(parser)
    parser.set_defaults(takes_search=True)
    parser.set_defaults(name=None, slower=None, errors=False, running=False, lost=False)
    parser.add_argument("--json", action="store_true", help="print one JSON object for each span")


def run(args: argparse.Namespace) -> int:
    """Print the spans that are found, and return the exit code."""
    if not args.search.strip():
        warn('the search is empty; try: otel-ext grep "error or >1s"')
        return 2
    found = choose_traces(args)
    for line in (
        _json(found) if args.json else _lines(found, Canvas.of(sys.stdout, color=args.color))
    ):
        if isinstance(line, bytes):
            print_json(line)
        else:
            print_line(line)
    return outcome(found, is_json=args.json)


def _lines(found: ChosenTraces, canvas: Canvas) -> Iterator[str]:
    loaded = found.loaded
    for one in found.traces:
        tree, numbers = one.tree, sorted(one.matches or ())
        records = loaded.records_of(tree.spans[number] for number in numbers)
        view = TraceView(tree, times_of(tree), canvas, records, found.running, loaded.processes)
        for number in numbers:
            span = tree.spans[number]
            standing = standing_of(number, view)
            name = loaded.processes.get(span.process)
            service = f"[{name.label}]" if name is not None and name.label else ""
            texts = (
                local_time(span.start_ns),
                f"{short_id(span.trace_id)}/{short_id(span.span_id)}",
                canvas.mark(standing.mark),
                printable(span.name),
                standing.words,
                standing.error,
                printable(service),
            )
            line = " ".join(text for text in texts if text)
            yield canvas.paint(standing.style, canvas.fitted(line))


def _json(found: ChosenTraces) -> Iterator[bytes]:
    for one in found.traces:
        times = times_of(one.tree)
        for number in sorted(one.matches or ()):
            span = one.tree.spans[number]
            yield orjson.dumps(
                {
                    "trace_id": span.trace_id,
                    "span_id": span.span_id,
                    "name": span.name,
                    "state": shown_state(span, found.running),
                    "start": format_ns(span.start_ns),
                    "duration_ns": times.duration(number),
                    "service": found.loaded.services.get(span.process),
                    "error": span.error or None,
                }
            )
