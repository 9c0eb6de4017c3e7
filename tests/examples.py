"""How many examples a test with hypothesis tries: a multiple of what the profile says."""

from __future__ import annotations

from typing import Final

from hypothesis import settings

__all__ = ["PROFILES", "examples"]

PROFILES: Final = {"tests": 40, "deep": 1_000}
"""By the name of a profile: the examples of a test that says nothing else."""


def examples(times: float) -> settings:
    """Return settings with `times` as many examples as the profile of this run has."""
    count = PROFILES[settings.get_current_profile_name()]
    return settings(max_examples=round(count * times))
