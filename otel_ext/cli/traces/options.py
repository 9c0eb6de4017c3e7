"""The options that choose traces and spans, and how spans are shown."""

from __future__ import annotations

from fnmatch import translate
from typing import TYPE_CHECKING, Final

from otel_ext.analysis.traces.span import ALIVE
from otel_ext.cli.arguments import add_color, moment, seconds, whole_number
from otel_ext.cli.inputs import add_inputs
from otel_ext.search.nodes import And, Field, Test
from otel_ext.search.parse import parse

if TYPE_CHECKING:
    import argparse

    from otel_ext.search.nodes import Node

__all__ = ["add_clocks", "add_range", "add_rows", "add_traces", "search_of"]

_DEFAULT_LAST: Final = 10


def add_traces(
    parser: argparse.ArgumentParser, last: int = _DEFAULT_LAST, *, whole: bool = False
) -> None:
    """Add the arguments that choose traces.

    Args:
        parser: The command's.
        last: How many of the newest traces are chosen by default; 0 for all.
        whole: Whether the command takes whole traces, also the spans that are not selected.
    """
    add_inputs(parser)
    _add_filters(parser, whole=whole)
    add_range(parser, last)


def add_range(parser: argparse.ArgumentParser, last: int) -> None:
    """Add the options `--trace`, `--since` and `--last`.

    Args:
        parser: The command's.
        last: As for `add_traces`.
    """
    parser.add_argument(
        "--trace", default="", metavar="ID", help="only traces whose id begins with ID"
    )
    parser.add_argument(
        "--since",
        type=moment,
        metavar="WHEN",
        help="only traces that started since then: 10m ago, or 2026-11-29T12:00",
    )
    parser.add_argument(
        "--last",
        type=whole_number,
        default=last,
        metavar="N",
        help=f"the newest N traces (default: {last or 'all'}); 0 for all",
    )


def add_clocks(parser: argparse.ArgumentParser) -> None:
    """Add the option `--adjust-clocks`."""
    parser.add_argument(
        "--adjust-clocks",
        action="store_true",
        help="shift spans of other processes into their parent, as if clocks differed",
    )


def add_rows(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for how spans are shown."""
    parser.add_argument(
        "--depth", type=whole_number, default=0, metavar="N", help="levels to show (default: all)"
    )
    parser.add_argument(
        "--no-fold", action="store_true", help="print a line for each span, even if many are equal"
    )
    add_color(parser)


def _add_filters(parser: argparse.ArgumentParser, *, whole: bool) -> None:
    """Add the options that select spans, or `whole` traces in which there is such a span.

    Where spans are selected, those above a selected one are shown with it.
    """
    only = "only traces with a span" if whole else "only spans"
    run, their = ("runs", "its") if whole else ("run", "their")
    parser.add_argument(
        "--search",
        default="",
        metavar="TEXT",
        help=f"{only} that this finds: words, key:value, >500ms …",
    )
    parser.add_argument("--name", metavar="GLOB", help=f"{only} of this name (*, ?, [...])")
    parser.add_argument(
        "--slower", metavar="SECONDS", type=seconds, help=f"{only} that took at least this long"
    )
    parser.add_argument("--errors", action="store_true", help=f"{only} that failed")
    parser.add_argument("--running", action="store_true", help=f"{only} that {run} now")
    parser.add_argument(
        "--lost",
        action="store_true",
        help=f"{only} without an end because {their} process died",
    )


def search_of(args: argparse.Namespace) -> Node | None:
    """Return the search that the options make; None without any.

    Raises:
        SearchError: The text of `--search` cannot be understood.
    """
    items: list[Node] = [parse(args.search)] if args.search.strip() else []
    if args.name is not None:
        items.append(Field("name", ((Test("matches", rf"\A{translate(args.name)}"),),)))
    if args.slower is not None:
        items.append(Field("dur", ((Test(">=", str(round(args.slower * 1e9))),),)))
    if args.errors:
        items.append(_is("error"))
    if args.running:
        items.append(_is(*ALIVE))
    if args.lost:
        items.append(_is("lost", "abandoned"))
    return And(tuple(items)) if items else None


def _is(*states: str) -> Node:
    return Field("state", tuple((Test("is", state),) for state in states))
