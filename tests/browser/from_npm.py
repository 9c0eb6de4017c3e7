"""Installs what the tests of the viewer bring from npm, each version as it is pinned."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

__all__ = ["install_packages"]

_SOURCE = Path(__file__).parent / "npm"


def install_packages(folder: Path) -> Path:
    """Install the packages below a folder, and return the folder with them and our programs."""
    target = folder / "npm"
    shutil.copytree(_SOURCE, target, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-progress"]
    done = subprocess.run(
        command, cwd=target, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target
