"""The journal: records kept so that neither a kill nor a full disk takes them.

`blackbox` and `segment` keep, `writer` puts them together, `reader` and `folder`
read what is there, `recovery` ends what dead processes left open. Names are
loaded when first used, since a program that only writes needs no reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.journal.liveness import Liveness, ProcessIdentity, is_alive, watch
    from otel_ext.journal.read.folder import FolderState, read_folder
    from otel_ext.journal.read.incarnations import IncarnationState, RunningSpan
    from otel_ext.journal.read.scanner import Skipped, read_records, read_ring, scan
    from otel_ext.journal.recovery.recover import RecoveryReport, recover
    from otel_ext.journal.types import JournalState, LineWriter
    from otel_ext.journal.write.journal import Journal
    from otel_ext.journal.write.opening import JournalSettings
    from otel_ext.journal.write.ring_buffer import RingBuffer

__all__ = [
    "FolderState",
    "IncarnationState",
    "Journal",
    "JournalSettings",
    "JournalState",
    "LineWriter",
    "Liveness",
    "ProcessIdentity",
    "RecoveryReport",
    "RingBuffer",
    "RunningSpan",
    "Skipped",
    "is_alive",
    "read_folder",
    "read_records",
    "read_ring",
    "recover",
    "scan",
    "watch",
]

_HOMES = {
    "RingBuffer": "otel_ext.journal.write.ring_buffer",
    "FolderState": "otel_ext.journal.read.folder",
    "IncarnationState": "otel_ext.journal.read.incarnations",
    "Journal": "otel_ext.journal.write.journal",
    "JournalSettings": "otel_ext.journal.write.opening",
    "JournalState": "otel_ext.journal.types",
    "LineWriter": "otel_ext.journal.types",
    "Liveness": "otel_ext.journal.liveness",
    "ProcessIdentity": "otel_ext.journal.liveness",
    "RecoveryReport": "otel_ext.journal.recovery.recover",
    "RunningSpan": "otel_ext.journal.read.incarnations",
    "Skipped": "otel_ext.journal.read.scanner",
    "is_alive": "otel_ext.journal.liveness",
    "read_ring": "otel_ext.journal.read.scanner",
    "read_folder": "otel_ext.journal.read.folder",
    "read_records": "otel_ext.journal.read.scanner",
    "recover": "otel_ext.journal.recovery.recover",
    "scan": "otel_ext.journal.read.scanner",
    "watch": "otel_ext.journal.liveness",
}


def __getattr__(name: str) -> object:
    return lazy_name(globals(), _HOMES, name)
