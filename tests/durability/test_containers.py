"""A process in a PID namespace of its own, seen by readers outside of it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.recovery.recover import recover
from otel_ext.runtime.process.incarnation import pid_namespace
from tests.durability.kit import (
    assert_ended_once,
    assert_valid,
    command,
    open_span_states,
    read,
    read_line,
    recovered,
    running,
    write_line,
)

if TYPE_CHECKING:
    from pathlib import Path

LIVES = """
    handle.shutdown()
    handle = otel_ext.configure(output=sys.argv[1], console="off", durability=sys.argv[2])
    span = tracer.start_span("inside")
    handle.flush(20)
    print(os.getpid(), flush=True)
    input()
    tracer.start_span("later").end()
    span.end()
    handle.flush(20)
    print("ended", flush=True)
    input()
"""


def inside(argv: list[str]) -> list[str]:
    """Return the command line that runs `argv` in a PID namespace of its own."""
    flags = "-pf" if os.geteuid() == 0 else "-Urpf"
    return ["unshare", flags, "--kill-child", "--mount-proc", *argv]


@pytest.mark.needs("unshare")
@pytest.mark.parametrize("durability", ["queued", "write", "mapped"])
def test_a_process_of_another_namespace_is_left_alone(tmp_path: Path, durability: str) -> None:
    """In every mode `ps` shows its span as running, and `recover` leaves that open."""
    argv = command(LIVES, tmp_path, durability)
    with running(inside(argv)) as process:
        assert int(read_line(process)) < 10
        assert open_span_states(tmp_path) == {"inside": "running"}
        report = recover(tmp_path, grace_seconds=600)
        assert (report.spans, len(report.uncertain)) == (0, 1)
        write_line(process)
        assert read_line(process) == "ended"
        assert_ended_once(read(tmp_path))
    # A reader outside cannot check the killed process either, so it is uncertain for the grace.
    assert recover(tmp_path, grace_seconds=600).uncertain
    assert recover(tmp_path, grace_seconds=0.0).spans == 0
    assert_valid(tmp_path)


@pytest.mark.needs("unshare")
def test_a_file_without_a_namespace_is_not_taken_for_dead(tmp_path: Path) -> None:
    """A file from before the key was written is uncertain, though no process here has its pid."""
    with running(inside(command(LIVES, tmp_path, "queued"))) as process:
        assert read_line(process)
        (path,) = tmp_path.glob("*.jsonl")
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        old = tmp_path / "old"
        old.mkdir()
        for line in lines:
            line["__tracer_meta__"].pop("pid_namespace", None)
        (old / path.name).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        assert open_span_states(old) == {"inside": "running"}
        assert recover(old, grace_seconds=600).uncertain


def test_process_start_has_the_namespace(tmp_path: Path) -> None:
    """Each file contains it, so that readers know whether the pid is one that they can check."""
    with running(command(LIVES, tmp_path, "queued")) as process:
        assert read_line(process)
    (start,) = recovered(tmp_path).events("process.start")[:1]
    assert start.extra["pid_namespace"] == pid_namespace()
