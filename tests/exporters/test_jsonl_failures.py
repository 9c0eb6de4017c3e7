"""`JsonlExporter` if it cannot write: one message, no harm, and it resumes later."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from otel_ext.exporters import JsonlExporter
from otel_ext.record.decode import decode_line
from tests.exporters.samples import Counted, start
from tests.programs import Done, environment, execute, records_in, write_program

# The beginning of all programs below. It imports everything: a program that has given
# up its rights may not be able to read its libraries.
BEGINNING = """
import os, resource, sys, time
from otel_ext.exporters import JsonlExporter
from otel_ext.runtime.counters import COUNTERS
from tests.exporters.samples import end, start

def settle(exporter):
    # The journal tries again at least every second.
    limit = time.monotonic() + 15
    while not exporter.force_flush(500) and time.monotonic() < limit:
        time.sleep(0.05)

def account():
    counters = COUNTERS.snapshot()
    dropped = sum(COUNTERS.dropped().values())
    print(counters.get("accepted", 0), counters.get("written", 0), dropped)
"""


def run_program(folder: Path, text: str) -> Done:
    """Run BEGINNING and `text` as a program in `folder`, which is its first argument."""
    program = write_program(folder, BEGINNING + text)
    root = str(Path(__file__).parents[2])
    return execute(
        [sys.executable, program, str(folder)], cwd=folder, env=environment(PYTHONPATH=root)
    )


def account_of(done: Done) -> tuple[int, int, int]:
    """Return how many records a program accepted, wrote and dropped, from its last line."""
    accepted, written, dropped = done.out.splitlines()[-1].split()
    return int(accepted), int(written), int(dropped)


@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_device_and_pipe_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    """A path that is a device or a pipe is named once, and nothing is created beside it."""
    path = "/dev/null"
    if kind == "pipe":
        path = str(tmp_path / "pipe")
        os.mkfifo(path)
    before = set(os.listdir(os.path.dirname(path)))  # noqa: PTH120, PTH208
    counted = Counted()
    exporter = JsonlExporter(path)
    for number in range(3):
        exporter.export(start(number=number))
    exporter.shutdown()
    printed = capfd.readouterr().err
    assert printed.count("is neither a folder nor a regular file") == 1
    assert path in printed
    assert "Name a folder" in printed
    assert counted("dropped.write_failed") == 3
    assert set(os.listdir(os.path.dirname(path))) == before  # noqa: PTH120, PTH208


@pytest.mark.parametrize("text", ["import sys\n", '{\n "name": "shop"\n}\n', "\0\0"])
def test_file_that_holds_something_else_is_left_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    """The user's own file, given by mistake, gets no records; it is named once."""
    path = tmp_path / "app.py"
    path.write_text(text)
    exporter = JsonlExporter(path)
    for number in range(3):
        exporter.export(start(number=number))
    exporter.shutdown()
    assert path.read_text() == text
    printed = capfd.readouterr().err
    assert printed.count(f"{str(path)!r} holds something other than records") == 1
    assert "Name a folder" in printed
    assert [item.name for item in tmp_path.iterdir()] == ["app.py"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("trace.log", ""), ("trace.log", '{"other":1}\n'), ("trace.jsonl", "\0" * 64 + "\n")],
)
def test_file_that_may_contain_records_is_written_to(tmp_path: Path, name: str, text: str) -> None:
    """An empty file, one of JSON lines, and a damaged one with a fitting name get records."""
    path = tmp_path / name
    path.write_text(text)
    exporter = JsonlExporter(path)
    exporter.export(start())
    exporter.shutdown()
    kept = path.read_text()
    assert kept.startswith(text)
    assert decode_line(kept.splitlines()[-1]).name == "process.end"


def test_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    """For a folder below a regular file: the message names it, the caller is unharmed."""
    (tmp_path / "file").write_text("")
    done = run_program(
        tmp_path,
        """
exporter = JsonlExporter(os.path.join(sys.argv[1], "file", "traces"))
for number in range(10):
    exporter.export(start(number=number))
print(exporter.force_flush(300))
exporter.shutdown()
account()
""",
    )
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "False"
    assert str(tmp_path / "file" / "traces") in done.err
    assert "Traceback" not in done.err
    assert "records could not be written before the program ended" in done.err
    assert len(done.err.splitlines()) <= 4
    accepted, written, dropped = account_of(done)
    assert (accepted, written) == (dropped, 0)
    assert dropped > 10


def test_counts_add_up(tmp_path: Path) -> None:
    """Accepted records are written or dropped, including those after shutdown."""
    done = run_program(
        tmp_path,
        """
exporter = JsonlExporter(os.path.join(sys.argv[1], "traces"))
for number in range(100):
    exporter.export(start(number=number))
exporter.shutdown()
exporter.export(end())
account()
""",
    )
    assert (done.code, done.err) == (0, "")
    assert account_of(done) == (103, 102, 1)


def test_symbolic_link_is_not_followed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A file name that is a link is refused, so it cannot redirect the records."""
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "trace.jsonl").symlink_to(tmp_path / "precious")
    exporter = JsonlExporter(tmp_path / "trace.jsonl")
    exporter.export(start())
    assert not exporter.force_flush(300)
    exporter.shutdown()
    assert (tmp_path / "precious").read_text() == "precious"
    printed = capfd.readouterr().err
    assert "link" in printed
    assert "trace.jsonl" in printed


def test_target_of_a_dangling_link_is_not_created(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A dangling link is not followed either."""
    (tmp_path / "trace.jsonl").symlink_to(tmp_path / "planted")
    exporter = JsonlExporter(tmp_path / "trace.jsonl")
    exporter.export(start())
    exporter.shutdown()
    assert not (tmp_path / "planted").exists()
    assert "trace.jsonl" in capfd.readouterr().err


def test_folder_without_permission_and_its_return(tmp_path: Path) -> None:
    """Without permission there is one message for all records; later records are written."""
    done = run_program(
        tmp_path,
        """
folder = os.path.join(sys.argv[1], "locked")
os.mkdir(folder, 0o500)
# Before the user changes, who may not be allowed to import.
records = [start(number=number + 1) for number in range(500)]
if os.geteuid() == 0:
    os.seteuid(65534)
exporter = JsonlExporter(folder)
for record in records:
    exporter.export(record)
print(exporter.force_flush(300))
if os.getuid() == 0:
    os.seteuid(0)
os.chmod(folder, 0o700)
settle(exporter)
exporter.export(end(number=1))
exporter.shutdown()
account()
""",
    )
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "False"
    accepted, written, dropped = account_of(done)
    assert accepted == written + dropped == 503
    assert str(tmp_path / "locked") in done.err
    assert len(done.err.splitlines()) <= 3
    assert "Traceback" not in done.err
    assert [r.event for r in records_in(tmp_path / "locked")].count("load.end") == 1


@pytest.mark.parametrize("mode", ["mapped", "queued", "write"])
def test_file_size_limit_and_its_lifting(tmp_path: Path, mode: str) -> None:
    """At the limit the program continues; after it is lifted, writing resumes."""
    done = run_program(
        tmp_path,
        f"""
file = os.path.join(sys.argv[1], "trace.jsonl")
exporter = JsonlExporter(file, durability={mode!r})
exporter.export(start("first", 1))
exporter.force_flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(file) + 1000, resource.RLIM_INFINITY))
for number in range(100):
    exporter.export(start("at the limit", number + 2))
print(exporter.force_flush(300))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
settle(exporter)
exporter.export(start("after", 200))
print(exporter.force_flush(15000))
exporter.shutdown()
account()
""",
    )
    assert done.code == 0, done.err
    assert done.out.splitlines()[:2] == ["False", "True"]
    accepted, written, dropped = account_of(done)
    assert (accepted, dropped) == (written, 0)
    text = (tmp_path / "trace.jsonl").read_bytes()
    whole = [line for line in text.splitlines() if line.startswith(b"{") and line.endswith(b"}")]
    spans = [record for record in map(decode_line, whole) if record.kind == "span"]
    assert len({record.key for record in spans}) == 102
    assert "trace.jsonl" in done.err
    assert "Traceback" not in done.err


def test_removed_working_directory_does_no_harm(tmp_path: Path) -> None:
    """A program whose working directory is gone still records to an absolute path."""
    done = run_program(
        tmp_path,
        """
gone = os.path.join(sys.argv[1], "gone")
os.mkdir(gone)
os.chdir(gone)
os.rmdir(gone)
exporter = JsonlExporter(os.path.join(sys.argv[1], "traces"))
exporter.export(start())
exporter.shutdown()
try:
    JsonlExporter("relative")
except Exception as error:
    print(error)
""",
    )
    assert done.code == 0, done.err
    assert len(records_in(tmp_path / "traces")) == 3
    assert done.out.startswith(
        "the path 'relative' is relative to a working directory that is gone"
    )


def test_file_removed_while_it_is_written(tmp_path: Path) -> None:
    """A deleted file is created again, with process.start first."""
    exporter = JsonlExporter(tmp_path / "trace.jsonl")
    exporter.export(start("before"))
    assert exporter.force_flush(10_000)
    (tmp_path / "trace.jsonl").unlink()
    exporter.export(start("behind", 2))
    assert exporter.force_flush(10_000)
    exporter.shutdown()
    events = [record.event for record in records_in(tmp_path)]
    assert events[0] == "process.start"
    assert "behind.start" in events
