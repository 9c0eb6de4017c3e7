"""`otel-ext ps` on real programs: running, stalled, stopped, stuck in C, and killed."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, cast

import pytest

from otel_ext.journal.recovery.recover import recover
from tests.cli.watched import (
    HOLDS_INTERPRETER,
    columns,
    run_on_traces,
    shop,
    spans_by,
    states,
    waiting_for,
)
from tests.programs import (
    OTEL_EXT,
    execute,
    python,
    started,
    suspend,
    wait_until,
    write_program,
)

if TYPE_CHECKING:
    from pathlib import Path

BOTH_RUN: dict[str, object] = {"checkout": "running", "pay": "running"}


def test_open_spans_are_shown_and_ended_ones_are_not(tmp_path: Path) -> None:
    """One line per open span, oldest first, under a header; ended spans are not shown."""
    with shop(tmp_path) as process:
        done = run_on_traces(tmp_path, "ps")
    header, *rows = columns(done.out)
    assert header == ["AGE", "STATE", "NAME", "PROCESS", "WHERE", "ATTRIBUTES"]
    assert [row[2] for row in rows] == ["checkout", "pay"]
    assert {row[1] for row in rows} == {"running"}
    assert {row[3] for row in rows} == {f"{process.pid} shop_one.py"}
    assert {row[4] for row in rows} == {"at shop_one.py:10 wait_for_the_bank"}
    assert [row[5:] for row in rows] == [["user=ann"], []]
    assert (done.code, done.err) == (0, "")


def test_running_programs_of_the_machine_are_found(tmp_path: Path) -> None:
    """--all finds them by their mapped ring buffers, from any working directory."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with shop(tmp_path) as process:
        done = execute([OTEL_EXT, "ps", "--all", "--process", str(process.pid)], cwd=elsewhere)
    assert [row[2] for row in columns(done.out)[1:]] == ["checkout", "pay"]


def test_a_stalled_span_is_reported_with_where_it_is_now(tmp_path: Path) -> None:
    """After the watchdog ran, the state is stalled and the location is the current frame."""
    with shop(tmp_path, stall_after=0.2):
        stalled: dict[str, object] = {"checkout": "stalled", "pay": "stalled"}
        assert waiting_for(tmp_path, stalled) == stalled
        where = cast("dict[str, object]", spans_by(tmp_path)["pay"]["where"])
        out = run_on_traces(tmp_path, "ps", "--stalled").out
    assert (where["function"], where["now"]) == ("wait_for_the_bank", True)
    assert "at shop_one.py:10 wait_for_the_bank" in out


def test_the_program_is_asked_where_it_is(tmp_path: Path) -> None:
    """`ps` asks the program where its spans are, for a second at most, unless --no-ask."""
    with shop(tmp_path):
        unasked = run_on_traces(tmp_path, "ps", "--no-ask")
        where = spans_by(tmp_path, "ps", "--no-ask")["pay"]["where"]
        assert cast("dict[str, object]", where)["now"] is False
        assert "opened shop_one.py:12 " in unasked.out
        done = run_on_traces(tmp_path, "ps", "--now")
        began = time.monotonic()
        spans = spans_by(tmp_path, "ps")
        took = time.monotonic() - began
    where = cast("dict[str, object]", spans["pay"]["where"])
    assert (where["function"], where["line"]) == ("wait_for_the_bank", 10)
    assert done.err == ""
    assert done.out.count("at shop_one.py:10 wait_for_the_bank") == 2
    assert took < 20


def test_a_stopped_program_is_reported_as_hung(tmp_path: Path) -> None:
    """SIGSTOP: hung at once, and `ps` names the silent process; SIGCONT: all is as before."""
    with shop(tmp_path) as process:
        suspend(process)
        hung: dict[str, object] = {"checkout": "hung", "pay": "hung"}
        assert waiting_for(tmp_path, hung) == hung
        done = run_on_traces(tmp_path, "ps")
        assert f"process {process.pid} shop_one.py does not answer" in done.err
        assert columns(done.out)[1][1] == "hung"
        process.send_signal(signal.SIGCONT)
        assert waiting_for(tmp_path, BOTH_RUN) == BOTH_RUN


def test_a_call_that_holds_the_interpreter_is_reported_as_hung(tmp_path: Path) -> None:
    """A regular expression that never ends lets no other thread run; its spans are shown anyway."""
    hung: dict[str, object] = {"checkout": "hung", "pay": "hung"}
    with shop(tmp_path, body=HOLDS_INTERPRETER) as process:
        assert waiting_for(tmp_path, hung) == hung
        done = run_on_traces(tmp_path, "ps")
        assert process.poll() is None
    assert f"process {process.pid} shop_one.py does not answer" in done.err


def test_what_a_killed_program_did_is_lost_until_recovered(tmp_path: Path) -> None:
    """After SIGKILL the open spans are shown as lost; after recovery they are gone."""
    with shop(tmp_path) as process:
        process.kill()
        process.wait()
        assert states(tmp_path) == {"checkout": "lost", "pay": "lost"}
        first = spans_by(tmp_path)["pay"]["age_seconds"]
        time.sleep(0.2)
        assert spans_by(tmp_path)["pay"]["age_seconds"] == first
    recover(tmp_path / "traces")
    done = run_on_traces(tmp_path, "ps")
    assert (done.code, done.out) == (1, "")
    assert "no span is open in" in done.err


def test_an_orderly_end_leaves_nothing(tmp_path: Path) -> None:
    """A program that ended in order has no open spans."""
    with shop(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        assert run_on_traces(tmp_path, "ps").code == 1


def test_several_programs_and_a_tree(tmp_path: Path) -> None:
    """--tree draws a child under its parent; programs stay separate."""
    with shop(tmp_path, name="one"), shop(tmp_path, name="two"):
        out = run_on_traces(tmp_path, "ps", "--tree").out
    names = [row[2] for row in columns(out)[1:]]
    assert names == ["checkout", "└─ pay", "checkout", "└─ pay"]


PARENT_AND_CHILD = """\
import os, sys, time
from opentelemetry import trace
from opentelemetry.propagate import inject, extract
from otel_ext.pipeline import configure
configure(output="traces", console="off")
tracer = trace.get_tracer("t")
with tracer.start_as_current_span("parent"):
    if os.fork() == 0:
        with tracer.start_as_current_span("child"):
            time.sleep(60)
    open("ready-fork", "w").close()
    time.sleep(60)
"""


def test_a_tree_goes_across_processes(tmp_path: Path) -> None:
    """A span of a forked child is below the parent process's span of the same trace."""
    program = write_program(tmp_path, PARENT_AND_CHILD)
    with started(python(program), cwd=tmp_path) as process:
        try:
            both: dict[str, object] = {"parent": "running", "child": "running"}
            wait_until((tmp_path / "ready-fork").exists, "the program to begin")
            assert waiting_for(tmp_path, both) == both
            rows = columns(run_on_traces(tmp_path, "ps", "--tree").out)[1:]
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert [row[2] for row in rows] == ["parent", "└─ child"]
    assert len({row[3] for row in rows}) == 2


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--name", "pa*"], ["pay"]),
        (["--name", "PAY"], []),
        (["--older", "3600"], []),
        (["--older", "0"], ["checkout", "pay"]),
        (["--stalled"], []),
        (["--process", "1"], []),
    ],
)
def test_filters(tmp_path: Path, words: list[str], shown: list[str]) -> None:
    """Options select by name, age, state and process; without a match the exit code is 1."""
    with shop(tmp_path):
        done = run_on_traces(tmp_path, "ps", *words)
    assert [row[2] for row in columns(done.out)[1:]] == shown
    assert done.code == (0 if shown else 1)
    assert shown or "none of 2 open spans matches the options" in done.err


def test_json_is_one_object_a_span(tmp_path: Path) -> None:
    """--json: the documented keys, with ids, location, process and attributes."""
    with shop(tmp_path) as process:
        done = run_on_traces(tmp_path, "ps", "--json")
    first, second = (json.loads(line) for line in done.out.splitlines())
    assert list(first) == [
        "trace_id",
        "span_id",
        "parent_span_id",
        "name",
        "state",
        "status",
        "age_seconds",
        "started",
        "process",
        "where",
        "opened",
        "thread",
        "task",
        "attributes",
    ]
    assert (first["parent_span_id"], second["parent_span_id"]) == (None, first["span_id"])
    assert second["trace_id"] == first["trace_id"]
    assert first["process"]["pid"] == process.pid
    assert first["process"]["condition"] == "alive"
    assert first["process"]["folder"] == str(tmp_path / "traces")
    assert first["attributes"] == {"user": "ann"}
    assert first["opened"]["line"] == 12
    assert first["age_seconds"] > 0
