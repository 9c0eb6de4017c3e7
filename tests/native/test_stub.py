"""The stub of the compiled part, which type checkers read instead of the C code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import otel_ext
from otel_ext._accel import load_speed

speed = load_speed()
STUB = Path(otel_ext.__file__).with_name("_speed.pyi")


@pytest.mark.skipif(speed is None, reason="the compiled part was not built")
def test_the_stub_has_the_names_of_the_module() -> None:
    """Each function of the module is declared in its stub, and each declared one exists."""
    statements = ast.parse(STUB.read_text(encoding="utf-8")).body
    declared = {
        node.name for node in statements if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
    assert declared == {name for name in dir(speed) if not name.startswith("__")}
