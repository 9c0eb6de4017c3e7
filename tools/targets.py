"""Lists the targets of a Makefile that have a `## description`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

TARGET = re.compile(r"^([a-z][a-z-]*):.*?## (.+)$", re.MULTILINE)


def main() -> int:
    """Print one line for each described target of the file on the command line."""
    for name, text in TARGET.findall(Path(sys.argv[1]).read_text(encoding="utf-8")):
        sys.stdout.write(f"make {name:14} {text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
