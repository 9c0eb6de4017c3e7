"""`BufferedLogger`: the records of one trace in one file, also after a crash."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import otel_ext
from otel_ext.context import BufferedLogger, with_span
from otel_ext.errors import ConfigError, JournalError
from otel_ext.record.decode import decode_line
from tests.commands import call
from tests.global_provider import as_global, recording_globally
from tests.programs import execute, python, write_program
from tests.users import as_unprivileged_user

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_ext.record.model import Record
    from otel_ext.testing import RecordCapture


@pytest.fixture(name="records", autouse=True)
def _records() -> Iterator[RecordCapture]:
    """Record the global provider's spans."""
    with recording_globally() as capture:
        yield capture


def records_in(path: Path) -> list[Record]:
    """Return the records in a file, behind those of its processes.

    Spans and logs have different ones if earlier tests have recorded with another resource.
    """
    records = [decode_line(line) for line in path.read_bytes().splitlines()]
    assert records[0].event == "process.start"
    return [record for record in records if record.kind != "process"]


def events_in(path: Path) -> list[str]:
    """Return the `event` texts of these records."""
    return [record.event for record in records_in(path)]


@pytest.mark.usefixtures("unconfigured_structlog")
def test_the_file_has_all_records_of_the_trace(tmp_path: Path, records: RecordCapture) -> None:
    """Spans and logs of the block are in the file after it, behind the facts of the process."""
    otel_ext.configure_structlog(records)
    path = tmp_path / "new" / "folder" / "nightly.jsonl"
    with BufferedLogger(path, job=7) as logger:
        logger.info("begun", rows=12)
        with with_span("import"):
            logger.warning("slow")
        assert not path.exists()
    assert events_in(path) == [
        "nightly.start",
        "begun",
        "import.start",
        "slow",
        "import.end",
        "nightly.end",
    ]
    assert [(record.seq, record.span_id, record.attributes) for record in records_in(path)] == [
        (record.seq, record.span_id, record.attributes) for record in records.records
    ]
    end = records.of("nightly")[1]
    assert end.attributes == {"job": 7, "otel_ext.buffered_file": str(path)}
    done = call("validate", path)
    assert (done.code, "problem" in done.out) == (0, False), done.output
    assert [entry.name for entry in path.parent.iterdir()] == ["nightly.jsonl"]


def test_a_file_from_async_code(tmp_path: Path) -> None:
    """`async with` does the same, under another name."""

    async def run() -> None:
        async with BufferedLogger(tmp_path / "a.jsonl", name="job"):
            with with_span("step"):
                await asyncio.sleep(0)

    asyncio.run(run())
    assert events_in(tmp_path / "a.jsonl") == ["job.start", "step.start", "step.end", "job.end"]


def test_the_file_is_written_if_the_block_fails(tmp_path: Path) -> None:
    """The exception passes through, and is in the file."""
    path = tmp_path / "job.jsonl"
    with pytest.raises(ValueError, match="declined"), BufferedLogger(path):
        raise ValueError("declined")
    end = records_in(path)[-1]
    assert (end.event, end.status and end.status.code) == ("job.end", "error")
    assert [event.name for event in end.events] == ["exception"]


def test_an_older_file_is_replaced_at_the_end(tmp_path: Path) -> None:
    """The older file is whole until the new one takes its name."""
    path = tmp_path / "job.jsonl"
    path.write_text("older\n")
    with BufferedLogger(path):
        assert path.read_text() == "older\n"
    assert events_in(path) == ["job.start", "job.end"]


def test_the_file_is_on_disk_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes are synced first, so that a power cut leaves no empty file under the name."""
    path = tmp_path / "job.jsonl"
    synced: list[tuple[int, bool]] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_size, path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    with BufferedLogger(path):
        pass
    assert synced == [(path.stat().st_size, False)]


def test_what_does_not_fit_is_reported(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Records beyond the limit are missing in a valid file, and their number is reported."""
    path = tmp_path / "job.jsonl"
    with BufferedLogger(path, max_records=3):
        for _ in range(3):
            with with_span("step"):
                pass
    assert events_in(path) == ["job.end", "step.start", "step.end"]
    assert f"{path} lacks 5 records beyond max_records" in capfd.readouterr().err
    assert call("validate", path).code == 0


def test_the_report_is_made_from_the_file(tmp_path: Path) -> None:
    """`report` is called once, with the path of the complete file."""
    path = tmp_path / "job.jsonl"
    got: list[tuple[Path, list[str]]] = []
    with BufferedLogger(path, report=lambda found: got.append((found, events_in(found)))):
        pass
    assert got == [(path, ["job.start", "job.end"])]


def test_a_report_that_fails_is_reported(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The exception of `report` does not reach the block's caller; the file is there."""
    path = tmp_path / "job.jsonl"

    def report(_path: Path) -> None:
        raise RuntimeError("no template")

    with BufferedLogger(path, report=report):
        pass
    assert len(events_in(path)) == 2
    assert f"BufferedLogger: {path} has no report: RuntimeError: no template" in (
        capfd.readouterr().err
    )


def test_a_folder_that_cannot_be_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The block runs, the missing file is reported, and `report` is not called."""
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "job.jsonl"
    got: list[Path] = []
    with BufferedLogger(path, report=got.append):
        pass
    assert f"BufferedLogger: {path} is not written: " in capfd.readouterr().err
    assert got == []


@pytest.mark.parametrize("mode", [0o755, 0o700], ids=["readable", "closed"])
def test_a_folder_of_another_user(
    mode: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without the right to write or to look there, nothing is raised and the older file stays."""
    tmp_path.chmod(mode)
    folder = tmp_path / "owned"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "job.jsonl").write_text("older")

    with as_unprivileged_user(), BufferedLogger(folder / "job.jsonl"):
        pass
    assert f"{folder / 'job.jsonl'} is not written: PermissionError" in capfd.readouterr().err
    assert [entry.name for entry in folder.iterdir()] == ["job.jsonl"]
    assert (folder / "job.jsonl").read_text() == "older"


def test_a_path_that_is_a_folder(tmp_path: Path) -> None:
    """A folder is refused at once, with a way out."""
    with pytest.raises(ConfigError, match="is a folder. Name a file in it"):
        BufferedLogger(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"report": "html"}, "report='html' cannot be called"),
        ({"max_records": 0}, "max_records=0 is not a positive number"),
    ],
    ids=["report", "max_records"],
)
def test_other_wrong_arguments(tmp_path: Path, options: dict[str, object], message: str) -> None:
    """Wrong arguments are refused when the logger is made."""
    with pytest.raises(ConfigError, match=message):
        BufferedLogger(tmp_path / "job.jsonl", **options)  # type: ignore[arg-type]


def test_with_tracing_off_there_is_no_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a provider the block runs, and nothing is written or reported."""
    with as_global(None), BufferedLogger(tmp_path / "job.jsonl"):
        pass
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""


def test_a_trace_that_is_not_sampled(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Without a record nothing is written, which is reported; the older file stays."""
    path = tmp_path / "job.jsonl"
    path.write_text("older")
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    with as_global(provider), BufferedLogger(path, report=print):
        pass
    assert path.read_text() == "older"
    assert f"{path} is not written: there are no records" in capfd.readouterr().err


def test_an_attribute_that_loggers_lack() -> None:
    """Private names are not passed to structlog's logger."""
    with pytest.raises(AttributeError, match="_private"):
        BufferedLogger("job.jsonl")._private  # noqa: B018, SLF001


KILLED = """\
import os, signal, sys
import otel_ext
from otel_ext.context import BufferedLogger

otel_ext.configure(output="traces", console="off", structlog=True)
with BufferedLogger("job.jsonl", name="earlier"):
    pass
os.replace("job.jsonl", "earlier.jsonl")
with otel_ext.with_span("before"):
    pass
with BufferedLogger("job.jsonl", n=7) as logger:
    with otel_ext.with_span("done"):
        logger.info("stored", order=7)
    with otel_ext.with_span("open"):
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_file_of_a_killed_program(tmp_path: Path) -> None:
    """After kill -9 within the block the file is written from the recovered folder."""
    program = write_program(tmp_path, KILLED)
    done = execute(python(program), cwd=tmp_path)
    assert done.code == -signal.SIGKILL, done.output
    path, folder = tmp_path / "job.jsonl", tmp_path / "traces"
    assert not path.exists()
    assert events_in(tmp_path / "earlier.jsonl") == ["earlier.start", "earlier.end"]
    # Before the recovery the records of the ring buffers are found too.
    assert BufferedLogger.recover(path, folder) == len(events_in(path)) + 1
    begun = ["job.start", "done.start", "stored", "done.end", "open.start"]
    assert events_in(path) == begun
    assert call("recover", folder).code == 0
    got: list[Path] = []
    number = BufferedLogger.recover(path, folder, report=got.append)
    assert got == [path]
    assert number == len(events_in(path)) + 1 == 8
    assert events_in(path)[:5] == begun
    assert sorted(events_in(path)[5:]) == ["job.end", "open.end"]
    assert {record.abandoned for record in records_in(path)[5:]} == {"process-died"}
    assert call("validate", path).code == 0
    assert BufferedLogger.recover(tmp_path / "other.jsonl", folder) == 0
    assert not (tmp_path / "other.jsonl").exists()
    path.unlink()
    (path / "inner").mkdir(parents=True)
    with pytest.raises(JournalError, match="job.jsonl cannot be written: "):
        BufferedLogger.recover(path, folder)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "earlier.jsonl",
        "job.jsonl",
        "program.py",
        "traces",
    ]


def test_a_folder_without_the_trace(tmp_path: Path) -> None:
    """A folder without records gives no file; one that is missing is an error."""
    assert BufferedLogger.recover(tmp_path / "job.jsonl", tmp_path) == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(JournalError, match="missing is not a folder"):
        BufferedLogger.recover(tmp_path / "job.jsonl", tmp_path / "missing")
