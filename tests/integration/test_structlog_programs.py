"""Whole programs that log by structlog: the snippets of the guide, and a real terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from otel_ext.record.decode import decode_line
from tests.programs import records_in
from tests.tree import checkout

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.record.model import Record

GUIDE = checkout() / "docs" / "how-to" / "structlog.md"
SNIPPETS: list[str] = re.findall(r"(?ms)^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"))


def run(program: str, folder: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `program` as a script in `folder`; it must exit with 0 and print no error."""
    script = folder / "shop.py"
    script.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done


def logs_in(folder: Path) -> list[Record]:
    """Return the log records in the files of `folder`."""
    return [record for record in records_in(folder) if record.kind == "log"]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_snippets_of_the_guide_run(
    snippet: str, tmp_path: Path, plain_environ: dict[str, str]
) -> None:
    """Each snippet runs unchanged, and prints the one log that its file contains."""
    done = run(snippet, tmp_path, plain_environ)
    (record,) = logs_in(tmp_path / "traces")
    assert decode_line(done.stdout.strip()) == record
    assert record.call_site.file == "shop.py"


def test_the_guides_example_line_is_a_record() -> None:
    """The line that the guide shows decodes to a record of a log inside a span."""
    (shown,) = re.findall(r"(?ms)^```json\n(.*?)^```", GUIDE.read_text(encoding="utf-8"))
    record = decode_line(shown.strip())
    assert (record.kind, record.name, record.logger) == ("log", "stored", "shop")
    assert record.attributes == {"order": {"id": 7, "items": ["a", "b"]}}


def test_logs_come_between_the_records_of_their_span(
    tmp_path: Path, plain_environ: dict[str, str]
) -> None:
    """In the file a log comes after its span's start and before its end, in one sequence."""
    run(SNIPPETS[0], tmp_path, plain_environ)
    (path,) = (tmp_path / "traces").glob("*.jsonl")
    records = [decode_line(line) for line in path.read_bytes().splitlines()]
    middle = [record for record in records if record.kind != "process"]
    assert [record.event for record in middle] == ["order.start", "stored", "order.end"]
    assert len({(record.trace_id, record.span_id) for record in middle}) == 1
    assert [record.seq for record in middle] == sorted(record.seq for record in middle)


def test_a_terminal_shows_each_log_once(tmp_path: Path, plain_environ: dict[str, str]) -> None:
    """On a real terminal the log appears once, as a readable line, and the file has it too."""
    script = tmp_path / "shop.py"
    script.write_text(SNIPPETS[0], encoding="utf-8")
    reading, writing = os.openpty()
    child = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=plain_environ,
        stdin=writing,
        stdout=writing,
        stderr=writing,
    )
    os.close(writing)
    shown = b""
    try:
        while part := os.read(reading, 65_536):
            shown += part
    except OSError:  # the last writer has closed the terminal
        pass
    os.close(reading)
    assert child.wait(30) == 0
    assert shown.count(b"stored") == 1, shown
    assert b"__tracer_meta__" not in shown
    assert len(logs_in(tmp_path / "traces")) == 1
