"""The words for true and false, in a module that is cheap to import."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["FALSE_WORDS", "TRUE_WORDS", "is_true"]

TRUE_WORDS: Final = frozenset({"true", "yes", "on", "1"})
FALSE_WORDS: Final = frozenset({"false", "no", "off", "0"})


def is_true(variable: str) -> bool:
    """Whether the environment variable of this name is a word for true, such as `1` or `yes`."""
    return os.environ.get(variable, "").strip().lower() in TRUE_WORDS
