"""`otel-ext convert` loses no file: neither the one that is there, nor what it reads."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from otel_ext.analysis.traces.load import load
from tests.cli.written import exported
from tests.commands import call
from tests.exporters.samples import end, log
from tests.formats.test_convert import FLAT, JAEGER, OTLP, lines_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    """Return a file that can be converted."""
    path = tmp_path / "requests.json"
    path.write_bytes(b"".join(lines_of(OTLP)))
    return path


@pytest.mark.parametrize("text", [b"", b"text\n", b"[]\n", b'{"resourceSpans":[]}\n'])
def test_an_older_file_is_kept_if_there_is_no_record(tmp_path: Path, text: bytes) -> None:
    """And no empty one is made; the exit code shows it."""
    source, output = tmp_path / "source.json", tmp_path / "out.jsonl"
    source.write_bytes(text)
    done = call("convert", source, "-o", output)
    assert done.code == 1
    assert not output.exists()
    expected = "0 records written; 1 part left out" if text == b"text\n" else "no span or log"
    assert expected in done.err
    output.write_bytes(b"kept")
    assert call("convert", source, "-o", output).code == 1
    assert output.read_bytes() == b"kept"
    assert call("convert", source).out == ""


def test_an_output_that_is_an_input_is_refused(tmp_path: Path, requests: Path) -> None:
    """Also by another name of the same file; nothing is written."""
    before = requests.read_bytes()
    link, hard = tmp_path / "link.json", tmp_path / "hard.json"
    link.symlink_to(requests)
    os.link(requests, hard)
    for output in (requests, link, hard, tmp_path / "." / "requests.json"):
        done = call("convert", requests, "-o", output)
        assert done.code == 2
        assert "is an input, which would be lost. Name another file with --output." in done.err
    assert requests.read_bytes() == before
    assert call("convert", requests, "-o", tmp_path / "out.jsonl").code == 0


def test_an_older_file_is_replaced(tmp_path: Path, requests: Path) -> None:
    """As soon as there is one record."""
    output = tmp_path / "out.jsonl"
    output.write_bytes(b"older")
    assert call("convert", requests, "-o", output).code == 0
    assert len(output.read_bytes().splitlines()) == 2


def test_a_closed_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no file behind it."""
    monkeypatch.setattr("sys.stdin", None)
    done = call("convert", "-")
    assert done.code == 2
    assert "the standard input is closed" in done.err


def test_two_converted_files_in_a_folder_keep_all_logs(tmp_path: Path) -> None:
    """Of a trace in both; the same file twice adds none."""
    folder = tmp_path / "converted"
    folder.mkdir()
    for number in (1, 2):
        source = tmp_path / f"{number}.json"
        source.write_bytes(b"".join(lines_of(FLAT[0], {**FLAT[1], "rows": number}, FLAT[2])))
        for copy in ("a", "b"):
            assert call("convert", source, "-o", folder / f"{number}{copy}.jsonl").code == 0
    loaded = load([folder], with_logs=True)
    [trace_id] = loaded.logs
    assert [one.attributes["rows"] for one in loaded.logs_of(trace_id)] == [1, 2]


def test_a_file_of_records_is_named_once(tmp_path: Path) -> None:
    """Not once for each line; what else is wrong in it is still named."""
    records = exported(tmp_path / "records.jsonl", *(end("work", one) for one in range(1, 15)))
    with records.open("ab") as file:
        file.write(b"text\n" * 2)
    done = call("convert", records)
    assert done.code == 1
    name = f"otel-ext: {records}"
    assert done.err.count("a record already") == 1
    assert done.err.startswith(f"{name}:1: a record already. Commands read it as it is.\n")
    assert f"{name}:17: not JSON" in done.err
    assert done.err.endswith("0 records written; 18 parts left out\n")


@pytest.mark.parametrize("document", [OTLP, FLAT[0], JAEGER])
def test_a_file_of_another_tool_names_the_way_out(tmp_path: Path, document: object) -> None:
    """If a command that reads records gets it, alone and without any record."""
    path = tmp_path / "other tool.jsonl"
    path.write_bytes(b"".join(lines_of(document)))
    done = call("tree", path)
    assert done.code == 1
    hint = f"has no record. If another tool has written it, convert it: otel-ext convert '{path}'"
    assert hint in done.err
    exported(tmp_path / "records.jsonl", log("no span"))
    assert "no span in" in call("tree", tmp_path / "records.jsonl").err
    assert "otel-ext convert FILE" in call("tree", _pretty(tmp_path, document)).err


def _pretty(folder: Path, document: object) -> Path:
    path = folder / "pretty.json"
    path.write_text(json.dumps(document, indent=2), "utf-8")
    return path
