"""`short_repr`: shows a value in a message, on one short line."""

from __future__ import annotations

import reprlib

__all__ = ["short_repr"]


def short_repr(value: object) -> str:
    r"""Return `value` as one short, printable line; never raises.

    >>> short_repr("two\nlines"), short_repr(["x"] * 9)
    ("'two\\nlines'", "['x', 'x', 'x', 'x', ...]")
    """
    shortener = reprlib.Repr()
    shortener.maxlevel = 2
    shortener.maxdict = shortener.maxlist = shortener.maxtuple = 4
    shortener.maxstring = shortener.maxother = shortener.maxlong = 80
    try:
        # The repr of a user's class may contain line breaks; those go too.
        return " ".join(shortener.repr(value).split())
    except Exception:  # noqa: BLE001 - the `__repr__` of a user's class failed
        return f"<{type(value).__name__}>"
