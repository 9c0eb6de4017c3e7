"""Fixtures of the tests of spans by hand: tracing that is on, sampled out, or off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from tests.context.tracing import Tracing, tracing

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture
def traced() -> Generator[Tracing]:
    """Tracing with the global provider; afterwards nothing of the test may be current."""
    with tracing(ALWAYS_ON) as found:
        yield found


@pytest.fixture
def unsampled() -> Generator[Tracing]:
    """Tracing whose sampler drops each span."""
    with tracing(ALWAYS_OFF) as found:
        yield found
