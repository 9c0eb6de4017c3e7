"""An OpenTelemetry that is older than admitted costs one sentence, never the program."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import opentelemetry.sdk.version
import pytest
from opentelemetry import trace

from otel_ext.pipeline import configure
from otel_ext.sdk_version import OLDEST, is_sdk_supported
from tests.programs import environment, execute, python
from tests.tree import checkout

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("version", ["1.30", "1.30.0rc1", "1.45.1", "2.0.0", "nightly"])
def test_what_is_admitted(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything from the oldest on is, and what does not look like a version gets a chance."""
    monkeypatch.setattr(opentelemetry.sdk.version, "__version__", version)
    assert is_sdk_supported()


def test_an_older_one_is_named_and_nothing_is_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`configure()` returns an inactive handle and says which release is needed."""
    monkeypatch.setattr(opentelemetry.sdk.version, "__version__", "1.29.3")
    before = trace.get_tracer_provider()
    handle = configure(output=tmp_path / "traces", console="off")
    assert not handle.active
    assert handle.shutdown()
    assert trace.get_tracer_provider() is before
    said = capfd.readouterr().err
    assert "opentelemetry-sdk 1.29.3 is older than 1.30: pip install" in said
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
    assert done.err.count("opentelemetry-sdk 1.20.0 is older than 1.30") == 1


def test_the_dependencies_and_the_oldest_constraints_agree() -> None:
    """The lower bound is the same where installers, the check and the matrix have it."""
    oldest = ".".join(map(str, OLDEST))
    project = (checkout() / "pyproject.toml").read_text(encoding="utf-8")
    found = re.findall(r'"opentelemetry-(?:api|sdk|exporter-otlp)>=([\d.]+),<2"', project)
    assert found == [oldest] * 3
    pins = (checkout() / "constraints-oldest.txt").read_text(encoding="utf-8")
    assert f"opentelemetry-sdk=={oldest}." in pins
