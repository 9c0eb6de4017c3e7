"""Notes from the processes that `otel-ext run` starts, for its closing summary.

Each process appends lines to a file of its own, in a folder that `otel-ext run`
makes and removes. Without such a folder, notes are discarded.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["NOTES_VARIABLE", "are_wanted", "note", "notes_folder", "read_notes"]

NOTES_VARIABLE: Final = "OTEL_EXT_RUN_NOTES"
"""The environment variable that names the folder."""

_MAX_FILES: Final = 10_000
_MAX_BYTES: Final = 64 * 1024


def are_wanted() -> bool:
    """Return whether `otel-ext run` reads notes of this process."""
    return bool(os.environ.get(NOTES_VARIABLE))


def note(kind: str, text: str = "") -> None:
    """Append a note for `otel-ext run`; never raises.

    Args:
        kind: The subject, one word.
        text: The rest of the line.

    >>> note("library", "flask")  # discarded: there is no folder
    """
    folder = os.environ.get(NOTES_VARIABLE)
    if not folder:
        return
    line = f"{kind} {' '.join(text.split())}\n".encode("utf-8", "replace")
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        descriptor = os.open(Path(folder, str(os.getpid())), flags, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        pass  # the run is over, or this process may not write there; the program goes on


@contextmanager
def notes_folder() -> Generator[Path | None, None, None]:
    """Make a folder for notes, and remove it at the end; None if that fails."""
    import shutil  # noqa: PLC0415 - for `otel-ext run` alone; the processes it starts only note
    import tempfile  # noqa: PLC0415

    try:
        folder = Path(tempfile.mkdtemp(prefix="otel-ext-run-"))
    except OSError:
        yield None
        return
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_notes(folder: Path) -> dict[str, list[str]]:
    """Return the notes of all processes by kind, each text once, in the order of the files."""
    found: dict[str, dict[str, None]] = {}
    try:
        paths = sorted(folder.iterdir())[:_MAX_FILES]
    except OSError:
        return {}
    for path in paths:
        try:
            with path.open("rb") as file:
                text = file.read(_MAX_BYTES).decode("utf-8", "replace")
        except OSError:
            continue
        for line in text.splitlines():
            kind, _, rest = line.partition(" ")
            found.setdefault(kind, {})[rest] = None
    return {kind: list(texts) for kind, texts in found.items()}
