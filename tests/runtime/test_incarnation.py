"""The identity of a process and of its forked children."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, cast

import pytest
from opentelemetry.sdk.resources import Resource

from otel_ext.record.codec import encode_line
from otel_ext.record.decode import decode_line
from otel_ext.record.model import Process
from otel_ext.runtime.process import incarnation
from otel_ext.runtime.process.incarnation import Incarnation, boot_id, process_start_time
from otel_ext.runtime.process.records import process_end_record, process_start_record
from tests.programs import execute, in_child, python, write_program

if TYPE_CHECKING:
    from pathlib import Path


def test_id_names_boot_pid_and_start() -> None:
    """The id is safe in a file name and contains boot, pid and start time; each is unique."""
    one, two = Incarnation(), Incarnation()
    assert re.fullmatch(r"[0-9a-f]{8}-\d+-\d+-[0-9a-f]{8}", one.id)
    assert one.id.split("-")[1:3] == [str(os.getpid()), str(one.process.start_time)]
    assert one.id != two.id
    assert boot_id().replace("-", "").startswith(one.id.split("-", maxsplit=1)[0])


def test_start_time_is_the_kernels() -> None:
    """A process's start time is the one in `/proc`, whatever the process is called."""
    name = "a) R 1 (b"
    command = [sys.executable, "-c", "import sys; sys.stdin.read()", name]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process_start_time(process.pid) >= process_start_time(os.getpid()) > 0
        process.communicate(timeout=30)
    assert process_start_time(process.pid) == 0
    assert process_start_time(2**30) == 0


def test_numbers_are_unique_under_threads() -> None:
    """Eight threads draw numbers; none is drawn twice, none is missing."""
    one = Incarnation()
    drawn: list[int] = []

    def draw() -> None:
        drawn.extend([one.next_seq() for _ in range(5_000)])

    threads = [threading.Thread(target=draw) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(drawn) == list(range(1, 40_001))
    assert one.last_seq == 40_000


def test_first_resource_has_the_id_further_ones_a_number() -> None:
    """Each resource has one process object; beyond the limit they share the first."""
    one = Incarnation()
    resources = [Resource({"n": number}) for number in range(300)]
    processes = [one.process_for(resource) for resource in resources]
    assert processes[0].id == one.id
    assert processes[1].id == f"{one.id}.2"
    assert processes[1].resource == {"n": 1}
    assert one.process_for(resources[1]) is processes[1]
    assert len({process.id for process in processes}) == 256
    assert processes[299] is processes[0]


def test_equal_resources_are_one_process() -> None:
    """Providers with equal resources share a process; thousands of them do not fill memory."""
    one = Incarnation()
    first = one.process_for(Resource({"service.name": "app"}))
    other = one.process_for(Resource({"service.name": "other"}))
    for _ in range(3_000):
        assert one.process_for(Resource({"service.name": "app"})) is first
    assert one.process_for(Resource({"service.name": "other"})) is other
    assert len(one._known) <= 1_024  # noqa: SLF001 - its size is what is tested


def test_threads_with_different_resources_get_different_ids() -> None:
    """Resources that are recorded first at the same moment get different ids."""
    one = Incarnation()
    barrier = threading.Barrier(16)
    found: list[tuple[int, str]] = []

    def ask(number: int) -> None:
        barrier.wait()
        process = one.process_for(Resource({"n": number % 8}))
        found.append((cast("int", process.resource["n"]), process.id))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({process_id for _, process_id in found}) >= 8
    owners: dict[str, int] = {}
    assert all(owners.setdefault(process_id, number) == number for number, process_id in found)
    assert one.id in owners


def test_no_resource_means_the_first() -> None:
    """Records without a resource of their own belong to the first one."""
    one = Incarnation()
    first = one.process_for(Resource({"service.name": "first"}))
    one.process_for(Resource({"service.name": "second"}))
    assert one.process_for(None) is first
    assert Incarnation().process_for({"plain": "mapping"}).resource == {"plain": "mapping"}


def test_threads_agree_on_the_incarnation() -> None:
    """Threads that ask at the same time get the same one, and the same process objects."""
    found: list[object] = []
    barrier = threading.Barrier(8)
    resource = Resource({"a": 1})

    def ask() -> None:
        barrier.wait()
        found.append(incarnation.current().process_for(resource))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1


@pytest.mark.forks
def test_child_is_another_incarnation() -> None:
    """A forked child has an id, a pid and numbers of its own."""
    parent = incarnation.current()
    parent.next_seq()

    def child() -> tuple[bool, bool, int]:
        mine = incarnation.current()
        return mine.id != parent.id, mine.pid == os.getpid(), mine.next_seq()

    assert in_child(child) == "(True, True, 1)"
    assert incarnation.current() is parent


def test_process_records(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start and end of a process are records of kind `process`, at the main script."""
    script = tmp_path / "app.py"
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    monkeypatch.chdir(tmp_path)
    one = Incarnation()
    process = one.process_for(Resource({"service.name": "app"}))
    start = process_start_record(process, 1)
    end = process_end_record(process, 2)
    assert (start.kind, start.phase, start.event, end.event) == (
        "process",
        None,
        "process.start",
        "process.end",
    )
    assert (start.call_site.file, start.call_site.line, start.call_site.function) == (
        "app.py",
        0,
        "<module>",
    )
    assert start.extra["resource"] == {"service.name": "app"}
    assert start.extra["pid"] == os.getpid()
    assert end.extra == {}


def test_long_command_line_is_bounded() -> None:
    """A very long command line leaves room for the rest of the record."""
    one = Incarnation()
    process = one.process_for(Resource({}))
    process.argv = tuple("x" * 10_000 for _ in range(1_000))
    argv = cast("list[str]", process_start_record(process, 1).extra["argv"])
    assert argv[-1] == f"<left out: {1_000 - len(argv) + 1} arguments>"
    assert sum(map(len, argv)) < 20_000
    process.argv = ("python", "app.py", "--flag")
    assert process_start_record(process, 1).extra["argv"] == ["python", "app.py", "--flag"]


def test_long_resource_is_bounded() -> None:
    """A very large resource is cut with a note, so that the record stays readable."""
    one = Incarnation()
    process = one.process_for({f"key {number}": "x" * 100 for number in range(10_000)})
    resource = cast("dict[str, object]", process_start_record(process, 1).extra["resource"])
    assert len(resource) < 1_000
    assert resource["…"] == f"<left out: {10_000 - len(resource) + 1} attributes>"


# Prints the call site of a process record, at once and when the interpreter exits.
CALL_SITES = """
import atexit
from otel_ext.runtime.process.incarnation import current
from otel_ext.runtime.process.records import process_record

def show():
    call_site = process_record("process.note", current().process_for(None), 1).call_site
    print(call_site.file, call_site.line, call_site.function)

show()
atexit.register(show)
"""


def test_program_without_a_main_script(tmp_path: Path) -> None:
    """An interactive session has no script; its call site is unknown."""
    done = execute(python("-c", CALL_SITES), cwd=tmp_path)
    assert done.out.splitlines() == ["<unknown> 0 <unknown>"] * 2


def test_main_script_is_known_at_exit(tmp_path: Path) -> None:
    """Records of exit handlers contain the script, whose name Python removes before them."""
    done = execute(python(write_program(tmp_path, CALL_SITES)), cwd=tmp_path)
    assert done.out.splitlines() == ["program.py 0 <module>"] * 2


@pytest.mark.parametrize("where", ["host", "argv", "resource"])
def test_facts_that_are_not_valid_text_lose_only_that(where: str) -> None:
    """The kernel's names are bytes: what is not UTF-8 in them is replaced."""
    odd = "\udcff"
    process = Process(
        "p",
        host=odd if where == "host" else "h",
        argv=(odd if where == "argv" else "a",),
        resource={"k": odd if where == "resource" else "v"},
    )
    found = decode_line(encode_line(process_start_record(process, 1))).extra
    assert "\ufffd" in str(found[where])
    others: dict[str, object] = {"host": "h", "argv": ["a"], "resource": {"k": "v"}}
    assert all(found[key] == value for key, value in others.items() if key != where)
