"""`otel-ext ps` on real programs: running, stalled, stopped, stuck in C, and killed."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.recovery.recover import recover
from otel_ext.journal.ring_layout import STAMP_AT, WORD
from tests.cli.watched import (
    HOLDS_INTERPRETER,
    become,
    columns,
    run_on_traces,
    shop,
    spans_by,
    states,
)
from tests.commands import call
from tests.programs import python, started, suspend, wait_until, write_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.watched import Shop


@pytest.mark.usefixtures("waits_for_stacks")
def test_open_spans_are_shown_and_ended_ones_are_not(open_shop: Shop) -> None:
    """One line per open span, oldest first, under a header; ended spans are not shown."""
    done = run_on_traces(open_shop.folder, "ps")
    header, *rows = columns(done.out)
    assert header == ["AGE", "STATE", "NAME", "PROCESS", "WHERE", "ATTRIBUTES"]
    assert [row[2] for row in rows] == ["checkout", "pay"]
    assert {row[1] for row in rows} == {"running"}
    assert {row[3] for row in rows} == {open_shop.label}
    assert {row[4] for row in rows} == {"at shop_one.py:10 wait_for_the_bank"}
    assert [row[5:] for row in rows] == [["user=ann"], []]
    assert (done.code, done.err) == (0, "")


def test_running_programs_of_the_machine_are_found(open_shop: Shop, tmp_path: Path) -> None:
    """--all finds them by their mapped ring buffers, from any working directory."""
    done = call("ps", "--all", "--process", str(open_shop.pid), cwd=tmp_path)
    assert [row[2] for row in columns(done.out)[1:]] == ["checkout", "pay"]


@pytest.mark.usefixtures("waits_for_stacks")
def test_a_stalled_span_is_reported_with_where_it_is_now(tmp_path: Path) -> None:
    """After the watchdog ran, the state is stalled and the location is the current frame."""
    with shop(tmp_path, stall_after=0.2):
        become(tmp_path, "stalled")
        where = spans_by(tmp_path)["pay"]["where"]
        out = run_on_traces(tmp_path, "ps", "--stalled").out
    assert (where["function"], where["now"]) == ("wait_for_the_bank", True)
    assert "at shop_one.py:10 wait_for_the_bank" in out


@pytest.mark.usefixtures("waits_for_stacks")
def test_the_program_is_asked_where_it_is(tmp_path: Path) -> None:
    """`ps` asks the program where its spans are, unless --no-ask."""
    with shop(tmp_path):
        unasked = run_on_traces(tmp_path, "ps", "--no-ask")
        assert spans_by(tmp_path, "ps", "--no-ask")["pay"]["where"]["now"] is False
        assert "opened shop_one.py:12 " in unasked.out
        done = run_on_traces(tmp_path, "ps", "--now")
        where = spans_by(tmp_path, "ps")["pay"]["where"]
    assert (where["function"], where["line"]) == ("wait_for_the_bank", 10)
    assert done.err == ""
    assert done.out.count("at shop_one.py:10 wait_for_the_bank") == 2


def test_a_stopped_program_is_reported_as_hung(tmp_path: Path) -> None:
    """SIGSTOP: hung at once, and each command names the process; SIGCONT: all is as before."""
    with shop(tmp_path) as process:
        suspend(process)
        become(tmp_path, "hung")
        done = run_on_traces(tmp_path, "ps")
        dump = run_on_traces(tmp_path, "dump")
        process.send_signal(signal.SIGCONT)
        become(tmp_path, "running")
    assert f"process {process.pid} shop_one.py does not answer" in done.err
    assert columns(done.out)[1][1] == "hung"
    # `dump` shows the last record of a program that does not answer.
    assert f"process {process.pid} shop_one.py does not answer" in dump.err
    assert "opened at shop_one.py:12 " in dump.out
    assert dump.code == 0


def test_a_call_that_holds_the_interpreter_is_reported_as_hung(tmp_path: Path) -> None:
    """A regular expression that never ends lets no other thread run; its spans are shown anyway.

    They are not shown as blocked, as no record was made since the last stamp either; and a
    clock that was set back before the last stamp does not hide the hang.
    """
    with shop(tmp_path, body=HOLDS_INTERPRETER) as process:
        become(tmp_path, "hung")
        done = run_on_traces(tmp_path, "ps")
        [ring] = tmp_path.glob("traces/.blackbox/*.ring")
        with ring.open("r+b") as file:
            file.seek(STAMP_AT)
            file.write(WORD.pack(time.time_ns() + 3600 * 10**9))
        become(tmp_path, "hung")
        assert process.poll() is None
    assert f"process {process.pid} shop_one.py does not answer" in done.err


def test_what_a_killed_program_did_is_lost_until_recovered(dead_shop: Shop) -> None:
    """After SIGKILL the open spans are shown as lost; after recovery they are gone."""
    become(dead_shop.folder, "lost")
    first = spans_by(dead_shop.folder)["pay"]["age_seconds"]
    assert spans_by(dead_shop.folder)["pay"]["age_seconds"] == first
    recover(dead_shop.folder / "traces")
    done = run_on_traces(dead_shop.folder, "ps")
    assert (done.code, done.out) == (1, "")
    assert "no span is open in" in done.err


def test_an_orderly_end_leaves_nothing(tmp_path: Path) -> None:
    """A program that ended in order has no open spans."""
    with shop(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        process.wait(20)
    assert run_on_traces(tmp_path, "ps").code == 1


def test_several_programs_and_a_tree(open_shop: Shop, tmp_path: Path) -> None:
    """--tree draws a child under its parent; programs stay separate."""
    with shop(tmp_path):
        out = run_on_traces(tmp_path, "ps", open_shop.folder / "traces", "--tree").out
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
            running = dict.fromkeys(("parent", "child"), "running")
            wait_until((tmp_path / "ready-fork").exists, "the program to begin")
            wait_until(lambda: states(tmp_path) == running, "both spans")
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
def test_filters(open_shop: Shop, words: list[str], shown: list[str]) -> None:
    """Options select by name, age, state and process; without a match the exit code is 1."""
    done = run_on_traces(open_shop.folder, "ps", *words)
    assert [row[2] for row in columns(done.out)[1:]] == shown
    assert done.code == (0 if shown else 1)
    assert shown or "none of 2 open spans matches the options" in done.err


def test_json_is_one_object_a_span(open_shop: Shop) -> None:
    """--json: the documented keys, with ids, location, process and attributes."""
    first, second = run_on_traces(open_shop.folder, "ps", "--json").documents
    assert list(first) == [
        *("trace_id", "span_id", "parent_span_id", "name", "state", "status", "age_seconds"),
        *("started", "process", "where", "opened", "thread", "task", "attributes"),
    ]
    assert (first["parent_span_id"], second["parent_span_id"]) == (None, first["span_id"])
    assert second["trace_id"] == first["trace_id"]
    assert first["process"]["pid"] == open_shop.pid
    assert first["process"]["command"] == "shop_one.py"
    assert first["process"]["condition"] == "alive"
    assert first["process"]["folder"] == str(open_shop.folder / "traces")
    assert (first["attributes"], first["status"]) == ({"user": "ann"}, None)
    assert first["opened"]["line"] == 12
    assert first["age_seconds"] > 0
