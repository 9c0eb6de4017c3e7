"""Prints constraints.txt with the pins of constraints-oldest.txt in place of its own.

pip accepts several constraints files, but not two versions of one package.
"""

from __future__ import annotations

import sys
from pathlib import Path


def package_of(line: str) -> str:
    """Return the package that a line of a constraints file pins."""
    return line.partition("==")[0]


def pins(file: str) -> list[str]:
    """Return the pins in a constraints file; a package can have several."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if "==" in line]


if __name__ == "__main__":
    oldest = pins("constraints-oldest.txt")
    replaced = {package_of(line) for line in oldest}
    kept = [line for line in pins("constraints.txt") if package_of(line) not in replaced]
    sys.stdout.write("\n".join(kept + oldest) + "\n")
