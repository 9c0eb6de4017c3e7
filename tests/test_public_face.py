"""The public names of `otel_ext`, and how they are imported."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest

import otel_ext
from otel_ext import context, events, exporters, flags, processors, services, store, structured
from tests.programs import python, succeed

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


@pytest.mark.parametrize(
    "package",
    [otel_ext, context, events, exporters, flags, processors, services, store, structured],
)
def test_public_names(package: ModuleType) -> None:
    """`__all__` has no duplicates, and is what `dir` lists; each name can be imported."""
    assert len(package.__all__) == len(set(package.__all__))
    assert set(package.__all__) <= set(dir(package))
    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_dir_lists_nothing_but_public_names() -> None:
    """What completion in a shell shows of `otel_ext` is `__all__`."""
    assert dir(otel_ext) == list(otel_ext.__all__)
    assert len(otel_ext.__all__) < 30


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("otel_ext", "health"),
        ("otel_ext.exporters", "JsonlExporter"),
        ("otel_ext.context", "error_context"),
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


def test_importing_the_package_imports_nothing_heavy(tmp_path: Path) -> None:
    """`import otel_ext` alone imports neither the SDK nor an exporter."""
    heavy = "[m for m in sys.modules if 'opentelemetry' in m or 'rich' in m]"
    code = f"import sys, otel_ext; print({heavy})"
    assert succeed(python("-c", code), tmp_path).out == "[]\n"
