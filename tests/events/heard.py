"""A handler of events that keeps what it hears, and waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.programs import wait_until

if TYPE_CHECKING:
    from otel_ext.events import Event

__all__ = ["Heard"]


class Heard:
    """Keeps events, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Keep an event."""
        self.events.append(event)

    @property
    def names(self) -> list[str]:
        """The names of the events so far."""
        return [event.name for event in self.events]

    @property
    def spans(self) -> list[str]:
        """The names of events of spans and of their spans, such as `span.stop pay`."""
        return [
            f"{event.name} {event.metadata['name']}"
            for event in self.events
            if event.name.startswith("span.")  # a heartbeat may come at any time
        ]

    def wait_for(self, count: int) -> list[Event]:
        """Wait until so many events were heard; return them all."""
        wait_until(lambda: len(self.events) >= count, f"{count} events")
        return self.events
