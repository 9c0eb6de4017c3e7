"""Rotation and retention: without the old files, the newest still shows all open spans."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.names import list_segments, segment_file
from otel_ext.journal.recovery.recover import recover
from otel_ext.journal.recovery.retention import apply_retention
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Status
from tests.durability.kit import (
    assert_valid,
    command,
    read,
    read_line,
    recovered,
    running,
    tree_env,
    write_line,
)
from tests.figures import report_figures
from tests.journal.builders import start
from tests.programs import OTEL_EXT, execute, wait_until

if TYPE_CHECKING:
    from pathlib import Path

ROTATES = """
    held = [tracer.start_span(f"held {n}", attributes={"n": n}) for n in range(10)]
    for number in range(4000):
        tracer.start_span("done", attributes={"text": "x" * 100}).end()
        if number % 200 == 0:
            handle.flush()
    handle.flush()
    print("rotated", flush=True)
    word = sys.stdin.readline().strip()
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    for span in held:
        span.end()
"""
SMALL_SEGMENTS = {"OTEL_EXT_SEGMENT_SIZE": "128KiB"}


def listed(folder: Path) -> list[str]:
    """Return the names of the spans that `ps` shows as running."""
    done = execute([OTEL_EXT, "ps", "--json", folder], cwd=folder, env=tree_env())
    assert done.code == 0 or "no span is open" in done.err, done.err
    spans = [json.loads(line) for line in done.out.splitlines()]
    found = spans[0]["spans"] if len(spans) == 1 and "spans" in spans[0] else spans
    return sorted(str(span["name"]) for span in found)


@pytest.mark.parametrize("end", ["return", "die"])
def test_only_the_newest_segment_is_needed(tmp_path: Path, end: str) -> None:
    """With all older files deleted, `ps`, recovery and the end of the program miss nothing."""
    with running(command(ROTATES, tmp_path), **SMALL_SEGMENTS) as process:
        assert read_line(process) == "rotated"
        segments = list_segments(tmp_path)
        assert len(segments) > 5
        before = listed(tmp_path)
        for old in segments[:-1]:
            old.unlink()
        names = [f"held {n}" for n in range(10)]
        assert listed(tmp_path) == before == names
        write_line(process, end)
        process.wait(20)
    found = recovered(tmp_path)
    ends = {r.name: r.abandoned for r in found.phase("end") if r.name.startswith("held")}
    assert ends == dict.fromkeys(names, "process-died" if end == "die" else None)
    starts = found.phase("start", "held 3")
    assert starts[0].attributes == {"n": 3}
    # Each file begins with `process.start`, so that it can be read alone.
    for path in list_segments(tmp_path):
        assert b'"event":"process.start"' in path.read_bytes().splitlines()[0]
    assert_valid(tmp_path)
    report_figures("rotation", segments=len(segments), deleted=len(segments) - 1, missing=0)


def test_retention_keeps_a_folder_within_its_size(tmp_path: Path) -> None:
    """Retention keeps the folder of a program that writes for long small, and its open spans."""
    limits = {"OTEL_EXT_SEGMENT_SIZE": "128KiB", "OTEL_EXT_RETENTION_SIZE": "512KiB"}
    with running(command(ROTATES, tmp_path), **limits) as process:
        assert read_line(process) == "rotated"
        began = time.monotonic()
        written = sum(path.stat().st_size for path in list_segments(tmp_path))
        apply_retention(tmp_path, max_bytes=512 * 1024, max_age=0)
        kept = sum(path.stat().st_size for path in list_segments(tmp_path)[:-1])
        seconds = time.monotonic() - began
        assert seconds < 30
        assert listed(tmp_path) == [f"held {n}" for n in range(10)]
    report_figures(
        "retention", written=written, kept_of_closed_files=kept, seconds=f"{seconds:.2f}"
    )
    assert written > 1024 * 1024
    assert kept <= 512 * 1024


def test_a_restart_removes_what_is_too_old(tmp_path: Path) -> None:
    """The next program in the folder deletes closed files that are too old, and no others."""
    old = subprocess.run(
        command("tracer.start_span('old').end()", tmp_path), env=tree_env(), check=False
    )
    assert old.returncode == 0
    [file] = tmp_path.glob("*.jsonl")
    an_hour_ago = time.time() - 3600
    os.utime(file, (an_hour_ago, an_hour_ago))
    text = f"""
    tracer.start_span("new").end()
    until = time.monotonic() + 30
    while os.path.exists({str(file)!r}) and time.monotonic() < until:
        time.sleep(0.01)
    """
    env = tree_env(OTEL_EXT_RETENTION_AGE="30m")
    new = subprocess.run(command(text, tmp_path), env=env, check=False)
    assert new.returncode == 0
    assert {record.name for record in read(tmp_path).phase("end")} == {"new"}


LEFT_BEHIND = """
    kept = []
    thread = threading.Thread(target=lambda: kept.append(tracer.start_span("left behind")))
    thread.start()
    thread.join()
    held = tracer.start_span("held")
    print("open", flush=True)
    sys.stdin.readline()
    for number in range(2000):
        tracer.start_span("done", attributes={"text": "x" * 100}).end()
        if number % 200 == 0:
            handle.flush()
    handle.flush()
    print("rotated", flush=True)
    if sys.stdin.readline().strip() == "end":
        kept[0].end()
        handle.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("word", ["die", "end"])
def test_a_span_whose_owner_died_is_not_open_again_in_the_next_segment(
    tmp_path: Path, word: str
) -> None:
    """It has one end after rotation, kill and recovery, and a second if the program ends it."""
    with running(command(LEFT_BEHIND, tmp_path), **SMALL_SEGMENTS) as process:
        assert read_line(process) == "open"
        wait_until(lambda: listed(tmp_path) == ["held"], "the report of the dead owner")
        write_line(process)
        assert read_line(process) == "rotated"
        assert len(list_segments(tmp_path)) > 2
        assert listed(tmp_path) == ["held"]
        write_line(process, word)
        process.wait(20)
    found = recovered(tmp_path)
    causes = {end.abandoned for end in found.phase("end", "left behind")}
    assert causes == ({"owner-died"} if word == "die" else {"owner-died", None})
    assert len(found.phase("end", "left behind")) == len(causes)
    assert [end.abandoned for end in found.phase("end", "held")] == ["process-died"]
    assert len(found.phase("start", "left behind")) == 1
    assert listed(tmp_path) == []


def test_recovery_adds_no_end_where_a_start_follows_an_abandoned_end(tmp_path: Path) -> None:
    """Files of earlier versions repeat such starts; the span has its end nevertheless."""
    name = "0123abcd-4194305-1-0000000a"
    began = start(1, name)
    gone = began._replace(
        phase="end", seq=2, start_ns=began.time_ns, abandoned="owner-died", status=Status("unset")
    )
    for number, records in enumerate([[began, gone], [began]]):
        path = tmp_path / segment_file(name, number)
        path.write_bytes(b"".join(map(encode_line, records)))
        os.utime(path, (number, number))
    assert listed(tmp_path) == []
    report = recover(tmp_path, grace_seconds=0.0)
    assert (report.spans, report.failed) == (0, [])
    assert len(read(tmp_path).phase("end")) == 1
