"""`JsonlExporter` and forks: each process has its own file; nothing is repeated or lost."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from otel_ext.exporters import JsonlExporter
from otel_ext.record.decode import decode_line
from otel_ext.runtime.process import incarnation
from tests.exporters.samples import end, start
from tests.programs import in_child

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.journal.settings import Durability

pytestmark = pytest.mark.forks


def by_file(folder: Path) -> dict[str, list[str]]:
    """Return the events of each file of `folder`, by incarnation."""
    return {
        file.name.removesuffix(".jsonl"): [
            decode_line(line).event for line in file.read_bytes().splitlines()
        ]
        for file in folder.glob("*.jsonl")
    }


@pytest.mark.parametrize("mode", ["mapped", "queued", "write"])
def test_child_writes_to_its_own_file(tmp_path: Path, mode: Durability) -> None:
    """Parent and child each have a file that begins with their own process.start."""
    exporter = JsonlExporter(tmp_path, durability=mode)
    exporter.export(start("parent"))

    def child() -> None:
        exporter.export(start("child", 2))
        exporter.export(end("child", 2))
        exporter.shutdown()

    in_child(child)
    exporter.export(end("parent"))
    exporter.shutdown()
    files = by_file(tmp_path)
    parents = files.pop(incarnation.current().id)
    assert parents == ["process.start", "parent.start", "parent.end", "process.end"]
    (children,) = files.values()
    assert children == ["process.start", "child.start", "child.end", "process.end"]


def test_child_that_records_nothing_leaves_nothing(tmp_path: Path) -> None:
    """A child without records creates no file and repeats none of its parent's lines."""
    exporter = JsonlExporter(tmp_path)
    exporter.export(start("parent"))
    in_child(exporter.shutdown)
    exporter.shutdown()
    assert list(by_file(tmp_path).values()) == [["process.start", "parent.start", "process.end"]]


def test_waiting_lines_of_the_parent_are_written_once(tmp_path: Path) -> None:
    """Only the parent writes lines that wait for the worker at the fork."""
    exporter = JsonlExporter(tmp_path, durability="queued")
    for number in range(200):
        exporter.export(start("parent", number + 1))

    def child() -> None:
        exporter.export(start("child", 900))
        exporter.shutdown()

    in_child(child)
    exporter.shutdown()
    events = [event for events in by_file(tmp_path).values() for event in events]
    assert events.count("parent.start") == 200
    assert events.count("child.start") == 1


def test_one_shared_file_gets_lines_of_both(tmp_path: Path) -> None:
    """With a file name, parent and child append to one file, each with its `process.start`."""
    exporter = JsonlExporter(tmp_path / "trace.jsonl")
    exporter.export(start("parent"))

    def child() -> None:
        exporter.export(start("child", 2))
        exporter.export(end("child", 2))  # else the parent's worker might end it
        exporter.shutdown()

    in_child(child)
    exporter.shutdown()
    lines = (tmp_path / "trace.jsonl").read_bytes().splitlines()
    records = [decode_line(line) for line in lines]
    assert sorted(record.event for record in records) == [
        "child.end",
        "child.start",
        "parent.start",
        "process.end",
        "process.end",
        "process.start",
        "process.start",
    ]
    assert len({record.process.id for record in records}) == 2


def test_grandchild_after_the_parents_shutdown(tmp_path: Path) -> None:
    """An exporter that was shut down stays so in a child."""
    exporter = JsonlExporter(tmp_path)
    exporter.export(start("parent"))
    exporter.shutdown()
    in_child(lambda: exporter.export(start("child", 2)))
    assert len(by_file(tmp_path)) == 1


def test_forks_while_threads_write(tmp_path: Path) -> None:
    """Children forked while other threads write neither hang nor repeat a line."""
    exporter = JsonlExporter(tmp_path)
    stop = threading.Event()
    written = [0]

    def write() -> None:
        while not stop.is_set():
            written[0] += 1
            exporter.export(start("busy", written[0]))
            stop.wait(0.0005)  # few enough that no second file begins

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(20):

            def child() -> None:
                exporter.export(start("child", os.getpid()))
                exporter.shutdown()

            in_child(child)
    finally:
        stop.set()
        thread.join()
    exporter.shutdown()
    files = by_file(tmp_path)
    assert len(files) == 21
    parents = files.pop(incarnation.current().id)
    assert parents.count("busy.start") == written[0]
    for events in files.values():
        # The parent's worker may have ended by now what the child left open.
        assert events[:3] == ["process.start", "child.start", "process.end"]
        assert events[3:] in ([], ["child.end", "process.end"])
