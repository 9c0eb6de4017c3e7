"""Parses guides: pages whose console blocks are run from top to bottom, in one folder.

A page is a guide if one of its blocks writes a file (`$ cat > app.py <<'EOF'`). The lines
after a command are its expected output; a test looks for them in the real output.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.pages import guide_pages, texts_of

if TYPE_CHECKING:
    from pathlib import Path

PORT: Final = "8000"
"""The port in every guide; a test replaces it by a free one."""

_HEREDOC: Final = re.compile(r"<<'(\w+)'$")
# Text that differs between runs: ids, numbers, and the folders of an installation.
_VARIABLE: Final = (
    (re.compile(r"\S*/site-packages/"), "SITE/"),
    (re.compile(r"/\S*/bin/"), "BIN/"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]+)+\b"), "ID"),
    (re.compile(r"\b([0-9a-f]{16,32}|[0-9a-f]{8})\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (
        re.compile(r"\b\d+ min \d\d s\b|\b\d[\d.,]*( ?(ns|µs|ms|s|KiB|MiB|GiB|GB|kB|B|%)(?!\w))?"),
        "0",
    ),
    (re.compile(r"\s+"), " "),
)


class Command(NamedTuple):
    """A command that a reader types, and the output that the page shows."""

    text: str
    shown: tuple[str, ...]


def is_guide(page: Path) -> bool:
    """Return whether the page writes files, so that it is run as a whole."""
    return any("<<'" in text for text in texts_of(page, "console"))


def guides() -> list[Path]:
    """Return the pages that are guides."""
    return [page for page in guide_pages() if is_guide(page)]


def commands(page: Path) -> list[Command]:
    """Return the commands of a guide, in order."""
    found: list[Command] = []
    for text in texts_of(page, "console"):
        lines = text.splitlines()
        while lines:
            found.append(_next(lines))
    return found


def _next(lines: list[str]) -> Command:
    """Remove the first command and its output from `lines`, and return them."""
    first = lines.pop(0)
    assert first.startswith("$ "), f"no command before {first!r}"
    typed = [first[2:]]
    heredoc = _HEREDOC.search(first)
    while (heredoc and typed[-1] != heredoc[1]) or (not heredoc and typed[-1].endswith("\\")):
        typed.append(lines.pop(0))
    shown: list[str] = []
    while lines and not lines[0].startswith("$ "):
        shown.append(lines.pop(0))
    return Command("\n".join(typed), tuple(shown))


def script(typed: list[Command], port: int) -> str:
    """Return a shell script that runs the commands, and prints a mark before each."""
    lines = ["exec 2>&1", "set -e -o pipefail"]
    for number, command in enumerate(typed):
        lines += [f"echo '{mark(number)}'", command.text.replace(PORT, str(port))]
    return "\n".join(lines) + "\n"


def mark(number: int) -> str:
    """Return the line that the script prints before a command."""
    return f"@@ {number} @@"


def printed(output: str, number: int, count: int) -> list[str]:
    """Return the lines that were printed during a command, also by earlier background ones."""
    rest = output.split(mark(number) + "\n", 1)[1]
    return (rest.split(mark(number + 1), 1)[0] if number + 1 < count else rest).splitlines()


def without_variables(line: str) -> str:
    """Return a line of output with all text that differs between runs replaced.

    >>> without_variables(" 1.2s  running  4711 at app.py:9")
    '0 running 0 at app.py:0'
    """
    for pattern, replacement in _VARIABLE:
        line = pattern.sub(replacement, line)
    return line.strip()


def missing(shown: tuple[str, ...], real: list[str]) -> list[str]:
    """Return the shown lines that are not in `real`, in this order; `...` matches anything."""
    rest = [without_variables(line) for line in real]
    absent: list[str] = []
    for line in shown:
        wanted = without_variables(line)
        if wanted in {"", "..."}:
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in wanted.split("...")))
        at = next((i for i, one in enumerate(rest) if pattern.fullmatch(one)), None)
        if at is None:
            absent.append(line)
        else:
            rest = rest[at + 1 :]
    return absent
