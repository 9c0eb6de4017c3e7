"""`ConsoleExporter` and its writer: terminals, pipes, files, and streams that fail."""

from __future__ import annotations

import io
import json
import os
import pty
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from otel_ext.errors import ConfigError
from otel_ext.exporters import CompatExporter, ConsoleExporter
from otel_ext.record.codec import encode_line
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.deadline import at_exit
from tests.exporters.samples import end, log, start
from tests.programs import environment, execute, in_child, write_program

if TYPE_CHECKING:
    from collections.abc import Iterator


class Pipe:
    """A pipe whose writing end is a text stream."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        self.stream = os.fdopen(writer, "w", encoding="utf-8")

    def close(self) -> None:
        """Close both ends."""
        for close in (self.stream.close, lambda: os.close(self.reader)):
            with suppress(OSError):
                close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Return a pipe without a reader yet."""
    with closing(Pipe()) as made:
        yield made


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, io.TextIOWrapper]]:
    """Return a pseudo-terminal: what a person sees, and the program's stream."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    person, program = pty.openpty()
    with os.fdopen(program, "w", encoding="utf-8") as stream:
        yield person, stream
    os.close(person)


def show(exporter: ConsoleExporter) -> None:
    """Export one span, from start to end."""
    exporter.export(start())
    exporter.export(end())
    assert exporter.force_flush(5_000)


def test_terminal_shows_lines_for_people_in_color(terminal: tuple[int, io.TextIOWrapper]) -> None:
    """On a terminal the lines are for people, and colored."""
    person, stream = terminal
    show(ConsoleExporter(stream))
    seen = ""
    while "12.3 ms" not in seen:
        seen += os.read(person, 10_000).decode()
    assert "\x1b[36m▶\x1b[0m" in seen


@pytest.mark.parametrize(
    ("variables", "color", "expected"),
    [
        ({"NO_COLOR": "1"}, None, False),
        ({"NO_COLOR": ""}, None, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, None, False),
        ({"TERM": "dumb"}, None, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, None, True),
        ({"NO_COLOR": "1"}, True, True),
        ({}, False, False),
    ],
)
def test_color_on_a_terminal(
    terminal: tuple[int, io.TextIOWrapper],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    color: bool | None,
    expected: bool,
) -> None:
    """The argument decides, then NO_COLOR, then FORCE_COLOR, then the terminal."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    person, stream = terminal
    show(ConsoleExporter(stream, color=color))
    assert ("\x1b[" in os.read(person, 10_000).decode()) is expected


def test_pipe_gets_json_lines(pipe: Pipe) -> None:
    """In a pipe records are lines of JSON, byte for byte those of the file."""
    show(ConsoleExporter(pipe.stream))
    assert os.read(pipe.reader, 10_000) == encode_line(start()) + encode_line(end())


def test_pipe_uses_the_encoding_of_compat_mode(pipe: Pipe) -> None:
    """Compat mode works on piped lines too."""
    CompatExporter(ConsoleExporter(pipe.stream)).export(start())
    assert "timestamp" in json.loads(os.read(pipe.reader, 10_000))


def test_lines_for_people_can_be_forced_into_a_pipe(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`style="people"` writes to a pipe what a terminal would get, without color."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    show(ConsoleExporter(pipe.stream, style="people"))
    seen = os.read(pipe.reader, 10_000).decode()
    assert "▶ load" in seen
    assert "\x1b" not in seen


def test_lines_follow_the_width_of_the_terminal(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """COLUMNS, as everywhere, sets the width."""
    monkeypatch.setenv("COLUMNS", "50")
    exporter = ConsoleExporter(pipe.stream, style="people")
    exporter.export(start("x" * 500))
    assert exporter.force_flush(5_000)
    assert len(os.read(pipe.reader, 10_000).decode()) == 50


def test_unknown_style_is_named() -> None:
    """The error lists the known styles."""
    with pytest.raises(ConfigError, match="'pretty' is not known. Use one of auto, people, json"):
        ConsoleExporter(style=cast("Any", "pretty"))


def test_default_is_stderr_at_the_first_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is set before the first record is used."""
    exporter = ConsoleExporter()
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    exporter.export(log())
    assert json.loads(stream.getvalue())["__tracer_meta__"]["event"] == "told"


def test_program_without_a_console(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without stderr, nothing happens."""
    monkeypatch.setattr(sys, "stderr", None)
    exporter = ConsoleExporter()
    exporter.export(log())
    assert exporter.force_flush(100)
    exporter.shutdown()


def test_unread_pipe_never_blocks_and_losses_are_counted(
    pipe: Pipe, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a reader the caller continues; dropped lines are counted and reported once."""
    exporter = ConsoleExporter(pipe.stream)
    dropped = COUNTERS.value("console.dropped.queue_full")
    record = start(attributes={"text": "x" * 60_000})
    for _ in range(120):
        exporter.export(record)
    assert not exporter.force_flush(50)
    lost = COUNTERS.value("console.dropped.queue_full") - dropped
    assert 20 < lost < 120
    assert capfd.readouterr().err.count("console: lines are lost: the terminal or pipe") == 1

    kept: list[bytes] = []
    reader = threading.Thread(target=lambda: kept.extend(read_all(pipe.reader)))
    reader.start()
    assert exporter.force_flush(20_000)
    exporter.shutdown()
    pipe.stream.close()
    reader.join()
    lines = b"".join(kept).splitlines(keepends=True)
    assert len(lines) == 120 - lost
    assert set(lines) == {encode_line(record)}


def read_all(descriptor: int) -> Iterator[bytes]:
    """Read until the writing ends are closed."""
    while data := os.read(descriptor, 65_536):
        yield data


def test_waiting_lines_are_written_later(pipe: Pipe) -> None:
    """Lines that the pipe did not accept are written later, without another record."""
    exporter = ConsoleExporter(pipe.stream)
    record = start(attributes={"text": "x" * 50_000})
    for _ in range(4):
        exporter.export(record)
    got = b""
    until = time.monotonic() + 20
    while got.count(b"\n") < 4 and time.monotonic() < until:
        got += os.read(pipe.reader, 65_536)
    assert got == encode_line(record) * 4
    exporter.shutdown()


def test_programs_own_descriptor_stays_blocking(pipe: Pipe) -> None:
    """Our non-blocking flag is not set on the descriptor of the program."""
    show(ConsoleExporter(pipe.stream))
    assert os.get_blocking(pipe.stream.fileno())


def test_pipe_whose_reader_is_gone(pipe: Pipe, capfd: pytest.CaptureFixture[str]) -> None:
    """A broken pipe costs the lines, which are counted; the program is unharmed."""
    os.close(pipe.reader)
    pipe.reader = os.open(os.devnull, os.O_RDONLY)
    exporter = ConsoleExporter(pipe.stream)
    dropped = COUNTERS.value("console.dropped.write_failed")
    for _ in range(3):
        exporter.export(start())
    assert COUNTERS.value("console.dropped.write_failed") - dropped == 3
    assert capfd.readouterr().err.count("BrokenPipeError") == 1


def test_full_device(capfd: pytest.CaptureFixture[str]) -> None:
    """A stream to a full disk loses its lines, which is reported once."""
    with open("/dev/full", "w", encoding="utf-8") as stream:  # noqa: PTH123
        exporter = ConsoleExporter(stream)
        exporter.export(start())
        exporter.export(start())
        exporter.shutdown()
    assert capfd.readouterr().err.count("No space left on device") == 1


def test_file_gets_all_lines(tmp_path: Path) -> None:
    """A stream that is redirected to a file behaves like a pipe."""
    with (tmp_path / "out").open("w") as stream:
        show(ConsoleExporter(stream))
    assert (tmp_path / "out").read_bytes() == encode_line(start()) + encode_line(end())


def test_redirection_is_followed(pipe: Pipe, tmp_path: Path) -> None:
    """When the program redirects the descriptor, lines go to the new target."""
    exporter = ConsoleExporter(pipe.stream)
    exporter.export(start())
    with (tmp_path / "log").open("w") as file:
        os.dup2(file.fileno(), pipe.stream.fileno())
    exporter.export(end())
    assert os.read(pipe.reader, 10_000) == encode_line(start())
    assert (tmp_path / "log").read_bytes() == encode_line(end())


def test_closed_stream_does_no_harm(capfd: pytest.CaptureFixture[str]) -> None:
    """A stream that the program has closed is not written to; losses are reported once."""
    stream = io.StringIO()
    exporter = ConsoleExporter(stream)
    exporter.export(start())
    stream.close()
    exporter.export(end())
    exporter.export(end())
    exporter.shutdown()
    assert capfd.readouterr().err.count("console: lines are lost: ValueError") == 1


def test_stream_that_records_does_not_recurse() -> None:
    """A stream whose `write` itself creates records gets them one after the other."""

    class Chatty(io.StringIO):
        def write(self, text: str) -> int:
            if '"phase":"start"' in text:
                exporter.export(end())
            return super().write(text)

    stream = Chatty()
    exporter = ConsoleExporter(stream, style="json")
    exporter.export(start())
    assert exporter.force_flush(5_000)
    assert stream.getvalue().encode() == encode_line(start()) + encode_line(end())


def test_records_after_shutdown_are_not_shown(pipe: Pipe) -> None:
    """After shutdown nothing is written, and the stream is still open."""
    exporter = ConsoleExporter(pipe.stream)
    show(exporter)
    os.read(pipe.reader, 10_000)
    exporter.shutdown()
    exporter.shutdown()
    exporter.export(start())
    print("theirs", file=pipe.stream, flush=True)
    assert os.read(pipe.reader, 10_000) == b"theirs\n"


def test_records_during_the_exit_are_shown(pipe: Pipe) -> None:
    """A shutdown by an exit handler is not final: other handlers run after it."""
    exporter = ConsoleExporter(pipe.stream)
    with at_exit():
        exporter.shutdown()
    exporter.export(start())
    assert exporter.force_flush(5_000)
    assert os.read(pipe.reader, 10_000) == encode_line(start())


def test_threads_do_not_tear_lines(pipe: Pipe) -> None:
    """Lines of eight threads stay whole."""
    exporter = ConsoleExporter(pipe.stream)
    kept: list[bytes] = []
    reader = threading.Thread(target=lambda: kept.extend(read_all(pipe.reader)))
    reader.start()

    def write() -> None:
        for _ in range(200):
            exporter.export(start())

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert exporter.force_flush(20_000)
    exporter.shutdown()
    pipe.stream.close()
    reader.join()
    assert b"".join(kept) == encode_line(start()) * 1_600


def test_narrow_encoding_gets_ascii_marks(tmp_path: Path) -> None:
    """A terminal with ASCII only gets lines that it can show."""
    root = str(Path(__file__).parents[2])
    program = write_program(
        tmp_path,
        """
from otel_ext.exporters import ConsoleExporter
from tests.exporters.samples import end, start
exporter = ConsoleExporter(style="people")
exporter.export(start("größe"))
exporter.export(end("größe"))
exporter.shutdown()
""",
    )
    env = environment(PYTHONIOENCODING="ascii", PYTHONPATH=root)
    done = execute([sys.executable, program], cwd=tmp_path, env=env)
    assert done.code == 0
    assert "> gr??e" in done.err
    assert "< gr??e 12.3 ms" in done.err


@pytest.mark.forks
def test_child_does_not_repeat_the_parents_waiting_lines(pipe: Pipe) -> None:
    """After a fork, only the parent writes them."""
    exporter = ConsoleExporter(pipe.stream)
    record = start(attributes={"text": "x" * 60_000})
    for _ in range(3):
        exporter.export(record)
    in_child(lambda: exporter.force_flush(200))
    kept: list[bytes] = []
    reader = threading.Thread(target=lambda: kept.extend(read_all(pipe.reader)))
    reader.start()
    assert exporter.force_flush(20_000)
    exporter.shutdown()
    pipe.stream.close()
    reader.join()
    assert b"".join(kept) == encode_line(record) * 3
