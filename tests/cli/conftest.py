"""Programs that the tests of commands share: one that runs, and one that was killed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from otel_ext.observe.stack_requests import request_stacks
from tests.cli.watched import Shop, shop

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture(scope="session")
def open_shop(tmp_path_factory: pytest.TempPathFactory) -> Generator[Shop]:
    """Return a running program, for tests that only read its records."""
    folder = tmp_path_factory.mktemp("möbel")
    with shop(folder, stall_after=0) as process:  # so its spans never count as stalled
        yield Shop(folder, process.pid)


@pytest.fixture(scope="session")
def _killed(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a program that was killed."""
    folder = tmp_path_factory.mktemp("killed")
    with shop(folder) as process:
        process.kill()
        process.wait()
    return Shop(folder, process.pid)


@pytest.fixture
def waits_for_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make commands wait long for the stacks of a program, as a busy machine may need."""
    monkeypatch.setattr(request_stacks, "__kwdefaults__", {"timeout": 30.0})


@pytest.fixture
def dead_shop(_killed: Shop, tmp_path: Path) -> Shop:
    """Return a killed program, whose records are copied into the test's folder."""
    shutil.copytree(_killed.folder / "traces", tmp_path / "traces")
    return Shop(tmp_path, _killed.pid)
