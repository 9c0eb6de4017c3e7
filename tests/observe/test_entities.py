"""Entities of real programs: that run, idle, stop, die and rotate their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.names import list_rings, list_segments
from otel_ext.journal.recovery.recover import recover
from otel_ext.observe.snapshot import SnapshotReader
from tests.observe.agents import TWO_AGENTS, entities_in, running, states_in
from tests.programs import suspend, wait_until

if TYPE_CHECKING:
    from pathlib import Path

MODES = pytest.mark.parametrize("durability", ["mapped", "queued", "write"])
# Records for several files of the smallest size.
MANY = """
for n in range(400):
    write_event("filler", {"text": "x" * 1000})
    if n % 50 == 0:
        provider.force_flush()
"""


@MODES
def test_a_running_program(tmp_path: Path, durability: str) -> None:
    """An agent has the state of its owner's span, the newest, and its newest attributes."""
    with running(tmp_path, durability=durability) as (folder, process):
        found = entities_in(folder)
        assert list(found) == ["importer", "mailer"]
        one = found["importer"]
        assert (one.entity.type, one.state, one.process.pid) == ("agent", "running", process.pid)
        assert one.record.attributes == {"role": "import"}
        assert one.span is not None
        assert one.span.record.name == "fetch"
        assert one.age_ns > 0


def test_an_agent_without_a_span_is_idle(tmp_path: Path) -> None:
    """So is one whose thread differs from that of the open span."""
    body = """\
thread = threading.Thread(target=lambda: (register("other"), time.sleep(600)), daemon=True)
thread.start()
write_event("ownerless", entity=Entity("agent", "ownerless"))
with tracer.start_as_current_span("main"):
    register("main")
    wait()
"""
    with running(tmp_path, body) as (folder, _):
        wait_until(lambda: len(states_in(folder)) == 3, "all are registered")
        assert states_in(folder) == {"other": "idle", "ownerless": "idle", "main": "running"}
        assert entities_in(folder)["other"].span is None


def test_updates_and_removals(tmp_path: Path) -> None:
    """The newest record counts, and what was removed is gone; it may come again."""
    body = """\
register("a", n=1); register("b"); register("c"); register("a", n=2)
remove("b"); remove("c"); register("c", n=3)
wait()
"""
    with running(tmp_path, body) as (folder, _):
        found = entities_in(folder)
        assert {name: dict(one.record.attributes) for name, one in found.items()} == {
            "a": {"n": 2},
            "c": {"n": 3},
        }


def test_types_are_apart(tmp_path: Path) -> None:
    """An agent and a service may have the same id."""
    body = 'register("a"); register("a", "service"); remove("a"); wait()\n'
    with running(tmp_path, body) as (folder, _):
        assert [one.entity.type for one in entities_in(folder).values()] == ["service"]


def test_a_stopped_program_hangs(tmp_path: Path) -> None:
    """Its agents too, with or without a span."""
    with running(tmp_path, 'register("a"); wait()\n') as (folder, process):
        assert states_in(folder) == {"a": "idle"}
        suspend(process)
        assert states_in(folder) == {"a": "hung"}


@MODES
def test_a_killed_program(tmp_path: Path, durability: str) -> None:
    """Its agents are lost, and gone after the recovery; its checkpoint is not lost."""
    body = 'register("cut", "checkpoint", at=7)\n' + TWO_AGENTS
    with running(tmp_path, body, durability) as (folder, process):
        process.kill()
        process.wait()
    assert states_in(folder) == {"cut": "idle", "importer": "lost", "mailer": "lost"}
    recover(folder)
    assert states_in(folder) == {}


def test_only_in_the_ring_buffer(tmp_path: Path) -> None:
    """What a program wrote just before it was killed counts, although no file has it."""
    with running(tmp_path, 'register("a"); register("b"); remove("a"); die()\n') as (folder, one):
        one.wait()
    for path in list_segments(folder):
        path.unlink()
    assert list_rings(folder)
    assert states_in(folder) == {"b": "lost"}


def test_only_in_the_file(tmp_path: Path) -> None:
    """A file without a ring buffer, as of another machine, shows the same."""
    with running(tmp_path, TWO_AGENTS) as (folder, process):
        process.kill()
        process.wait()
    for path in list_rings(folder):
        path.unlink()
    assert states_in(folder) == {"importer": "lost", "mailer": "lost"}


def test_an_orderly_end_ends_its_agents(tmp_path: Path) -> None:
    """Nothing is left, without any recovery."""
    with running(tmp_path, 'register("a"); provider.shutdown()\n') as (folder, process):
        assert process.wait(20) == 0
    assert states_in(folder) == {}


@MODES
def test_agents_survive_rotation(tmp_path: Path, durability: str) -> None:
    """Each new file repeats them, so that old ones can be deleted; removed ones stay away."""
    body = f"""\
register("kept", n=1); register("gone"); register("kept", n=2)
{MANY}
remove("gone"); register("late")
{MANY}
wait()
"""
    with running(tmp_path, body, durability) as (folder, process):
        wait_until(lambda: len(list_segments(folder)) > 4, "files are rotated")
        assert states_in(folder) == {"kept": "idle", "late": "idle"}
        process.kill()
        process.wait()
    for path in list_segments(folder)[:-1]:
        path.unlink()
    found = entities_in(folder)
    assert {name: one.state for name, one in found.items()} == {"kept": "lost", "late": "lost"}
    assert found["kept"].record.attributes == {"n": 2}


def test_a_reader_that_goes_on(tmp_path: Path) -> None:
    """A second look reads only what is new, and sees what came, changed and went."""
    body = """\
register("a"); register("b")
provider.force_flush()
open(sys.argv[1] + "/ready", "w").close()
while not os.path.exists(sys.argv[1] + "/go"): time.sleep(0.01)
remove("a"); register("c")
time.sleep(600)
"""
    with running(tmp_path, body) as (folder, _):
        reader = SnapshotReader([folder])
        assert [one.entity.id for one in reader.read().entities] == ["a", "b"]
        (folder / "go").touch()

        def names() -> list[str]:
            return [one.entity.id for one in reader.read().entities]

        wait_until(lambda: names() == ["b", "c"], "the change is seen")


def test_processes_are_apart(tmp_path: Path) -> None:
    """Two programs may use the same ids; each has its own."""
    with running(tmp_path), running(tmp_path, name="more.py") as (folder, _):
        found = SnapshotReader([folder]).read().entities
        assert len({one.process.id for one in found}) == 2
        assert [one.entity.id for one in found] == ["importer", "mailer"] * 2


@pytest.mark.forks
def test_a_forked_child_has_none(tmp_path: Path) -> None:
    """The agents of the parent are not those of a child that records too."""
    body = """\
register("a")
parent = os.getpid()
if not os.fork():
    write_event("child")
    for n in range(100): write_event("filler", {"text": "x" * 1000})
    provider.force_flush()
    while os.getppid() == parent: time.sleep(0.05)
    os._exit(0)
wait()
"""
    with running(tmp_path, body) as (folder, process):
        wait_until(lambda: len(SnapshotReader([folder]).read().processes) == 2, "both record")
        found = SnapshotReader([folder]).read().entities
        assert [(one.entity.id, one.process.pid) for one in found] == [("a", process.pid)]


def test_damaged_lines_between_them(tmp_path: Path) -> None:
    """Torn and odd lines about entities are passed over."""
    with running(tmp_path, TWO_AGENTS, "write") as (folder, process):
        process.kill()
        process.wait()
    (path,) = list_segments(folder)
    lines = path.read_bytes().splitlines(keepends=True)
    mailer = next(line for line in lines if b'"id":"mailer"' in line)
    odd = [
        mailer.replace(b'"id":"mailer"', b'"id":7'),
        mailer.replace(b'"id":"mailer"', b'"id":"odd"').replace(b'"seq":', b'"seq":"x","n":'),
        mailer.replace(b'"id":"mailer"', b'"id":"torn"')[: len(mailer) // 2] + b"\n",
    ]
    path.write_bytes(b"".join([*lines, *odd, b"\0" * 64, b"\n"]))
    assert states_in(folder) == {"importer": "lost", "mailer": "lost"}
