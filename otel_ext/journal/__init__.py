"""The journal: records kept so that neither a kill nor a full disk takes them.

`blackbox` and `segment` keep, `writer` puts them together, `reader` and `folder`
read what is there, `recovery` ends what dead processes left open. Names are
loaded when first used, since a program that only writes needs no reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.journal.blackbox import BlackBox
    from otel_ext.journal.face import JournalState, LineWriter
    from otel_ext.journal.folder import FolderState, read_folder
    from otel_ext.journal.incarnations import IncarnationState, RunningSpan
    from otel_ext.journal.liveness import Liveness, ProcessIdentity, is_alive, watch
    from otel_ext.journal.opening import JournalSettings
    from otel_ext.journal.reader import Skipped, read_box, read_records, scan
    from otel_ext.journal.recovery import RecoveryReport, recover
    from otel_ext.journal.writer import Journal

__all__ = [
    "BlackBox",
    "FolderState",
    "IncarnationState",
    "Journal",
    "JournalSettings",
    "JournalState",
    "LineWriter",
    "Liveness",
    "ProcessIdentity",
    "RecoveryReport",
    "RunningSpan",
    "Skipped",
    "is_alive",
    "read_box",
    "read_folder",
    "read_records",
    "recover",
    "scan",
    "watch",
]

_HOMES = {
    "BlackBox": "otel_ext.journal.blackbox",
    "FolderState": "otel_ext.journal.folder",
    "IncarnationState": "otel_ext.journal.incarnations",
    "Journal": "otel_ext.journal.writer",
    "JournalSettings": "otel_ext.journal.opening",
    "JournalState": "otel_ext.journal.face",
    "LineWriter": "otel_ext.journal.face",
    "Liveness": "otel_ext.journal.liveness",
    "ProcessIdentity": "otel_ext.journal.liveness",
    "RecoveryReport": "otel_ext.journal.recovery",
    "RunningSpan": "otel_ext.journal.incarnations",
    "Skipped": "otel_ext.journal.reader",
    "is_alive": "otel_ext.journal.liveness",
    "read_box": "otel_ext.journal.reader",
    "read_folder": "otel_ext.journal.folder",
    "read_records": "otel_ext.journal.reader",
    "recover": "otel_ext.journal.recovery",
    "scan": "otel_ext.journal.reader",
    "watch": "otel_ext.journal.liveness",
}


def __getattr__(name: str) -> object:
    return lazy_name(globals(), _HOMES, name)
