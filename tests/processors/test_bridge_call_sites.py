"""Call sites of logs of libraries, and `LogRecord`s with unusual fields."""

from __future__ import annotations

import inspect
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from otel_ext.processors.stdlib_bridge import StdlibBridge
from otel_ext.processors.tracer_meta import TracerMetaRenderer
from otel_ext.record.codec import encode_line
from otel_ext.record.model import UNKNOWN_CALL_SITE
from otel_ext.record.schema.validation import validate_line
from tests.record.test_own_code import LIBRARY
from tests.structlog_kit import Kept

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def bridged() -> tuple[logging.Logger, Kept]:
    """Return a logger of the standard library, and the exporter that keeps its records."""
    kept = Kept()
    logger = logging.Logger("urllib3")  # noqa: LOG001 - one that no other test has
    logger.addHandler(StdlibBridge(TracerMetaRenderer(kept, text=True)))
    return logger, kept


def test_a_log_of_a_library_has_the_users_line() -> None:
    """The call site is the line of user code that made the library log."""
    logger, kept = bridged()
    code = "def log(logger):\n    logger.warning('retrying')\n"
    space: dict[str, Callable[[logging.Logger], None]] = {}
    exec(compile(code, LIBRARY, "exec"), cast("dict[str, object]", space))  # noqa: S102 - a file that need not exist
    line = cast("FrameType", inspect.currentframe()).f_lineno + 1
    space["log"](logger)
    (record,) = kept.records
    assert Path(record.call_site.file).samefile(__file__)
    assert record.call_site.line == line


def test_a_log_of_user_code_keeps_its_own_line() -> None:
    """The line in the log record is used, so `stacklevel` works."""
    logger, kept = bridged()
    line = cast("FrameType", inspect.currentframe()).f_lineno + 1
    logger.warning("asked")
    assert (kept.records[0].call_site.line, kept.records[0].name) == (line, "asked")


@pytest.mark.parametrize(
    "fields",
    [
        {"created": "yesterday"},
        {"created": float("nan")},
        {"levelname": 30},
        {"thread": "main", "threadName": 5},
        {"pathname": None, "lineno": [], "funcName": {}},
        {"name": 5},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_unusual_fields_of_a_log_record_lose_only_themselves(fields: dict[str, object]) -> None:
    """A `LogRecord` with fields of the wrong type is recorded in a valid line."""
    logger, kept = bridged()
    before = time.time_ns()
    plain = {
        "name": "n",
        "msg": "stored",
        "levelname": "INFO",
        "levelno": 20,
        "pathname": "/srv/a.py",
    }
    logger.handle(logging.makeLogRecord({**plain, **fields}))
    (record,) = kept.records
    assert validate_line(encode_line(record)) == []
    assert record.name == "stored"
    assert record.time_ns >= before - 10**9
    assert record.call_site != UNKNOWN_CALL_SITE or "pathname" in fields
