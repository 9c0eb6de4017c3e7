"""Draws the terminal output of a command as an SVG, for the documentation.

python tools/terminal_picture.py PICTURE.svg [--columns N] [--shown TEXT] -- COMMAND ...
"""

from __future__ import annotations

import argparse
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

# Without these, a picture downloads no fonts.
FONTS: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def output_of(command: list[str], columns: int) -> str:
    """Return what `command` writes to a terminal with this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    pieces: list[bytes] = []
    with subprocess.Popen(  # noqa: S603 - the command of the caller
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=env
    ):
        os.close(theirs)
        while piece := _read(ours):
            pieces.append(piece)
    os.close(ours)
    return b"".join(pieces).decode(errors="replace").replace("\r\n", "\n")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # the command has closed its end
        return b""


def main() -> int:
    """Run the command and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--shown", help="the text after the prompt; default: the command")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    text = output_of(options.command, options.columns)
    console = Console(
        record=True,
        width=options.columns,
        file=io.StringIO(),
        force_terminal=True,
        legacy_windows=False,
    )
    shown = options.shown or " ".join(options.command)
    console.print(Text.from_ansi(f"\x1b[2m$\x1b[0m \x1b[1m{shown}\x1b[0m\n{text.rstrip()}"))
    picture: Path = options.picture
    picture.parent.mkdir(parents=True, exist_ok=True)
    # A fixed id, so that a new picture differs little from the old one.
    drawn = console.export_svg(title="", unique_id="terminal")
    picture.write_text(FONTS.sub("", drawn), encoding="utf-8")
    sys.stdout.write(f"{picture}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
