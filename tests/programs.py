"""Runs real programs for the tests, with or without recording, and reads their records."""

from __future__ import annotations

import faulthandler
import json
import os
import random
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import traceback
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, NamedTuple

from otel_ext.record.decode import decode_line

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from otel_ext.record.model import Record

SCRIPTS = Path(sysconfig.get_path("scripts"))
OTEL_EXT = str(SCRIPTS / "otel-ext")
INSTRUMENT = str(SCRIPTS / "opentelemetry-instrument")
ROOT = Path(__file__).parents[1]
"""The folder of `tests`, for the PYTHONPATH of programs that import from it."""
EXAMPLES = ROOT / "examples"
# Ask whether a process has ended, without waiting for that and without taking its status.
_HAS_ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT

# Below those that systems give out by themselves.
_PORTS = range(10_000, 30_000)
_next_port = count(random.SystemRandom().randrange(len(_PORTS)))


class Done(NamedTuple):
    """A program that has ended.

    Attributes:
        code: Exit code; minus the signal that ended it.
    """

    code: int
    out: str
    err: str

    @property
    def output(self) -> str:
        """Both outputs together."""
        return self.out + self.err

    @property
    def document(self) -> Any:  # noqa: ANN401 - as json.loads
        """The standard output, which is one JSON value."""
        return json.loads(self.out)

    @property
    def documents(self) -> list[Any]:
        """The lines of the standard output, each a JSON value."""
        return [json.loads(line) for line in self.out.splitlines()]


# A program with one span.
ONE_SPAN = """\
from opentelemetry import trace
with trace.get_tracer("test").start_as_current_span("work", attributes={"n": 1}):
    pass
"""
# Disabled, unless a test needs them: importing them all takes a second for each program.
LIGHT = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "celery,django,fastapi,flask"}
EVERYTHING = dict.fromkeys(LIGHT, "")
# The instrumentation of logging fails at exit on some Pythons, also without otel-ext.
LIGHT_WITHOUT_LOGGING = {name: f"{value},logging" for name, value in LIGHT.items()}

# The SDK's exporters, switched off.
NOWHERE = dict.fromkeys(
    ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"), "none"
)


def environment(**changes: str) -> dict[str, str]:
    """Return an environment without telemetry settings, plus `changes`.

    Pass `**EVERYTHING` to have web frameworks instrumented.
    """
    unwanted = ("OTEL_", "AITRACE_", "PYTHONPATH", "NO_COLOR", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    kept["PATH"] = os.pathsep.join([str(SCRIPTS), kept.get("PATH", os.defpath)])
    return {**LIGHT, **kept, **changes}


def execute(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    timeout: float = 50.0,
) -> Done:
    """Run a command to its end."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        input=stdin,
        env=environment() if env is None else dict(env),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def succeed(command: Sequence[str | Path], cwd: Path, **variables: str) -> Done:
    """Run a command that has to exit with 0, with these environment variables."""
    done = execute(command, cwd=cwd, env=environment(**variables))
    assert done.code == 0, done.output
    return done


def record(cwd: Path, *words: str | Path, **variables: str) -> Done:
    """Run a Python program under `otel-ext run`, records in `traces`; it has to exit with 0.

    Args:
        cwd: The working directory.
        words: The arguments of Python, such as "-c" and a text.
        variables: Environment variables.
    """
    return succeed(recorded(cwd / "traces", *python(*words)), cwd, **variables)


def write_program(folder: Path, text: str, name: str = "program.py") -> Path:
    """Write a program into `folder` and return its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def records_in(folder: Path) -> list[Record]:
    """Return all records in a folder, in the order of their files and lines."""
    return [
        decode_line(line)
        for file in sorted(folder.glob("*.jsonl"))
        for line in file.read_bytes().splitlines()
    ]


def spans_in(folder: Path, name: str = "") -> list[Record]:
    """Return the span records in a folder, of all spans or of those called `name`."""
    return [
        record
        for record in records_in(folder)
        if record.kind == "span" and name in {"", record.name}
    ]


def logs_in(folder: Path) -> list[Record]:
    """Return the log records in a folder."""
    return [record for record in records_in(folder) if record.kind == "log"]


def ids(records: Sequence[Record], phase: str) -> list[str]:
    """Return the sorted `TRACE-SPAN` ids of the records of one phase."""
    return sorted(f"{r.trace_id}-{r.span_id}" for r in records if r.phase == phase)


def becomes_true(condition: Callable[[], object], timeout: float = 15.0) -> bool:
    """Wait until `condition()` is true; return whether it became so in time."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def wait_until(condition: Callable[[], object], what: str, timeout: float = 30.0) -> None:
    """Wait until `condition()` is true.

    Raises:
        AssertionError: It did not become true in time.
    """
    assert becomes_true(condition, timeout), f"not within {timeout} s: {what}"


def in_child(call: Callable[[], object], fork: Callable[[], int] = os.fork) -> str:
    """Return what `call` returns, as text, in a child that `fork` starts.

    Raises:
        AssertionError: The child failed or hung; with its traceback, or its stacks.
    """
    assert "PYTEST_XDIST_WORKER" not in os.environ, "mark this test with pytest.mark.forks"
    with TemporaryFile() as answer, TemporaryFile() as problem:
        faulthandler.register(signal.SIGUSR2, problem, all_threads=True)
        child = fork()
        if child == 0:
            _call_and_exit(call, answer.fileno(), problem.fileno())
        if not becomes_true(lambda: os.waitid(os.P_PID, child, _HAS_ENDED), 30.0):
            os.kill(child, signal.SIGUSR2)
            becomes_true(lambda: os.fstat(problem.fileno()).st_size, 5.0)
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        faulthandler.unregister(signal.SIGUSR2)
        problem.seek(0)
        assert code == 0, f"the child ended with {code}:\n{problem.read().decode()}"
        answer.seek(0)
        return answer.read().decode()


def _call_and_exit(call: Callable[[], object], answer: int, problem: int) -> None:
    """Make the call in a forked child, which must not go on as a test runner."""
    code = 1
    try:
        os.write(answer, str(call()).encode())
        code = 0
    except BaseException:  # noqa: BLE001 - shown by the parent
        os.write(problem, traceback.format_exc().encode())
    finally:
        os._exit(code)


def free_port() -> int:
    """Return a free port on the loopback address.

    The system gives none of these to others that bind to any port, and other processes of the
    tests begin elsewhere: so it is still free when a program begins to listen.
    """
    while True:
        port = _PORTS[next(_next_port) % len(_PORTS)]
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def is_listening(port: int) -> bool:
    """Return whether a server listens on a port of the loopback address."""
    with socket.socket() as client:
        client.settimeout(1.0)
        return client.connect_ex(("127.0.0.1", port)) == 0


def suspend(process: subprocess.Popen[bytes]) -> None:
    """Send SIGSTOP, and wait until every thread of the process has stopped."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)


@contextmanager
def started(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    new_session: bool = True,
    output: Path | None = None,
) -> Generator[subprocess.Popen[bytes], None, None]:
    """Start a program, and kill it at the end of the block if it still runs.

    Its output goes to `output`, or `output.txt` in `cwd`, so that it never waits for a reader.
    """
    with (output or cwd / "output.txt").open("ab") as file:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment() if env is None else dict(env),
            start_new_session=new_session,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def python(*words: str | Path) -> list[str]:
    """Return the command that runs `words` with the Python of this test."""
    return [sys.executable, *map(str, words)]


def recorded(folder: Path, *words: str | Path) -> list[str]:
    """Return the command that runs `words` under `otel-ext run` with records in `folder`."""
    return [OTEL_EXT, "run", "--output", str(folder), "--", *map(str, words)]
