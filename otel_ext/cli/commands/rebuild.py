"""`otel-ext rebuild`: makes the store of a folder anew from its records.

Exit code 0 if all records are stored, 1 if there are none or the store cannot be written, 2 for
wrong use or a wrong folder.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from otel_ext.cli.arguments import add_keep_days
from otel_ext.cli.inputs import add_inputs, has_records, inputs_of, no_records_message
from otel_ext.errors import StoreError
from otel_ext.feed.feeder import RECEIVED_FOLDER, Feeder, feed_all
from otel_ext.readable import as_utf8, count_of, size
from otel_ext.store.sqlite.days import StoreLimits
from otel_ext.store.sqlite.schema import STORE_FOLDER
from otel_ext.store.sqlite.writer import SqliteWriter
from otel_ext.terminal.output import print_json, print_line, warn
from otel_ext.terminal.progress import progress_bar
from otel_ext.terminal.text import printable_path

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

__all__ = ["run", "set_up"]

_DESCRIPTION: Final = """\
Makes the store of a folder anew from its records. The store is what otel-ext
serve answers from; all that it holds comes from the records, so it may be
deleted at any time. What it holds of records that were deleted since, as the
settings of retention say, is lost by that. This command is needed after the
store was damaged, or if another version of otel-ext has made it.

examples:
  otel-ext rebuild                      the folder in the setting output
  otel-ext rebuild traces
  otel-ext rebuild --json /var/lib/app/traces
  otel-ext rebuild --all                wherever running programs record

exit code: 0 if all records are stored; 1 if there are none, if the store cannot
be written, or if another process writes it; 2 for wrong use or a wrong folder
"""


class _Rebuilt(NamedTuple):
    """The result for one folder."""

    folder: Path
    store: Path
    records: int
    skipped: int
    size: int
    seconds: float


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    add_inputs(parser, "folders")
    add_keep_days(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object per folder")


def run(args: argparse.Namespace) -> int:
    """Rebuild the stores of the folders of `args`, and return the exit code."""
    folders = inputs_of(args)
    # Those without records get no store.
    found = [one for one in folders if has_records(one) or has_records(one / RECEIVED_FOLDER)]
    if not found:
        warn(no_records_message(folders, args))
    is_done = bool(found)
    for folder in found:
        try:
            rebuilt = _rebuild(folder, StoreLimits(days=args.keep_days))
        except StoreError as error:
            is_done = False
            warn(str(error))
            continue
        if args.json:
            print_json(orjson.dumps(_as_dict(rebuilt)))
        else:
            print_line(_sentence(rebuilt))
    return 0 if is_done else 1


def _rebuild(folder: Path, limits: StoreLimits) -> _Rebuilt:
    begun = monotonic()
    store = folder / STORE_FOLDER
    writer = SqliteWriter(store, limits, anew=True)
    try:
        feeder = Feeder(folder, writer, below=RECEIVED_FOLDER)
        with progress_bar(feeder.remaining(), "storing") as advance:
            records, skipped = feed_all(feeder, advance)
    finally:
        writer.close()
    total = sum(path.stat().st_size for path in store.iterdir())
    return _Rebuilt(folder, store, records, skipped, total, monotonic() - begun)


def _sentence(rebuilt: _Rebuilt) -> str:
    store = printable_path(rebuilt.store)
    stored = count_of(rebuilt.records, "record")
    skipped = (
        f" {count_of(rebuilt.skipped, 'damaged part')} passed over." if rebuilt.skipped else ""
    )
    took = f"{rebuilt.seconds:.1f} s"
    return f"{store}: {stored} stored in {took} ({size(rebuilt.size)}).{skipped}"


def _as_dict(rebuilt: _Rebuilt) -> dict[str, object]:
    return {
        "folder": as_utf8(str(rebuilt.folder)),
        "store": as_utf8(str(rebuilt.store)),
        "records": rebuilt.records,
        "skipped": rebuilt.skipped,
        "bytes": rebuilt.size,
        "seconds": round(rebuilt.seconds, 3),
    }
