"""Sets how many examples a test with hypothesis tries, as a multiple of the profile's number."""

from __future__ import annotations

from typing import Final

from hypothesis import settings

__all__ = ["PROFILES", "examples"]

PROFILES: Final = {"quick": 15, "tests": 40, "deep": 1_000}
"""The number of examples of each profile, for a test without its own number."""


def examples(times: float) -> settings:
    """Return settings with `times` as many examples as the current profile has."""
    count = PROFILES[settings.get_current_profile_name()]
    return settings(max_examples=round(count * times))
