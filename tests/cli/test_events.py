"""`otel-ext events` on files and stores: filters, forms, following, mistakes."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from otel_ext.observe.event_query import EventPlace
from tests.cli.watched import columns
from tests.commands import call
from tests.observe.agents import running
from tests.observe.test_event_files import LINES, PID_7, PID_8, written
from tests.programs import OTEL_EXT, started, wait_until
from tests.store.records import NOON, SECOND, event_line, process_line

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, Path]:
    """Return a folder of records, and its store."""
    folder = tmp_path / "records"
    folder.mkdir()
    written(folder, *LINES, process_line(process=PID_8, service="bank"), name=f"{PID_7}.jsonl")
    assert call("rebuild", folder).code == 0
    return folder, folder / ".store"


def found(*words: str | Path) -> list[dict[str, Any]]:
    """Return what the command finds, as JSON."""
    return call("events", "--json", *words).documents


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("", ["cache.full", "cache.hit", "agent.x", "page"]),
        ("--name cache.*", ["cache.full", "cache.hit"]),
        ("--trace AB", ["cache.hit"]),
        ("--correlation c-1", ["cache.full"]),
        ("--process 7", ["cache.full", "cache.hit"]),
        (f"--process {PID_8}", ["agent.x", "page"]),
        ("--entity agent", ["agent.x"]),
        ("--entity agent:a", ["agent.x"]),
        ("--entity agent:b", []),
        ("--kind log", ["cache.full"]),
        ("--kind all --name cache.full", ["cache.full", "cache.full"]),
        ("--limit 2", ["agent.x", "page"]),
        ("--limit 0", ["cache.full", "cache.hit", "agent.x", "page"]),
        ("--since 2036-01-01", []),
        ("--since 2026-01-01 --until 2026-01-02", []),
        ("--until 2035-01-01 --since 2026-01-01T00:00:00Z", None),
    ],
)
def test_every_option(inputs: tuple[Path, Path], words: str, names: list[str] | None) -> None:
    """A folder, a file, a store and all of them give the same."""
    folder, store = inputs
    (file,) = folder.glob("*.jsonl")
    answers = [found(*words.split(), *paths) for paths in ((folder,), (file,), (store,), inputs)]
    for answer in answers:
        assert answer == answers[0]
        if names is not None:
            assert [one["name"] for one in answer] == names


def test_the_form_of_json(inputs: tuple[Path, Path]) -> None:
    """Every fact has its key."""
    first, *_, page = found(inputs[0])
    assert first == {
        "time": "2026-11-27T12:00:00.000000Z",
        "kind": "event",
        "name": "cache.full",
        "level": None,
        "trace_id": f"{1:032x}",
        "span_id": f"{1:016x}",
        "process": {"id": PID_7, "pid": 7, "service": "shop", "command": ""},
        "entity": None,
        "attributes": {"correlation_id": "c-1", "size": 3},
        "cursor": str(EventPlace(NOON, 2, PID_7)),
    }
    assert page["process"]["service"] == "bank"


def test_a_table_for_people(inputs: tuple[Path, Path]) -> None:
    """Times, names, what it is about, process, trace and attributes; it fits the terminal."""
    done = call("events", inputs[0])
    header, *rows = columns(done.out)
    assert header == ["TIME", "NAME", "ABOUT", "PROCESS", "TRACE", "ATTRIBUTES"]
    assert [row[1] for row in rows] == ["cache.full", "cache.hit", "agent.x", "page"]
    assert rows[0][2:] == ["7 shop", "00000000", "correlation_id=c-1 size=3"]
    assert rows[2][2:] == ["agent:a", "7 bank"]
    assert (done.code, done.err) == (0, "")


def test_control_characters(tmp_path: Path) -> None:
    """They are escaped."""
    written(tmp_path, event_line("a\x1b[31m\n", entity=("\x07", "\r"), **{"k\x1b": "\x1b"}))  # type: ignore[arg-type]
    done = call("events", tmp_path)
    assert len(done.out.splitlines()) == 2
    assert not {"\x1b", "\x07", "\r"} & set(done.out)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--trace xyz", "'xyz' is not the beginning of a trace id"),
        ("--trace " + "a" * 33, "is not the beginning of a trace id"),
        ("--since soon", "is not a time"),
        ("--until 5m --since 1m", "--until is not after --since"),
        ("--limit many", "is not a whole number"),
        ("--kind span", "invalid choice"),
        ("--entity :", "is not an entity"),
        ("--entity agent:", "is not an entity"),
        ("--process=", "the value is empty"),
        ("--correlation=", "the value is empty"),
        ("--nmae x", "no option '--nmae'"),
    ],
)
def test_mistakes(tmp_path: Path, words: str, text: str) -> None:
    """Each is explained, and nothing is printed."""
    done = call("events", *words.split(), tmp_path)
    assert (done.code, done.out) == (2, "")
    assert text in done.err


def test_nothing_to_show(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """The message says whether there are no records, or none that match."""
    (tmp_path / "empty").mkdir()
    for path, text in (
        (tmp_path / "empty", "no records in"),
        (inputs[0], "no event in"),
        (inputs[1], "no event in"),
    ):
        done = call("events", "--name", "x", path)
        assert (done.code, done.out) == (1, "")
        assert text in done.err
    done = call("events", tmp_path / "gone")
    assert (done.code, "there is no such folder or file" in done.err) == (2, True)


def test_a_store_of_another_version(inputs: tuple[Path, Path]) -> None:
    """It is refused with the way out."""
    (inputs[1] / "common.sqlite").write_bytes(b"not a database")
    done = call("events", inputs[1])
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("otel-ext: ")


def test_events_whose_files_were_deleted(inputs: tuple[Path, Path]) -> None:
    """They are found in the folder's store by the plain command, with names, beside new ones."""
    folder, store = inputs
    whole = found(folder)
    (file,) = folder.glob("*.jsonl")
    file.unlink()
    assert found(folder) == whole == found(store)
    written(folder, event_line("new", seq=9, at=NOON + 9 * SECOND), name="p.jsonl")
    assert [one["name"] for one in found(folder)] == [*(one["name"] for one in whole), "new"]
    assert [one["name"] for one in found("--limit", "2", folder)] == ["page", "new"]


def test_a_damaged_store_beside_the_files(inputs: tuple[Path, Path]) -> None:
    """It is left out with a warning that says what to do."""
    whole = found(inputs[0])
    (inputs[1] / "common.sqlite").write_bytes(b"not a database")
    done = call("events", "--json", inputs[0])
    assert (done.code, done.documents) == (0, whole)
    assert "the store of the folder is left out: " in done.err
    assert "rebuild" in done.err


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A warning names the first of them and why; the others are shown."""
    written(tmp_path, *LINES)
    (tmp_path / "b\x1b.jsonl").mkdir()
    done = call("events", tmp_path)
    assert (done.code, "cache.full" in done.out) == (0, True)
    assert done.err == f"otel-ext: {tmp_path}/b\\x1b.jsonl: cannot be read: Is a directory\n"
    for n in range(6):
        (tmp_path / f"c{n}.jsonl").mkdir()
    done = call("events", "--name", "x", tmp_path)
    assert (done.code, done.err.count("Is a directory")) == (1, 5)
    assert "2 more files cannot be read" in done.err


def test_a_store_cannot_be_followed(inputs: tuple[Path, Path]) -> None:
    """The message names the way."""
    done = call("events", "--follow", inputs[1])
    assert done.code == 2
    assert "--follow reads no store" in done.err


def test_following(tmp_path: Path) -> None:
    """What is there, then each new one that matches, once, also of a new process, until Ctrl-C.

    Not what only the store has.
    """
    out = tmp_path / "out.txt"
    (tmp_path / "records").mkdir(mode=0o700)
    stored = written(tmp_path / "records", event_line("a.stored"))
    assert call("rebuild", stored.parent).code == 0
    stored.unlink()
    body = """\
register("a")
write_event("early")
provider.force_flush()
open(sys.argv[1] + "/ready", "w").close()
while not os.path.exists(sys.argv[1] + "/go"): time.sleep(0.01)
for n in range(3): write_event(f"late.{n}")
write_event("other")
time.sleep(600)
"""
    with running(tmp_path, body) as (folder, _):
        command = [OTEL_EXT, "events", "--follow", "--name", "*[ae]*.*", str(folder)]
        with started(command, cwd=tmp_path, output=out) as follower:
            wait_until(lambda: "registered" in out.read_text(), "the first is there")
            (folder / "go").touch()
            wait_until(lambda: "late.2" in out.read_text(), "the last is there")
            with running(tmp_path, 'register("b"); wait()\n', name="more.py") as (_, process):
                wait_until(lambda: "agent:b" in out.read_text(), "another process is there")
            follower.send_signal(signal.SIGINT)
            assert follower.wait(20) == 130
    header, *rows = columns(out.read_text())
    assert header[0] == "TIME"
    names = ["agent.registered", *(f"late.{n}" for n in range(3)), "agent.registered"]
    assert [row[1] for row in rows] == names
    assert f"{process.pid} more.py" in rows[-1]


def test_of_the_last_minutes(tmp_path: Path) -> None:
    """A running program's newest, without a date."""
    with running(tmp_path, 'write_event("now", {"correlation_id": 7}); wait()\n') as (folder, one):
        done = call("events", "--since", "5m", "--correlation", "7", folder)
        assert call("events", "--process", str(one.pid), "--until", "5m", folder).code == 1
    _, row = columns(done.out)
    assert len(row[0]) == len("12:00:00.000")
    assert row[1:] == ["now", f"{one.pid} agents.py", "correlation_id=7"]


def test_many(tmp_path: Path) -> None:
    """The newest hundred by default, the oldest of them first."""
    written(tmp_path, *(event_line(f"e{n}", seq=n, at=NOON + n * SECOND) for n in range(250)))
    assert [one["name"] for one in found(tmp_path)] == [f"e{n}" for n in range(150, 250)]
