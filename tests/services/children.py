"""Children of supervisors for the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from otel_ext.services import ChildContext, Supervisor

__all__ = ["SOON", "Log", "fails", "holds", "returns", "state_of", "waits"]

SOON = 30.0


def waits(context: ChildContext) -> None:
    """Run until it is stopped."""
    context.stopping.wait()


def fails(_: ChildContext) -> None:
    """End at once."""
    raise ValueError("no")


def holds(_: ChildContext, release: threading.Event) -> None:
    """Run until the test releases it, whatever the supervisor says."""
    release.wait()


def returns(_: ChildContext) -> None:
    """End at once, as it should."""


class Log:
    """Children that write down when they begin and end."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def __call__(self, context: ChildContext, name: str) -> None:
        """Run until it is stopped."""
        self.words.append(f"+{name}")
        context.ready()
        context.stopping.wait()
        self.words.append(f"-{name}")


def state_of(supervisor: Supervisor, name: str) -> str:
    """Return the state of a child."""
    return next(child.state for child in supervisor.children() if child.name == name)
