"""`otel-ext` without standard streams, as daemons and schedulers start programs."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.written import exported
from tests.exporters.samples import end, start
from tests.programs import (
    OTEL_EXT,
    Done,
    environment,
    execute,
    python,
    spans_in,
    write_program,
)

if TYPE_CHECKING:
    from pathlib import Path

FIVE = """\
import sys
from opentelemetry import trace
trace.get_tracer("test").start_span("work").end()
sys.exit(5)
"""
# A program without otel-ext in it, because otel-ext opens descriptors too.
DESCRIPTORS = """\
import os, sys
def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
seen = [is_open(number) for number in range(3)]
with open(sys.argv[1], "w") as file:
    print(seen, sys.stdout is None, sys.stderr is None, file=file)
"""
# Writes to the descriptors: the worker opens files for reading only for moments.
PRINTS = """\
import errno, os, time
from opentelemetry import trace
def errors():
    for number in (1, 2):
        try:
            os.write(number, b"")
        except OSError as error:
            yield errno.errorcode[error.errno]
with trace.get_tracer("test").start_as_current_span("work"):
    trace.get_tracer_provider().force_flush()
    found = list(errors())
with open("errors.txt", "w") as file:
    print(*found, file=file)
"""


def closed(cwd: Path, redirections: str, *words: str) -> Done:
    """Run a command whose standard streams are redirected, or closed, by a shell."""
    command = ["sh", "-c", f"{shlex.join(words)} {redirections}"]
    return execute(command, cwd=cwd)


@pytest.mark.parametrize("redirections", [">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_a_program_runs_and_its_exit_code_is_kept(
    tmp_path: Path, redirections: str, quiet: tuple[str, ...]
) -> None:
    """Whichever stream is closed or full, the program runs, is recorded and keeps its exit code."""
    write_program(tmp_path, FIVE)
    done = closed(tmp_path, redirections, OTEL_EXT, "run", *quiet, "program.py")
    assert done.code == 5, done.err
    assert "Traceback" not in done.err
    assert [record.phase for record in spans_in(tmp_path / "traces")] == ["start", "end"]


@pytest.mark.parametrize("redirection", [">&-", "2>&-"])
@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_the_signal_that_ended_it_is_kept(
    tmp_path: Path, redirection: str, quiet: tuple[str, ...]
) -> None:
    """A program ended by SIGTERM has that outcome, whichever stream is closed."""
    command = [OTEL_EXT, "run", *quiet, "--", "sh", "-c", "kill -TERM $$"]
    done = closed(tmp_path, f"{redirection}; exit $?", *command)
    assert done.code == 143, done.err
    assert "Traceback" not in done.err


def test_a_message_without_a_reader_does_not_end_run_by_a_signal(tmp_path: Path) -> None:
    """A program that the kernel refuses has the exit code that a shell gives it."""
    write_program(tmp_path, "#!/missing/interpreter\n", "broken").chmod(0o755)
    reader, writer = os.pipe()
    os.close(reader)
    command = [OTEL_EXT, "run", "--quiet", "./broken"]
    try:
        done = subprocess.run(command, cwd=tmp_path, stderr=writer, env=environment(), check=False)
    finally:
        os.close(writer)
    assert done.returncode == 127


@pytest.mark.parametrize("redirections", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_closed_streams_stay_closed_for_the_program(
    tmp_path: Path, redirections: str, quiet: tuple[str, ...]
) -> None:
    """The program does not inherit our replacement of a closed stream."""
    write_program(tmp_path, DESCRIPTORS)
    plain, seen = tmp_path / "plain.txt", tmp_path / "seen.txt"
    program = python("-S", "program.py")
    closed(tmp_path, redirections, *program, str(plain))
    command = [OTEL_EXT, "run", *quiet, "--", *program, str(seen)]
    assert closed(tmp_path, redirections, *command).code == 0
    assert "False" in plain.read_text("utf-8")
    assert seen.read_text("utf-8") == plain.read_text("utf-8")


@pytest.mark.parametrize("redirections", [">&-", "<&- >&- 2>&-"])
def test_output_to_a_closed_stream_does_not_reach_the_records(
    tmp_path: Path, redirections: str
) -> None:
    """No file of ours gets the descriptor number of a closed stream."""
    write_program(tmp_path, PRINTS)
    done = closed(tmp_path, redirections, OTEL_EXT, "run", "program.py")
    assert done.code == 0
    assert (tmp_path / "errors.txt").read_text("utf-8").split() == ["EBADF"] * (
        redirections.count(">&-")
    )
    assert [record.phase for record in spans_in(tmp_path / "traces")] == ["start", "end"]


@pytest.mark.parametrize("redirection", [">&-", "2>&-"])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["validate", "traces"], 0),
        (["tree", "traces"], 0),
        (["tail", "--no-follow", "traces"], 0),
        (["tail", "--no-follow", "--json", "traces"], 0),
        (["ps", "traces"], 1),
        (["recover", "traces"], 0),
        (["validate", "nope"], 2),
        (["no-such-command"], 2),
    ],
)
def test_other_commands_answer_by_their_exit_code(
    tmp_path: Path, redirection: str, words: list[str], code: int
) -> None:
    """A command keeps its exit code if its output cannot be written."""
    exported(tmp_path / "traces", start(), end())
    done = closed(tmp_path, redirection, OTEL_EXT, *words)
    assert done.code == code, done.err
    assert "Traceback" not in done.err


def test_a_closed_standard_input_is_an_error(tmp_path: Path) -> None:
    """`validate -` prints one line instead of a traceback."""
    done = closed(tmp_path, "<&-", OTEL_EXT, "validate", "-")
    assert (done.code, done.err) == (2, "otel-ext: the standard input is closed. Name a file\n")
