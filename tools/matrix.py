"""Runs all tests with each supported Python, and the oldest and newest OpenTelemetry.

Looks for `python3.N` on the PATH and among pyenv's versions; others are named by their
path. The newest OpenTelemetry is that of constraints.txt, the oldest that of
constraints-oldest.txt. The output of each run is kept in build/matrix. The summary has
the outcome of each, and the Pythons that were not found. Exits with 1 if a run failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tools.oldest_constraints import package_of, pins
from tools.run_tests import NOT_COMPILED

SUPPORTED: Final = ("3.10", "3.11", "3.12", "3.13", "3.14")
SDKS: Final = {"oldest": "constraints-oldest.txt", "newest": "constraints.txt"}
LOGS: Final = Path("build/matrix")
# The last line of a run of pytest, of which `make test` makes two.
CLOSING: Final = re.compile(r"=*\s*(\d+ \w+(?:, \d+ \w+)*) in [\d.]+s\b.*")


def version_of(interpreter: str) -> str | None:
    """Return the version of an interpreter that can make environments, such as "3.12"."""
    code = 'import sys, venv; print("%d.%d" % sys.version_info[:2])'
    try:
        done = subprocess.run(  # noqa: S603 - an interpreter of this machine
            [interpreter, "-c", code], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return None if done.returncode else done.stdout.strip()


def pyenv() -> Path:
    """Return the folder of pyenv."""
    return Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")


def find(version: str) -> str | None:
    """Return an interpreter of `version`, pyenv's newest if there is none on the PATH."""
    names = [shutil.which(f"python{version}")]
    found = pyenv().glob(f"versions/{version}.*/bin/python{version}")
    names += map(str, sorted(found, key=lambda path: _numbers(path.parts[-3]), reverse=True))
    # A shim of pyenv may exist and not work.
    return next((name for name in names if name and version_of(name) == version), None)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def choose(requested: list[str]) -> dict[str, str | None]:
    """Return the interpreter of each Python to run, None for one that was not found.

    Args:
        requested: Versions or paths of interpreters; empty for every supported version.

    Raises:
        SystemExit: A requested one cannot be used.
    """
    chosen: dict[str, str | None] = {}
    for word in requested:
        interpreter = find(word) if word in SUPPORTED else shutil.which(word)
        version = version_of(interpreter) if interpreter else None
        if word in SUPPORTED and interpreter is None:
            problem = not_found(word)
        elif version is None:
            problem = f"no version ({', '.join(SUPPORTED)}), nor a Python that starts and has venv"
        elif version not in SUPPORTED:
            problem = f"is Python {version}; supported are {', '.join(SUPPORTED)}"
        else:
            chosen[version] = interpreter
            continue
        message = f"--python {word}: {problem}"
        raise SystemExit(message)
    return chosen or {version: find(version) for version in SUPPORTED}


def not_found(version: str) -> str:
    """Return a sentence that says where `version` was searched for, and the way out."""
    searched = f"neither on the PATH nor in {pyenv() / 'versions'}"
    return f"python{version} is {searched}; put it there, or name it: --python PATH"


def release_of(sdk: str) -> str:
    """Return the oldest or newest release of OpenTelemetry to test with."""
    found = (line for line in pins(SDKS[sdk]) if package_of(line) == "opentelemetry-sdk")
    return next(found).partition("==")[2]


def run(interpreter: str, sdk: str, log: Path) -> int:
    """Run the tests, print their output and write it to `log`; return the exit code."""
    command = ["make", "test", "ALL=1", f"PYTHON={interpreter}", f"SDK={sdk}"]
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w", encoding="utf-8") as copy,
        subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        for line in process.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            copy.write(line)
    return process.returncode


def counted(text: str) -> str:
    """Return how many tests passed, failed and so on, of all runs of pytest in `text`."""
    counts = dict.fromkeys(("passed", "failed", "error", "skipped"), 0)
    for line in text.splitlines():
        if closing := CLOSING.fullmatch(line):
            for number, outcome in re.findall(r"(\d+) (passed|failed|error|skipped)", closing[1]):
                counts[outcome] += int(number)
    return ", ".join(f"{number} {outcome}" for outcome, number in counts.items() if number)


def main() -> int:
    """Run the tests with each, then print the summary."""
    parser = argparse.ArgumentParser(prog="make matrix MATRIX_ARGS=...", description=__doc__)
    help_text = "a version, or the path of an interpreter; may be repeated"
    parser.add_argument("--python", action="append", default=[], metavar="PYTHON", help=help_text)
    parser.add_argument("--sdk", choices=SDKS, help="only this OpenTelemetry")
    parser.add_argument("--list", action="store_true", help="show what would run")
    options = parser.parse_args()
    summary: list[str] = []
    failed = ran = False
    for version, interpreter in choose(options.python).items():
        if interpreter is None:
            summary.append(f"Python {version}: not tested: {not_found(version)}")
            continue
        for sdk in [options.sdk] if options.sdk else SDKS:
            name = f"Python {version}, OpenTelemetry {release_of(sdk)}"
            if options.list:
                summary.append(f"{name}: {interpreter}")
                continue
            sys.stdout.write(f"==> {name}: {interpreter}\n")
            log = LOGS / f"{version}-{sdk}.log"
            code, ran = run(interpreter, sdk, log), True
            output = log.read_text(encoding="utf-8")
            tests = counted(output) or "no test was run"
            tests += f"; {NOT_COMPILED}" if NOT_COMPILED in output else ""
            summary.append(f"{name}: {f'FAILED: {tests}: {log}' if code else tests}")
            failed = failed or code != 0
    sys.stdout.write("\n".join(summary) + "\n")
    return 1 if failed or not (ran or options.list) else 0


if __name__ == "__main__":
    sys.exit(main())
