"""Child processes of a recorded program are recorded too, each under its own name."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.programs import ids, python, record, spans_in, succeed, write_program

if TYPE_CHECKING:
    from pathlib import Path

CHILDREN = """\
import multiprocessing, os, sys
from opentelemetry import trace
tracer = trace.get_tracer("test")

def work(number):
    with tracer.start_as_current_span("child", attributes={"number": number}):
        return os.getpid()

if __name__ == "__main__":
    with tracer.start_as_current_span("parent"):
        context = multiprocessing.get_context(sys.argv[1])
        with context.Pool(2, maxtasksperchild=1) as pool:
            pids = pool.map(work, range(6), chunksize=1)
        assert os.getpid() not in pids
"""
CHILD = """\
from opentelemetry import trace
with trace.get_tracer('test').start_as_current_span('child'): pass
"""
IN_A_SESSION = """\
import subprocess, sys
subprocess.run([sys.executable, 'child.py'], check=True, start_new_session=True)
"""
BY_ASYNCIO = """\
import asyncio, sys

async def main():
    child = await asyncio.create_subprocess_exec(sys.executable, 'child.py')
    await child.wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(tmp_path: Path, method: str) -> None:
    """With all three start methods, each child writes its own spans only, and once."""
    program = write_program(tmp_path, CHILDREN)
    record(tmp_path, program, method)
    children = spans_in(tmp_path / "traces", "child")
    assert sorted(r.attributes["number"] for r in children if r.phase == "start") == list(range(6))  # type: ignore[type-var]
    assert ids(children, "start") == ids(children, "end")
    parents = spans_in(tmp_path / "traces", "parent")
    assert [record.phase for record in parents] == ["start", "end"]
    processes = {record.process.id for record in children}
    assert len(processes) >= 2
    assert parents[0].process.id not in processes


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess, sys; subprocess.run([sys.executable, 'child.py'], check=True)",
        "import subprocess; subprocess.run('exec python child.py', shell=True, check=True)",
        "import os, sys; os.spawnv(os.P_WAIT, sys.executable, [sys.executable, 'child.py'])",
        "import os, sys; os.execv(sys.executable, [sys.executable, 'child.py'])",
        "import os\nif os.fork(): os.wait()\nelse: import child",
        "import os, sys\nif os.fork(): os.wait()\nelse:\n    import child\n    os._exit(0)",
        IN_A_SESSION,
        BY_ASYNCIO,
    ],
)
def test_other_ways_to_start_a_child(tmp_path: Path, code: str) -> None:
    """Children are recorded however they are started, also where the child ends by `os._exit`."""
    write_program(tmp_path, CHILD, "child.py")
    record(tmp_path, write_program(tmp_path, code))
    assert [r.phase for r in spans_in(tmp_path / "traces", "child")] == ["start", "end"]


def test_a_killed_child_does_not_lose_its_spans(tmp_path: Path) -> None:
    """An open span of a child killed by SIGKILL has its start, and an end with the cause."""
    code = textwrap.dedent("""\
        import os
        from opentelemetry import trace
        tracer = trace.get_tracer("test")
        with tracer.start_as_current_span("parent"):
            pid = os.fork()
            if not pid:
                with tracer.start_as_current_span("child"):
                    os.kill(os.getpid(), 9)
            os.waitpid(pid, 0)
        """)
    done = record(tmp_path, "-c", code)
    assert "1 span did not end" in done.err
    start, end = spans_in(tmp_path / "traces", "child")
    assert (start.phase, end.phase, end.abandoned) == ("start", "end", "process-died")
    assert [r.abandoned for r in spans_in(tmp_path / "traces", "parent")] == [None, None]


def test_a_child_without_our_environment_is_not_recorded(tmp_path: Path) -> None:
    """A child that a program starts with an empty environment runs without otel-ext."""
    code = textwrap.dedent("""\
        import subprocess, sys
        child = "import sys; print('opentelemetry' in sys.modules)"
        print(subprocess.run([sys.executable, "-c", child], env={}, check=True, text=True,
                             capture_output=True).stdout, end="")
        """)
    assert record(tmp_path, "-c", code).out == "False\n"


def test_the_resource_tracker_is_left_alone(tmp_path: Path) -> None:
    """The helper process of multiprocessing does not import the SDK; a worker does."""
    code = "import sys; print('opentelemetry' in sys.modules)"
    helper = f"{code} # multiprocessing.resource_tracker"
    for program, expected in ((code, "True\n"), (helper, "False\n")):
        assert record(tmp_path, "-c", program).out == expected


def test_children_record_where_the_parent_does(tmp_path: Path) -> None:
    """A relative output folder is the same for a child with another working directory."""
    (tmp_path / "elsewhere").mkdir()
    code = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {CHILD!r}], cwd='elsewhere', check=True)"
    )
    succeed(["otel-ext", "run", *python("-c", code)], tmp_path, OTEL_EXT_OUTPUT="out")
    assert len(spans_in(tmp_path / "out", "child")) == 2
