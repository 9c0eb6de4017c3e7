"""Shows a progress bar while large files are read."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from otel_ext.terminal.canvas import is_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["progress_bar"]

_BIG_BYTES: Final = 32 * 1024 * 1024


@contextmanager
def progress_bar(total: int, what: str = "reading") -> Generator[Callable[[int], None]]:
    """Show a progress bar on the standard error, for large files on a terminal.

    Args:
        total: How many bytes there are to read.
        what: The word before the bar.

    Yields:
        A function to call with the number of bytes read since the last call.
    """
    if total < _BIG_BYTES or not is_terminal(sys.stderr):
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - only for a bar
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=is_terminal(sys.stdout),
    )
    with bar:
        task = bar.add_task(what, total=total)
        yield lambda size: bar.advance(task, size)
