"""Recording under `opentelemetry-instrument`, with any configurator of the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.distributions import install
from tests.programs import (
    INSTRUMENT,
    LIGHT_WITHOUT_LOGGING,
    NOWHERE,
    ids,
    python,
    record,
    recorded,
    records_in,
    spans_in,
    succeed,
    write_program,
)
from tests.sdk import CONFIG_FILES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.programs import Done

PROGRAM = """\
import sqlite3
from opentelemetry import trace
with trace.get_tracer("test").start_as_current_span("work"):
    sqlite3.connect(":memory:").cursor().execute("SELECT 1")
print(type(trace.get_tracer_provider()).__module__)
"""
ALONE = {**NOWHERE, **LIGHT_WITHOUT_LOGGING}
# A third-party package: a configurator and a hook that fails.
OTHER = """\
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

class Configurator:
    def configure(self, **_):
        print("another configurator")
        trace.set_tracer_provider(TracerProvider(resource=Resource({"vendor": "another"})))

def fail():
    raise RuntimeError("a third-party hook")
"""


def instrumented(folder: Path, **variables: str) -> Done:
    """Run the program under opentelemetry-instrument, with recording switched on."""
    program = write_program(folder, PROGRAM)
    settings = {"OTEL_EXT_AUTO": "true", "OTEL_EXT_OUTPUT": "traces", **ALONE, **variables}
    return succeed([INSTRUMENT, *python(program)], folder, **settings)


def with_another(folder: Path, entry_points: str) -> str:
    """Install the third-party package in its own folder, and return the path of that."""
    install(folder / "lib", "another", OTHER, entry_points=entry_points)
    return str(folder / "lib")


def test_with_the_official_distribution(tmp_path: Path) -> None:
    """Spans of the program and of the instrumentations each have a start and an end."""
    done = instrumented(tmp_path)
    assert (done.out, done.err) == ("opentelemetry.sdk.trace\n", "")
    spans = spans_in(tmp_path / "traces")
    assert [r.event for r in spans] == ["work.start", "SELECT.start", "SELECT.end", "work.end"]
    assert ids(spans, "start") == ids(spans, "end")
    resource = records_in(tmp_path / "traces")[0].extra["resource"]
    assert isinstance(resource, dict)
    assert "telemetry.auto.version" in resource


def test_without_the_variable_it_does_nothing(tmp_path: Path) -> None:
    """The entry point runs wherever the package is installed, so it needs the variable."""
    for value in ("", "false"):
        assert instrumented(tmp_path, OTEL_EXT_AUTO=value).err == ""
        assert not (tmp_path / "traces").exists()


def test_the_exporters_of_the_environment_go_on(tmp_path: Path) -> None:
    """Exporters that the environment names get every span, as without otel-ext."""
    done = instrumented(tmp_path, OTEL_TRACES_EXPORTER="console")
    assert done.out.count('"span_id"') >= 2
    assert len(spans_in(tmp_path / "traces", "work")) == 2


def test_with_another_configurator(tmp_path: Path) -> None:
    """A third-party configurator sets the provider, and our processor is added to it."""
    path = with_another(tmp_path, "[opentelemetry_configurator]\nanother = another:Configurator\n")
    done = instrumented(tmp_path, PYTHONPATH=path, OTEL_PYTHON_CONFIGURATOR="another")
    assert done.out.startswith("another configurator\n")
    assert len(spans_in(tmp_path / "traces", "work")) == 2
    assert records_in(tmp_path / "traces")[0].extra["resource"] == {"vendor": "another"}


@CONFIG_FILES
def test_with_a_configuration_file(tmp_path: Path) -> None:
    """If OTEL_CONFIG_FILE describes the SDK, our processor is added to the ones in the file."""
    config = write_program(
        tmp_path,
        'file_format: "1.1"\n'
        "resource:\n  attributes:\n    - {name: service.name, value: declared}\n"
        "tracer_provider:\n  processors:\n    - simple: {exporter: {console: {}}}\n",
        "otel.yaml",
    )
    done = instrumented(tmp_path, OTEL_CONFIG_FILE=str(config))
    assert done.out.count('"span_id"') >= 2, done.err
    assert len(spans_in(tmp_path / "traces", "work")) == 2
    resource = records_in(tmp_path / "traces")[0].extra["resource"]
    assert isinstance(resource, dict)
    assert resource["service.name"] == "declared"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"OTEL_EXT_SYNC": "often"}, "environment variable OTEL_EXT_SYNC"),
        ({"OTEL_EXT_CONFIG": "missing.toml"}, "missing.toml does not exist"),
        ({"OTEL_EXT_RING_SIZE": "-1", "OTEL_EXT_STALL_AFTER": "soon"}, "OTEL_EXT_STALL_AFTER"),
    ],
)
def test_a_wrong_setting_is_reported_and_ignored(
    tmp_path: Path, variables: dict[str, str], message: str
) -> None:
    """The program runs and is recorded; one line reports each wrong setting."""
    done = instrumented(tmp_path, **variables)
    assert message in done.err
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) == len(variables)
    assert len(spans_in(tmp_path / "traces", "work")) == 2


def test_other_hooks_are_still_called(tmp_path: Path) -> None:
    """Our hook does not raise, so hooks after it run, such as this one, which fails."""
    path = with_another(tmp_path, "[opentelemetry_pre_instrument]\nanother = another:fail\n")
    done = instrumented(tmp_path, PYTHONPATH=path)
    assert "a third-party hook" in done.err


@pytest.mark.parametrize("order", ["ours-outside", "theirs-outside"])
def test_both_commands_together_record_once(tmp_path: Path, order: str) -> None:
    """`otel-ext run opentelemetry-instrument ...`, or the reverse, writes each record once."""
    program = python(write_program(tmp_path, PROGRAM))
    ours = recorded(tmp_path / "traces")
    words = [*ours, INSTRUMENT] if order == "ours-outside" else [INSTRUMENT, *ours]
    done = succeed([*words, *program], tmp_path, **ALONE)
    assert "already instrumented" not in done.err
    spans = spans_in(tmp_path / "traces")
    assert [r.event for r in spans] == ["work.start", "SELECT.start", "SELECT.end", "work.end"]


def test_run_uses_exporters_of_the_environment(tmp_path: Path) -> None:
    """Under `otel-ext run` too, exporters that OTEL_TRACES_EXPORTER names get every span."""
    done = record(tmp_path, "-c", PROGRAM, **{**ALONE, "OTEL_TRACES_EXPORTER": "console"})
    assert done.out.count('"span_id"') >= 2
    assert len(spans_in(tmp_path / "traces")) == 4


def test_run_goes_on_with_the_other_instrumentations_when_one_fails(tmp_path: Path) -> None:
    """An instrumentation that fails is reported and skipped; the others are switched on."""
    path = with_another(
        tmp_path,
        "[opentelemetry_instrumentor]\n"
        "aaa-broken = another:fail\nmissing = another_missing:Instrumentor\n",
    )
    done = record(tmp_path, "-c", PROGRAM, PYTHONPATH=path)
    assert done.err.count("instrumentation aaa-broken was left out") == 1
    assert "another_missing" not in done.err
    assert len(spans_in(tmp_path / "traces", "SELECT")) == 2


@pytest.mark.parametrize(("disabled", "expected"), [("sqlite3, threading", 0), ("*", 0), ("x", 2)])
def test_instrumentations_can_be_disabled(tmp_path: Path, disabled: str, expected: int) -> None:
    """OTEL_PYTHON_DISABLED_INSTRUMENTATIONS works under `otel-ext run` too."""
    record(tmp_path, "-c", PROGRAM, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled)
    assert len(spans_in(tmp_path / "traces", "SELECT")) == expected
    assert len(spans_in(tmp_path / "traces", "work")) == 2
