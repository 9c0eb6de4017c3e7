"""Runs one attempt, as its arguments say: FOLDER, HOW, and what to do in the block."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import otel_ext
from otel_ext.context import checkpoint, resume, with_span
from otel_ext.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

NAME: Final = "import"


def say(text: str) -> None:
    """Print one line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def wait(_folder: Path | None = None) -> None:
    """Wait for a line, or the end of the input."""
    sys.stdin.readline()


def main(folder: str, how: str) -> None:
    """Run it."""
    otel_ext.configure(output=folder, segment_size="64KiB", instrument=False)
    if how == "plain":
        with with_span("by hand"):
            checkpoint({"by": "hand"}, name=NAME)
            say("stored")
            wait()
        return
    try:
        with resume(NAME) as work:
            say(f"attempt {work.attempt} from {work.state}")
            work.checkpoint({"done": work.attempt})
            say("stored")
            IN_THE_BLOCK[how](Path(folder))
    except ConfigError as error:
        say(f"refused: {error}")
    except ValueError:
        say("failed")
        wait()


def die(_folder: Path) -> None:
    """Die by SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)


def fail(_folder: Path) -> None:
    """Raise an exception."""
    raise ValueError


def fork(folder: Path) -> None:
    """Die, but leave a child."""
    child = os.fork()
    if child == 0:
        signal.pause()
    folder.joinpath("child").write_text(str(child), "utf-8")
    die(folder)


def rotate(folder: Path) -> None:
    """Record so much that several files are begun, then die."""
    while len(list(folder.glob("*.jsonl"))) < 4:
        with with_span("filler", text="x" * 2_000):
            pass
    die(folder)


IN_THE_BLOCK: Final[dict[str, Callable[[Path], object]]] = {
    "die": die,
    "fail": fail,
    "fork": fork,
    "rotate": rotate,
    "wait": wait,
}

if __name__ == "__main__":
    main(*sys.argv[1:3])
