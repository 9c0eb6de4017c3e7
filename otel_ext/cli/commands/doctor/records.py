"""The doctor's look at settings, folders and programs: what keeps records, and how it does."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.cli.commands.doctor.accounts import check_account, check_ended
from otel_ext.cli.commands.doctor.check import failed, healthy, note, weak
from otel_ext.cli.commands.doctor.ids import check_ids
from otel_ext.config import load_config
from otel_ext.config.units import format_size
from otel_ext.errors import OtelExtError
from otel_ext.journal.files import list_segments
from otel_ext.journal.filesystem import file_system_of
from otel_ext.record.model import EMPTY
from otel_ext.terminal import duration, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_ext.cli.commands.doctor.check import Check
    from otel_ext.config import Config
    from otel_ext.observe.processes import RunningProcess
    from otel_ext.observe.snapshot import Snapshot

__all__ = ["check_folder", "check_processes", "check_settings"]

_SETTINGS: Final = "Settings"
_PROGRAMS: Final = "Programs"
_MIB: Final = 1024 * 1024
_LEAST_ROOM: Final = 64 * _MIB
_LEAST_INODES: Final = 100


def check_settings() -> tuple[Config | None, list[Check]]:
    """Return the configuration in effect here, None if it is broken, and what was found."""
    try:
        config = load_config()
    except OtelExtError as error:
        hint = "otel-ext config shows the settings once this is mended"
        return None, [failed(_SETTINGS, "configuration", str(error), hint)]
    changed = [
        f"{s.name} ({source})" for s, _, source in config.items() if source.layer != "default"
    ]
    detail = "all at their defaults" if not changed else f"{len(changed)} set: {', '.join(changed)}"
    if config.file:
        detail = f"{config.file}; {detail}"
    found = [healthy(_SETTINGS, "configuration", detail)]
    found += [weak(_SETTINGS, "configuration", warning) for warning in config.warnings]
    if not config.capture.enabled:
        source = config.source_of("enabled")
        found.append(weak(_SETTINGS, "enabled", f"false ({source}): nothing is recorded"))
    found.append(_redaction(config))
    return config, found


def _redaction(config: Config) -> Check:
    """Return what is kept out of records; how much that was is told by a program's own health."""
    redaction = config.redaction
    if redaction.mode == "off":
        source = config.source_of("redact")
        text = f"off ({source}): passwords and keys in attributes are written as they are"
        return note(_SETTINGS, "redaction", text, "Unset redact, or see docs/redaction.md")
    own = len(redaction.keys) + len(redaction.values)
    detail = f"{redaction.mode} rules"
    detail += f", {own} patterns of your own" if own else ""
    detail += f", {len(redaction.allow)} allowed" if redaction.allow else ""
    detail += ", marks can be compared" if redaction.hmac_key else ""
    return healthy(_SETTINGS, "redaction", detail)


def check_folder(folder: Path, config: Config) -> Iterator[Check]:
    """Yield whether records can be kept in `folder`, and what a kill can take from them."""
    group = f"Records in {folder}"
    there = _nearest(folder)
    if not there.is_dir() and there != folder:
        yield failed(
            group, "folder", f"{there} is not a folder", "Name another by the setting output"
        )
        return
    target = there if there.is_dir() else there.parent
    problem = _problem_writing(there)
    if problem:
        text = f"{there} cannot be written to: {problem}"
        yield failed(group, "folder", text, "Name another by the setting output")
        return
    yield _folder(group, folder, there)
    yield _durability(group, target, config)
    yield from _room(group, target, config)


def _problem_writing(there: Path) -> str:
    """Return why nothing can be written to the folder or file `there`; empty if it can."""
    if not there.is_dir():
        return "" if os.access(there, os.W_OK) else "no permission"
    try:
        # Permissions alone do not tell: the file system may be read-only, or not a real one.
        Path(tempfile.mkdtemp(prefix=".otel-ext-doctor-", dir=there)).rmdir()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    for place in (folder, *folder.parents):
        try:
            if place.exists():
                return place
        except OSError:
            continue
    return Path("/")


def _folder(group: str, folder: Path, there: Path) -> Check:
    if there != folder:
        return healthy(group, "folder", "is made with the first record")
    segments = list_segments(folder) if folder.is_dir() else [folder]
    size = sum(_size(path) for path in segments)
    files = "1 file" if len(segments) == 1 else f"{len(segments):,} files"
    detail = f"{files}, {_human(size)}"
    mode = stat.S_IMODE(there.stat().st_mode)
    if mode & 0o022:
        return weak(
            group,
            "folder",
            f"{detail}; others may write to it (mode {mode:04o})",
            f"Run: chmod go-w {printable(str(there))}",
        )
    return healthy(group, "folder", detail)


def _durability(group: str, folder: Path, config: Config) -> Check:
    place = file_system_of(folder)
    kind = place.kind or "unknown file system"
    wanted = config.journal.durability
    if wanted == "mapped" and place.can_map:
        return healthy(group, "durability", f"mapped, on {kind}: a kill takes no record")
    if wanted == "mapped":
        return weak(
            group,
            "durability",
            f"queued instead of mapped: {place.refusal}; a kill takes up to 50 ms of records",
            "Name a folder on ext4, xfs or tmpfs, or set durability=write (slower)",
        )
    if wanted == "queued":
        return note(group, "durability", "queued, as set: a kill takes up to 50 ms of records")
    return healthy(group, "durability", f"write, as set, on {kind}: a kill takes no record")


def _room(group: str, folder: Path, config: Config) -> Iterator[Check]:
    try:
        status = os.statvfs(folder)
    except (AttributeError, OSError):
        return
    free = status.f_bavail * status.f_frsize
    least = max(_LEAST_ROOM, 2 * config.journal.ring_size)
    if free < least:
        yield weak(
            group,
            "room",
            f"{_human(free)} free; each process needs {format_size(config.journal.ring_size)}"
            " for its ring buffer, and its files come on top",
            "Make room, lower retention-size, or name another folder",
        )
    elif status.f_files and status.f_favail < _LEAST_INODES:
        yield weak(
            group, "room", f"only {status.f_favail} more files can be made here", "Make room"
        )
    else:
        yield healthy(group, "room", f"{_human(free)} free")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _human(size: int) -> str:
    """Return a size as people say it.

    >>> _human(532), _human(5 * 2**20), _human(3 * 2**30)
    ('532 bytes', '5.0 MiB', '3.0 GiB')
    """
    if size < 1024:  # noqa: PLR2004
        return f"{size} bytes"
    power = min((size.bit_length() - 1) // 10, 4)
    return f"{size / 1024**power:.1f} {' KMGT'[power]}iB"


def check_processes(snapshot: Snapshot) -> Iterator[Check]:
    """Yield how the programs are whose records are in the folders, and what dead ones left."""
    spans: dict[str, int] = {}
    for span in snapshot.spans:
        spans[span.process.id] = spans.get(span.process.id, 0) + 1
    living = [process for process in snapshot.processes if process.lives]
    if not living:
        yield note(_PROGRAMS, "running", "no program is recording in these folders")
    for process in living:
        yield _process(process, spans.get(process.id, 0), snapshot.time_ns)
    yield from _leftovers(snapshot, spans)
    yield from check_ended(_PROGRAMS, snapshot)
    yield from check_ids(snapshot)


def _process(process: RunningProcess, spans: int, now_ns: int) -> Check:
    part = printable(process.label)
    detail = f"{spans:,} open" + _beat(process)
    if process.condition == "stopped":
        return weak(
            _PROGRAMS,
            part,
            f"stopped by a signal or debugger; {detail}",
            f"kill -CONT {process.pid}",
        )
    if process.condition == "blocked":
        return weak(
            _PROGRAMS,
            part,
            f"{process.remark}; {detail}",
            f"Look at the disk under {process.folder}; records wait in the ring buffer until it"
            " is full, then they are dropped and counted",
        )
    if process.condition == "hung":
        since = duration(max(now_ns - process.last_seen_ns, 0))
        return weak(
            _PROGRAMS,
            part,
            f"{process.remark or f'hangs: nothing in it has run for {since}'}; {detail}",
            f"otel-ext ps --process {process.pid} shows what it was doing",
        )
    return check_account(_PROGRAMS, part, detail, process)


def _beat(process: RunningProcess) -> str:
    extra = process.heartbeat.extra if process.heartbeat is not None else EMPTY
    memory, written = extra.get("memory_bytes"), extra.get("written")
    text = f", {written:,} written" if type(written) is int else ""
    return f"{text}, {_human(memory)} of memory" if type(memory) is int and memory else text


def _leftovers(snapshot: Snapshot, spans: Mapping[str, int]) -> Iterator[Check]:
    dead = [process for process in snapshot.processes if not process.lives]
    for folder in sorted({process.folder for process in dead}):
        mine = [process for process in dead if process.folder == folder]
        count = sum(spans.get(process.id, 0) for process in mine)
        rings = sum(len(process.rings) for process in mine)
        processes = "1 process that is" if len(mine) == 1 else f"{len(mine):,} processes that are"
        left = "1 open span" if count == 1 else f"{count:,} open spans"
        left += " and 1 ring buffer" if rings == 1 else f" and {rings:,} ring buffers"
        reservations = "; ".join(sorted({one.reservation for one in mine if one.reservation}))
        yield weak(
            _PROGRAMS,
            "leftovers",
            f"{processes} gone left {left} in {folder}"
            + (f"; {reservations}" if reservations else ""),
            f"Run: otel-ext recover {printable(str(folder))}",
        )
