"""Fixtures for the tests of events: a global provider whose spans are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.events import bus
from tests.global_provider import recording_globally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.testing import RecordCapture


@pytest.fixture(autouse=True)
def records() -> Iterator[RecordCapture]:
    """Record the global provider's spans; fail a test that leaves a subscription."""
    with recording_globally() as capture:
        yield capture
    left = bus._BUS.subscriptions  # noqa: SLF001
    for subscription in left:
        subscription.cancel()
    assert left == ()
