"""Runs a program under callgrind, and reads how many instructions it needed between two marks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.child import environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Counted", "begin_counting", "count_instructions", "is_installed", "read_parts"]

# Set for a program that is counted.
_COUNTED: Final = "BENCHMARK_IS_COUNTED"
_TIMEOUT_SECONDS: Final = 900.0
_FILE: Final = "counted"
# What callgrind names the file of each part: its number, then the thread's if those are apart.
_PART: Final = re.compile(rf"{_FILE}\.(?P<part>\d+)(?:-(?P<thread>\d+))?")
_TOTAL: Final = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)
_CALLER: Final = 1


class Counted(NamedTuple):
    """What a program printed, and its instructions.

    Attributes:
        printed: Its standard output.
        parts: Instructions since the mark before, in the order of the marks.
    """

    printed: str
    parts: list[int]


def is_installed() -> bool:
    """Return whether valgrind and its remote control are on the path."""
    return all(shutil.which(name) is not None for name in ("valgrind", "vgdb"))


def begin_counting() -> None:
    """Let callgrind count from here on; no effect in a process that it does not run.

    Until then it lets the process run five times as fast.

    Raises:
        RuntimeError: It could not be reached.
    """
    if _COUNTED not in os.environ:
        return
    command = ["vgdb", f"--pid={os.getpid()}", "instrumentation", "on"]
    control = subprocess.Popen(  # noqa: S603 - of valgrind
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    # Valgrind listens while the program computes; one that waits needs leave to be interrupted.
    while control.poll() is None:
        pass
    if control.returncode:
        raise RuntimeError(f"{' '.join(command)} failed with {control.returncode}")


def count_instructions(
    arguments: Sequence[str], mark: str, *, only_caller: bool, extra: Mapping[str, str]
) -> Counted:
    """Run this Python with `arguments` under callgrind.

    Args:
        arguments: Of Python.
        mark: The function of the C library whose calls end the parts.
        only_caller: Whether to count the main thread, or all threads together.
        extra: Environment variables.

    Raises:
        RuntimeError: It failed, took too long, or no mark was met.
    """
    with TemporaryDirectory(prefix="otel-ext-bench-") as folder:
        command = [
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--separate-threads={'yes' if only_caller else 'no'}",
            f"--dump-before={mark}",
            f"--callgrind-out-file={Path(folder, _FILE)}",
            sys.executable,
            *arguments,
        ]
        try:
            done = subprocess.run(  # noqa: S603 - our own programs
                command,
                env={**environment(), **extra, _COUNTED: "1"},
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"{' '.join(arguments)} took too long") from error
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr[-2_000:]}")
        parts = read_parts(Path(folder).iterdir())
    if not parts:
        raise RuntimeError(f"callgrind met no call of {mark}")
    return Counted(done.stdout, parts)


def read_parts(files: Iterable[Path]) -> list[int]:
    """Return the instructions of each part, in their order.

    Args:
        files: What callgrind wrote; files of other threads than the main one, and the
            last one, from the last mark to the end of the program, are passed over.

    Raises:
        RuntimeError: A file has no total.
    """
    found: dict[int, int] = {}
    for path in files:
        match = _PART.fullmatch(path.name)
        if match is None or int(match["thread"] or _CALLER) != _CALLER:
            continue
        total = _TOTAL.search(path.read_text("utf-8", "replace"))
        if total is None:
            raise RuntimeError(f"callgrind wrote no total into {path.name}")
        found[int(match["part"])] = int(total[1])
    return [found[part] for part in sorted(found)]
