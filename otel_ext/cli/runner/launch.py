"""Turns the words after `otel-ext run` into a program, its arguments and environment."""

from __future__ import annotations

import os
import shutil
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.errors import OtelExtError
from otel_ext.zero_code import AUTO, BOOTSTRAP_DIR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CommandError", "bootstrap_environment", "resolve"]

# Exit codes of shells.
_NOT_EXECUTABLE: Final = 126
_NOT_FOUND: Final = 127


class CommandError(OtelExtError):
    """The command cannot be started; `exit_code` is that of a shell.

    126 is for a file that cannot be executed, 127 for a missing one.
    """

    code = "command"

    def __init__(self, message: str, *, hint: str = "", exit_code: int) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


def resolve(command: Sequence[str]) -> list[str]:
    """Return the arguments to start `command` with; the first one is a path.

    A Python script that is not executable is run by the interpreter that runs
    otel-ext. A bare name is looked up on PATH, then beside that interpreter, so
    that `.venv/bin/otel-ext run -- uvicorn app:app` works without activation.

    Raises:
        CommandError: The command does not exist or cannot be executed.

    >>> resolve(["sh", "-c", "true"])[1:]
    ['-c', 'true']
    """
    name, *arguments = command
    if not name:
        message = "the command to run is empty"
        raise CommandError(message, hint="Try: otel-ext run -- python app.py", exit_code=_NOT_FOUND)
    found = shutil.which(name)
    if found is None and Path(name).name == name:
        found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is not None:
        return [found, *arguments]
    path = Path(name)
    if path.is_file():
        if path.suffix in {".py", ".pyw", ".pyz"}:
            return [sys.executable, name, *arguments]
        hint = f"Try: chmod +x {name}, or name the interpreter: otel-ext run -- python {name}"
        raise CommandError(f"{name} is not executable", hint=hint, exit_code=_NOT_EXECUTABLE)
    if path.is_dir():
        if (path / "__main__.py").is_file():
            return [sys.executable, name, *arguments]
        message = f"{name} is a folder, not a program"
        raise CommandError(message, exit_code=_NOT_EXECUTABLE)
    raise _not_found(name)


def _not_found(name: str) -> CommandError:
    folder = Path(name).parent
    try:
        names = [entry.name for entry in folder.iterdir()]
        near = get_close_matches(Path(name).name, names, n=1, cutoff=0.8)
    except OSError:
        near = []
    if near:
        hint = f"Did you mean {folder / near[0]}?"
    elif folder == Path():
        hint = "It is neither a file here nor a program on PATH"
    else:
        hint = "There is no such file"
    return CommandError(f"{name} was not found", hint=hint, exit_code=_NOT_FOUND)


def bootstrap_environment(
    environment: Mapping[str, str], settings: Mapping[str, str], *, run_pid: int
) -> dict[str, str]:
    """Return `environment` with the variables that make Python processes record themselves.

    Args:
        environment: The variables the command would get without otel-ext.
        settings: Variables of our settings.
        run_pid: The process by which children recognize the command itself: its parent,
            or the process that becomes the command.

    >>> changed = bootstrap_environment({"PYTHONPATH": "lib"}, {}, run_pid=1)
    >>> changed["PYTHONPATH"].endswith("_site:lib"), changed["OTEL_EXT_AUTO"]
    (True, 'true')
    """
    before = environment.get("PYTHONPATH", "").split(os.pathsep)
    # An empty entry means the working directory; an empty PYTHONPATH means no entries.
    kept = [entry for entry in before if entry != BOOTSTRAP_DIR] if any(before) else []
    return {
        **environment,
        **settings,
        "PYTHONPATH": os.pathsep.join([BOOTSTRAP_DIR, *kept]),
        AUTO: "true",
        "OTEL_EXT_RUN_PID": str(run_pid),
    }
