"""The journal: records kept so that neither a kill nor a full disk takes them.

`blackbox` and `segment` keep, `writer` puts them together, `reader` and `folder`
read what is there, `recovery` ends what dead processes left open. Names are
loaded when first used, since a program that only writes needs no reader.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

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
    "BlackBox": "blackbox",
    "FolderState": "folder",
    "IncarnationState": "incarnations",
    "Journal": "writer",
    "JournalSettings": "opening",
    "JournalState": "face",
    "LineWriter": "face",
    "Liveness": "liveness",
    "ProcessIdentity": "liveness",
    "RecoveryReport": "recovery",
    "RunningSpan": "incarnations",
    "Skipped": "reader",
    "is_alive": "liveness",
    "read_box": "reader",
    "read_folder": "folder",
    "read_records": "reader",
    "recover": "recovery",
    "scan": "reader",
    "watch": "liveness",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found
