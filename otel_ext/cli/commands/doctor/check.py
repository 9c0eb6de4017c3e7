"""The result of one check of `otel-ext doctor`."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

__all__ = ["Check", "Finding", "degraded", "failed", "healthy", "note"]

Finding = Literal["healthy", "note", "degraded", "failed"]
"""`note`: worth knowing, not a problem; `degraded`: works, but not as it should."""

_NEEDS_ATTENTION: Final = frozenset({"degraded", "failed"})


class Check(NamedTuple):
    """The state of one part of the installation, the settings or the machine.

    Attributes:
        group: The heading to print it under.
        part: The name of the part.
        state: Its state.
        detail: What was found.
        hint: What to do about it; empty if nothing is needed.
    """

    group: str
    part: str
    state: Finding
    detail: str
    hint: str = ""

    @property
    def needs_attention(self) -> bool:
        """Whether the user has to do something."""
        return self.state in _NEEDS_ATTENTION


def healthy(group: str, part: str, detail: str) -> Check:
    """Return the check of a part that is healthy."""
    return Check(group, part, "healthy", detail)


def note(group: str, part: str, detail: str, hint: str = "") -> Check:
    """Return the check of a healthy part, with something worth knowing."""
    return Check(group, part, "note", detail, hint)


def degraded(group: str, part: str, detail: str, hint: str = "") -> Check:
    """Return the check of a part that works, but not as it should."""
    return Check(group, part, "degraded", detail, hint)


def failed(group: str, part: str, detail: str, hint: str = "") -> Check:
    """Return the check of a part that does not work."""
    return Check(group, part, "failed", detail, hint)
