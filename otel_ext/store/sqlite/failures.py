"""Says what an error of a file or of SQLite means for the store, and what to do about it."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from otel_ext.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["not_writable", "store_error", "store_errors"]


def not_writable(path: Path, error: OSError) -> StoreError:
    """Return the error of the store for a file or folder that cannot be created or opened."""
    hint = "Check that this user may write there."
    return StoreError(f"{path}: {error.strerror}", hint=hint)


def store_error(path: Path, error: sqlite3.Error) -> StoreError:
    """Return the error of the store for one of SQLite in one of its files.

    >>> from pathlib import Path
    >>> print(store_error(Path("a.sqlite"), sqlite3.OperationalError("database is locked")))
    a.sqlite: database is locked. Another program uses it; this one tries again.
    """
    text = str(error) or type(error).__name__
    if "locked" in text or "busy" in text:
        hint, is_temporary = "Another program uses it; this one tries again.", True
    elif "full" in text:
        hint, is_temporary = "Make room on the disk; this program tries again.", True
    elif isinstance(error, sqlite3.OperationalError) and "malformed" not in text:
        hint, is_temporary = "Check that this user may write to its folder.", True
    else:
        hint, is_temporary = "Make it anew from the records: otel-ext rebuild DIR.", False
    return StoreError(f"{path}: {text}", hint=hint, is_temporary=is_temporary)


@contextmanager
def store_errors(path: Path) -> Generator[None]:
    """Raise the error of the store for one of SQLite in the block.

    Args:
        path: The file that is used in it, or the folder of the store.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(path, error) from error
