"""The settings of otel-ext itself that can change while a program runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.config import compat_mode, reset_config, set_compat_mode
from otel_ext.config.sections import SETTINGS
from otel_ext.errors import ConfigError
from otel_ext.services import own_settings
from otel_ext.services.live_settings import OwnSettings, own
from tests.services.shop_settings import recording_alone
from tests.threads import numbered_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.settings.declarations import Setting


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(own, "_made", {})
    reset_config()
    yield
    reset_config()


def test_compat_mode() -> None:
    """It changes at once; a call of `set_compat_mode` shows here, too."""
    settings = own_settings()
    assert own_settings() is settings
    assert settings.get("compat_mode") is False
    assert settings.update(compat_mode="yes") == OwnSettings(compat_mode=True)
    assert compat_mode() is True
    set_compat_mode(False)
    assert settings.get() == OwnSettings(compat_mode=False)
    set_compat_mode(True)
    assert settings.reset() == OwnSettings(compat_mode=False)
    assert compat_mode() is False


def test_a_change_is_recorded() -> None:
    """As of any settings, under the name otel-ext."""
    with recording_alone() as capture:
        own_settings().update(compat_mode=True)
        assert own_settings().flush(30)
    (record,) = [one for one in capture.records if one.name == "settings.changed"]
    assert record.attributes["settings"] == "otel-ext"
    assert record.attributes["new"] == {"compat_mode": True}


@pytest.mark.parametrize("setting", [one for one in SETTINGS if one.name != "compat-mode"])
def test_the_others_are_refused(setting: Setting) -> None:
    """With the reason, and the argument and variable that set them."""
    argument, env = setting.argument, setting.env
    with pytest.raises(ConfigError, match=f"{argument} cannot change while the program") as caught:
        own_settings().update({argument: 1})
    assert f"configure({argument}=...), or {env} in the environment" in str(caught.value)


def test_names_that_are_not_known() -> None:
    """The spelling of a file and a mistake get the right name."""
    with pytest.raises(ConfigError, match="Use 'compat_mode'"):
        own_settings().update({"compat-mode": True})
    with pytest.raises(ConfigError, match="Did you mean 'compat_mode'"):
        own_settings().get("compat_mod")
    with pytest.raises(ConfigError, match="compat_mode: 'maybe' .* Use true or false"):
        own_settings().update(compat_mode="maybe")


def test_threads_that_switch_it() -> None:
    """Each change starts with the opposite: none is lost or doubled."""
    settings = own_settings()
    changes: list[object] = []
    with settings.subscribe("*", lambda event: changes.append(event.metadata["new"])):
        numbered_threads(
            4,
            lambda _: settings.update(lambda now: {"compat_mode": not now.compat_mode}),
        )
        assert settings.flush(30)
    assert changes == [True, False, True, False]
    assert compat_mode() is False
