"""A fixture for tests of a sender: it waits long enough for any answer."""

from __future__ import annotations

import pytest

from otel_ext.exporters.delivery import sender


@pytest.fixture
def waits_for_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make senders wait 30 s for an answer, so that a stalled machine changes no outcome."""
    monkeypatch.setattr(sender, "_TIMEOUT", 30.0)
