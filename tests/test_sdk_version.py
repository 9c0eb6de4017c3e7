"""An OpenTelemetry that is not admitted costs one sentence, never the program."""

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
from tests.programs import environment, execute, python
from tests.tree import checkout

if TYPE_CHECKING:
    from pathlib import Path


class Installed:
    """A package of OpenTelemetry as importlib.metadata describes it."""

    def __init__(self, version: str, name: str) -> None:
        self.version = version
        self.metadata = {"Name": f"opentelemetry-{name}"}


@pytest.mark.parametrize("version", ["1.30", "1.30.0rc1", "1.45.1", "1.100.0", "nightly"])
def test_what_is_admitted(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything from the oldest to the next major is; what is no version gets a chance."""
    monkeypatch.setattr(opentelemetry.sdk.version, "__version__", version)
    assert is_sdk_supported()


@pytest.mark.parametrize("version", ["1.29.3", "2.0.0b1", "2.0.0"])
def test_another_one_is_named_and_nothing_is_recorded(
    version: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """`configure()` returns an inactive handle and says which release is needed."""
    monkeypatch.setattr(opentelemetry.sdk.version, "__version__", version)
    before = trace.get_tracer_provider()
    handle = configure(output=tmp_path / "traces", console="off")
    assert not handle.active
    assert handle.shutdown()
    assert trace.get_tracer_provider() is before
    said = capfd.readouterr().err
    assert f"works with OpenTelemetry >=1.30,<2, and opentelemetry-sdk is {version}: pip" in said
    assert len(said.splitlines()) == 1


def test_a_program_under_run_goes_on(tmp_path: Path) -> None:
    """With an SDK that is too old `otel-ext run` runs the program as it is."""
    code = "from opentelemetry import trace\nprint(type(trace.get_tracer_provider()).__name__)"
    # As the sitecustomize of `otel-ext run`, after the SDK has said that it is old.
    (tmp_path / "sitecustomize.py").write_text(
        "import opentelemetry.sdk.version as v; v.__version__ = '1.20.0'\n"
        "import otel_ext.zero_code as z; z.start_process()\n",
        encoding="utf-8",
    )
    env = environment(OTEL_EXT_AUTO="true", PYTHONPATH=str(tmp_path))
    done = execute(python("-c", code), cwd=tmp_path, env=env)
    assert (done.code, done.out) == (0, "ProxyTracerProvider\n")
    assert done.err.count("opentelemetry-sdk is 1.20.0") == 1


def test_the_exporter_of_the_environment_records_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`OTEL_TRACES_EXPORTER=otel_ext` takes every span, writes none, and says why."""
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
def test_the_doctor_admits_the_same(
    version: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`otel-ext doctor` finds fault with what recording refuses, and with nothing else."""
    packages = [Installed(version, name) for name in ("api", "sdk", "exporter-otlp")]
    monkeypatch.setattr(doctor_install, "distributions", lambda: packages)
    found = {check.part: check for check in doctor_install.check_installation()}["OpenTelemetry"]
    assert found.state == state
    assert ("'opentelemetry-sdk>=1.30,<2'" in found.hint) == (state == "failed")


def test_the_dependencies_and_the_oldest_constraints_agree() -> None:
    """The bounds are the same where installers, the check and the matrix have them."""
    oldest = ".".join(map(str, OLDEST))
    project = (checkout() / "pyproject.toml").read_text(encoding="utf-8")
    found = re.findall(r'"opentelemetry-(?:api|sdk|exporter-otlp)(>=[^"]*)"', project)
    assert found == [ADMITTED] * 3
    pins = (checkout() / "constraints-oldest.txt").read_text(encoding="utf-8")
    assert f"opentelemetry-sdk=={oldest}." in pins
