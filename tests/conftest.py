"""Fixtures and hooks for all tests: the `needs` marker, figures, a plain environment."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import threading
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from tempfile import gettempdir
from traceback import format_stack
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, settings

from otel_ext.events.deferred import deferred_events
from otel_ext.exporters.delivery.remote_worker import REMOTE_WORKER_NAME
from otel_ext.inflight.introductions import introductions
from otel_ext.runtime import guard
from tests.examples import PROFILES
from tests.figures import take_figures
from tests.measuring import Measuring, measures_coverage
from tests.programs import becomes_true
from tests.untraced import untraced

if TYPE_CHECKING:
    from collections.abc import Generator

# If set, a test that would be skipped fails.
NO_SKIPS = "OTEL_EXT_TEST_NO_SKIPS"
# The name of a test report's property with what the test has measured.
FIGURES = "figures"
# Threads that a test may leave: the two that all recording of a process shares.
SHARED = {"otel-ext-worker", REMOTE_WORKER_NAME}
# And those that call third-party exporters; each ends some seconds after its exporter is gone.
CALLING = "otel-ext "
# How long, in seconds, a test's threads may go on after it; a dropped worker notices in 5 s.
ENDING = 20.0
# Without a deadline: how long an example takes depends on the machine more than on the code.
for profile, count in PROFILES.items():
    settings.register_profile(
        profile,
        deadline=None,
        max_examples=count,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C work although the shell that started this ignores it; measure what counts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if measures_coverage():
        config.pluginmanager.register(Measuring())
        if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
            # Not where results arrive either, beside the processes that test.
            stack = ExitStack()
            stack.enter_context(untraced())
            config.add_cleanup(stack.close)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only a newer Python can do, and leave tests that fork to `test_forks.py`.

    There each process runs many tests.
    """
    newer = [
        item
        for item in items
        if any(marker.args > sys.version_info for marker in item.iter_markers("since"))
    ]
    _leave_out(newer, config, items)
    forks = [item for item in items if item.get_closest_marker("forks")]
    for item in forks:
        item.add_marker(pytest.mark.filterwarnings("ignore:This process .* is multi-threaded"))
    if hasattr(config, "workerinput"):
        _leave_out(forks, config, items)


def _leave_out(some: list[pytest.Item], config: pytest.Config, items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if item not in some]
    config.hook.pytest_deselected(items=some)


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
    """Fail a skipped test if none may be skipped; add the test's figures to its report."""
    report = yield
    report.user_properties.extend((FIGURES, line) for line in take_figures())
    if os.environ.get(NO_SKIPS) and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but {NO_SKIPS} is set: {call.excinfo}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests have reported."""
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


def signal_handlers() -> dict[int, object]:
    """Return the handler of each signal but the one that pytest-timeout uses."""
    numbers = signal.valid_signals() - {signal.SIGALRM}
    return {number: signal.getsignal(number) for number in numbers}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep collected tests out of garbage collections.

    Thousands of tests and their imports stay in memory to the end; each collection,
    automatic or requested by a test, would scan them again.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a skipped test module if nothing may be skipped."""
    report = yield
    if os.environ.get(NO_SKIPS) and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped as a whole, but {NO_SKIPS} is set: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _open_to_others(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let other users enter the tests' folders: some tests switch to another user."""
    for folder in (base := tmp_path_factory.getbasetemp(), *base.parents):
        if folder == Path(gettempdir()) or folder == Path(folder.anchor):
            break
        folder.chmod(folder.stat().st_mode | 0o055)


@pytest.fixture(autouse=True)
def _programs_unmeasured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not measure coverage in programs, unless the test is marked `measured`."""
    if request.node.get_closest_marker("measured") is None:
        for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
            monkeypatch.delenv(name)


@pytest.fixture(name="untraced")
def _untraced() -> Generator[None, None, None]:
    """Do not measure coverage in a test that interrupts the tracer itself; see `untraced`."""
    with untraced():
        yield


@pytest.fixture(autouse=True)
def _problems_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what earlier tests reported: it would not be reported again for a minute."""
    monkeypatch.setattr(guard, "_next", {})


@pytest.fixture(autouse=True)
def _entities_end() -> None:
    """Forget the agents of earlier tests, which a new destination would get, and their events."""
    deferred_events().write_now()
    introductions().forget()


@pytest.fixture(autouse=True)
def _signal_handlers_stay() -> Generator[None, None, None]:
    """Fail a test that leaves another handler: a signal could end a later test's process."""
    before = signal_handlers()
    yield
    after = signal_handlers()
    changed = {number: after[number] for number in after if after[number] != before[number]}
    assert not changed, f"handlers that the test left changed: {changed}"


@pytest.fixture(autouse=True)
def _threads_end() -> Generator[None, None, None]:
    """Fail a test that leaves threads running: they would be beside every later test.

    A child that a later test forks would start without them, but with their locks.
    """
    before = set(threading.enumerate())

    def left() -> list[threading.Thread]:
        return [
            thread
            for thread in threading.enumerate()
            if thread not in before
            and thread.name not in SHARED
            and not thread.name.startswith(CALLING)
            # Not started by Python, which cannot know whether it still runs.
            and not isinstance(thread, threading._DummyThread)  # noqa: SLF001
        ]

    yield
    if left() and not becomes_true(lambda: not left(), 0.1):
        gc.collect()  # some end when their owner is gone
        becomes_true(lambda: not left(), ENDING)
    stacks = sys._current_frames()  # noqa: SLF001 - the documented way to another thread's stack
    found = [
        f"{thread.name}:\n{''.join(format_stack(stacks.get(thread.ident or 0)))}"
        for thread in left()
    ]
    assert not found, "threads that the test left running:\n" + "\n".join(found)


@pytest.fixture
def unconfigured_structlog() -> Generator[None]:
    """Start and end the test with structlog as in a new process."""
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def plain_environ() -> dict[str, str]:
    """Return this process's environment without settings of OpenTelemetry or otel-ext.

    For programs of tests that measure, or that count system calls.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
