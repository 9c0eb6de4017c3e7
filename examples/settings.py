"""Changes settings while the program runs: checked, heard of, and recorded.

Run: python examples/settings.py
Then: otel-ext events traces
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import otel_ext
from otel_ext import with_context, with_span
from otel_ext.errors import ConfigError
from otel_ext.services import Settings

if TYPE_CHECKING:
    from otel_ext.events import Event


@dataclass(frozen=True)
class Pool:
    """The connections."""

    size: int = 4
    password: str = "start"  # noqa: S105 - an example


@dataclass(frozen=True)
class Shop:
    """The settings of a shop; the pool is a group."""

    mode: Literal["open", "closed"] = "open"
    pool: Pool = field(default_factory=Pool)


def resize(event: Event) -> None:
    """React to a change; runs on a thread of its own."""
    print(f"{event.name}: {event.metadata['old']} -> {event.metadata['new']}")


def main() -> None:
    """Change settings, correctly and not."""
    otel_ext.configure()
    settings = Settings(Shop(), name="shop")
    with settings.subscribe("pool.size", resize):
        with with_span("reload"), with_context(reason="more orders"):
            settings.update({"pool.size": 8, "pool.password": "next"})
            settings.update(lambda now: {"pool.size": now.pool.size * 2})
        settings.flush()
    try:
        settings.update({"mode": "opne", "pool.size": 99})
    except ConfigError as error:
        print(error)
    print("now:", settings.get("pool.size"), settings.reset("pool").pool.size)


if __name__ == "__main__":
    main()
