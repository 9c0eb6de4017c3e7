"""Checks of `otel-ext doctor` for settings and folders of records."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.cli.commands.doctor.check import Check
from otel_ext.config import load_config
from otel_ext.errors import OtelExtError
from otel_ext.journal.files import file_size
from otel_ext.journal.filesystem import file_system_of
from otel_ext.journal.names import list_segments
from otel_ext.readable import count_of, size
from otel_ext.settings.units import MIB, format_size
from otel_ext.terminal.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.config import Config

__all__ = ["check_folder", "check_settings"]

_MIN_FREE: Final = 64 * MIB
_MIN_INODES: Final = 100


def check_settings() -> tuple[Config | None, list[Check]]:
    """Return the configuration in effect here (None if it is broken) and its checks."""
    try:
        config = load_config()
    except OtelExtError as error:
        hint = "otel-ext config shows the settings once this is mended"
        return None, [Check("configuration", "failed", str(error), hint)]
    changed = [
        f"{s.name} ({source})" for s, _, source in config.items() if source.layer != "default"
    ]
    detail = "all at their defaults" if not changed else f"{len(changed)} set: {', '.join(changed)}"
    if config.file:
        detail = f"{config.file}; {detail}"
    found = [Check("configuration", "healthy", detail)]
    found += [Check("configuration", "degraded", warning) for warning in config.warnings]
    if not config.capture.enabled:
        source = config.source_of("enabled")
        found.append(Check("enabled", "degraded", f"false ({source}): nothing is recorded"))
    found.append(_redaction(config))
    return config, found


def _redaction(config: Config) -> Check:
    """Check the redaction settings; counts of redacted values are in a program's own health."""
    redaction = config.redaction
    if redaction.mode == "off":
        source = config.source_of("redact")
        text = f"off ({source}): passwords and keys in attributes are written as they are"
        return Check("redaction", "note", text, "Unset redact, or see docs/redaction.md")
    own = len(redaction.keys) + len(redaction.values)
    detail = f"{redaction.mode} rules"
    detail += f", {own} patterns of your own" if own else ""
    detail += f", {len(redaction.allow)} allowed" if redaction.allow else ""
    detail += ", marks can be compared" if redaction.hmac_key else ""
    return Check("redaction", "healthy", detail)


def check_folder(folder: Path, config: Config) -> Iterator[Check]:
    """Check whether records can be written to `folder`, and which of them a kill can lose."""
    existing = _nearest(folder)
    problem = ""
    if not existing.is_dir() and existing != folder:
        problem = "is not a folder"
    elif reason := _write_problem(existing):
        problem = f"cannot be written to: {reason}"
    if problem:
        hint = "Name another by the setting output"
        yield Check("folder", "failed", f"{existing} {problem}", hint)
        return
    target = existing if existing.is_dir() else existing.parent
    yield _folder(folder, existing)
    yield _durability(target, config)
    yield from _room(target, config)


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


def _folder(folder: Path, existing: Path) -> Check:
    if existing != folder:
        return Check("folder", "healthy", "is made with the first record")
    segments = list_segments(folder) if folder.is_dir() else [folder]
    detail = f"{count_of(len(segments), 'file')}, {size(sum(map(file_size, segments)))}"
    mode = stat.S_IMODE(existing.stat().st_mode)
    if mode & 0o022:
        text = f"{detail}; others may write to it (mode {mode:04o})"
        return Check("folder", "degraded", text, f"Run: chmod go-w {printable(str(existing))}")
    return Check("folder", "healthy", detail)


def _durability(folder: Path, config: Config) -> Check:
    file_system = file_system_of(folder)
    kind = file_system.kind or "unknown file system"
    wanted = config.journal.durability
    if wanted == "mapped" and file_system.can_map:
        return Check("durability", "healthy", f"mapped, on {kind}: a kill takes no record")
    if wanted == "mapped":
        return Check(
            "durability",
            "degraded",
            f"queued instead of mapped: {file_system.refusal}; a kill takes up to 50 ms of records",
            "Name a folder on ext4, xfs or tmpfs, or set durability=write (slower)",
        )
    if wanted == "queued":
        return Check("durability", "note", "queued, as set: a kill takes up to 50 ms of records")
    return Check("durability", "healthy", f"write, as set, on {kind}: a kill takes no record")


def _room(folder: Path, config: Config) -> Iterator[Check]:
    try:
        status = os.statvfs(folder)
    except (AttributeError, OSError):
        return
    free = status.f_bavail * status.f_frsize
    ring_size = config.journal.ring_size
    if free < max(_MIN_FREE, 2 * ring_size):
        yield Check(
            "room",
            "degraded",
            f"{size(free)} free; each process needs {format_size(ring_size)}"
            " for its ring buffer, and its files come on top",
            "Make room, lower retention-size, or name another folder",
        )
    elif status.f_files and status.f_favail < _MIN_INODES:
        text = f"only {status.f_favail} more files can be made here"
        yield Check("room", "degraded", text, "Make room")
    else:
        yield Check("room", "healthy", f"{size(free)} free")
