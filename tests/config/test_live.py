"""The active configuration, and compat mode, which can change while a program runs."""

from __future__ import annotations

import threading

import pytest

from otel_ext.config import (
    Config,
    compat_mode,
    get_config,
    load_config,
    reset_config,
    set_compat_mode,
    set_config,
)
from otel_ext.errors import ConfigError


def test_the_first_call_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """`get_config` reads the sources once; later changes of the environment have no effect."""
    monkeypatch.setenv("OTEL_EXT_SYNC", "never")
    first = get_config()
    assert first.journal.sync == "never"
    monkeypatch.setenv("OTEL_EXT_SYNC", "always")
    assert get_config() is first


def test_a_mistake_is_reported_again_by_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration that `strict` refuses does not become active."""
    monkeypatch.setenv("OTEL_EXT_SYNC", "often")
    monkeypatch.setenv("OTEL_EXT_STRICT", "true")
    for _ in range(2):
        with pytest.raises(ConfigError, match="sync: 'often'"):
            get_config()
    monkeypatch.setenv("OTEL_EXT_SYNC", "never")
    assert get_config().journal.sync == "never"


def test_set_config() -> None:
    """`set_config` makes a configuration the active one, with its compat mode."""
    config = load_config({"compat_mode": True}, environ={})
    assert set_config(config) is config
    assert get_config() is config
    assert compat_mode() is True


def test_compat_mode_is_off_and_loads_nothing_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """`compat_mode`, which each record calls, never loads a configuration, so it cannot fail."""
    monkeypatch.setenv("OTEL_EXT_COMPAT_MODE", "broken")
    assert compat_mode() is False


def test_the_switch_takes_effect_at_once() -> None:
    """After a switch, `compat_mode` and the active configuration agree."""
    set_config(Config())
    for wanted in (True, False, True):
        set_compat_mode(wanted)
        assert compat_mode() is wanted
        assert get_config().output.compat_mode is wanted
        assert str(get_config().source_of("compat-mode")) == "set_compat_mode()"


def test_the_switch_does_not_change_other_configurations() -> None:
    """A configuration is frozen, so the switch creates a new one."""
    config = set_config(Config())
    set_compat_mode(True)
    assert config.output.compat_mode is False
    assert get_config().journal is config.journal


def test_a_switch_before_the_configuration_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program's own call wins over environment and file, even if they are read later."""
    set_compat_mode(True)
    monkeypatch.setenv("OTEL_EXT_COMPAT_MODE", "false")
    assert get_config().output.compat_mode is True
    assert compat_mode() is True


def test_a_later_argument_wins_over_the_switch() -> None:
    """Of two values from code the later one is used."""
    set_compat_mode(True)
    set_config(load_config({"compat_mode": False}, environ={}))
    assert compat_mode() is False


@pytest.mark.parametrize("value", ["maybe", None, 1])
def test_a_wrong_value_of_the_switch_changes_nothing(value: object) -> None:
    """A value that is neither true nor false is an error; the message names the call."""
    with pytest.raises(
        ConfigError, match=r"compat-mode: .* \(set_compat_mode\(\)\) is not allowed"
    ):
        set_compat_mode(value)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert compat_mode() is False


def test_other_threads_see_the_switch() -> None:
    """The switch is for the process, not for a thread."""
    seen: list[bool] = []
    set_compat_mode(True)
    thread = threading.Thread(target=lambda: seen.append(compat_mode()))
    thread.start()
    thread.join()
    assert seen == [True]


def test_reset_forgets_all() -> None:
    """After a reset, the configuration and the switch are as in a new process."""
    set_compat_mode(True)
    set_config(load_config({"sync": "never"}, environ={}))
    reset_config()
    assert compat_mode() is False
    assert get_config() == Config()
