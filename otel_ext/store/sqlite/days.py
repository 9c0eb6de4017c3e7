"""The days of a store: which there are, which one a time belongs to, which are deleted."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.journal.names import names_in
from otel_ext.store.sqlite.schema import DAY_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = [
    "DAY_NS",
    "DEFAULT_LIMITS",
    "StoreLimits",
    "beyond",
    "day_of",
    "days_in",
    "file_of",
    "files_of",
    "start_of",
]

_NAME: Final = re.compile(rf"(\d{{4}}-\d\d-\d\d){re.escape(DAY_SUFFIX)}")
_EPOCH: Final = date(1970, 1, 1)
_SECONDS: Final = 86_400
DAY_NS: Final = _SECONDS * 10**9


class StoreLimits(NamedTuple):
    """How much a store keeps.

    Attributes:
        days: So many days that have traces; of more, the oldest are deleted.
        size: Above this total size in bytes the oldest days are deleted, but never the newest;
            0 for no limit.
    """

    days: int = 14
    size: int = 8 * 1024**3


DEFAULT_LIMITS: Final = StoreLimits()


def day_of(time_ns: int, now_ns: int) -> int:
    """Return the number of the day of a time, since the epoch; a wrong time is of today.

    Args:
        time_ns: Nanoseconds since the epoch.
        now_ns: The present time.

    >>> day_of(0, 3 * DAY_NS), day_of(9 * DAY_NS, 3 * DAY_NS)
    (0, 3)
    """
    day, today = time_ns // DAY_NS, now_ns // DAY_NS
    return day if 0 <= day <= today + 1 else today


def start_of(day: int) -> int:
    """Return when a day begins, nanoseconds since the epoch."""
    return day * DAY_NS


def file_of(folder: Path, day: int) -> Path:
    """Return the file of a day.

    >>> from pathlib import Path
    >>> file_of(Path(), 1).name
    '1970-01-02.day.sqlite'
    """
    return folder / f"{_EPOCH + timedelta(days=day)}{DAY_SUFFIX}"


def days_in(folder: Path) -> list[int]:
    """Return the days that have a file in a folder, the newest first."""
    days: list[int] = []
    for name in names_in(folder):
        match = _NAME.fullmatch(name)
        if match is not None:
            with suppress(ValueError):  # the 99th of a month
                start = datetime.strptime(match[1], "%Y-%m-%d").replace(tzinfo=timezone.utc)
                days.append(int(start.timestamp()) // _SECONDS)
    return sorted(days, reverse=True)


def files_of(path: Path) -> list[Path]:
    """Return a file of SQLite, and the files that it has beside it while it is open."""
    return [path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))]


def beyond(folder: Path, limits: StoreLimits) -> Sequence[int]:
    """Return the days that are beyond the limits, the newest first."""
    days = days_in(folder)
    total, kept = 0, 0
    for day in days[: limits.days]:
        with suppress(OSError):
            total += sum(
                path.stat().st_size for path in files_of(file_of(folder, day)) if path.exists()
            )
        if kept and 0 < limits.size < total:
            break
        kept += 1
    return days[kept:]
