"""Refuses wordings that a newcomer has to guess; `make lint-words` runs it.

Run: python tools/plain_words.py [PATH ...]

Without paths it checks every tracked text file. CONTRIBUTING.md says what to write
instead.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["REFUSED", "main", "violations"]

REFUSED: Final[dict[str, str]] = {
    r"twice is once": "idempotent",
    r"\bis (?-i:none)\.": "is not a valid ...",
    r"\bis no [a-z]+(?: of\b|;)": "is not a ...",
    r"\b(?:is|are|was|were) told\b": "is reported, is printed",
    r"\bseen to\b": "appears to, is watched until",
    r"\bbeg(?:in|ins|an|inning) anew\b": "reset, start again",
    # Not a word in quotes or in a name: `nobody` is also a user of the system.
    r"(?<![\w\"'`])(?:any|some|no)body\b(?!['\"`])": "name who it is",
    r"\bby then\b": "name the moment",
    r"\bof its own accord\b": "by itself",
    r"\bnone of the three\b": "say which",
}
"""Wordings that are refused, as regular expressions, with what to write instead."""

_CHECKED: Final = {".py", ".pyi", ".md", ".c", ".h", ".toml", ".yaml", ""}
_ROOT: Final = Path(__file__).resolve().parents[1]
# Lists the wordings, or tests that they are found.
_EXEMPT: Final = {"tools/plain_words.py", "tests/test_plain_words.py"}


def violations(text: str) -> Iterator[tuple[int, str, str]]:
    r"""Yield each refused wording of a text: its line, the words, and what to write instead.

    Line breaks do not hide a wording.

    >>> list(violations("It is told\nof its own\naccord."))
    [(1, 'is told', 'is reported, is printed'), (2, 'of its own accord', 'by itself')]
    """
    found: list[tuple[int, str, str]] = []
    for pattern, instead in REFUSED.items():
        spread = pattern.replace(" ", r"\s+(?:[#*]\s+)?")
        matches = re.finditer(spread, text, re.IGNORECASE)
        found += [(match.start(), " ".join(match[0].split()), instead) for match in matches]
    for start, words, instead in sorted(found):
        yield text.count("\n", 0, start) + 1, words, instead


def _tracked() -> list[str]:
    done = subprocess.run(
        ["git", "ls-files"],  # noqa: S607 - the git of whoever runs the lint
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def _texts(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        path = _ROOT / name
        if path.suffix in _CHECKED and name not in _EXEMPT and path.is_file():
            yield name, path.read_text(encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Print each refused wording as `file:line: words`; return 1 if there is one."""
    names = arguments or _tracked()
    found = [(name, *one) for name, text in _texts(names) for one in violations(text)]
    for name, line, words, instead in found:
        sys.stdout.write(f"{name}:{line}: {words!r}; write: {instead}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
