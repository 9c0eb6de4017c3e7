"""Runs the suites: one environment for all, their sources, and the runs themselves."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tarfile
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tools.compat.outcome import Outcome, outcomes_in
from tools.compat.suites import CONTRIB, Suite

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE: Final = Path(__file__).resolve().parent
CONSTRAINTS: Final = (HERE.parents[1] / "constraints.txt", HERE / "constraints.txt")
TEST_UTILS: Final = "opentelemetry-test-utils"
TOOLS: Final = ("pytest", "pytest-asyncio", "pytest-timeout")
PIN: Final = re.compile(r"^(opentelemetry[\w-]*)==(\S+)$", re.MULTILINE)
# A start record, in a line of a journal.
START: Final = re.compile(rb'"phase": ?"start"')
INSTALLED: Final = """
from importlib.metadata import distributions
for each in distributions():
    print(each.name, each.version)
"""
PURE_PYTHON: Final = "OTEL_EXT_PURE_PYTHON"


class SuiteUnavailableError(Exception):
    """A suite cannot be downloaded or set up; the message has the reason and the way out."""


class Bench:
    """The environment in which the suites are run.

    Args:
        work: The folder for the environment, the sources and the logs.
        wheel: Our wheel.
        sources: Folders of checkouts, each named as its package; searched before an
            archive is downloaded.
        pure: Whether the runs with us use our Python code only.
        timeout: Seconds that one run of a suite may take; a single test may take a third.
    """

    def __init__(
        self, work: Path, wheel: Path, sources: Sequence[Path], *, pure: bool, timeout: int
    ) -> None:
        self.work = work
        self.wheel = wheel
        self.sources = sources
        self.pure = pure
        self.timeout = timeout
        self.python = work / "venv" / "bin" / "python"
        self._versions: dict[str, str] = dict(PIN.findall(CONSTRAINTS[0].read_text("utf-8")))

    def version_of(self, package: str) -> str:
        """Return the version of an OpenTelemetry package to test; contrib's packages share one."""
        return self._versions.get(package, self._versions["opentelemetry-instrumentation"])

    def prepare(self) -> None:
        """Create the environment with our wheel and the tools of the suites.

        Raises:
            SuiteUnavailableError: If it cannot be created.
        """
        if not self.python.exists():
            venv.create(self.work / "venv", with_pip=True)
        utils = f"{TEST_UTILS}=={self.version_of(TEST_UTILS)}"
        self.pip("install", str(self.wheel), *TOOLS, utils)
        self.pip("install", "--no-deps", "--force-reinstall", str(self.wheel))

    def pip(self, *words: str) -> None:
        """Run pip in the environment, with the pins for what it installs or downloads.

        Raises:
            SuiteUnavailableError: If pip fails; the message has its reason.
        """
        command = [str(self.python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        pins = [f"--constraint={file}" for file in CONSTRAINTS if words[0] != "uninstall"]
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                [*command, words[0], *pins, *words[1:]],
                capture_output=True,
                text=True,
                timeout=self.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            reason = f"pip {words[0]} {words[-1]}: did not end within {self.timeout} s"
            raise SuiteUnavailableError(reason) from error
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            reason = (errors or done.stderr.splitlines() or ["it printed nothing"])[-1]
            raise SuiteUnavailableError(f"pip {words[0]} {words[-1]}: {reason}")

    def install(self, suite: Suite) -> dict[str, str]:
        """Install a suite's package and needs, and return the versions of its needs.

        The instrumentations of other suites are uninstalled: some tests check which are
        installed.

        Raises:
            SuiteUnavailableError: If pip fails.
        """
        others = [name for name in self._installed() if name.startswith(CONTRIB)]
        if others:
            self.pip("uninstall", "--yes", *others)
        self.pip("install", f"{suite.package}=={self.version_of(suite.package)}", *suite.needs)
        installed = self._installed()
        return {need: installed[need] for need in suite.needs}

    def _installed(self) -> dict[str, str]:
        """Return the version of each package in the environment."""
        done = subprocess.run(  # noqa: S603 - our own command
            [str(self.python), "-c", INSTALLED], capture_output=True, text=True, check=True
        )
        pairs = (line.split() for line in done.stdout.splitlines())
        return {name.lower().replace("_", "-"): version for name, version in pairs}

    def tests_of(self, suite: Suite) -> Path:
        """Return the folder with a suite's tests: a checkout, or its unpacked archive.

        Raises:
            SuiteUnavailableError: If there is no archive, or it has no tests.
        """
        for source in self.sources:
            if (source / suite.package / "tests").is_dir():
                return (source / suite.package).resolve()
        name = f"{suite.package}=={self.version_of(suite.package)}"
        folder = self.work / name.replace("-", "_").replace("==", "-")
        remedy = "pass a folder of checkouts, each named as its package, with --source"
        archive = self.work / f"{folder.name}.tar.gz"
        try:
            if not archive.exists():
                binary = f"--no-binary={suite.package}"
                self.pip("download", "--no-deps", binary, f"--dest={self.work}", name)
            if not folder.is_dir():
                with tarfile.open(archive) as unpacked:
                    unpacked.extractall(self.work, filter="data")
        except (SuiteUnavailableError, OSError, tarfile.TarError) as error:
            reason = f"no source archive of {name} ({error}); {remedy}"
            raise SuiteUnavailableError(reason) from error
        if not (folder / "tests").is_dir():
            raise SuiteUnavailableError(f"the source archive of {name} has no tests; {remedy}")
        return folder

    def run(self, suite: Suite, *, ours: bool) -> Outcome:
        """Run a suite with us or without, and return its outcome; its log stays in the folder.

        Raises:
            SuiteUnavailableError: If the tests cannot be downloaded.
        """
        folder = self.tests_of(suite)
        name = f"{suite.package}-{'with' if ours else 'without'}"
        report = self.work / f"{name}.xml"
        report.unlink(missing_ok=True)
        records = self.work / "records" / suite.package
        shutil.rmtree(records, ignore_errors=True)
        command = [
            str(self.python), "-m", "pytest", "-c", str(HERE / "pytest.ini"),
            f"--rootdir={folder}", f"--junitxml={report}",
            f"--timeout={max(1, self.timeout // 3)}", "tests",
        ]  # fmt: skip
        began = time.monotonic()
        with (self.work / f"{name}.txt").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                cwd=folder,
                env=self._environment(suite, records if ours else None),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            problem = _wait(process, self.timeout)
        seconds = time.monotonic() - began
        if not report.exists():
            problem = problem or f"pytest wrote no report; {name}.txt has its output"
            return Outcome({}, seconds, 0, problem)
        return Outcome(outcomes_in(report), seconds, _starts_in(records) if ours else 0, problem)

    def _environment(self, suite: Suite, records: Path | None) -> dict[str, str]:
        """Return the environment of a run; it is with us if there is a folder for records."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
        kept |= dict(variable.split("=", 1) for variable in suite.environ)
        kept["PYTHONPATH"] = str(HERE / "_site")
        kept["PATH"] = f"{self.python.parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
        if records is not None:
            kept["OTEL_EXT_COMPAT_OUTPUT"] = str(records)
            if self.pure:
                kept[PURE_PYTHON] = "1"
        return kept


def _wait(process: subprocess.Popen[bytes], timeout: int) -> str:
    """Wait for a run; if it takes too long, kill its session and return a sentence about it."""
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        return f"did not end within {timeout} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return ""


def _starts_in(records: Path) -> int:
    """Return how many start records are in a folder."""
    return sum(len(START.findall(file.read_bytes())) for file in records.glob("*.jsonl"))
