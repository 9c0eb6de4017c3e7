"""`Intake`: takes the bodies of requests, however they have come, and keeps their records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.errors import JournalError
from otel_ext.server.ingest.lines import read_lines
from otel_ext.server.ingest.numbers import Numbers
from otel_ext.server.ingest.otlp.logs import read_logs, read_logs_json
from otel_ext.server.ingest.otlp.traces import read_traces, read_traces_json
from otel_ext.server.ingest.result import MalformedError
from otel_ext.server.security.answers import RequestError
from otel_ext.server.unavailable import unavailable
from otel_ext.settings.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.runtime.counters import Counters
    from otel_ext.server.feeding.messages import FeedState
    from otel_ext.server.ingest.result import Ingested
    from otel_ext.server.received import ReceivedJournal

__all__ = ["FORMS", "Form", "Intake"]

# More than this would take the process that stores half a minute.
_MOST_WAITING: Final = 512 * MIB


class Form(NamedTuple):
    """What a body consists of.

    Attributes:
        signal: `spans`, `logs` or `records`.
        read: Returns the lines of a body.
    """

    signal: str
    read: Callable[[bytes, Numbers], Ingested]


def _read_lines(body: bytes, _: Numbers) -> Ingested:
    return read_lines(body)


FORMS: Final = {
    "traces": Form("spans", read_traces),
    "traces-json": Form("spans", read_traces_json),
    "logs": Form("logs", read_logs),
    "logs-json": Form("logs", read_logs_json),
    "records": Form("records", _read_lines),
}
"""The forms of bodies by name."""


class Intake:
    """Keeps the records of requests; safe to use from several threads.

    Args:
        journal: Keeps their lines.
        state: Returns how the store stands.
        counters: Counts under `server.received.` and `server.rejected.`.
    """

    def __init__(
        self, journal: ReceivedJournal, state: Callable[[], FeedState], counters: Counters
    ) -> None:
        self._journal = journal
        self._state = state
        self._counters = counters
        self._numbers = Numbers()
        # What was kept since the process that stores has last said how much waits: it may hang.
        self._said: FeedState | None = None
        self._since = 0

    def take(self, form: Form, body: bytes) -> Ingested:
        """Keep the records in a body; when it returns, they survive the death of the server.

        Args:
            form: What the body consists of.
            body: The body, no longer compressed.

        Raises:
            RequestError: It cannot be read (400), or the records cannot be kept now (503).
        """
        if self._waiting() > _MOST_WAITING:
            raise unavailable("Too many records wait to be stored", "Send them again later.")
        try:
            ingested = form.read(body, self._numbers)
        except MalformedError as error:
            self._counters.add("server.refused.malformed")
            raise RequestError(400, error.message, hint=error.hint) from None
        if ingested.lines:
            try:
                self._journal.append(ingested.lines)
            except JournalError as error:
                self._counters.add("server.refused.disk")
                raise unavailable("The records cannot be kept now", error.hint) from error
            self._since += len(ingested.lines)
        self._counters.add(f"server.received.{form.signal}", ingested.records)
        if ingested.rejected:
            self._counters.add(f"server.rejected.{form.signal}", ingested.rejected)
        return ingested

    def _waiting(self) -> int:
        """Return how many bytes of records are not stored yet, about."""
        state = self._state()
        if state is not self._said and not state.problem:
            self._said, self._since = state, 0
        return state.waiting + self._since
