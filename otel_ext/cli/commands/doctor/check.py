"""The result of one check of `otel-ext doctor`."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Check", "Finding"]

Finding = Literal["healthy", "note", "degraded", "failed"]
"""`note`: worth knowing, not a problem; `degraded`: works, but not as it should."""


class Check(NamedTuple):
    """The state of one part of the installation, the settings or the machine.

    Attributes:
        part: The name of the part.
        state: Its state.
        detail: What was found.
        hint: What to do about it; empty if nothing is needed.
    """

    part: str
    state: Finding
    detail: str
    hint: str = ""

    @property
    def needs_attention(self) -> bool:
        """Whether the user has to do something."""
        return self.state in {"degraded", "failed"}
