"""Check of `otel-ext doctor`: do several processes use the same span ids?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.cli.commands.doctor.check import Check
from otel_ext.journal.files import list_segments
from otel_ext.journal.liveness import identity_from_id
from otel_ext.journal.read.incarnations import base_id, modified_ns
from otel_ext.journal.read.scanner import Line, scan
from otel_ext.readable import listed
from otel_ext.record.repeated_ids import REPEATED_IDS_ADVICE, RepeatedIds
from otel_ext.terminal.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from otel_ext.observe.snapshot import Snapshot

__all__ = ["check_ids", "newest_files"]

_MAX_FILES: Final = 64
# Generators with the same seed agree from their first span on.
_MAX_BYTES: Final = 256 * 1024
_MAX_NAMES: Final = 3


def check_ids(snapshot: Snapshot) -> Iterator[Check]:
    """Yield a check if several processes use the same ids for their spans.

    It reads the beginnings of the newest files and the running spans; `otel-ext validate`
    reads whole files.
    """
    ids = RepeatedIds()
    for path in newest_files(snapshot.folders):
        for item in scan(path):
            if item.offset > _MAX_BYTES:
                break
            if isinstance(item, Line) and item.meta.get("phase") == "start":
                key = (str(item.meta.get("trace_id")), str(item.meta.get("span_id")))
                ids.note_start(key, item.key[0])
    for span in snapshot.spans:
        ids.note_start(span.record.key, span.record.process.id)
    if not ids.count:
        return
    labels = {process.id: process.label for process in snapshot.processes}
    names = sorted({labels.get(base_id(name)) or _pid(name) for name in ids.processes})
    shown = listed(list(map(printable, names)), _MAX_NAMES)
    spans = "1 span has an id" if ids.count == 1 else f"{ids.count:,} spans have ids"
    text = f"{spans} that several processes use: {shown}"
    yield Check("ids", "degraded", text, REPEATED_IDS_ADVICE)


def newest_files(folders: Iterable[Path]) -> list[Path]:
    """Return the 64 files of records that were written last, newest first."""
    files = [
        path
        for folder in folders
        for path in ([folder] if folder.is_file() else list_segments(folder))
    ]
    return sorted(files, key=lambda path: modified_ns([path]), reverse=True)[:_MAX_FILES]


def _pid(process: str) -> str:
    """Return the pid in an incarnation's id; the id itself if it has none."""
    identity = identity_from_id(process)
    return process if identity is None else str(identity.pid)
