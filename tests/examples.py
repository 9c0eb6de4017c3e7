"""How many examples a test with hypothesis tries: a multiple of what the profile says."""

from __future__ import annotations

from hypothesis import settings

__all__ = ["examples"]


def examples(times: float) -> settings:
    """Return settings with `times` as many examples as the profile of this run has."""
    return settings(max_examples=round(settings().max_examples * times))
