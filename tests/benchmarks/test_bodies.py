"""Tests the bodies of requests that the benchmarks send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.bodies import read_bodies, write_line_bodies, write_otlp_bodies
from otel_ext.server.ingest.lines import read_lines
from otel_ext.server.ingest.numbers import Numbers
from otel_ext.server.ingest.otlp.traces import read_traces

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_ext.server.ingest.result import Ingested


def _read_traces(body: bytes) -> Ingested:
    return read_traces(body, Numbers())


@pytest.mark.parametrize(
    ("write", "read", "extra"),
    [(write_otlp_bodies, _read_traces, 0), (write_line_bodies, read_lines, 4)],
)
def test_all_records_of_the_bodies_are_accepted(
    write: Callable[[Path, int], None],
    read: Callable[[bytes], Ingested],
    extra: int,
    tmp_path: Path,
) -> None:
    """Each body says how many records it has, and the server accepts all of them.

    Lines begin with the start of each of the four processes.
    """
    path = tmp_path / "bodies"
    write(path, 1_200)
    with path.open("rb") as file:
        bodies = list(read_bodies(file))
    assert sum(body.records for body in bodies) == 1_200 + extra
    found = [read(body.data) for body in bodies]
    assert [one.records for one in found] == [body.records for body in bodies]
    assert not any(one.rejected for one in found)
