"""The log bridge is back for the next record after a program configures `logging` again."""

from __future__ import annotations

import logging
import logging.config
import sys
from typing import TYPE_CHECKING, Any

import django  # type: ignore[import-untyped]
import pytest
import structlog
from django.conf import settings as django_settings  # type: ignore[import-untyped]
from opentelemetry.sdk.trace import TracerProvider

import otel_ext
from otel_ext.config import reset_config
from otel_ext.processors import bridge_keeper
from otel_ext.processors.bridge_keeper import BridgeKeeper, remove_bridge
from otel_ext.processors.stdlib_bridge import StdlibBridge
from otel_ext.processors.tracer_meta import TracerMetaProcessor, TracerMetaRenderer
from otel_ext.runtime.worker import shared_worker
from otel_ext.setup.structlog import configure_structlog
from tests.programs import records_in, wait_until
from tests.structlog_kit import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROOT = logging.getLogger()
PLAIN: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"null": {"class": "logging.NullHandler"}},
    "root": {"level": "INFO", "handlers": ["null"]},
}


@pytest.fixture(autouse=True)
def as_in_a_new_process(unconfigured_structlog: None) -> Iterator[None]:
    """Start and end with `logging` and structlog unconfigured."""
    del unconfigured_structlog
    handlers, level, factory = ROOT.handlers, ROOT.level, logging.getLogRecordFactory()
    ROOT.handlers = []
    yield
    remove_bridge()
    ROOT.handlers = handlers
    ROOT.setLevel(level)
    logging.setLogRecordFactory(factory)


def bridges() -> int:
    """Return how many bridges the root logger has."""
    return sum(isinstance(one, StdlibBridge) for one in ROOT.handlers)


def set_django_up() -> None:
    """Configure logging as `django.setup()` does in a project with a `LOGGING` setting."""
    if not django_settings.configured:
        django_settings.configure(LOGGING=PLAIN)  # pyright: ignore[reportUnknownMemberType]
    django.setup()


def hijack() -> None:
    """Change the root logger as a Celery worker does."""
    ROOT.handlers = []
    ROOT.addHandler(logging.NullHandler())


AGAIN: dict[str, Callable[[], object]] = {
    "dictConfig": lambda: logging.config.dictConfig(PLAIN),
    "basicConfig": lambda: logging.basicConfig(force=True, stream=sys.stderr),
    "Django": set_django_up,
    "Celery": hijack,
    "no handler left": lambda: ROOT.handlers.clear(),  # noqa: PLW0108 - of the list there is then
}


@pytest.mark.parametrize("way", AGAIN)
def test_no_log_is_lost_when_logging_is_configured_again(way: str) -> None:
    """The first log after the change is recorded once, and so are the later ones."""
    kept = Kept()
    configure_structlog(kept, stdlib=True)
    log = logging.getLogger("lib")
    log.warning("1")
    AGAIN[way]()
    log.warning("2")
    AGAIN[way]()
    log.warning("3")
    log.warning("4")
    assert kept.names == ["1", "2", "3", "4"]
    assert bridges() == 1


def test_logs_that_the_program_prints_are_not_printed_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The bridge prints until a handler of the program prints."""
    ROOT.handlers.clear()  # pytest's own
    configure_structlog(Kept(), stdlib=True)
    logging.getLogger("lib").warning("one")
    logging.basicConfig(force=True, stream=sys.stdout, format="%(message)s")
    logging.getLogger("lib").warning("two")
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2
    assert printed[1] == "two"


def test_a_handler_that_exports_replaces_the_bridge() -> None:
    """If the program's new configuration exports records itself, each log is recorded once."""
    kept = Kept()
    configure_structlog(kept, stdlib=True)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[TracerMetaRenderer(kept, text=True)])
    )
    logging.basicConfig(force=True, handlers=[handler])
    logging.getLogger("lib").warning("one")
    assert kept.names == ["one"]
    assert bridges() == 0


def test_a_factory_without_a_chain_leaves_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the program sets its own factory without a chain, the worker restores the bridge."""
    monkeypatch.setattr(bridge_keeper, "_CHECK_INTERVAL", 0.01)
    configure_structlog(Kept(), stdlib=True)
    logging.setLogRecordFactory(logging.LogRecord)
    ROOT.handlers.clear()
    shared_worker().ensure()
    wait_until(lambda: bridges() == 1, "the bridge is back")


def test_the_programs_own_factory_makes_the_records_before_and_after() -> None:
    """The keeper calls the program's factory, and restores it when the bridge is removed."""

    class Marked(logging.LogRecord):
        mark = "mine"

    logging.setLogRecordFactory(Marked)
    kept = Kept()
    configure_structlog(kept, stdlib=True)
    made = logging.getLogRecordFactory()("x", 20, "f.py", 1, "m", (), None)
    assert isinstance(made, Marked)
    configure_structlog(kept, stdlib=True)
    remove_bridge()
    assert logging.getLogRecordFactory() is Marked


def test_called_again_without_logging_it_is_removed_for_good() -> None:
    """The last call counts: without `stdlib` the bridge is removed and not put back."""
    kept = Kept()
    configure_structlog(kept, stdlib=True)
    configure_structlog(kept)
    ROOT.handlers.clear()
    logging.getLogger("lib").warning("one")
    assert (kept.names, bridges()) == ([], 0)


def test_after_a_shutdown_it_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a shutdown, a bridge that the program removed stays removed."""
    monkeypatch.setenv("OTEL_EXT_CONFIG", "/dev/null")
    try:
        with otel_ext.configure(output=tmp_path, tracer_provider=TracerProvider()) as handle:
            configure_structlog(stdlib=True)
            logging.config.dictConfig(PLAIN)
            logging.getLogger("lib").warning("one")
            assert handle.flush()
            assert bridges() == 1
        logging.config.dictConfig(PLAIN)
        logging.getLogger("lib").warning("two")
        assert bridges() == 0
    finally:
        reset_config()
    assert [one.name for one in records_in(tmp_path) if one.kind == "log"] == ["one"]


def test_an_error_never_reaches_the_code_that_logs(capfd: pytest.CaptureFixture[str]) -> None:
    """A check that fails is reported, and the record is made."""

    def fail() -> bool:
        raise RuntimeError("no")

    keeper = BridgeKeeper(StdlibBridge(TracerMetaProcessor(Kept())), fail)
    ROOT.handlers[:] = [logging.NullHandler()]
    logging.getLogger("lib").warning("one")
    keeper.stop()
    assert "the log bridge was not put back: RuntimeError" in capfd.readouterr().err
