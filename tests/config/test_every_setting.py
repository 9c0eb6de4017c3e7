"""No setting is only declared: each one, changed, changes something that can be seen."""

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

# Heartbeats and stalled spans by their defaults come later than this.
LIMIT_SECONDS = 10.0


@pytest.fixture(autouse=True)
def as_in_a_new_process() -> Iterator[None]:
    """Leave structlog and signals as they were."""
    handler = signal.getsignal(signal.SIGTERM)
    structlog.reset_defaults()
    yield
    remove_bridge()
    structlog.reset_defaults()
    signal.signal(signal.SIGTERM, handler)


def look_at(session: Session, name: str) -> object:
    """Return what is to be seen of a setting."""
    return PROOFS[name].look(session)


def spy_on(name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list of how the part that a setting is for is made, from now on."""
    module, part = PROOFS[name].spy
    calls: list[str] = []
    if module:
        real: Any = getattr(import_module(module), part)

        def called(*args: object, **kwargs: object) -> object:
            calls.append(repr([one for one in (*args, kwargs) if not callable(one)]))
            return real(*args, **kwargs)

        monkeypatch.setattr(import_module(module), part, called)
    return calls


def shown(value: object) -> str:
    """Return what was seen, without what differs from run to run."""
    return re.sub(r"0x[0-9a-f]+|/\S+/", "", repr(value))


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS])
def test_each_setting_changes_something(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another value than the default, something else comes of the same program."""
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
            calls = spy_on(name, patch)
            given = {**proof.beside, **settings}
            with recording(tmp_path / folder, given, collector) as session:
                session.spied = calls
                seen.append(shown(look_at(session, name)))
                if settings:
                    wait_until(
                        lambda: shown(look_at(session, name)) != seen[0],
                        f"{name}={proof.value!r} changes something; seen twice: {seen[0]}",
                        LIMIT_SECONDS,
                    )


def address(collector: Collector) -> str:
    """Return the collector's address."""
    return f"http://127.0.0.1:{collector.server_address[1]}"


def test_each_setting_has_a_proof() -> None:
    """A new setting needs a row in the table of proofs, and nothing else has one."""
    assert PROOFS.keys() == {setting.name for setting in SETTINGS}
