"""Runs programs with open spans, and commands that read them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.commands import call
from tests.programs import becomes_true, python, started, wait_until, write_program

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from tests.programs import Done

PROGRAM = """\
import os, sys, time; parent = os.getppid()
from opentelemetry import trace
from otel_ext.pipeline import configure

configure(output=sys.argv[1], console="off", **eval(sys.argv[2]))
tracer = trace.get_tracer("shop")

def wait_for_the_bank():
    open("ready-" + sys.argv[3], "w").close()
    while os.getppid() == parent: time.sleep(0.1)  # a signal just before it is handled after it

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


# Options with which each command ends by itself.
ENDING = {"tail": ["--no-follow"], "top": ["--once"], "recover": ["--grace", "0"]}


class Shop(NamedTuple):
    """A program that has two open spans, or had them when it was killed.

    Attributes:
        folder: Its working directory, with its records in `traces`.
        pid: Its process.
    """

    folder: Path
    pid: int

    @property
    def label(self) -> str:
        """What tables and messages call it."""
        return f"{self.pid} shop_one.py"


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
        ready = folder / f"ready-{name}"
        wait_until(lambda: ready.exists() or process.poll() is not None, "the program begins")
        assert ready.exists(), (folder / "output.txt").read_text()
        yield process


def run_on_traces(folder: Path, command: str, *words: str | Path) -> Done:
    """Call a command of otel-ext on the folder `traces`."""
    return call(command, "traces", *words, cwd=folder)


def spans_by(folder: Path, command: str = "ps", *words: str) -> dict[str, dict[str, Any]]:
    """Return the spans of `ps --json` by name."""
    found = run_on_traces(folder, command, "--json", *words).documents
    return {str(span["name"]): span for span in found}


def states(folder: Path, *words: str) -> dict[str, object]:
    """Return the state of each open span by its name."""
    return {name: span["state"] for name, span in spans_by(folder, "ps", *words).items()}


def both(state: str) -> dict[str, object]:
    """Return the states of the two spans, if both have this one."""
    return {"checkout": state, "pay": state}


def become(folder: Path, state: str, *words: str) -> None:
    """Wait until `ps` shows this state for the two spans and nothing else."""
    shown: list[dict[str, object]] = []

    def is_so() -> bool:
        shown.append(states(folder, *words))
        return shown[-1] == both(state)

    assert becomes_true(is_so, 20), shown[-1]


def parts_of(done: Done) -> dict[str, dict[str, Any]]:
    """Return the checks of `doctor --json` by their part's name."""
    return {str(part["part"]): part for part in done.document["parts"]}


def columns(out: str) -> list[list[str]]:
    """Return the fields of a table whose columns are separated by two or more blanks."""
    return [[field.strip() for field in line.split("  ") if field] for line in out.splitlines()]
