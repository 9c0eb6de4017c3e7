"""Runs a part of a test as another user, and lets that user in."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["as_unprivileged_user", "let_others_enter"]


@contextmanager
def as_unprivileged_user() -> Generator[None]:
    """Give up the rights of root for a while, if the tests have them."""
    if os.geteuid():
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def let_others_enter(folder: Path) -> None:
    """Let other users read a folder, and each one above it."""
    for one in (folder, *folder.parents):
        mode = one.stat().st_mode
        if mode & 0o005 != 0o005:
            one.chmod(mode | 0o055)
