"""The option `--output` replaces files, and nothing else: no device, no link, no records."""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from tests.cli.watched import run_on_traces
from tests.cli.written import exported
from tests.commands import call
from tests.exporters.samples import end, start

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = [["report"], ["export", "csv"]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with records in `traces`."""
    exported(tmp_path / "traces", start("job"), end("job"))
    return tmp_path


def test_into_a_pipe(folder: Path) -> None:
    """A reader gets it, and the pipe is still one."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    done = run_on_traces(folder, "report", "-o", pipe)
    assert (done.code, done.err) == (0, "")
    reader.join(10)
    assert got[0].startswith(b"<!doctype html>")
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert sorted(one.name for one in folder.iterdir()) == ["pipe", "traces"]


def test_through_a_link(folder: Path) -> None:
    """The file that it leads to is written, also where there was none; the link stays."""
    target, link = folder / "far" / "real.html", folder / "link.html"
    target.parent.mkdir()
    link.symlink_to("far/real.html")
    for _ in range(2):
        assert run_on_traces(folder, "report", "-o", link).code == 0
        assert link.is_symlink()
        assert "<!doctype html>" in target.read_text("utf-8")
    assert [one.name for one in target.parent.iterdir()] == ["real.html"]


def test_an_older_file_keeps_its_permissions(folder: Path) -> None:
    """A new one has the usual ones."""
    private, new = folder / "private.html", folder / "new.html"
    private.touch(0o600)
    mask = os.umask(0o027)
    try:
        for path in (private, new):
            assert run_on_traces(folder, "report", "-o", path).code == 0
    finally:
        os.umask(mask)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(new.stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_the_standard_output(name: str, folder: Path) -> None:
    """It has the content only; what the command says of it is on the standard error."""
    done = run_on_traces(folder, "report", "-o", name)
    assert done.out.startswith("<!doctype html>")
    assert done.out.rstrip().endswith("</html>")
    assert f"{name}: 1 trace, 1 span" in done.err
    done = call("export", "csv", "traces", "-o", name, cwd=folder)
    assert (len(done.out.splitlines()), done.err) == (2, "")
    assert not (folder / "-").exists()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_records_are_not_replaced(words: list[str], tmp_path: Path) -> None:
    """By whatever name they are called; nor may a file become one of the records."""
    records = exported(tmp_path / "a.jsonl", start("job"), end("job"))
    exported(tmp_path / "traces", start("job"), end("job"))
    (segment,) = (tmp_path / "traces").glob("*.jsonl")
    (tmp_path / "link").symlink_to("a.jsonl")
    (tmp_path / "hard").hardlink_to(records)
    (tmp_path / "folder").symlink_to("traces")
    before = records.read_bytes(), segment.read_bytes()
    cases = [
        ("a.jsonl", "a.jsonl"),
        ("a.jsonl", "link"),
        ("a.jsonl", "hard"),
        ("link", "./a.jsonl"),
        ("traces", f"folder/{segment.name}"),
        ("folder", "traces/new.jsonl"),
    ]
    for source, output in cases:
        done = call(*words, source, "-o", output, cwd=tmp_path)
        message = f"--output {output} is among the records that are read from {source}"
        assert (done.code, message in done.err) == (2, True), (source, output)
        assert "Name another file" in done.err
    assert (records.read_bytes(), segment.read_bytes()) == before
    assert not (tmp_path / "traces" / "new.jsonl").exists()
    assert call(*words, "traces", "-o", "traces/new.html", cwd=tmp_path).code == 0


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "the name of the output is empty"),
        ("traces", "--output traces is a folder. Name a file in it"),
        ("missing/file", "missing/file cannot be written: No such file or directory"),
        ("circle", "circle cannot be written: "),
    ],
)
def test_what_cannot_be_written(words: list[str], output: str, message: str, folder: Path) -> None:
    """The message names it, and what to do."""
    (folder / "circle").symlink_to("circle")
    done = call(*words, "traces", "-o", output, cwd=folder)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "--output" in done.err
