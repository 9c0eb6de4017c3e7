"""Reads settings from code, environment, file and defaults into one frozen `Config`."""

from __future__ import annotations

from otel_ext.config.live import (
    compat_mode,
    get_config,
    is_compat,
    reset_config,
    set_compat_mode,
    set_config,
)
from otel_ext.config.messages import Layer, Source
from otel_ext.config.precedence import CONFIG_VARIABLE, load_config, load_leniently
from otel_ext.config.sections import SETTINGS, Config, setting_named
from otel_ext.settings.declarations import Setting

__all__ = [
    "CONFIG_VARIABLE",
    "SETTINGS",
    "Config",
    "Layer",
    "Setting",
    "Source",
    "compat_mode",
    "get_config",
    "is_compat",
    "load_config",
    "load_leniently",
    "reset_config",
    "set_compat_mode",
    "set_config",
    "setting_named",
]
