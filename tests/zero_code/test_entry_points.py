"""The entry points by which `opentelemetry-instrument` and the SDK find otel-ext."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest

from otel_ext import environment_variables
from otel_ext._accel import PURE_PYTHON
from otel_ext.config import CONFIG_VARIABLE, SETTINGS
from otel_ext.zero_code import AUTO
from tests.programs import (
    INSTRUMENT,
    LIGHT_WITHOUT_LOGGING,
    python,
    records_in,
    succeed,
    write_program,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.programs import Done

pytestmark = pytest.mark.measured

PROGRAM = """\
from opentelemetry import trace
with trace.get_tracer("test").start_as_current_span("work", attributes={"password": "secret"}):
    pass
"""
ELSEWHERE = ["--metrics_exporter", "none", "--logs_exporter", "none"]


def instrumented(folder: Path, *options: str, **variables: str) -> Done:
    """Run the program under opentelemetry-instrument with these options."""
    command = [INSTRUMENT, *ELSEWHERE, *options, *python(write_program(folder, PROGRAM))]
    done = succeed(command, folder, **LIGHT_WITHOUT_LOGGING, **variables)
    assert "Traceback" not in done.err, done.err
    return done


def events(folder: Path) -> list[str]:
    """Return the events of the recorded spans."""
    return [record.event for record in records_in(folder) if record.kind == "span"]


@pytest.mark.parametrize(
    "group", ["opentelemetry_environment_variables", "opentelemetry_traces_exporter"]
)
def test_each_can_be_loaded(group: str) -> None:
    """The object that the entry point names exists."""
    (ours,) = entry_points(group=group, name="otel_ext")
    assert ours.load() is not None


def test_every_variable_is_an_option() -> None:
    """Each name is its own value, and the names are those of the settings."""
    names = dir(environment_variables)
    alone = {AUTO, CONFIG_VARIABLE, PURE_PYTHON}
    assert set(names) == alone | {setting.env for setting in SETTINGS}
    assert all(getattr(environment_variables, name) == name for name in names)
    with pytest.raises(AttributeError, match="OTEL_EXT_NOTHING"):
        _ = environment_variables.OTEL_EXT_NOTHING


def test_options_of_the_command_set_our_variables(tmp_path: Path) -> None:
    """`opentelemetry-instrument --ext_auto true` records into the folder of `--ext_output`."""
    instrumented(
        tmp_path, "--traces_exporter", "none", "--ext_auto", "true", "--ext_output", "here"
    )
    assert events(tmp_path / "here") == ["work.start", "work.end"]


def test_the_exporter_by_its_name(tmp_path: Path) -> None:
    """`OTEL_TRACES_EXPORTER=otel_ext` records redacted ends, beside other exporters."""
    done = instrumented(tmp_path, "--traces_exporter", "console,otel_ext", OTEL_EXT_OUTPUT="traces")
    assert done.err == ""
    assert '"name": "work"' in done.out
    assert events(tmp_path / "traces") == ["work.end"]
    assert all("secret" not in str(record) for record in records_in(tmp_path / "traces"))


def test_the_exporter_leaves_ends_to_the_processor(tmp_path: Path) -> None:
    """If both are active, each end is recorded once."""
    variables = {"OTEL_EXT_AUTO": "true", "OTEL_EXT_OUTPUT": "traces"}
    instrumented(tmp_path, "--traces_exporter", "otel_ext", **variables)
    assert events(tmp_path / "traces") == ["work.start", "work.end"]


@pytest.mark.parametrize(
    "variables", [{"OTEL_EXT_SYNC": "often"}, {"OTEL_EXT_OUTPUT": "/dev/null/x"}]
)
def test_the_exporter_never_stops_the_program(tmp_path: Path, variables: dict[str, str]) -> None:
    """A wrong setting is reported on stderr; SDK and program start nevertheless."""
    done = instrumented(
        tmp_path, "--traces_exporter", "otel_ext,console", OTEL_EXT_CONSOLE="off", **variables
    )
    assert '"name": "work"' in done.out
    assert "otel-ext:" in done.err


def test_switched_off_the_exporter_does_nothing(tmp_path: Path) -> None:
    """With `OTEL_EXT_ENABLED=false` no file is created."""
    variables = {"OTEL_EXT_ENABLED": "false", "OTEL_EXT_OUTPUT": "traces"}
    instrumented(tmp_path, "--traces_exporter", "otel_ext", **variables)
    assert not (tmp_path / "traces").exists()
