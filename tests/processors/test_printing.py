"""`configure_structlog` prints to the standard output of the moment, of any kind."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import pickle
import re
import sys
from typing import Any

import pytest
import structlog
from structlog.processors import KeyValueRenderer

from otel_ext.processors.printing import StandardOutput
from otel_ext.processors.terminal_renderer import TerminalRenderer
from otel_ext.record.decode import decode_line
from otel_ext.runtime.counters import COUNTERS
from otel_ext.setup.structlog import configure_structlog
from tests.structlog_kit import Kept

pytestmark = pytest.mark.usefixtures("unconfigured_structlog")


EVIL = "\x1b[2J\x07\x9b31m\u202e"
# The colors that structlog adds.
SGR = re.compile(r"\x1b\[\d*m")


class Hostile:
    """A value that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class LikeCelerys:
    """A stream that logs what is written to it, as a Celery worker sets for standard output."""

    encoding = None

    def write(self, data: str) -> int:
        """Log what is written."""
        logging.getLogger("celery.redirected").warning(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing."""


class Failing(io.StringIO):
    """A stream whose methods raise unusual exceptions."""

    def write(self, _: str) -> int:
        """Raise."""
        raise LookupError("write")

    def isatty(self) -> bool:
        """Raise."""
        raise LookupError("isatty")


def closed() -> io.TextIOWrapper:
    """Return a closed stream, as after a redirection."""
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    return stream


STREAMS: dict[str, Any] = {
    "like Celery's": LikeCelerys,
    "StringIO": io.StringIO,
    "None": lambda: None,
    "closed": closed,
    "failing": Failing,
    "of bytes": io.BytesIO,
    "in ASCII": lambda: io.TextIOWrapper(io.BytesIO(), encoding="ascii"),
    "no stream at all": object,
}
RENDERERS = ("auto", "json", "console", KeyValueRenderer())


@pytest.mark.parametrize("early", [True, False], ids=["before the set-up", "after it"])
@pytest.mark.parametrize("renderer", RENDERERS, ids=["auto", "json", "console", "a renderer"])
@pytest.mark.parametrize("name", STREAMS)
def test_no_kind_of_stream_prevents_a_log(
    name: str,
    renderer: Any,  # noqa: ANN401 - a name or a processor
    early: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever object is standard output: nothing is raised, and the log is recorded."""
    kept = Kept()
    if early:
        monkeypatch.setattr(sys, "stdout", STREAMS[name]())
    configure_structlog(kept, renderer=renderer)
    monkeypatch.setattr(sys, "stdout", STREAMS[name]())
    structlog.get_logger("shop").warning("gruß", n=1)
    assert kept.names == ["gruß"]


def test_the_stream_is_looked_up_for_each_line(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """A logger that was first used during a redirection prints after it, too."""
    configure_structlog(Kept())
    log = structlog.get_logger()
    with contextlib.redirect_stdout(io.StringIO()) as stream:
        log.info("captured")
    stream_text = stream.getvalue()
    stream.close()
    log.info("afterwards")
    assert decode_line(stream_text).name == "captured"
    assert decode_line(capsysbinary.readouterr().out).name == "afterwards"


def test_a_log_comes_after_what_was_printed_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the stream keeps text back, as it does if it is a file or a pipe."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    print("before")
    StandardOutput().info(b"log")
    print("after")
    stream.flush()
    assert stream.buffer.getvalue() == b"before\nlog\nafter\n"


def test_text_and_bytes_arrive_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text and bytes reach text and byte streams; characters that cannot be encoded are escaped."""
    for stream in (io.StringIO(), io.BytesIO()):
        monkeypatch.setattr(sys, "stdout", stream)
        StandardOutput().info("gruß")
        StandardOutput().info("gruß".encode())
        seen: Any = stream.getvalue()
        assert (seen if isinstance(seen, str) else seen.decode()) == "gruß\ngruß\n"
    plain = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(plain, encoding="ascii"))
    StandardOutput().info("gruß")
    assert plain.getvalue() == b"gru\\xdf\n"


def test_a_line_that_is_not_printed_is_counted(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An error of standard output is counted and reported, not raised."""

    class NewError(Exception):
        """An error that is reported, because no other test raises it."""

    def fail(_: str) -> int:
        raise NewError

    stream = io.StringIO()
    monkeypatch.setattr(stream, "write", fail)
    monkeypatch.setattr(sys, "stdout", stream)
    before = COUNTERS.value("structlog.print_failed")
    StandardOutput().info("one")
    StandardOutput().info("two")
    assert COUNTERS.value("structlog.print_failed") - before == 2
    assert "a log was recorded but not printed: NewError" in capfd.readouterr().err


def test_an_interrupt_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a line is printed reaches the program."""

    class Interrupted(io.StringIO):
        def write(self, _: str) -> int:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdout", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        StandardOutput().info("one")


def test_loggers_are_copied_and_pickled() -> None:
    """A logger holds no stream, only its name."""
    log = StandardOutput("shop")
    assert [one.name for one in (copy.deepcopy(log), pickle.loads(pickle.dumps(log)))] == [  # noqa: S301
        "shop",
        "shop",
    ]


def test_a_value_whose_repr_raises_is_printed_as_json() -> None:
    """The renderer for terminals prints JSON if a value's own `__repr__` raises."""
    line = TerminalRenderer()(None, "info", {"event": "hello", "level": "info", "what": Hostile()})
    assert isinstance(line, str)
    assert '"event":"hello"' in line
    assert "<unprintable: Hostile>" in line


class Evil:
    """A value whose texts would drive a terminal."""

    def __repr__(self) -> str:
        return f"<Evil {EVIL}>"


@pytest.mark.parametrize(
    "fields",
    [
        {f"key{EVIL}": 1},
        {"path": f"value{EVIL}"},
        {"path": f"with a space{EVIL}"},
        {"nested": {f"key{EVIL}": [f"value{EVIL}", Evil()]}},
        {"raw": Evil()},
        {"logger": f"shop{EVIL}"},
        {"logger_name": Evil()},
        {"level": f"info{EVIL}"},
        {"timestamp": f"now{EVIL}"},
        {"event": Evil()},
        {"event": f"hello{EVIL}"},
        {"exception": f"ValueError: {EVIL}"},
        {"stack": f"Stack: {EVIL}"},
        {"exc_info": ValueError(EVIL)},
        {"hostile": Hostile(), f"key{EVIL}": EVIL},
    ],
)
def test_a_log_cannot_drive_the_terminal(fields: dict[str, object]) -> None:
    """What a terminal would obey is made visible in each part of a line."""
    line = TerminalRenderer()(None, "info", {"event": "hello", "level": "info", **fields})
    assert isinstance(line, str)
    plain = SGR.sub("", line)
    assert plain.replace("\n", "").isprintable()
    shown = plain.replace("\\u00", "\\x")  # in JSON
    assert "\\x1b[2J\\x07\\x9b31m\\u202e" in shown


@pytest.mark.parametrize("key", ["exception", "stack", "path"])
def test_a_value_that_is_none_or_no_text_is_printed(key: str) -> None:
    """As structlog prints it; the line does not become JSON."""
    for value in (None, ValueError("wrong")):
        line = TerminalRenderer()(None, "info", {"event": "hello", "level": "info", key: value})
        assert isinstance(line, str)
        assert "hello" in line
        assert not line.startswith("{")


def test_a_long_text_keeps_its_lines() -> None:
    """The event and an exception are shown in several lines, other values in one."""
    event = {"event": "one\ntwo", "exception": "Traceback:\n\tValueError", "path": "a\nb"}
    line = TerminalRenderer()(None, "info", event)
    assert isinstance(line, str)
    shown = SGR.sub("", line).splitlines()
    assert (shown[0][-3:], shown[2:]) == ("one", ["Traceback:", "        ValueError"])
    assert "path='a\\nb'" in shown[1]


def test_a_line_that_comes_back_by_logging_is_one_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """If standard output logs what is written to it, a log is recorded once."""
    kept = Kept()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [logging.NullHandler()])
    monkeypatch.setattr(sys, "stdout", LikeCelerys())
    configure_structlog(kept, stdlib=True)
    try:
        structlog.get_logger().warning("by structlog")
        print("by print")
        logging.getLogger("lib").warning("by logging")
    finally:
        configure_structlog(Kept())
    assert kept.names == ["by structlog", "by print", "\n", "by logging"]
