"""What `otel-ext doctor` finds out about one part."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

__all__ = ["Check", "Finding", "degraded", "failed", "healthy", "note"]

Finding = Literal["healthy", "note", "degraded", "failed"]
"""`note` is worth knowing and no illness; `degraded` works, but not as it should."""

_NEEDS_ATTENTION: Final = frozenset({"degraded", "failed"})


class Check(NamedTuple):
    """How one part is.

    Attributes:
        group: The heading it stands under.
        part: The part.
        state: How it is.
        detail: What was found.
        hint: The way out; empty where none is needed.
    """

    group: str
    part: str
    state: Finding
    detail: str
    hint: str = ""

    @property
    def needs_attention(self) -> bool:
        """Whether something has to be done."""
        return self.state in _NEEDS_ATTENTION


def healthy(group: str, part: str, detail: str) -> Check:
    """Return a part that is well."""
    return Check(group, part, "healthy", detail)


def note(group: str, part: str, detail: str, hint: str = "") -> Check:
    """Return a part that is well, with something worth knowing."""
    return Check(group, part, "note", detail, hint)


def degraded(group: str, part: str, detail: str, hint: str = "") -> Check:
    """Return a part that works, but not as it should."""
    return Check(group, part, "degraded", detail, hint)


def failed(group: str, part: str, detail: str, hint: str = "") -> Check:
    """Return a part that does not work."""
    return Check(group, part, "failed", detail, hint)
