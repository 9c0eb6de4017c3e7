"""Checks of `otel-ext doctor` for settings, folders of records and running programs."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.cli.commands.doctor.accounts import check_ended, check_running
from otel_ext.cli.commands.doctor.check import degraded, failed, healthy, note
from otel_ext.cli.commands.doctor.ids import check_ids
from otel_ext.config import load_config
from otel_ext.errors import OtelExtError
from otel_ext.journal.files import list_segments
from otel_ext.journal.filesystem import file_system_of
from otel_ext.record.model import EMPTY
from otel_ext.settings.units import format_size
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
_MIN_FREE: Final = 64 * _MIB
_MIN_INODES: Final = 100


def check_settings() -> tuple[Config | None, list[Check]]:
    """Return the configuration in effect here (None if it is broken) and its checks."""
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
    found += [degraded(_SETTINGS, "configuration", warning) for warning in config.warnings]
    if not config.capture.enabled:
        source = config.source_of("enabled")
        found.append(degraded(_SETTINGS, "enabled", f"false ({source}): nothing is recorded"))
    found.append(_redaction(config))
    return config, found


def _redaction(config: Config) -> Check:
    """Check the redaction settings; counts of redacted values are in a program's own health."""
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
    """Check whether records can be written to `folder`, and which of them a kill can lose."""
    group = f"Records in {folder}"
    existing = _nearest(folder)
    if not existing.is_dir() and existing != folder:
        yield failed(
            group, "folder", f"{existing} is not a folder", "Name another by the setting output"
        )
        return
    target = existing if existing.is_dir() else existing.parent
    problem = _write_problem(existing)
    if problem:
        text = f"{existing} cannot be written to: {problem}"
        yield failed(group, "folder", text, "Name another by the setting output")
        return
    yield _folder(group, folder, existing)
    yield _durability(group, target, config)
    yield from _room(group, target, config)


def _write_problem(existing: Path) -> str:
    """Return why the folder or file `existing` cannot be written to; empty if it can."""
    if not existing.is_dir():
        return "" if os.access(existing, os.W_OK) else "no permission"
    try:
        # Permissions are not enough: the file system may be read-only, or a virtual one.
        Path(tempfile.mkdtemp(prefix=".otel-ext-doctor-", dir=existing)).rmdir()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    for path in (folder, *folder.parents):
        try:
            if path.exists():
                return path
        except OSError:
            continue
    return Path("/")


def _folder(group: str, folder: Path, existing: Path) -> Check:
    if existing != folder:
        return healthy(group, "folder", "is made with the first record")
    segments = list_segments(folder) if folder.is_dir() else [folder]
    size = sum(_size(path) for path in segments)
    files = "1 file" if len(segments) == 1 else f"{len(segments):,} files"
    detail = f"{files}, {_readable_size(size)}"
    mode = stat.S_IMODE(existing.stat().st_mode)
    if mode & 0o022:
        return degraded(
            group,
            "folder",
            f"{detail}; others may write to it (mode {mode:04o})",
            f"Run: chmod go-w {printable(str(existing))}",
        )
    return healthy(group, "folder", detail)


def _durability(group: str, folder: Path, config: Config) -> Check:
    file_system = file_system_of(folder)
    kind = file_system.kind or "unknown file system"
    wanted = config.journal.durability
    if wanted == "mapped" and file_system.can_map:
        return healthy(group, "durability", f"mapped, on {kind}: a kill takes no record")
    if wanted == "mapped":
        return degraded(
            group,
            "durability",
            f"queued instead of mapped: {file_system.refusal}; a kill takes up to 50 ms of records",
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
    ring_size = config.journal.ring_size
    if free < max(_MIN_FREE, 2 * ring_size):
        yield degraded(
            group,
            "room",
            f"{_readable_size(free)} free; each process needs {format_size(ring_size)}"
            " for its ring buffer, and its files come on top",
            "Make room, lower retention-size, or name another folder",
        )
    elif status.f_files and status.f_favail < _MIN_INODES:
        yield degraded(
            group,
            "room",
            f"only {status.f_favail} more files can be made here",
            "Make room",
        )
    else:
        yield healthy(group, "room", f"{_readable_size(free)} free")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _readable_size(size: int) -> str:
    """Format a size for people.

    >>> _readable_size(532), _readable_size(5 * 2**20), _readable_size(3 * 2**30)
    ('532 bytes', '5.0 MiB', '3.0 GiB')
    """
    if size < 1024:  # noqa: PLR2004
        return f"{size} bytes"
    power = min((size.bit_length() - 1) // 10, 4)
    return f"{size / 1024**power:.1f} {' KMGT'[power]}iB"


def check_processes(snapshot: Snapshot) -> Iterator[Check]:
    """Check the running programs of the folders, and what dead ones left behind."""
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
    detail = f"{spans:,} open" + _heartbeat_detail(process)
    if process.condition == "stopped":
        return degraded(
            _PROGRAMS,
            part,
            f"stopped by a signal or debugger; {detail}",
            f"kill -CONT {process.pid}",
        )
    if process.condition == "blocked":
        return degraded(
            _PROGRAMS,
            part,
            f"{process.problem}; {detail}",
            f"Look at the disk under {process.folder}; records wait in the ring buffer until it"
            " is full, then they are dropped and counted",
        )
    if process.condition == "hung":
        since = duration(max(now_ns - process.last_seen_ns, 0))
        return degraded(
            _PROGRAMS,
            part,
            f"{process.problem or f'hangs: nothing in it has run for {since}'}; {detail}",
            f"otel-ext ps --process {process.pid} shows what it was doing",
        )
    return check_running(_PROGRAMS, part, detail, process)


def _heartbeat_detail(process: RunningProcess) -> str:
    extra = process.heartbeat.extra if process.heartbeat is not None else EMPTY
    memory, written = extra.get("memory_bytes"), extra.get("written")
    text = f", {written:,} written" if type(written) is int else ""
    return f"{text}, {_readable_size(memory)} of memory" if type(memory) is int and memory else text


def _leftovers(snapshot: Snapshot, spans: Mapping[str, int]) -> Iterator[Check]:
    dead = [process for process in snapshot.processes if not process.lives]
    for folder in sorted({process.folder for process in dead}):
        own = [process for process in dead if process.folder == folder]
        count = sum(spans.get(process.id, 0) for process in own)
        rings = sum(len(process.rings) for process in own)
        processes = "1 process that is" if len(own) == 1 else f"{len(own):,} processes that are"
        left = "1 open span" if count == 1 else f"{count:,} open spans"
        left += " and 1 ring buffer" if rings == 1 else f" and {rings:,} ring buffers"
        reasons = "; ".join(
            sorted({one.missing_ends_reason for one in own if one.missing_ends_reason})
        )
        yield degraded(
            _PROGRAMS,
            "leftovers",
            f"{processes} gone left {left} in {folder}" + (f"; {reasons}" if reasons else ""),
            f"Run: otel-ext recover {printable(str(folder))}",
        )
