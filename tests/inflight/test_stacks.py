"""The stack of a thread: its innermost frames, with a line of the user's code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from otel_ext.inflight.stacks import MAX_FRAMES, stack_of_thread
from tests.record.test_own_code import LIBRARY, through

if TYPE_CHECKING:
    from types import FrameType


def test_the_users_line_is_there_however_deep_the_libraries_are() -> None:
    """A stack has the innermost twenty frames; if all are libraries', the last is the user's."""
    frame = through(*[LIBRARY] * 50)(lambda: sys._getframe(1))  # noqa: SLF001 - a frame of a library
    stack = stack_of_thread(cast("FrameType", frame))
    assert len(stack) == MAX_FRAMES
    assert {one["file"] for one in stack[:-1]} == {LIBRARY}
    assert Path(str(stack[-1]["file"])).samefile(__file__)
