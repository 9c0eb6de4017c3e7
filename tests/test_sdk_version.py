"""With an unsupported OpenTelemetry the program runs unrecorded, with one message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import opentelemetry.sdk.version
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otel_ext.cli.commands.doctor import install as doctor_install
from otel_ext.environment_exporter import EnvironmentSpanExporter
from otel_ext.pipeline import configure
from otel_ext.setup.sdk_version import ADMITTED, OLDEST, is_sdk_supported
from tests.programs import python, succeed
from tests.tree import checkout

if TYPE_CHECKING:
    from pathlib import Path


class Installed:
    """A package of OpenTelemetry as importlib.metadata describes it."""

    def __init__(self, version: str, name: str) -> None:
        self.version = version
        self.metadata = {"Name": f"opentelemetry-{name}"}


@pytest.mark.parametrize("version", ["1.30", "1.30.0rc1", "1.45.1", "1.100.0", "nightly"])
def test_supported_versions(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions from the oldest to the next major are, and text that is not a version."""
    monkeypatch.setattr(opentelemetry.sdk.version, "__version__", version)
    assert is_sdk_supported()


@pytest.mark.parametrize("version", ["1.29.3", "2.0.0b1", "2.0.0"])
def test_an_unsupported_one_is_reported_and_nothing_is_recorded(
    version: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """`configure()` returns an inactive handle and reports which release is needed."""
    monkeypatch.setattr(opentelemetry.sdk.version, "__version__", version)
    before = trace.get_tracer_provider()
    handle = configure(output=tmp_path / "traces", console="off")
    assert not handle.active
    assert handle.shutdown()
    assert trace.get_tracer_provider() is before
    printed = capfd.readouterr().err
    assert f"works with OpenTelemetry >=1.30,<2, and opentelemetry-sdk is {version}: pip" in printed
    assert len(printed.splitlines()) == 1


def test_a_program_under_run_goes_on(tmp_path: Path) -> None:
    """With an SDK that is too old `otel-ext run` runs the program unrecorded."""
    code = "from opentelemetry import trace\nprint(type(trace.get_tracer_provider()).__name__)"
    # Like the sitecustomize of `otel-ext run`, with the version of an old SDK.
    (tmp_path / "sitecustomize.py").write_text(
        "import opentelemetry.sdk.version as v; v.__version__ = '1.20.0'\n"
        "import otel_ext.zero_code as z; z.start_process()\n",
        encoding="utf-8",
    )
    variables = {"OTEL_EXT_AUTO": "true", "PYTHONPATH": str(tmp_path)}
    done = succeed(python("-c", code), tmp_path, **variables)
    assert done.out == "ProxyTracerProvider\n"
    assert done.err.count("opentelemetry-sdk is 1.20.0") == 1


def test_the_exporter_of_the_environment_records_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`OTEL_TRACES_EXPORTER=otel_ext` accepts every span, writes none, and reports why."""
    monkeypatch.setattr(opentelemetry.sdk.version, "__version__", "1.29.0")
    monkeypatch.setenv("OTEL_EXT_OUTPUT", str(tmp_path / "traces"))
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(EnvironmentSpanExporter()))
    provider.get_tracer("t").start_span("work").end()
    provider.shutdown()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err.count("opentelemetry-sdk is 1.29.0") == 1


@pytest.mark.parametrize(
    ("version", "state"), [("1.30.0", "healthy"), ("1.29.0", "failed"), ("2.0.0", "failed")]
)
def test_the_doctor_accepts_the_same(
    version: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`otel-ext doctor` fails for the versions that recording refuses, and only for those."""
    packages = [Installed(version, name) for name in ("api", "sdk", "exporter-otlp")]
    monkeypatch.setattr(doctor_install, "distributions", lambda: packages)
    found = {check.part: check for check in doctor_install.check_installation()}["OpenTelemetry"]
    assert found.state == state
    assert ("'opentelemetry-sdk>=1.30,<2'" in found.hint) == (state == "failed")


def test_the_dependencies_and_the_oldest_constraints_agree() -> None:
    """pyproject.toml, the check and the oldest constraints have the same bounds."""
    oldest = ".".join(map(str, OLDEST))
    project = (checkout() / "pyproject.toml").read_text(encoding="utf-8")
    found = re.findall(r'"opentelemetry-(?:api|sdk|exporter-otlp)(>=[^"]*)"', project)
    assert found == [ADMITTED] * 3
    pins = (checkout() / "constraints-oldest.txt").read_text(encoding="utf-8")
    assert f"opentelemetry-sdk=={oldest}." in pins
