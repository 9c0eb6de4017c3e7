"""Several exporters of one process that write to the same folder."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.names import list_segments, parse_segment_name
from otel_ext.journal.read.folder import read_incarnations
from otel_ext.journal.recovery.retention import apply_retention
from tests.durability.kit import (
    assert_ended_once,
    assert_valid,
    command,
    open_span_states,
    read,
    read_line,
    recovered,
    running,
    tree_env,
    write_line,
)

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """\
import os, signal, sys
from opentelemetry.sdk.trace import TracerProvider
from otel_ext.exporters import JsonlExporter
from otel_ext.journal.settings import JournalSettings
from otel_ext.processors import LifecycleSpanProcessor
settings = JournalSettings(durability=sys.argv[2], segment_size=64 * 1024)
providers, spans = [], []
def add(name):
    provider = TracerProvider()
    exporter = JsonlExporter(sys.argv[1], settings=settings)
    provider.add_span_processor(LifecycleSpanProcessor(exporter))
    providers.append(provider)
    spans.append(provider.get_tracer("several").start_span(name))
    provider.force_flush(20_000)
"""
THREE = """
    for number in range(3):
        add(f"of {number}")
    print("open", flush=True)
    sys.stdin.readline()
    tracer = providers[1].get_tracer("several")
    for number in range(600):
        tracer.start_span("done", attributes={"text": "x" * 100}).end()
        if number % 100 == 0:
            providers[1].force_flush(20_000)
    spans[2].end()
    providers[2].shutdown()
    for provider in providers[:2]:
        provider.force_flush(20_000)
    print("rotated", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("durability", ["mapped", "queued"])
def test_readers_and_retention_use_the_files_of_each_exporter(
    tmp_path: Path, durability: str
) -> None:
    """`ps` shows the spans of each, retention keeps their newest files, recovery ends all."""
    with running(command(THREE, tmp_path, durability, head=HEAD)) as process:
        assert read_line(process) == "open"
        assert open_span_states(tmp_path) == dict.fromkeys(["of 0", "of 1", "of 2"], "running")
        write_line(process)
        assert read_line(process) == "rotated"
        assert open_span_states(tmp_path) == dict.fromkeys(["of 0", "of 1"], "running")
        long_ago = time.time() - 10 * 86_400
        for path in list_segments(tmp_path):
            os.utime(path, (long_ago, long_ago))
        apply_retention(tmp_path, max_bytes=1, max_age=1.0)
        left = [parse_segment_name(path.name) for path in list_segments(tmp_path)]
        assert [name.journal for name in left if name is not None] == [0, 1, 2]
        assert set(open_span_states(tmp_path)) == {"of 0", "of 1"}
        write_line(process)
        process.wait(20)
    readers, *_ = read_incarnations(tmp_path)
    assert len({key[0] for key in readers}) == 1
    running_in_each = [[span.start.name for span in one.running()] for one in readers.values()]
    assert sorted(running_in_each) == [[], ["of 0"], ["of 1"]]
    assert open_span_states(tmp_path) == dict.fromkeys(["of 0", "of 1"], "lost")
    found = recovered(tmp_path)
    assert_ended_once(found)
    causes = {end.name: end.abandoned for end in found.phase("end") if end.name != "done"}
    assert causes == {"of 0": "process-died", "of 1": "process-died", "of 2": None}
    assert open_span_states(tmp_path) == {}
    assert_valid(tmp_path)


def test_exporters_one_after_another_share_a_journal_id(tmp_path: Path) -> None:
    """A journal that was closed frees its id: the file names are those of a single journal."""
    text = """
    for number in range(3):
        add(f"of {number}")
        spans.pop().end()
        providers.pop().shutdown()
    """
    argv = command(text, tmp_path, "mapped", head=HEAD)
    assert subprocess.run(argv, env=tree_env(), timeout=50, check=False).returncode == 0
    names = [parse_segment_name(path.name) for path in list_segments(tmp_path)]
    assert [(name.journal, name.number) for name in names if name is not None] == [
        (0, 0),
        (0, 1),
        (0, 2),
    ]
    assert_ended_once(read(tmp_path))
