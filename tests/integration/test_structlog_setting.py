"""The setting `structlog`: logs are recorded with each of the three ways to set it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.programs import logs_in, python, recorded, records_in, succeed

if TYPE_CHECKING:
    from pathlib import Path

LOG = """
import structlog
from opentelemetry import trace
with trace.get_tracer("t").start_as_current_span("s"):
    structlog.get_logger("shop").warning("hello")
"""
CONFIGURE = "import otel_ext\notel_ext.configure(output='traces'{})\n" + LOG
VARIABLE = {"OTEL_EXT_STRUCTLOG": "true"}


@pytest.mark.parametrize("way", ["an argument", "a variable", "under otel-ext run"])
def test_structlog_is_configured_by_the_setting(way: str, tmp_path: Path) -> None:
    """A log of a program that does not call `configure_structlog()` is recorded, with its span."""
    command, variables = {
        "an argument": (python("-c", CONFIGURE.format(", structlog=True")), {}),
        "a variable": (python("-c", CONFIGURE.format("")), VARIABLE),
        "under otel-ext run": (recorded(tmp_path / "traces", *python("-c", LOG)), VARIABLE),
    }[way]
    succeed(command, tmp_path, OTEL_EXT_CONFIG="/dev/null", **variables)
    records = records_in(tmp_path / "traces")
    (log,) = (one for one in records if one.kind == "log")
    (start,) = (one for one in records if one.phase == "start")
    assert (log.name, log.logger, log.span_id) == ("hello", "shop", start.span_id)


def test_the_setting_does_not_change_the_programs_own_call(tmp_path: Path) -> None:
    """Where the program has called `configure_structlog()`, the setting changes nothing."""
    program = (
        "import logging, otel_ext\n"
        "otel_ext.configure_structlog(stdlib=True, renderer='json')\n"
        + CONFIGURE.format(", structlog=True")
        + "logging.getLogger('lib').warning('by logging')\n"
    )
    succeed(python("-c", program), tmp_path, OTEL_EXT_CONFIG="/dev/null")
    assert [one.name for one in logs_in(tmp_path / "traces")] == ["hello", "by logging"]
