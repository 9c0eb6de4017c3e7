"""Run the long forms of tests, one program after the other, against the installed package.

Exits with 2 if the folder has no programs yet, with 1 if one of them failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tools.run_tests import environment, prepare, refuse_the_checkout


def main() -> int:
    """Run each program of the folder, or the one program, named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("programs", type=Path, help="a folder of programs, or one program")
    parser.add_argument("arguments", nargs="*", help="given to each program")
    options = parser.parse_args()
    work: Path = options.work.resolve()
    prepare(options.checkout, work)
    env = environment(options.checkout) | {"PYTHONPATH": str(work)}
    refuse_the_checkout(work, env)

    place: Path = work / options.programs
    programs = sorted(place.glob("[!_]*.py")) if place.is_dir() else [place]
    if not programs or not all(program.is_file() for program in programs):
        sys.stderr.write(f"Not there yet: {options.programs}\n")
        return 2
    failed: list[str] = []
    for program in programs:
        sys.stdout.write(f"==> {program.relative_to(work)}\n")
        sys.stdout.flush()
        command = [sys.executable, str(program), *options.arguments]
        if subprocess.run(command, cwd=work, env=env, check=False).returncode:  # noqa: S603 - our own programs
            failed.append(program.name)
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
