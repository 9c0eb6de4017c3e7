"""Whole programs that log by structlog: the guide's snippets, a terminal, and the setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.record.decode import decode_line
from tests.pages import texts_of
from tests.programs import (
    ROOT,
    execute,
    logs_in,
    python,
    recorded,
    records_in,
    succeed,
    write_program,
)
from tests.terminals import terminal_with

if TYPE_CHECKING:
    from pathlib import Path

GUIDE = ROOT / "docs" / "how-to" / "structlog.md"
SNIPPETS = texts_of(GUIDE, "python")


def run(program: str, folder: Path, environ: dict[str, str]) -> str:
    """Run `program` as a script in `folder`; it must exit with 0 and print no error."""
    script = write_program(folder, program, "shop.py")
    done = execute(python(script), cwd=folder, env=environ)
    assert (done.code, done.err) == (0, "")
    return done.out


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_snippets_of_the_guide_run(
    snippet: str, tmp_path: Path, plain_environ: dict[str, str]
) -> None:
    """Each snippet runs unchanged, and prints the one log that its file contains."""
    printed = run(snippet, tmp_path, plain_environ)
    (record,) = logs_in(tmp_path / "traces")
    assert decode_line(printed.strip()) == record
    assert record.call_site.file == "shop.py"


def test_the_guides_example_line_is_a_record() -> None:
    """The line that the guide shows decodes to a record of a log inside a span."""
    (shown,) = texts_of(GUIDE, "json")
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
    script = write_program(tmp_path, SNIPPETS[0], "shop.py")
    with terminal_with(python(script), tmp_path, env=plain_environ) as terminal:
        shown = terminal.read_to_end()
    assert terminal.process.returncode == 0
    assert shown.count("stored") == 1, shown
    assert "__tracer_meta__" not in shown
    assert len(logs_in(tmp_path / "traces")) == 1


LOG = """
import structlog
from opentelemetry import trace
with trace.get_tracer("t").start_as_current_span("s"):
    structlog.get_logger("shop").warning("hello")
"""
CONFIGURE = "import otel_ext\notel_ext.configure(output='traces'{})\n" + LOG
VARIABLE = {"OTEL_EXT_STRUCTLOG": "true"}


@pytest.mark.parametrize("way", ["an argument", "a variable", "under otel-ext run"])
def test_structlog_is_configured_by_the_setting(way: str, tmp_path: Path) -> None:
    """A log of a program that does not call `configure_structlog()` is recorded, with its span."""
    command, variables = {
        "an argument": (python("-c", CONFIGURE.format(", structlog=True")), {}),
        "a variable": (python("-c", CONFIGURE.format("")), VARIABLE),
        "under otel-ext run": (recorded(tmp_path / "traces", *python("-c", LOG)), VARIABLE),
    }[way]
    succeed(command, tmp_path, OTEL_EXT_CONFIG="/dev/null", **variables)
    records = records_in(tmp_path / "traces")
    (log,) = (one for one in records if one.kind == "log")
    (start,) = (one for one in records if one.phase == "start")
    assert (log.name, log.logger, log.span_id) == ("hello", "shop", start.span_id)


def test_the_setting_does_not_change_the_programs_own_call(tmp_path: Path) -> None:
    """Where the program has called `configure_structlog()`, the setting changes nothing."""
    program = (
        "import logging, otel_ext\n"
        "otel_ext.configure_structlog(stdlib=True, renderer='json')\n"
        + CONFIGURE.format(", structlog=True")
        + "logging.getLogger('lib').warning('by logging')\n"
    )
    succeed(python("-c", program), tmp_path, OTEL_EXT_CONFIG="/dev/null")
    assert [one.name for one in logs_in(tmp_path / "traces")] == ["hello", "by logging"]
