"""Builds the source archive, and the wheel from that archive.

Builds in a copy of the package's files, so that nothing left in the checkout by an
earlier build gets into the wheel.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "otel_ext", "processors", "exporters")
LEFTOVERS = shutil.ignore_patterns("__pycache__", "*.pyc", "*.so", "*.egg-info", "build")


def copy_parts(target: Path) -> None:
    """Copy the package's files into `target`, the two links as links."""
    for part in PARTS:
        source = CHECKOUT / part
        if source.is_dir():
            shutil.copytree(source, target / part, symlinks=True, ignore=LEFTOVERS)
        else:
            shutil.copy2(source, target / part)


def main() -> int:
    """Write one source archive and one wheel into the folder `--out`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the two files")
    out: Path = parser.parse_args().out.resolve()
    with tempfile.TemporaryDirectory(prefix="otel-ext-build-") as folder:
        copy_parts(Path(folder))
        built = Path(folder) / "dist"
        command = [sys.executable, "-m", "build", "--outdir", str(built), folder]
        done = subprocess.run(  # noqa: S603 - our own command
            command, cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.stderr.write("\n".join((done.stdout + done.stderr).splitlines()[-20:]) + "\n")
            return done.returncode
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(built, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
