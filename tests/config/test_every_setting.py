"""Every setting has an effect: with another value, something observable changes."""

from __future__ import annotations

import re
import signal
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from otel_ext.config.sections import SETTINGS, setting_named
from otel_ext.processors.bridge_keeper import remove_bridge
from tests.config.every_setting import PROOFS, collecting, recording
from tests.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.config.every_setting import Collector, Session

# With the defaults, heartbeats and stalled spans come later than this.
LIMIT_SECONDS = 10.0


@pytest.fixture(autouse=True)
def as_in_a_new_process() -> Iterator[None]:
    """Reset structlog before the test; restore it and the signal handler after."""
    handler = signal.getsignal(signal.SIGTERM)
    structlog.reset_defaults()
    yield
    remove_bridge()
    structlog.reset_defaults()
    signal.signal(signal.SIGTERM, handler)


def observe(session: Session, name: str) -> object:
    """Return the observable effect of a setting."""
    return PROOFS[name].observe(session)


def spy_on(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[object]]:
    """Return lists that receive the arguments and the result of each call of the setting's part."""
    module, part = PROOFS[name].spy
    calls: list[str] = []
    results: list[object] = []
    if module:
        real: Any = getattr(import_module(module), part)

        def called(*args: object, **kwargs: object) -> object:
            calls.append(repr([one for one in (*args, kwargs) if not callable(one)]))
            results.append(real(*args, **kwargs))
            return results[-1]

        monkeypatch.setattr(import_module(module), part, called)
    return calls, results


def shown(value: object) -> str:
    """Return an observation as text, without what differs from run to run."""
    return re.sub(r"0x[0-9a-f]+|/\S+/", "", repr(value))


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS])
def test_each_setting_changes_something(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another value than the default, the same program has another effect."""
    proof = PROOFS[name]
    argument = setting_named(name).argument
    seen: list[str] = []
    for folder, settings in (("default", {}), ("changed", {argument: proof.value})):
        with monkeypatch.context() as patch, collecting() as collector:
            patch.chdir(tmp_path)
            patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address(collector))
            patch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            # The libraries of the tests themselves stay as they are.
            patch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "*")
            calls, results = spy_on(name, patch)
            together = {**proof.beside, **settings}
            with recording(tmp_path / folder, together, collector) as session:
                session.spied, session.made = calls, results
                seen.append(shown(observe(session, name)))
                if settings:
                    wait_until(
                        lambda: shown(observe(session, name)) != seen[0],
                        f"{name}={proof.value!r} changes something; seen twice: {seen[0]}",
                        LIMIT_SECONDS,
                    )


def address(collector: Collector) -> str:
    """Return the collector's address."""
    return f"http://127.0.0.1:{collector.server_address[1]}"


def test_each_setting_has_a_proof() -> None:
    """The table of proofs has exactly one row for each setting."""
    assert PROOFS.keys() == {setting.name for setting in SETTINGS}
