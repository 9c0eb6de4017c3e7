"""Runs a part of a test as another user."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["as_unprivileged_user"]


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
