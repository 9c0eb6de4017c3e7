"""Runs programs that test for hours, one after the other, against the installed package.

Exits with 2 if the folder has no programs, with 1 if one of them failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tools.run_tests import environment, prepare, refuse_the_checkout


def main() -> int:
    """Run the program on the command line, or each program of a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("programs", type=Path, help="a folder of programs, or one program")
    parser.add_argument("arguments", nargs="*", help="passed to each program")
    options = parser.parse_args()
    work: Path = options.work.resolve()
    prepare(options.checkout, work)
    env = environment(options.checkout) | {"PYTHONPATH": str(work)}
    refuse_the_checkout(work, env)

    path: Path = work / options.programs
    programs = sorted(path.glob("[!_]*.py")) if path.is_dir() else [path]
    if not programs or not all(program.is_file() for program in programs):
        sys.stderr.write(f"no such program or folder of programs: {options.programs}\n")
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
