"""The doctor's look at accounts: records that were dropped, buffers that came close to full.

A program tells both in its heartbeats, and when it ends. What a program that has ended
says stands at the end of its file.
"""

from __future__ import annotations

from collections import Counter
from time import time
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from otel_ext.cli.commands.doctor.check import healthy, note, weak
from otel_ext.cli.commands.doctor.ids import newest_files
from otel_ext.journal.read.incarnations import base_id, modified_ns
from otel_ext.journal.read.scanner import Line, scan
from otel_ext.record.model import EMPTY
from otel_ext.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from otel_ext.cli.commands.doctor.check import Check
    from otel_ext.observe.processes import RunningProcess
    from otel_ext.observe.snapshot import Snapshot

__all__ = ["check_account", "check_ended"]

_CLOSE_TO_FULL: Final = 80
_TAIL_BYTES: Final = 16 * 1024
_LATELY_SECONDS: Final = 86_400
_RAISE: Final = "Raise ring-size before records are dropped"
_ADVICE: Final = {
    "queue_full": "The file could not be written as fast as records came: raise ring-size,"
    " or name a faster disk",
    "write_failed": "The output cannot be written: look at room and permissions above",
    "inflight_full": "Raise max-open-spans",
    "encode_failed": "Its standard error says which record could not be encoded",
    "not_written": "The output could not be written when the program ended: look at room and"
    " permissions above",
}


class _Account(NamedTuple):
    """What a process says became of its records.

    Attributes:
        dropped: How many were dropped, by reason.
        peak: The fullest that what waits has been, in per cent.
    """

    dropped: Counter[str]
    peak: int

    @classmethod
    def of(cls, facts: Mapping[str, object]) -> _Account:
        found, peak = facts.get("dropped"), facts.get("buffer_peak")
        counts = cast("Mapping[str, object]", found if isinstance(found, dict) else EMPTY)
        dropped = {printable(key): n for key, n in counts.items() if type(n) is int and n > 0}
        return cls(Counter(dropped), peak if type(peak) is int else 0)

    @property
    def reasons(self) -> str:
        return ", ".join(f"{reason} {count:,}" for reason, count in sorted(self.dropped.items()))

    @property
    def advice(self) -> str:
        return _ADVICE.get(max(self.dropped, key=lambda reason: self.dropped[reason]), "")


def check_account(group: str, part: str, detail: str, process: RunningProcess) -> Check:
    """Return what the newest heartbeat of a process says.

    Args:
        group: The heading it stands under.
        part: The name of the process.
        detail: What else is known of it.
        process: The process.
    """
    account = _Account.of(EMPTY if process.heartbeat is None else process.heartbeat.extra)
    if account.dropped:
        text = f"records were dropped: {account.reasons}; {detail}"
        return weak(group, part, text, account.advice)
    if account.peak >= _CLOSE_TO_FULL:
        text = f"its buffer came close to full: {account.peak} %; {detail}"
        return note(group, part, text, _RAISE)
    return healthy(group, part, detail)


def check_ended(group: str, snapshot: Snapshot) -> Iterator[Check]:
    """Yield what programs said when they ended, if that was within a day.

    Args:
        group: The heading it stands under.
        snapshot: What runs now; where it was looked for.
    """
    living = {process.id for process in snapshot.processes if process.lives}
    accounts: dict[str, _Account] = {}
    for path in newest_files(snapshot.folders):
        if time() - modified_ns([path]) / 1e9 > _LATELY_SECONDS:
            break
        accounts = {**_accounts_in(path), **accounts}  # of each program the newest
    ended = [account for name, account in accounts.items() if name not in living]
    losers = [account for account in ended if account.dropped]
    if losers:
        total = _Account(sum((one.dropped for one in losers), Counter[str]()), 0)
        text = f"{_programs(len(losers))} dropped {total.dropped.total():,} records within a day"
        yield weak(group, "ended", f"{text}: {total.reasons}", total.advice)
    close = [one.peak for one in ended if not one.dropped and one.peak >= _CLOSE_TO_FULL]
    if close:
        text = f"the buffer of {_programs(len(close))} came close to full: {max(close)} %"
        yield note(group, "ended", text, _RAISE)


def _accounts_in(path: Path) -> dict[str, _Account]:
    """Return the last account of each process whose records end a file."""
    try:
        start = max(path.stat().st_size - _TAIL_BYTES, 0)
    except OSError:
        return {}
    return {
        base_id(item.key[0]): _Account.of(item.meta)
        for item in scan(path, start)
        if isinstance(item, Line) and "dropped" in item.meta
    }


def _programs(number: int) -> str:
    return "1 program" if number == 1 else f"{number:,} programs"
