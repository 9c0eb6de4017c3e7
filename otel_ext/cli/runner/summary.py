"""The summary of `otel-ext run`: where the records are and what to type next."""

from __future__ import annotations

import shlex
import signal
from contextlib import suppress
from stat import S_ISREG
from typing import TYPE_CHECKING, Final

from otel_ext.cli.runner.record_count import count_records, rings_left_behind
from otel_ext.journal.files import folder_of, is_folder
from otel_ext.journal.names import list_rings
from otel_ext.journal.ring_layout import RING_FOLDER
from otel_ext.readable import count_of, size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from otel_ext.cli.runner.record_count import Count

__all__ = ["RunSummary"]

_NEXT: Final = (
    ("tree", "what happened, as a tree"),
    ("tail", "the records, one a line"),
    ("validate", "are all of them well formed?"),
)


class RunSummary:
    """Finds the files in a folder, or the file, written since it was created; describes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Not by modification time: the clock may be set while the program runs.
        self._files_before = self._files()
        self._rings_before = frozenset(list_rings(folder_of(folder)))

    def text(
        self,
        outcome: int,
        *,
        complete: bool = True,
        reason: Callable[[], str] = str,
        died: Sequence[str] = (),
    ) -> str:
        """Return the summary, each line with its newline.

        Args:
            outcome: Exit code of the program, or minus the signal that ended it.
            complete: Whether all records of the program are in its files.
            reason: Returns why there are no spans; called only without spans.
            died: A line for each span that was open when a process died.
        """
        lines = [f"otel-ext: ended by {_signal_name(-outcome)}."] if outcome < 0 else []
        folder = folder_of(self._folder)
        count = count_records(self._new_files(), rings_left_behind(folder, self._rings_before))
        if not count.size and not count.waiting and not count.dropped:
            return "\n".join([*lines, f"otel-ext: no records. {reason()}".rstrip(), ""])
        lines.append(f"otel-ext: {_amount(count, self._folder)}{_loss_note(count, complete)}")
        if not count.has_spans and not count.dropped and (why := reason()):
            lines.append(f"otel-ext: no spans. {why}")
        if count.waiting:
            lines.append(_waiting_line(count, folder))
        if died:
            lines += ["otel-ext: what was running when it died:", *died]
        if count.size:
            lines += self._next_steps()
        return "\n".join([*lines, ""])

    def _next_steps(self) -> list[str]:
        quoted = shlex.quote(str(self._folder))
        commands = [(f"otel-ext {name} {quoted}", why) for name, why in _NEXT]
        width = max(len(command) for command, _ in commands)
        heads = ["otel-ext: next:", *[" " * 15] * len(commands)]
        return [
            f"{head} {command:<{width}}  {why}"
            for head, (command, why) in zip(heads, commands, strict=False)
        ]

    def _new_files(self) -> list[Path]:
        return sorted(
            path for path, state in self._files().items() if self._files_before.get(path) != state
        )

    def _files(self) -> dict[Path, tuple[int, int, int]]:
        """Return the existing files, each with the facts that a write changes."""
        found: dict[Path, tuple[int, int, int]] = {}
        # The folder may be missing or not readable, and a file may be deleted meanwhile.
        with suppress(OSError):
            paths = self._folder.glob("*.jsonl") if is_folder(self._folder) else [self._folder]
            for path in paths:
                with suppress(OSError):
                    status = path.stat()
                    if S_ISREG(status.st_mode):
                        found[path] = (status.st_ino, status.st_size, status.st_mtime_ns)
        return found


def _amount(count: Count, folder: Path) -> str:
    records = f"{size(count.size)} of records"
    if count.records is not None:
        records = count_of(count.records, "record")
    return f"{records} in {count_of(count.files, 'file')} in {folder}"


def _loss_note(count: Count, complete: bool) -> str:  # noqa: FBT001 - the caller names it
    # If records are missing, they may be ends, so unended spans cannot be counted.
    if count.dropped:
        return f"; {count_of(count.dropped, 'record')} could not be written and were lost"
    if not complete and not count.waiting:
        return "; more records may not have been written"
    if not count.unended:
        return ""
    return f"; {count_of(count.unended, 'span')} did not end"


def _waiting_line(count: Count, folder: Path) -> str:
    command = f"otel-ext recover {shlex.quote(str(folder))}"
    wait = "waits" if count.waiting == 1 else "wait"
    return (
        f"otel-ext: {count_of(count.waiting, 'record')} {wait} in {folder / RING_FOLDER};"
        f" once there is room for more: {command}"
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
