"""Shows a text as a reader sees it: without invisible characters and look-alike letters."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["fold", "visible"]

_INVISIBLE: Final = frozenset(
    "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"
)
_LOOK_ALIKES: Final = (
    ("АВЕКМНОРСТУХІЅЈавекмнорстухіѕјһԁԛԝ", "ABEKMHOPCTYXISJabekmhopctyxisjhdqw"),
    ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαεικνορτυχ", "ABEZHIKMNOPTYXaeikvoptux"),
    ("İı", "ii"),
)
# Full-width forms, as keyboards for Chinese and Japanese write them.
_WIDE: Final = {wide: chr(wide - 0xFEE0) for wide in range(0xFF01, 0xFF5F)}
_TABLE: Final = {
    **_WIDE,
    **{ord(one): other for ones, others in _LOOK_ALIKES for one, other in zip(ones, others)},  # noqa: B905 - Python 3.10
}
_FOLDED: Final = re.compile(f"[{''.join(map(chr, _TABLE))}]".replace("\\", ""))


def fold(text: str) -> str:
    r"""Return `text` in small letters, as long as before, look-alikes as Latin letters.

    >>> fold("\uff30\uff37"), fold("API-Key")
    ('pw', 'api-key')
    """
    if text.isascii() or _FOLDED.search(text) is None:
        return text.lower()
    return text.translate(_TABLE).lower()


def visible(text: str) -> tuple[str, list[int] | None]:
    r"""Return `text` without invisible characters, and where each of the rest stood.

    The second is None where nothing was left out.

    >>> visible("pa\u200bss")
    ('pass', [0, 1, 3, 4])
    """
    if text.isascii() or not _INVISIBLE.intersection(text):
        return text, None
    kept = [at for at, character in enumerate(text) if character not in _INVISIBLE]
    return "".join(map(text.__getitem__, kept)), kept
