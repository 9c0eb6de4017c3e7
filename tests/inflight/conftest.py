"""Fixtures for the tests of open spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.inflight.tracking import Clock, Tracking

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def tracking() -> Iterator[Tracking]:
    """Return a provider with a table of open spans."""
    made = Tracking()
    yield made
    made.provider.shutdown()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the monotonic clock that decides about ages."""
    return Clock(monkeypatch)
