"""`short_repr`: shows a value in a message, on one short line."""

from __future__ import annotations

import reprlib

__all__ = ["short_repr"]


class _ShortRepr(reprlib.Repr):
    """A `repr` that is limited in depth, width and length."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxdict = self.maxlist = self.maxtuple = 4
        self.maxstring = self.maxother = self.maxlong = 80


def short_repr(value: object) -> str:
    r"""Return `value` as one short, printable line; never raises.

    >>> short_repr("two\nlines"), short_repr(["x"] * 9)
    ("'two\\nlines'", "['x', 'x', 'x', 'x', ...]")
    """
    try:
        # The repr of a user's class may contain line breaks; those go too.
        return " ".join(_ShortRepr().repr(value).split())
    except Exception:  # noqa: BLE001 - the `__repr__` of a user's class failed
        return f"<{type(value).__name__}>"
