"""`otel-ext validate`: exit codes, line numbers, reasons, other files, bounded memory."""

from __future__ import annotations

import gzip
import io
import os
import sys
from pathlib import Path

import pytest

from otel_ext.record.model import META_KEY
from otel_ext.terminal.progress import progress_bar
from tests.commands import call
from tests.figures import report_figures
from tests.programs import Done, python, succeed
from tests.record.format_examples import documents, line_of, meta_of
from tests.users import as_unprivileged_user, let_others_enter

GOOD = b"".join(map(line_of, documents()))
COUNT = len(documents())
START = next(one for one in documents() if meta_of(one).get("phase") == "start")
BAD = line_of(documents()[0]).replace(b'"seq":12', b'"seq":-1')
REASON = "/__tracer_meta__/seq: must be an integer from 0 to 2^63-1, is -1"


def check(*words: str | Path) -> Done:
    """Call `otel-ext validate`."""
    return call("validate", *words)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A file with one record of every kind."""
    path = tmp_path / "good.jsonl"
    path.write_bytes(GOOD)
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A file whose second and fourth lines are bad."""
    path = tmp_path / "bad.jsonl"
    path.write_bytes(line_of(documents()[0]) + BAD + line_of(documents()[1]) + BAD)
    return path


def test_good_files_are_counted(good: Path) -> None:
    """Exit code 0, and a table of the records."""
    code, out, _ = check(good)
    assert code == 0
    assert f"1 file, {COUNT} lines: all good" in out
    rows = dict(line.rsplit(maxsplit=1) for line in out.splitlines() if line[-1:].isdigit())
    assert rows["span.start"] == "1"
    assert rows["log"] == "2"
    assert "bad lines" not in rows


def _start_line(number: int, process: str) -> bytes:
    """Return the start of the span `number` of a process."""
    meta = {**meta_of(START), "process": process, "span_id": f"{number + 1:016x}"}
    return line_of({**START, META_KEY: meta})


def test_ids_that_several_processes_use_are_reported(tmp_path: Path) -> None:
    """Workers with the same seed: how many ids repeat, in which processes, and what to do."""
    for process in ("5f3c9a1e-1-1-00000001", "5f3c9a1e-2-1-00000002"):
        # A later file of the same process repeats the starts of open spans.
        for part in (".jsonl", ".1.jsonl"):
            lines = b"".join(_start_line(number, process) for number in range(3))
            (tmp_path / f"{process}{part}").write_bytes(lines)
    alone = _start_line(9, "5f3c9a1e-3-1-00000003")
    (tmp_path / "alone.jsonl").write_bytes(alone)
    code, out, _ = check(tmp_path)
    assert code == 0
    assert "3 span ids repeat: 2 processes use the same ids for their own spans" in out
    assert "(5f3c9a1e-1-1-00000001, 5f3c9a1e-2-1-00000002). Do not seed random alike" in out
    assert check("--json", tmp_path).document["repeated_ids"] == {
        "count": 3,
        "processes": ["5f3c9a1e-1-1-00000001", "5f3c9a1e-2-1-00000002"],
        "sample": False,
    }
    done = check(tmp_path / "alone.jsonl")
    assert done.code == 0
    assert "repeat" not in done.out


def test_a_bad_line_has_its_number_and_reason(bad: Path) -> None:
    """Exit code 1; each reason follows file and line, as compilers print it."""
    done = check(bad)
    assert done.code == 1
    out = done.out.splitlines()
    assert out[:2] == [f"{bad}:2: {REASON}", f"{bad}:4: {REASON}"]
    assert out[-1] == "1 file, 4 lines: 2 bad"


def test_a_folder_means_its_files(good: Path, bad: Path) -> None:
    """All *.jsonl in a folder are checked; other files and folders in it are not."""
    (good.parent / "notes.txt").write_text("not a record")
    (good.parent / "old.jsonl").mkdir()
    code, out, _ = check(good.parent)
    assert code == 1
    assert f"2 files, {COUNT + 4} lines: 2 bad" in out
    assert f"{bad}: 2 of 4 lines bad" in out


def test_the_errors_shown_are_limited(bad: Path) -> None:
    """All bad lines are counted, even if few are shown."""
    code, out, _ = check("--max-errors", "1", bad)
    assert code == 1
    assert out.count(REASON) == 1
    assert "... and 1 more bad lines (see --max-errors)" in out
    assert REASON not in check("--max-errors", "0", bad).out


def test_json_is_for_programs(good: Path, bad: Path) -> None:
    """One object with everything; errors have line, offset and pointer."""
    done = check("--json", "--max-errors", "1", good, bad)
    assert done.code == 1
    found = done.document
    assert found["ok"] is False
    assert (found["lines"], found["bad"], found["errors_left_out"]) == (COUNT + 4, 2, 1)
    assert found["records"]["span.end (abandoned)"] == 1
    assert [file["bad"] for file in found["files"]] == [0, 2]
    pointer, message = REASON.split(": ")
    assert found["errors"] == [
        {
            "file": str(bad),
            "line": 2,
            "offset": len(line_of(documents()[0])),
            "reasons": [{"pointer": pointer, "message": message}],
        }
    ]


def test_the_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` means the standard input."""
    piped = io.TextIOWrapper(io.BufferedReader(io.BytesIO(GOOD + BAD)))
    monkeypatch.setattr(sys, "stdin", piped)
    done = check("-")
    assert done.code == 1
    assert f"<stdin>:{COUNT + 1}: {REASON}" in done.out


def test_a_pipe_can_be_named(tmp_path: Path) -> None:
    """A named pipe is read like a file, so `<(zcat old.gz)` works in a shell."""
    reader, writer = os.pipe()
    os.write(writer, GOOD)
    os.close(writer)
    done = check(f"/dev/fd/{reader}")
    os.close(reader)
    assert done.code == 0
    assert "all good" in done.out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.jsonl", "there is no such folder or file"),
        ("good.jsonl/below", "there is no such folder or file"),
        ("/dev/null", "a device or pipe, not a file of records. "),
        ("nul\0", "there is no such folder or file"),
    ],
)
def test_what_cannot_be_read_is_a_usage_error(good: Path, name: str, message: str) -> None:
    """Exit code 2, one line that names the file, and nothing was read."""
    done = check(good, good.parent / name)
    assert message in done.err
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (os.urandom(1 << 16), "A file of records has one JSON object a line"),
        (b"# Notes\n\nSome text\n" * 10_000, "A file of records has one JSON object a line"),
        (b'{\n  "name": "otel-ext",\n  "private": true\n}\n', "one JSON object a line"),
        (gzip.compress(GOOD), "gzip -dc FILE | otel-ext validate -"),
        (GOOD.decode().encode("utf-16"), "It is text in UTF-16; the format is UTF-8"),
        (b"SQLite format 3\0" + bytes(5_000), "It is a database"),
        (Path(sys.executable).read_bytes()[: 1 << 20], "one JSON object a line"),
        (b"\x7fELF" + b"\n\0\0\n\n \0\n" * 100, "one JSON object a line"),
    ],
)
def test_another_kind_of_file_gets_one_message(
    tmp_path: Path, good: Path, content: bytes, hint: str
) -> None:
    """Exit code 2 and one message, not one per line; the other files are still checked."""
    other = tmp_path / "other.dat"
    other.write_bytes(content)
    done = check(other, good)
    assert done.err.startswith(f"otel-ext: {other}: not a file of records. ")
    assert hint in done.err
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert done.out.endswith(f"1 file, {COUNT} lines: all good; 1 could not be checked\n")


@pytest.mark.parametrize(
    "content",
    [
        b"\0" * 4_096 + GOOD,
        b"".join(b'rest of a torn line"}\n' for _ in range(9)) + GOOD,
        GOOD[:100],
        b'{"level": "info"}\n' * 3,
        b"\xef\xbb\xbf" + GOOD,
    ],
)
def test_a_damaged_file_is_still_a_file_of_records(tmp_path: Path, content: bytes) -> None:
    """Damage at the beginning gives bad lines and exit code 1; the rest is checked."""
    path = tmp_path / "damaged.jsonl"
    path.write_bytes(content)
    done = check(path)
    assert done.out.startswith(f"{path}:1: ")
    assert (done.code, done.err) == (1, "")


def test_a_folder_without_files_is_not_good(tmp_path: Path) -> None:
    """Exit code 1, and `ok` is false in the JSON."""
    done = check("--json", tmp_path)
    assert done.code == 1
    assert done.document["ok"] is False
    assert f"no records in {tmp_path}. " in done.err


def test_an_empty_file_is_good(tmp_path: Path) -> None:
    """A file without lines has no bad ones."""
    path = tmp_path / "empty.jsonl"
    path.touch()
    done = check(path)
    assert done.code == 0
    assert "1 file, 0 lines: nothing to check" in done.out


def test_a_file_that_may_not_be_read(good: Path, bad: Path) -> None:
    """Exit code 2 and the system's reason; the other files are checked."""
    let_others_enter(good.parent)
    bad.chmod(0)
    good.chmod(0o644)
    with as_unprivileged_user():
        done = check(bad, good)
    assert done.code == 2
    reason = "cannot be read: Permission denied. Run this as the user that wrote the records"
    assert done.err == f"otel-ext: {bad}: {reason}\n"
    assert "all good; 1 could not be checked" in done.out


def test_escape_sequences_are_not_obeyed(tmp_path: Path) -> None:
    """Escape sequences in the name of a file or in a record are printed as text."""
    path = tmp_path / "a\x1b[31m.jsonl"
    path.write_bytes(BAD.replace(b'"kind":"span"', b'"kind":"\\u001b]0;x\\u0007"'))
    done = check(path)
    assert done.code == 1
    assert "\x1b" not in done.output
    assert "\\x1b[31m.jsonl:1: " in done.out


def test_there_is_no_bar_for_pipes(capsys: pytest.CaptureFixture[str]) -> None:
    """If the standard error is not a terminal, no progress is printed."""
    with progress_bar(1 << 40) as advance:
        advance(1 << 39)
    assert capsys.readouterr().err == ""


def test_there_is_a_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For a large file on a terminal, the bar shows how much was read."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar(2_000_000_000) as advance:
        advance(1_000_000_000)
    assert "1.0/2.0 GB" in capsys.readouterr().err


MEASURE = """
import re, sys
from otel_ext.cli.main import main
code = main(["validate", *sys.argv[1:]])
print(code, re.search("VmHWM:\\\\s+([0-9]+) kB", open("/proc/self/status").read())[1])
"""


def _peak_of_validating(path: Path) -> tuple[str, int]:
    """Validate in a new process; return what it prints, and its peak memory in bytes.

    Not by `ru_maxrss`, which also counts the memory of the parent process.
    """
    out = succeed(python("-c", MEASURE, path), path.parent).out
    code, peak = out.splitlines()[-1].split()
    assert code == "1"
    return out, int(peak) * 1024


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A large file with a huge line and many bad ones takes no more memory than a small one."""
    peaks: list[int] = []
    for times, reason in ((10, "81920 NUL bytes"), (6_000, "longer than 1048576 bytes")):
        path = tmp_path / f"{times}.jsonl"
        with path.open("wb") as file:
            file.write(b"\0" * (times << 13) + b"\n")
            for number in range(times):
                file.write(GOOD + BAD)
                for span in range(4):
                    file.write(_start_line(4 * number + span, f"5f3c9a1e-{number}-1-00000001"))
        out, peak = _peak_of_validating(path)
        assert reason in out
        peaks.append(peak)
    report_figures("validate", peak=" and ".join(f"{peak >> 20} MiB" for peak in peaks))
    assert peaks[1] - peaks[0] < 16 << 20
