"""Checks that this Python can set the project up, and prints a clear message if not.

Uses nothing that Python 3.7 lacks, so that an old one prints the message and not a
syntax error.
"""

from __future__ import annotations

import importlib.util
import sys

OLDEST = (3, 10)


def main() -> int:
    """Return 0 if this interpreter can be used; otherwise print why not, and return 1."""
    if sys.version_info < OLDEST:
        sys.stderr.write(
            f"otel-ext needs Python {OLDEST[0]}.{OLDEST[1]} or newer; {sys.executable} is "
            f"{sys.version_info[0]}.{sys.version_info[1]}. "
            "Name another one: make PYTHON=python3.12 ...\n"
        )
        return 1
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            sys.stderr.write(
                f"{sys.executable} has no module {module!r}, which makes the virtual "
                "environment. Install it (on Debian: python3-venv) or name another Python: "
                "make PYTHON=...\n"
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
