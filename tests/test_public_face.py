"""The public names of `otel_ext`, and how they are imported."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import otel_ext
from otel_ext import exporters


@pytest.mark.parametrize("name", otel_ext.__all__)
def test_every_public_name_exists(name: str) -> None:
    """Each name in `__all__` can be imported, and `dir` lists it."""
    assert getattr(otel_ext, name) is not None
    assert name in dir(otel_ext)


def test_names_are_sorted_and_lazy_ones_match() -> None:
    """`__all__` is sorted, has no duplicates, and is what `dir` lists."""
    assert list(otel_ext.__all__) == sorted(set(otel_ext.__all__))
    assert dir(otel_ext) == sorted(otel_ext.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that does not exist raises as in any other module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = otel_ext.nothing


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("otel_ext", "health"),
        ("otel_ext.exporters", "JsonlExporter"),
    ],
)
def test_a_name_is_imported_once(package: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second use imports nothing, so a signal handler during an import can use it."""
    module = importlib.import_module(package)
    first = getattr(module, name)

    def refuse(_: str) -> None:
        raise AssertionError("imported again")

    monkeypatch.setattr(importlib, "import_module", refuse)
    monkeypatch.setattr(module, "import_module", refuse, raising=False)
    assert getattr(module, name) is first


def test_importing_the_package_imports_nothing_heavy() -> None:
    """`import otel_ext` alone imports neither the SDK nor an exporter."""
    heavy = "[m for m in sys.modules if 'opentelemetry' in m or 'rich' in m]"
    code = f"import sys, otel_ext; print({heavy})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", exporters.__all__)
def test_every_exporter_exists(name: str) -> None:
    """Each exporter can be imported from the package."""
    assert getattr(exporters, name).__name__ == name
    assert name in dir(exporters)


def test_an_unknown_exporter_is_an_attribute_error() -> None:
    """A name that does not exist raises as in any other module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = exporters.nothing
