"""Whether the process that wrote a checkpoint still runs."""

from __future__ import annotations

from contextlib import suppress
from time import time_ns
from typing import TYPE_CHECKING

from otel_ext.errors import RecordError
from otel_ext.journal.liveness import identity_from_id, liveness_of, silence_limit
from otel_ext.journal.names import list_segments, parse_segment_name
from otel_ext.journal.read.incarnations import modified_ns
from otel_ext.journal.read.replaced_programs import is_replaced_by, replaced_incarnations
from otel_ext.journal.read.rings import read_rings
from otel_ext.record.decode import decode_line
from otel_ext.record.model import Process
from otel_ext.runtime.process import incarnation
from otel_ext.runtime.process.records import process_from

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.context.checkpoints.scan import CheckpointScan
    from otel_ext.journal.outputs import Output

__all__ = ["is_writer_alive"]


def is_writer_alive(process: str, scan: CheckpointScan, output: Output) -> bool:
    """Return whether a process runs; of one that cannot be checked, whether it wrote lately.

    A process in another container or on another host cannot be checked. It counts as alive
    until it has missed three heartbeats, unless it has recorded its end.

    Args:
        process: Its incarnation's id.
        scan: What was found in the folder.
        output: The folder.
    """
    own = incarnation.current().id
    if process == own:
        return True
    if is_replaced_by(process, own) or process in replaced_incarnations(output.folder):
        return False
    rings = list(read_rings(output.folder, process, lines=False))
    recorded = _recorded(process, scan)
    known = next((ring.process for ring in rings if ring.process is not None), recorded)
    if not known.pid:
        known = identity_from_id(process) or known
    liveness = liveness_of(known)
    if liveness != "unknown" or process in scan.ended:
        return liveness == "alive"
    stamp_ns = max((ring.stamp_ns for ring in rings), default=0)
    newest_ns = max(stamp_ns, modified_ns(_files_of(process, output)))
    limit = silence_limit(recorded.heartbeat_ms, has_ring=bool(rings))
    return time_ns() - newest_ns < limit * 1e9


def _recorded(process: str, scan: CheckpointScan) -> Process:
    """Return a process as its `process.start` describes it; without facts if it is missing."""
    line = scan.starts.get(process)
    if line is not None:
        with suppress(RecordError):
            return process_from(process, decode_line(line).extra)
    return Process(process)


def _files_of(process: str, output: Output) -> list[Path]:
    if output.file is not None:
        return [output.file]
    found = ((parse_segment_name(path.name), path) for path in list_segments(output.folder))
    return [path for name, path in found if name is not None and name.incarnation == process]
