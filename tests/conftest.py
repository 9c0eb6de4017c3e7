"""What every test may use: the `needs` marker, and an environment without settings."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from itertools import chain
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.examples import PROFILES
from tests.figures import take_figures

if TYPE_CHECKING:
    from collections.abc import Generator

# Set where the tests must all run: a test that would be skipped fails there.
NO_SKIPS = "OTEL_EXT_TEST_NO_SKIPS"
# Under this name a report carries what its test has measured.
FIGURES = "figures"
# How long an example takes says more about the machine than about the code.
for profile, count in PROFILES.items():
    settings.register_profile(
        profile,
        deadline=None,
        max_examples=count,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("tests")


def pytest_configure() -> None:
    """Give Ctrl-C its meaning back where the shell that started this took it away."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose `needs(...)` names a command that is not on this machine."""
    for marker in item.iter_markers("needs"):
        for command in marker.args:
            if shutil.which(command) is None:
                pytest.skip(f"needs the command {command!r}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one where nothing may be skipped; keep its figures."""
    report = yield
    report.user_properties.extend((FIGURES, line) for line in take_figures())
    if os.environ.get(NO_SKIPS) and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but {NO_SKIPS} is set: {call.excinfo}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests have measured."""
    reports = chain.from_iterable(terminalreporter.stats.values())
    lines = [
        str(value)
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == FIGURES
    ]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep what is collected here out of the garbage collector's rounds.

    It stays to the end: thousands of tests and all that they import, which each
    round would go through again, now and when a test asks for one.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped test module into an error where nothing may be skipped."""
    report = yield
    if os.environ.get(NO_SKIPS) and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped as a whole, but {NO_SKIPS} is set: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _open_to_others(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let other users enter the tests' folders: some tests go on as one of them."""
    for folder in (base := tmp_path_factory.getbasetemp(), *base.parents):
        if folder == Path(gettempdir()) or folder == Path(folder.anchor):
            break
        folder.chmod(folder.stat().st_mode | 0o055)


@pytest.fixture(autouse=True)
def _programs_unmeasured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what measures coverage out of the programs that most tests start."""
    if request.node.get_closest_marker("measured") is None:
        for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
            monkeypatch.delenv(name)


@pytest.fixture
def plain_environ() -> dict[str, str]:
    """Return this process's environment without settings of OpenTelemetry or ours.

    For programs started by a test that measures, or that counts system calls.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
