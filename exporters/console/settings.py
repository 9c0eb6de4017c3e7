"""Declares the setting for printing records on the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from otel_ext.settings.declarations import declare
from otel_ext.settings.kinds import Choice

__all__ = ["ConsoleMode", "ConsoleSettings"]

ConsoleMode = Literal["auto", "on", "off", "json"]


@dataclass(frozen=True)
class ConsoleSettings:
    """What is printed on the terminal."""

    mode: ConsoleMode = declare(
        Choice(get_args(ConsoleMode)),
        "Print records on standard error: `off` never; `auto` only on a terminal, while the"
        " program is in the foreground; `on` always, for people; `json` always, as JSON lines."
        " The default of `otel-ext run` is `auto`.",
        default="off",
        name="console",
    )
