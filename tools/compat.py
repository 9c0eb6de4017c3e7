"""Run the test suites of OpenTelemetry with and without our processor, and compare.

The suites come out of the packages' source archives. Each is run twice: as it is, and with
`LifecycleSpanProcessor` in front of every tracer provider. A test that fails only with us is
a fault of ours; one that fails in both is none, since libraries move on. Tests whose outcome
differs are run again in both ways, so that one which depends on the time counts only if it
differs again.

python tools/compat.py --wheel WHEEL --work FOLDER [--source FOLDER] [SUITE ...]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import venv
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

ROOT: Final = Path(__file__).resolve().parents[1]
CONSTRAINTS: Final = ROOT / "constraints.txt"
CONTRIB: Final = "opentelemetry-instrumentation-"
TEST_UTILS: Final = "opentelemetry-test-utils"
PIN: Final = r"^(opentelemetry[\w-]*)==(\S+)$"
SECONDS: Final = 900


class Suite(NamedTuple):
    """One package's tests.

    Attributes:
        package: The package that carries them.
        needs: What else they import.
        tests: Which of them to run.
    """

    package: str
    needs: tuple[str, ...] = ()
    tests: tuple[str, ...] = ("tests",)


def _contrib(name: str, *needs: str) -> Suite:
    return Suite(f"{CONTRIB}{name}", needs)


SUITES: Final = (
    Suite("opentelemetry-sdk", ("flaky",), ("tests/trace",)),
    _contrib("aiohttp-client", "aiohttp", "http-server-mock"),
    _contrib("aiohttp-server", "aiohttp", "pytest-aiohttp"),
    _contrib("asgi", "asgiref"),
    _contrib("asyncio"),
    _contrib("celery", "celery", "pytest-celery"),
    _contrib("click", "click"),
    _contrib("dbapi"),
    _contrib("django", "django", "webob"),
    _contrib("fastapi", "fastapi", "httpx"),
    _contrib("flask", "flask"),
    _contrib("httpx", "httpx", "respx"),
    _contrib("jinja2", "jinja2"),
    _contrib("logging"),
    _contrib("pika", "pika"),
    _contrib("pymongo", "pymongo"),
    _contrib("pyramid", "pyramid", "webtest"),
    _contrib("redis", "redis", "fakeredis"),
    _contrib("requests", "requests", "httpretty"),
    _contrib("sqlalchemy", "sqlalchemy", "aiosqlite", "greenlet"),
    _contrib("sqlite3"),
    _contrib("starlette", "starlette", "httpx"),
    _contrib("threading"),
    _contrib("tornado", "tornado", "http-server-mock"),
    _contrib("urllib", "httpretty"),
    _contrib("urllib3", "urllib3", "httpretty"),
    _contrib("wsgi"),
)


class Outcome(NamedTuple):
    """What became of a suite's tests.

    Attributes:
        failed: The tests that did not pass, with errors of collection.
        passed: How many passed.
    """

    failed: frozenset[str]
    passed: int


class Bench:
    """Where the suites are run: an environment and a folder for each.

    Args:
        work: The folder.
        wheel: Our wheel.
        source: Checkouts of the suites by the package's name, used before the archives.
    """

    def __init__(self, work: Path, wheel: Path, source: Path | None) -> None:
        self.work = work
        self.wheel = wheel
        self.source = source
        self.python = work / "venv" / "bin" / "python"
        pins = re.findall(PIN, CONSTRAINTS.read_text("utf-8"), re.MULTILINE)
        self._versions: dict[str, str] = dict(pins)

    def version_of(self, package: str) -> str:
        """Return the version to test; contrib's packages share one."""
        return self._versions.get(package, self._versions["opentelemetry-instrumentation"])

    def prepare(self) -> None:
        """Make the environment with our wheel and the tools of the suites."""
        if not self.python.exists():
            venv.create(self.work / "venv", with_pip=True)
        utils = f"{TEST_UTILS}=={self.version_of(TEST_UTILS)}"
        self.pip("install", str(self.wheel), "pytest", "pytest-asyncio", "pytest-timeout", utils)
        self.pip("install", "--no-deps", "--force-reinstall", str(self.wheel))

    def pip(self, *words: str) -> None:
        """Run pip in the environment, with the project's constraints."""
        quiet = ("-m", "pip", "--quiet", "--disable-pip-version-check")
        subprocess.run(  # noqa: S603 - our own words
            [self.python, *quiet, words[0], "--constraint", CONSTRAINTS, *words[1:]], check=True
        )

    def tests_of(self, suite: Suite) -> Path:
        """Return the folder with the tests, unpacked from the archive if need be."""
        if self.source is not None and (self.source / suite.package).is_dir():
            return self.source / suite.package
        version = self.version_of(suite.package)
        folder = self.work / f"{suite.package.replace('-', '_')}-{version}"
        if not folder.is_dir():
            self.pip(
                "download", "--no-deps", "--no-binary", ":all:",
                "--dest", str(self.work), f"{suite.package}=={version}",
            )  # fmt: skip
            with tarfile.open(self.work / f"{folder.name}.tar.gz") as archive:
                archive.extractall(self.work, filter="data")
        return folder

    def run(self, suite: Suite, *, ours: bool) -> Outcome:
        """Run a suite and return its outcome."""
        name = f"{suite.package}-{'with' if ours else 'without'}"
        report = self.work / f"{name}.xml"
        report.unlink(missing_ok=True)
        output = self.work / "records" / suite.package
        shutil.rmtree(output, ignore_errors=True)
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("OTEL_")},
            "OTEL_EXT_COMPAT_OUTPUT": str(output),
            "PYTHONPATH": str(ROOT / "tools"),
        }
        plugin = ["-p", "compat_plugin"] if ours else []
        with (self.work / f"{name}.txt").open("wb") as log:
            subprocess.run(  # noqa: S603 - our own words
                [
                    self.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin,
                    f"--junitxml={report}", f"--timeout={SECONDS // 3}", *suite.tests,
                ],
                cwd=self.tests_of(suite),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=SECONDS,
                check=False,
            )  # fmt: skip
        return outcome_in(report)


def outcome_in(report: Path) -> Outcome:
    """Return what a report of pytest says; one that is not there failed as a whole."""
    if not report.exists():
        return Outcome(frozenset({"no report was written"}), 0)
    failed: set[str] = set()
    passed = 0
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest has just written it
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed.add(f"{case.get('classname')}::{case.get('name')}")
        elif "skipped" not in kinds:
            passed += 1
    return Outcome(frozenset(failed), passed)


def compare(bench: Bench, suite: Suite) -> frozenset[str]:
    """Run a suite in both ways, say how it went, and return the tests that differ."""
    began = time.monotonic()
    bench.pip("install", f"{suite.package}=={bench.version_of(suite.package)}", *suite.needs)
    without = bench.run(suite, ours=False)
    ours = bench.run(suite, ours=True)
    differ = without.failed ^ ours.failed
    if differ:
        again = bench.run(suite, ours=False).failed ^ bench.run(suite, ours=True).failed
        differ &= again
    verdict = f"{len(differ)} DIFFER" if differ else "the same"
    sys.stdout.write(
        f"{suite.package:<48} {ours.passed:>5} passed  {len(ours.failed):>3} failed"
        f"  without us {len(without.failed):>3}  {verdict}  {time.monotonic() - began:.0f} s\n"
    )
    for name in sorted(differ):
        sys.stdout.write(f"    {name}\n")
    sys.stdout.flush()
    return differ


def main() -> int:
    """Compare the suites; 1 if a test differs, or a suite has none that passes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--source", type=Path, help="checkouts, each named as its package")
    parser.add_argument("suites", nargs="*", help="names of packages, or their ends")
    options = parser.parse_args()
    work: Path = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    bench = Bench(work, options.wheel.resolve(), options.source)
    bench.prepare()
    wanted = [
        suite
        for suite in SUITES
        if not options.suites or any(suite.package.endswith(name) for name in options.suites)
    ]
    failed = [suite.package for suite in wanted if compare(bench, suite)]
    sys.stdout.write(f"{len(wanted) - len(failed)} of {len(wanted)} suites go the same way\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
