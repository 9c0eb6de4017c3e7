"""Print constraints.txt with the lines of constraints-oldest.txt in place of its own.

pip takes several constraints files but not two versions of one package.
"""

from __future__ import annotations

import sys
from pathlib import Path


def pins(file: str) -> dict[str, str]:
    """Return the lines of a constraints file by the name of their package."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return {line.partition("==")[0]: line for line in lines if "==" in line}


if __name__ == "__main__":
    merged = {**pins("constraints.txt"), **pins("constraints-oldest.txt")}
    sys.stdout.write("\n".join(merged.values()) + "\n")
