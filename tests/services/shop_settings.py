"""The settings of a shop, for the tests of live settings."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal

from otel_ext.events.deferred import deferred_events
from otel_ext.settings.declarations import declare
from otel_ext.settings.kinds import Duration, Size
from tests.global_provider import recording_globally

if TYPE_CHECKING:
    from collections.abc import Generator

    from otel_ext.testing import RecordCapture

__all__ = ["Colour", "Database", "Pool", "Shop", "even", "recording_alone"]


@contextmanager
def recording_alone() -> Generator[RecordCapture]:
    """Record in memory within the block, without the changes of earlier tests that wait."""
    assert deferred_events().flush(30.0)
    with recording_globally() as capture:
        yield capture


class Colour(Enum):
    """A choice."""

    RED = 1
    BLUE = 2


def even(value: int) -> None:
    """Refuse odd numbers, as a program's own check."""
    if value % 2:
        raise ValueError(f"{value} is odd")


@dataclass(frozen=True)
class Pool:
    """A group, with a rule across its settings."""

    size: int = 4
    spare: int = field(default=2, metadata={"validate": even})
    wait: float = 1.5

    def __post_init__(self) -> None:
        if self.spare > self.size:
            raise ValueError("more spare ones than there are")


@dataclass(frozen=True)
class Database:
    """A group with secrets, and a group in it."""

    password: str = "start"  # noqa: S105 - for the tests of redaction
    address: str = field(default="db-1", metadata={"secret": True})
    pool: Pool = field(default_factory=Pool)


@dataclass(frozen=True)
class Shop:
    """Settings of every kind."""

    name: str = "corner"
    open: bool = True
    colour: Colour = Colour.RED
    mode: Literal["fast", "slow", 1] = "fast"
    note: str | None = None
    ports: tuple[int, ...] = (80,)
    names: list[str] = field(default_factory=list[str])
    pair: tuple[int, str] = (1, "a")
    either: int | str = 0
    pool: Pool = field(default_factory=Pool)
    db: Database = field(default_factory=Database)
    timeout: float = declare(Duration(1, 3600), "How long to wait.", default=5.0)
    cache: int = declare(Size(1024, 2**30), "The size of the cache.", default=4096)
    total: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", self.pool.size + self.db.pool.size)
