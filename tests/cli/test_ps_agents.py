"""`otel-ext ps --agents` on real programs: busy, idle, stopped, killed, recovered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.watched import columns
from tests.commands import call
from tests.observe.agents import TWO_AGENTS, running
from tests.programs import suspend

if TYPE_CHECKING:
    from pathlib import Path

MIXED = 'register("db", "service", port=5432)\n' + TWO_AGENTS


@pytest.mark.usefixtures("waits_for_stacks")
def test_a_table_for_people(tmp_path: Path) -> None:
    """One line for each agent, oldest first, with its span and where that is."""
    with running(tmp_path, MIXED) as (folder, process):
        done = call("ps", "--agents", folder)
    header, *rows = columns(done.out)
    assert header == ["AGE", "STATE", "AGENT", "PROCESS", "SPAN", "WHERE", "ATTRIBUTES"]
    assert [row[1:4] for row in rows] == [
        ["running", name, f"{process.pid} agents.py"] for name in ("importer", "mailer")
    ]
    assert all(row[4].startswith("fetch ") for row in rows)
    assert all(row[5].startswith("at agents.py:") and row[5].endswith(" wait") for row in rows)
    assert [row[6:] for row in rows] == [["role=import"], []]
    assert (done.code, done.err) == (0, "")


def test_json_for_programs(tmp_path: Path) -> None:
    """All that is known of each, in one line."""
    with running(tmp_path, MIXED) as (folder, process):
        done = call("ps", "--agents", "--no-ask", "--json", folder)
    first, second = done.documents
    assert (first["id"], second["id"]) == ("importer", "mailer")
    assert (first["type"], first["state"], first["process"]["pid"]) == (
        "agent",
        "running",
        process.pid,
    )
    assert first["attributes"] == {"role": "import"}
    assert (first["span"]["name"], first["thread"], first["task"]) == ("fetch", "MainThread", None)
    assert first["age_seconds"] >= first["span"]["age_seconds"] > 0
    assert {"id", "pid", "service", "command"} <= set(first["process"])


def test_an_idle_agent_and_services(tmp_path: Path) -> None:
    """Without a span its place is where it was registered; columns without a text are left out."""
    body = 'register("a"); register("db", "service", port=5432); wait()\n'
    with running(tmp_path, body) as (folder, _):
        agents, services = (call("ps", option, folder) for option in ("--agents", "--services"))
        same = call("ps", "--entities", "service", "--json", folder)
    header, row = columns(agents.out)
    assert header == ["AGE", "STATE", "AGENT", "PROCESS", "WHERE"]
    assert (row[1:3], row[4][:15]) == (["idle", "a"], "made agents.py:")
    header, row = columns(services.out)
    assert (header[2], row[2], row[-1]) == ("SERVICE", "db", "port=5432")
    assert same.document["type"] == "service"


def test_filters(tmp_path: Path) -> None:
    """Those of `ps`: name, process, age, and only what is wrong."""
    with running(tmp_path) as (folder, process):

        def ids(*words: str) -> list[str]:
            out = call("ps", "--agents", "--no-ask", "--json", *words, folder).out
            return [json.loads(line)["id"] for line in out.splitlines()]

        assert ids() == ["importer", "mailer"]
        assert ids("--name", "im*") == ["importer"]
        assert ids("--process", str(process.pid)) == ["importer", "mailer"]
        assert ids("--process", "1") == ids("--older", "600") == ids("--stalled") == []
        suspend(process)
        assert ids("--stalled") == ["importer", "mailer"]
        assert call("ps", "--agents", "--all", "--no-ask", "--process", str(process.pid)).code == 0


def test_a_killed_program(tmp_path: Path) -> None:
    """Its agents are lost, and gone after `otel-ext recover`, which changes nothing else."""
    with running(tmp_path) as (folder, process):
        process.kill()
        process.wait()
    done = call("ps", "--agents", folder)
    assert [row[1:3] for row in columns(done.out)[1:]] == [["lost", "importer"], ["lost", "mailer"]]
    assert call("recover", "--grace", "0", folder).code == 0
    done = call("ps", "--agents", folder)
    assert (done.code, done.out) == (1, "")
    assert "no agent is registered in" in done.err
    assert call("events", "--entity", "agent", folder).code == 0


def test_mistakes(tmp_path: Path) -> None:
    """Each says what is wrong and what to do."""
    folder = tmp_path / "records"
    with running(tmp_path, 'register("a"); wait()\n'):
        wrong = {
            ("--agents", "--tree"): (2, "--tree is only for spans"),
            ("--agents", "--services"): (2, "not allowed with"),
            ("--entities",): (2, "--entities"),
            ("--entities", "nothing"): (1, "no nothing is registered in"),
            ("--services",): (1, "there are agent"),
            ("--agents", "--name", "b"): (1, "none of 1 agent entities matches the options"),
        }
        for words, (code, text) in wrong.items():
            done = call("ps", str(folder), *words)
            assert (done.code, done.out) == (code, ""), words
            assert text in done.err
    (tmp_path / "empty").mkdir()
    assert "no records in" in call("ps", "--agents", tmp_path / "empty").err


def test_control_characters_in_names(tmp_path: Path) -> None:
    """They are escaped, and a narrow terminal cuts the line."""
    body = 'register("a\\x1b[31m\\n", note="b\\x07"); wait()\n'
    with running(tmp_path, body) as (folder, _):
        done = call("ps", "--agents", folder)
    assert len(done.out.splitlines()) == 2
    assert not {"\x1b", "\x07"} & set(done.out)
