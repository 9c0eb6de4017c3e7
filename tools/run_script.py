"""Run a script of the project with the given interpreter; exit 2 if it is not there.

Usage: ``python tools/run_script.py INTERPRETER SCRIPT [ARGUMENT...]``
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn


def main() -> NoReturn:
    """Become the script, so that signals and the exit code are its own."""
    interpreter, script, *arguments = sys.argv[1:]
    if not Path(script).is_file():
        sys.stderr.write(f"Not there yet: {script}\n")
        raise SystemExit(2)
    sys.stderr.flush()
    os.execv(interpreter, [interpreter, script, *arguments])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
