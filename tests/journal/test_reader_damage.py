"""Damage of every kind at every offset: whole lines are found, and no others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_ext.journal.read import salvage
from otel_ext.journal.read.rings import read_ring
from otel_ext.journal.read.scanner import Line, Skipped, scan
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Process, Record
from tests.examples import examples
from tests.journal.builders import line, make_ring

if TYPE_CHECKING:
    from pathlib import Path

SIZES = (0, 10, 200, 3)
LINES = [line(number, name="n" * SIZES[number % 4]) for number in range(12)]
CONTENT = b"".join(LINES)
STARTS = [len(b"".join(LINES[:number])) for number in range(len(LINES) + 1)]
QUICK = settings(
    examples(3),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def check(path: Path, content: bytes, damaged: range) -> None:
    """Assert that all lines outside `damaged` are found, and that all bytes are accounted for."""
    path.write_bytes(content)
    found: list[Line] = []
    covered = content.count(b"\n")
    end = 0
    for item in scan(path):
        assert item.offset >= end, "in order, without overlap"
        length = len(item.data) if isinstance(item, Line) else item.length
        end = item.offset + length
        assert end <= len(content)
        if isinstance(item, Line):
            found.append(item)
            covered += length
        else:
            assert isinstance(item, Skipped)
            covered += length - content.count(b"\n", item.offset, end)
    assert covered == len(content), "each byte is in a line, is skipped, or is a newline"
    whole = {one.data for one in found}
    for number, one in enumerate(LINES):
        begin, stop = STARTS[number], STARTS[number + 1]
        if stop < damaged.start or begin >= damaged.stop:
            assert one[:-1] in whole, f"line {number} is lost"


@QUICK
@given(at=st.integers(0, len(CONTENT)))
def test_cut_anywhere(tmp_path: Path, at: int) -> None:
    """A file cut at any byte yields all lines that end before."""
    check(tmp_path / "t.jsonl", CONTENT[:at], range(at, len(CONTENT)))


@QUICK
@given(at=st.integers(0, len(CONTENT) - 1), length=st.integers(1, 600), byte=st.integers(0, 255))
def test_overwritten_anywhere(tmp_path: Path, at: int, length: int, byte: int) -> None:
    """A run of any one byte, also NUL, costs only the lines it overwrites."""
    length = min(length, len(CONTENT) - at)
    content = CONTENT[:at] + bytes([byte]) * length + CONTENT[at + length :]
    check(tmp_path / "t.jsonl", content, range(at, at + length))


@QUICK
@given(at=st.integers(0, len(CONTENT)), garbage=st.binary(max_size=300))
def test_garbage_put_in_anywhere(tmp_path: Path, at: int, garbage: bytes) -> None:
    """Inserted bytes cost at most the line they are in."""
    content = CONTENT[:at] + garbage + CONTENT[at:]
    path = tmp_path / "t.jsonl"
    path.write_bytes(content)
    # White space before a line is not damage.
    whole = {item.data.strip() for item in scan(path) if isinstance(item, Line)}
    for number, one in enumerate(LINES):
        if not STARTS[number] < at < STARTS[number + 1]:
            assert one[:-1] in whole, f"line {number} is lost"


@QUICK
@given(content=st.binary(max_size=4_000))
def test_any_bytes_at_all(tmp_path: Path, content: bytes) -> None:
    """The reader never raises, and every byte is accounted for."""
    check(tmp_path / "t.jsonl", content, range(len(CONTENT)))


@pytest.mark.slow
def test_every_single_bit(tmp_path: Path) -> None:
    """One flipped bit costs at most its own line and the one it is joined to."""
    path = tmp_path / "t.jsonl"
    short = b"".join(LINES[:4])
    path.write_bytes(short)
    with path.open("r+b", buffering=0) as file:
        for at in range(len(short)):
            for bit in (0, 3, 5, 7):
                os.pwrite(file.fileno(), bytes([short[at] ^ 1 << bit]), at)
                whole = {item.data for item in scan(path) if isinstance(item, Line)}
                for number in range(4):
                    if not STARTS[number] <= at < STARTS[number + 1]:
                        assert LINES[number][:-1] in whole, (at, bit, number)
            os.pwrite(file.fileno(), short[at : at + 1], at)


@QUICK
@given(at=st.integers(0, 4096 + len(CONTENT)), garbage=st.binary(min_size=1, max_size=200))
def test_a_damaged_ring_buffer(tmp_path: Path, at: int, garbage: bytes) -> None:
    """Damage to header or content never raises and costs only the lines it overwrites."""
    ring = make_ring(tmp_path, size=1 << 18)
    for one in LINES:
        assert ring.append(one)
    content = bytearray(ring.path.read_bytes())
    content[at : at + len(garbage)] = garbage
    ring.path.write_bytes(content)
    whole = {one.data for one in read_ring(ring.path).lines}
    for number, one in enumerate(LINES):
        begin, stop = 4096 + STARTS[number], 4096 + STARTS[number + 1]
        if stop < at or begin >= at + len(garbage):
            assert one[:-1] in whole, f"line {number} is lost"
    ring.path.unlink()


@pytest.mark.parametrize("behind", [b"", b"}" * 36, b'"}}', b"\0" * 20])
def test_damage_made_of_beginnings_costs_no_more_than_its_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: bytes
) -> None:
    """The bytes parsed are a multiple of the file's length, not its square."""
    parsed: list[int] = []

    def load(data: bytes) -> object:
        parsed.append(len(data))
        return real(data)

    real = salvage.parse_json
    monkeypatch.setattr(salvage, "parse_json", load)
    content = b'{"__tracer_meta__":{' * 25_000 + behind + b"\n"
    path = tmp_path / "damaged.jsonl"
    path.write_bytes(content + line(1))
    found = [item for item in scan(path) if isinstance(item, Line)]
    assert [one.key[1] for one in found] == [1]
    assert sum(parsed) < 50 * len(content)


def test_a_record_that_holds_beginnings_is_found_behind_damage(tmp_path: Path) -> None:
    """A program may log our own lines; a record that contains them is found whole."""
    inner = '{"__tracer_meta__":{' * 40
    record = Record(
        "event", None, "odd", 1, 7, Process("p"), attributes={"line": inner, "n": {"a": inner}}
    )
    path = tmp_path / "damaged.jsonl"
    path.write_bytes(b'{"torn' + encode_line(record))
    assert [one.key[1] for one in scan(path) if isinstance(one, Line)] == [7]


def test_damage_is_found_if_the_json_parser_raises_a_name_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a second interpreter of a process orjson's error class raises a NameError itself."""

    def load(_data: bytes) -> object:
        raise NameError("name 'ValueError' is not defined")

    monkeypatch.setattr("otel_ext.journal.read.salvage.orjson.loads", load)
    assert salvage.parse_json(b"{torn") is None
