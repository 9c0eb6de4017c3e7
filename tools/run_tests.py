"""Runs the test suite against the installed package, away from the checkout.

Copies the files that the tests read into a work folder and runs pytest there, so that
the checkout's `otel_ext`, `processors` and `exporters` cannot be imported. Runs the
package's doctests too. With `--all` it runs the tests marked `slow` as well, measures the
coverage of the installed package, and of programs if a test requests it, and checks the
coverage that pyproject.toml requires. `tests/measuring.py` has which tests count for it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# The files that tests read, besides the installed package.
PARTS = (
    "tests",
    "benchmarks",
    "docs",
    "examples",
    "deploy",
    "tools",
    ".ci",
    "Makefile",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "pyproject.toml",
    "constraints.txt",
    "constraints-oldest.txt",
)
# More than there are processors: most tests start programs and wait for them.
WORKERS = (os.cpu_count() or 1) + 2
# Replaces the choice of marks in pyproject.toml.
QUICK = ("-m", "not slow and not collector and not storm", "--hypothesis-profile=quick")
NOT_COMPILED = "the compiled part was not built: only the plain one is tested"
# Done once, before the workers start and each does the same: rewrite the assertions of all
# tests, and compute hypothesis' tables of characters.
PREPARATION = """\
import pytest
from hypothesis import strategies
strategies.text().validate()
pytest.main(["--collect-only", "-qq", "tests"])
"""
# Pytest closes its own default folder to other users whenever another run starts, and some
# tests switch to another user. Coverage omits files in a folder of this name.
TEMPORARY = "pytest-of-ext-"
LEFTOVERS = shutil.ignore_patterns("__pycache__", "*.pyc")


def prepare(checkout: Path, work: Path) -> None:
    """Replace `work` by a copy of the files that the tests read."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for part in PARTS:
        source = checkout / part
        if source.is_dir():
            shutil.copytree(source, work / part, ignore=LEFTOVERS)
        elif source.exists():
            shutil.copy2(source, work / part)


def environment(checkout: Path) -> dict[str, str]:
    """Return the environment for the tests, without settings of the caller's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "PYTHON", "COVERAGE_", "PYTEST_", "MAKE", "MFLAGS"))
    }
    kept["OTEL_EXT_TEST_CHECKOUT"] = str(checkout)
    # `python` in a test is this interpreter, with the wheel in it.
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    if "OTEL_EXT_TEST_NO_SKIPS" in os.environ:
        kept["OTEL_EXT_TEST_NO_SKIPS"] = os.environ["OTEL_EXT_TEST_NO_SKIPS"]
    return kept


def refuse_the_checkout(work: Path, env: dict[str, str]) -> None:
    """Check that `otel_ext` is imported from the wheel, and `processors` cannot be.

    Raises:
        SystemExit: The tests would not test the installed package.
    """
    code = (
        "import importlib.util as u, otel_ext, sys, sysconfig\n"
        "assert otel_ext.__file__.startswith(sysconfig.get_path('purelib')), otel_ext.__file__\n"
        "assert u.find_spec('processors') is None and u.find_spec('exporters') is None\n"
        "from otel_ext._accel import load_speed\n"
        f"load_speed() or print('==> {NOT_COMPILED}')\n"
    )
    if subprocess.run([sys.executable, "-c", code], cwd=work, env=env, check=False).returncode:  # noqa: S603 - our own code
        message = "the installed wheel is not what would be tested; run: make clean test"
        raise SystemExit(message)


def preparing(work: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start `PREPARATION`; errors in tests appear when the suite runs."""
    command = [sys.executable, "-c", PREPARATION]
    return subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=work, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def main() -> int:
    """Run the doctests and the suite, check the coverage; return the exit code of a failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--all", action="store_true", help="the slow tests too, with coverage")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest; nothing else is run then")
    options = parser.parse_args()
    work: Path = options.work.resolve()
    env = environment(options.checkout)
    prepare(options.checkout, work)
    refuse_the_checkout(work, env)

    def run(*words: str) -> int:
        return subprocess.run([sys.executable, *words], cwd=work, env=env, check=False).returncode  # noqa: S603 - our own commands

    def run_pytest(*words: str) -> int:
        with tempfile.TemporaryDirectory(prefix=TEMPORARY, ignore_cleanup_errors=True) as folder:
            return run(*words, f"--basetemp={folder}/t")

    if options.pytest:
        return run_pytest("-m", "pytest", *options.pytest)
    doctests = ("--doctest-modules", "--ignore-glob=/*/_site/*", "--pyargs", "otel_ext")
    suite: tuple[str, ...] = ("-n", str(WORKERS), "--dist", "worksteal", "--durations=15", "tests")
    pytest: tuple[str, ...] = ("-m", "pytest")
    if options.all:
        pytest = ("-m", "coverage", "run", *pytest)
    else:
        suite = (*QUICK, *suite)
    with preparing(work, env):
        of_doctests = run_pytest(*pytest, "-q", *doctests)
    failure = run_pytest(*pytest, *suite) or of_doctests
    if failure or not options.all:
        return failure
    code = run("-m", "coverage", "combine", "--quiet")
    # These files are incomplete: a test has killed their process.
    for leftover in work.glob(".coverage.*"):
        leftover.unlink()
    return code or run("-m", "coverage", "report")


if __name__ == "__main__":
    sys.exit(main())
