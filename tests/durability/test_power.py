"""Syncs to the disk, for the case of a power failure, follow the setting `sync`."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.durability.kit import command, tree_env
from tests.figures import report_figures

if TYPE_CHECKING:
    from pathlib import Path

WRITES = """
    for number in range(25):
        tracer.start_span("work").end()
        time.sleep(0.1)
"""
# Calls of write and fdatasync, except for the write of a new folder's `.gitignore`.
CALL = re.compile(r"\d+ +(?P<at>\d+\.\d+) (?P<name>write|fdatasync)\((?!\d+, \"\*)")


@pytest.mark.slow
@pytest.mark.needs("strace")
@pytest.mark.parametrize("sync", ["always", "interval", "never"])
def test_the_file_is_synced_as_promised(tmp_path: Path, sync: str) -> None:
    """The file is synced after each write, within a second of it, or not at all."""
    log = tmp_path / "calls"
    trace = ["strace", "-f", "-qq", "-ttt", "-e", "trace=write,fdatasync", "-o", str(log)]
    done = subprocess.run(
        [*trace, *command(WRITES, tmp_path / "traces")],
        env=tree_env(OTEL_EXT_SYNC=sync),
        check=False,
        timeout=50,
    )
    assert done.returncode == 0
    calls = [
        (match["name"], float(match["at"]))
        for match in map(CALL.match, log.read_text().splitlines())
        if match is not None
    ]
    names = [name for name, _ in calls]
    assert names.count("write") >= 10
    if sync == "never":
        assert "fdatasync" not in names
        return
    waited = [
        next(later for name, later in calls[number:] if name == "fdatasync") - at
        for number, (name, at) in enumerate(calls)
        if name == "write"
    ]
    report_figures(f"sync={sync}", writes=len(waited), longest_wait=f"{max(waited):.2f} s")
    if sync == "always":
        assert ["fdatasync" if name == "write" else "write" for name in names[:-1]] == names[1:]
    else:
        assert names.count("fdatasync") < names.count("write") / 2
        # The promise is a second; a busy machine may take longer.
        assert max(waited) < 30.0
