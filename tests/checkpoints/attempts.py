"""Runs attempts of an operation in other processes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.programs import ROOT, environment, python

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Attempt"]

PROGRAM = Path(__file__).with_name("programs") / "attempt.py"


class Attempt:
    """A process that runs `programs/attempt.py`; it is killed at the end of the block."""

    def __init__(self, folder: Path, how: str) -> None:
        self.process = subprocess.Popen(
            python(PROGRAM, folder, how),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(PYTHONPATH=str(ROOT)),
        )

    def line(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip()

    def finish(self) -> str:
        """Let it go on, and return the rest of what it prints."""
        out, err = self.process.communicate("\n", timeout=30)
        assert "Traceback" not in err, err
        return out

    def kill(self) -> None:
        """End it with SIGKILL, and wait for that."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Attempt:  # noqa: PYI034 - typing.Self came with Python 3.11
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None and not stream.closed:
                stream.close()
