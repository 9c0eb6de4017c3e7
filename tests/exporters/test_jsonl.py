"""`JsonlExporter`: its files, their content, and their first and last lines."""

from __future__ import annotations

import json
import os
import stat
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from opentelemetry.sdk.resources import Resource

from otel_ext.errors import ConfigError
from otel_ext.exporters import CompatExporter, JsonlExporter
from otel_ext.journal.settings import JournalSettings
from otel_ext.record.decode import decode_line
from otel_ext.runtime.process import incarnation
from tests.exporters.samples import Counted, end, log, own_process, start
from tests.programs import records_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_ext.journal.settings import Durability
    from otel_ext.record.model import Record

MODES: list[Durability] = ["mapped", "queued", "write"]


def names(folder: Path) -> list[str]:
    """Return the `event` texts of all records of `folder`."""
    return [record.event for record in records_in(folder)]


@pytest.mark.parametrize("mode", MODES)
def test_folder_gets_one_file_named_after_the_incarnation(tmp_path: Path, mode: Durability) -> None:
    """A folder holds `INCARNATION.jsonl` with process.start first and process.end last."""
    folder = tmp_path / "deep" / "traces"
    exporter = JsonlExporter(folder, durability=mode)
    exporter.export(start())
    exporter.export(end())
    assert exporter.force_flush(10_000)
    assert names(folder) == ["process.start", "load.start", "load.end"]
    exporter.shutdown()
    assert [file.name for file in folder.glob("*.jsonl")] == [f"{own_process().id}.jsonl"]
    assert names(folder) == ["process.start", "load.start", "load.end", "process.end"]


def test_folder_and_file_are_private(tmp_path: Path) -> None:
    """Folder and file can be read by their owner only, whatever the umask."""
    before = os.umask(0)
    try:
        exporter = JsonlExporter(tmp_path / "traces")
        exporter.export(start())
        exporter.shutdown()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "traces").stat().st_mode) == 0o700
    (file,) = (tmp_path / "traces").glob("*.jsonl")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_nothing_is_created_before_the_first_record(tmp_path: Path) -> None:
    """Without a record there is no folder, not even after flush and shutdown."""
    exporter = JsonlExporter(tmp_path / "traces")
    assert exporter.force_flush(1_000)
    exporter.shutdown()
    assert not (tmp_path / "traces").exists()


def test_nothing_is_left_but_the_file(tmp_path: Path) -> None:
    """After an orderly shutdown no ring buffer is left behind."""
    exporter = JsonlExporter(tmp_path)
    exporter.export(start())
    exporter.shutdown()
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".jsonl"]


def test_first_line_has_the_facts_of_the_process(tmp_path: Path) -> None:
    """The process.start line carries pid, start time, boot id, host, argv and resource."""
    exporter = JsonlExporter(tmp_path)
    exporter.export(start())
    exporter.shutdown()
    first = records_in(tmp_path)[0]
    current = incarnation.current()
    assert first.kind == "process"
    assert first.process.id == current.id
    assert first.extra["pid"] == os.getpid()
    assert first.extra["start_time"] == current.process.start_time
    assert first.extra["boot_id"] == current.process.boot_id
    assert first.extra["host"] == current.process.host
    assert isinstance(first.extra["argv"], list)
    assert isinstance(first.extra["resource"], dict)
    assert (first.call_site.line, first.call_site.function) in {(0, "<module>"), (0, "<unknown>")}


def test_a_file_name_selects_that_file(tmp_path: Path) -> None:
    """A name that ends in `.jsonl` is a file; it and its folder are created."""
    exporter = JsonlExporter(tmp_path / "sub" / "trace.jsonl")
    exporter.export(start())
    exporter.shutdown()
    assert [path.name for path in (tmp_path / "sub").glob("*.jsonl")] == ["trace.jsonl"]


def test_existing_file_is_appended_to(tmp_path: Path) -> None:
    """An existing regular file is used whatever its name, and keeps its content."""
    file = tmp_path / "trace.log"
    file.write_bytes(b'{"theirs":1}\n')
    exporter = JsonlExporter(file)
    exporter.export(start())
    exporter.shutdown()
    lines = file.read_bytes().splitlines()
    assert lines[0] == b'{"theirs":1}'
    assert len(lines) == 4


def test_several_exporters_share_one_file_by_whole_lines(tmp_path: Path) -> None:
    """Two exporters on one file lose and tear nothing."""
    file = tmp_path / "trace.jsonl"
    both = [JsonlExporter(file), JsonlExporter(file)]

    def write(exporter: JsonlExporter) -> None:
        for number in range(300):
            exporter.export(start("n" * (number % 50 + 1), number))

    run_together([partial(write, one) for one in both])
    for exporter in both:
        exporter.shutdown()
    assert sum(record.kind == "span" for record in records_in(tmp_path)) == 600


def test_relative_path_is_resolved_at_creation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program may change its working directory between start and first record."""
    monkeypatch.chdir(tmp_path)
    exporter = JsonlExporter("traces")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    exporter.export(start())
    exporter.shutdown()
    assert len(names(tmp_path / "traces")) == 3


def test_further_resource_gets_its_own_process_line(tmp_path: Path) -> None:
    """Records with a second resource name `ID.2`, whose facts are in the same file."""
    current = incarnation.current()
    own = own_process()
    other = current.process_for(Resource({"service.name": "second"}))
    exporter = JsonlExporter(tmp_path)
    exporter.export(start())
    exporter.export(start(number=2, process=other))
    exporter.export(start(number=3, process=other))
    exporter.shutdown()
    records = records_in(tmp_path)
    opening = [r for r in records if r.event == "process.start"]
    assert [r.process.id for r in opening] == [own.id, other.id]
    resource = cast("dict[str, object]", opening[1].extra["resource"])
    assert resource == {"service.name": "second"}
    assert [r.event for r in records[-2:]] == ["process.end", "process.end"]
    assert len(list(tmp_path.glob("*.jsonl"))) == 1


def test_encoding_of_the_caller_is_used_for_all_lines(tmp_path: Path) -> None:
    """With compat mode the process lines carry the top-level timestamp too."""
    exporter = CompatExporter(JsonlExporter(tmp_path))
    exporter.export(start())
    exporter.shutdown()
    (file,) = tmp_path.glob("*.jsonl")
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert [line["timestamp"] for line in lines] == [
        line["__tracer_meta__"]["timestamp"] for line in lines
    ]


def test_encoding_that_raises_loses_only_its_record(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """If a caller's encoding raises, that is counted and reported; later records are written."""
    exporter = JsonlExporter(tmp_path)
    counted = Counted()

    def broken(record: Record) -> bytes:
        raise LookupError(record.name)

    exporter.export_as(start(), broken)
    exporter.export(log())
    exporter.shutdown()
    assert counted("dropped.encode_failed") == 1
    assert names(tmp_path) == ["process.start", "told", "process.end"]
    assert "a record cannot be encoded: LookupError: load" in capfd.readouterr().err


def test_full_file_is_followed_by_a_complete_one(tmp_path: Path) -> None:
    """After a rotation the new file begins with process.start and the spans still open."""
    settings = JournalSettings(segment_size=65_536)
    exporter = JsonlExporter(tmp_path, settings=settings)
    exporter.export(start("open for long", 999_999))
    for number in range(2_000):
        exporter.export(start(number=number))
        exporter.export(end(number=number))
        if number % 100 == 0:
            assert exporter.force_flush(10_000)
    exporter.shutdown()
    files = sorted(tmp_path.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    assert len(files) > 2
    for file in files:
        lines = [decode_line(line).event for line in file.read_bytes().splitlines()]
        assert lines[0] == "process.start"
        assert "open for long.start" in lines
    assert names(tmp_path).count("load.end") == 2_000


def test_open_spans_come_from_the_caller_if_it_has_them(tmp_path: Path) -> None:
    """A caller's own table of open spans is used, and the exporter remembers none."""
    known = [start("from the table", 77)]
    exporter = JsonlExporter(
        tmp_path, settings=JournalSettings(segment_size=65_536), open_records=lambda: known
    )
    for number in range(400):
        exporter.export(start(number=number))
    assert exporter.force_flush(10_000)
    exporter.export(start(number=401))
    exporter.shutdown()
    assert "from the table.start" in names(tmp_path)
    assert names(tmp_path).count("load.start") == 401


@pytest.mark.parametrize("mode", MODES)
def test_eight_threads_lose_nothing(tmp_path: Path, mode: Durability) -> None:
    """All lines of threads that write the first records at once are in the file."""
    exporter = JsonlExporter(tmp_path, durability=mode)

    def write(worker: int) -> None:
        for number in range(250):
            exporter.export(start(f"w{worker}", worker * 1_000 + number + 1))

    run_together([partial(write, worker) for worker in range(8)])
    exporter.shutdown()
    records = records_in(tmp_path)
    assert records[0].event == "process.start"
    assert len({record.key for record in records if record.kind == "span"}) == 2_000


@pytest.mark.parametrize("path", ["", "a\0b", 7, None, b"bytes"])
def test_a_wrong_path_is_named(path: object) -> None:
    """The error comes at once and names the value and the way out."""
    with pytest.raises(ConfigError, match="Give a folder or a file name") as caught:
        JsonlExporter(cast("Any", path))
    assert repr(path) in str(caught.value)


def test_unknown_durability_is_named() -> None:
    """The error lists the known ones."""
    with pytest.raises(ConfigError, match="'fast' is not known. Use one of mapped, queued, write"):
        JsonlExporter("traces", durability=cast("Any", "fast"))


def run_together(calls: list[Callable[[], None]]) -> None:
    """Make all calls at once, each on a thread."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], None]) -> None:
        barrier.wait()
        call()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
