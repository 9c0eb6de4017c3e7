"""Declares the settings of the ring buffer, the JSONL files and their retention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from otel_ext.settings.declarations import declare
from otel_ext.settings.kinds import Boolean, Choice, Duration, Size
from otel_ext.settings.units import DAY, GIB, HOUR, KIB, MIB, MINUTE, YEAR

__all__ = ["Durability", "JournalSettings", "Sync"]

Durability = Literal["mapped", "queued", "write"]
Sync = Literal["always", "interval", "never"]


@dataclass(frozen=True)
class JournalSettings:
    """The ring buffer, the JSONL files and their retention. In seconds and bytes.

    >>> JournalSettings(durability="write").segment_age
    3600.0
    """

    durability: Durability = declare(
        Choice(get_args(Durability)),
        "How a record leaves the program: `mapped` stores it in memory that survives a kill;"
        " `queued` puts it into a queue, which does not; `write` makes a system call, as slow as"
        " the disk (after a write of more than 1 s it queues for 30 s, with a warning).",
        default="mapped",
    )
    sync: Sync = declare(
        Choice(get_args(Sync)),
        "When files are synced to the disk, against power loss: after each write (`always`), once"
        " a second (`interval`), or when the system decides to (`never`).",
        default="interval",
    )
    ring_size: int = declare(
        Size(64 * KIB, GIB),
        "Size of the ring buffer of each process. It is emptied every 50 ms, less often while the"
        " processor or the disk is busy; records that do not fit meanwhile (1 MiB holds about"
        " 2,000) are dropped and counted. `otel-ext doctor` reports when it was nearly full.",
        default=8 * MIB,
    )
    segment_size: int = declare(
        Size(64 * KIB, 1024 * GIB),
        "At this size a new JSONL file is started; a file is larger by one ring buffer at most.",
        default=64 * MIB,
    )
    segment_age: float = declare(
        Duration(1, YEAR, zero="for no limit"),
        "At this age a new JSONL file is started.",
        default=HOUR,
    )
    retention_size: int = declare(
        Size(64 * KIB, 1024 * GIB, zero="for no limit"),
        "Total size of a folder's closed files; above it the oldest are deleted.",
        default=512 * MIB,
    )
    retention_age: float = declare(
        Duration(MINUTE, 100 * YEAR, zero="for no limit"),
        "Closed files older than this are deleted.",
        default=7 * DAY,
    )
    recover_on_start: bool = declare(
        Boolean(),
        "At the start and later, write the ends of spans that dead processes left open.",
        default=True,
    )
