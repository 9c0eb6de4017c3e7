"""Gives each test an environment without settings and an empty repository to work in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from otel_ext.config import reset_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the working directory of the test, the root of a repository."""
    for name in list(os.environ):
        if name.startswith(("OTEL_EXT_", "AITRACE_")):
            monkeypatch.delenv(name)
    root = tmp_path / "repository"
    (root / ".git").mkdir(parents=True)
    monkeypatch.chdir(root)
    reset_config()
    yield root
    reset_config()
