"""Fixtures for the tests of structured traces: a global provider whose spans are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.global_provider import recording_globally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.testing import RecordCapture


@pytest.fixture(name="records", autouse=True)
def _records() -> Iterator[RecordCapture]:
    """Record the global provider's spans."""
    with recording_globally() as capture:
        yield capture
