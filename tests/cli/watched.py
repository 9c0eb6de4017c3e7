"""Runs programs with open spans, and commands that read them."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from tests.programs import OTEL_EXT, execute, python, started, write_program

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from tests.programs import Done

PROGRAM = """\
import sys, time
from opentelemetry import trace
from otel_ext.pipeline import configure

configure(output=sys.argv[1], console="off", **eval(sys.argv[2]))
tracer = trace.get_tracer("shop")

def wait_for_the_bank():
    open("ready-" + sys.argv[3], "w").close()
    for _ in range(36000): time.sleep(0.1)  # a signal just before a sleep is handled after it

with tracer.start_as_current_span("checkout", attributes={"user": "ann"}):
    with tracer.start_as_current_span("quick"):
        pass
    with tracer.start_as_current_span("pay"):
        %s
"""
WAITS = "wait_for_the_bank()"
# One call of C that never ends and never releases the interpreter lock.
HOLDS_INTERPRETER = """\
import re
        time.sleep(0.3)
        open("ready-" + sys.argv[3], "w").close()
        re.match("(a+)+$", "a" * 60 + "b")
"""


@contextmanager
def shop(
    folder: Path,
    *,
    body: str = WAITS,
    name: str = "one",
    env: Mapping[str, str] | None = None,
    **settings: object,
) -> Generator[subprocess.Popen[bytes]]:
    """Run a program with two open spans that records into `traces` in `folder`."""
    program = write_program(folder, PROGRAM % body, f"shop_{name}.py")
    command = python(program, "traces", repr(settings), name)
    with started(command, cwd=folder, env=env) as process:
        end = time.monotonic() + 30
        while not (folder / f"ready-{name}").exists():
            assert process.poll() is None, (folder / "output.txt").read_text()
            assert time.monotonic() < end, "the program does not begin"
            time.sleep(0.02)
        yield process


def run_on_traces(folder: Path, command: str, *words: str | Path) -> Done:
    """Run a command of otel-ext on the folder `traces`."""
    return execute([OTEL_EXT, command, "traces", *words], cwd=folder)


def spans_by(folder: Path, command: str = "ps", *words: str) -> dict[str, dict[str, object]]:
    """Return the spans of `ps --json` by name."""
    done = run_on_traces(folder, command, "--json", *words)
    found = [cast("dict[str, object]", json.loads(line)) for line in done.out.splitlines()]
    return {str(span["name"]): span for span in found}


def states(folder: Path, *words: str) -> dict[str, object]:
    """Return the state of each open span by its name."""
    return {name: span["state"] for name, span in spans_by(folder, "ps", *words).items()}


def columns(out: str) -> list[list[str]]:
    """Return the fields of a table whose columns are separated by two or more blanks."""
    return [[field.strip() for field in line.split("  ") if field] for line in out.splitlines()]


def waiting_for(
    folder: Path, wanted: dict[str, object], words: Sequence[str] = (), seconds: float = 20.0
) -> dict[str, object]:
    """Wait until the states are as `wanted`, or the time is over; return the states."""
    end = time.monotonic() + seconds
    while (found := states(folder, *words)) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    return found


@contextmanager
def as_unprivileged_user() -> Generator[None]:
    """Give up the rights of root for a while, if the tests have them."""
    if os.geteuid():
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)
