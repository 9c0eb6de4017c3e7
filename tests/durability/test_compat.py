"""Recovery in compat mode: the ends that it adds have the timestamp at the top level."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from otel_ext.journal.recovery.recover import recover

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import os, signal, sys
import otel_ext
from opentelemetry import trace

otel_ext.configure(output=sys.argv[1], compat_mode=True, console="off")
trace.get_tracer("t").start_span("left open")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_recovered_ends_have_the_timestamp_at_the_top_level(tmp_path: Path) -> None:
    """A file of compat mode has it in every line, also in those that recovery adds."""
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], check=False, timeout=60)
    assert recover(tmp_path).spans == 1
    [file] = tmp_path.glob("*.jsonl")
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert any("abandoned" in line["__tracer_meta__"] for line in lines)
    for line in lines:
        assert line["timestamp"] == line["__tracer_meta__"]["timestamp"]
