"""Guides: pages whose console blocks are followed from top to bottom, in one folder.

A page is a guide if one of its blocks writes a file (`$ cat > app.py <<'EOF'`). Lines
after a command are what it shows; they are looked for in what it really printed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parent.parent
PORT: Final = "8000"
"""The port of every guide; a test takes one that is free."""

_BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEREDOC: Final = re.compile(r"<<'(\w+)'$")
# What differs from one run to the next: ids, numbers, and the folders of an installation.
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
    """What a reader types, and what the page says comes of it."""

    text: str
    shown: tuple[str, ...]


def is_guide(page: Path) -> bool:
    """Whether the page writes files, and so is followed as a whole."""
    return any("<<'" in block for block in _BLOCK.findall(page.read_text("utf-8")))


def guides() -> list[Path]:
    """Return the pages that are guides."""
    return [page for page in sorted(ROOT.glob("docs/**/*.md")) if is_guide(page)]


def commands(page: Path) -> list[Command]:
    """Return the commands of a guide, in their order."""
    found: list[Command] = []
    for block in _BLOCK.findall(page.read_text("utf-8")):
        lines = block.splitlines()
        while lines:
            found.append(_next(lines))
    return found


def _next(lines: list[str]) -> Command:
    """Take one command, and what it shows, off the front of `lines`."""
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
    """Return a shell script that types the commands, and marks where each begins."""
    lines = ["exec 2>&1", "set -e -o pipefail"]
    for number, command in enumerate(typed):
        lines += [f"echo '{mark(number)}'", command.text.replace(PORT, str(port))]
    return "\n".join(lines) + "\n"


def mark(number: int) -> str:
    """Return the line that stands before the output of a command."""
    return f"@@ {number} @@"


def printed(output: str, number: int, count: int) -> list[str]:
    """Return the lines that a command printed, or a background one before it."""
    rest = output.split(mark(number) + "\n", 1)[1]
    return (rest.split(mark(number + 1), 1)[0] if number + 1 < count else rest).splitlines()


def without_variables(line: str) -> str:
    """Return a line of output with everything in it that differs from run to run made equal.

    >>> without_variables(" 1.2s  running  4711 at app.py:9")
    '0 running 0 at app.py:0'
    """
    for pattern, replacement in _VARIABLE:
        line = pattern.sub(replacement, line)
    return line.strip()


def missing(shown: tuple[str, ...], real: list[str]) -> list[str]:
    """Return what the page shows and the command did not print, in that order; `...` is any."""
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
