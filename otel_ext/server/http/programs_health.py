"""What the watched programs have recorded of their health, for probes, which must be quick."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from otel_ext.errors import StoreError
from otel_ext.record.entities import HEALTH
from otel_ext.server.api.entities import living

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor, Future

    from otel_ext.server.api.context import Context

__all__ = ["ProgramsHealth"]

_AGAIN_SECONDS: Final = 5.0


class ProgramsHealth:
    """Counts the parts of programs that are degraded or failed, a few seconds ago.

    Args:
        context: What answers are made of.
        readers: Runs what reads the store.
    """

    def __init__(self, context: Context, readers: Executor) -> None:
        self._context = context
        self._readers = readers
        self._counts: Mapping[str, int] = {}
        self._looked_at = 0.0
        self._look: Future[None] | None = None

    def counts(self) -> Mapping[str, int]:
        """Return how many parts are in each state, as far as is known, and look again if needed."""
        is_old = monotonic() - self._looked_at > _AGAIN_SECONDS
        if is_old and (self._look is None or self._look.done()):
            with suppress(RuntimeError):  # the server ends
                self._look = self._readers.submit(self._read)
        return self._counts

    def _read(self) -> None:
        try:
            found = living(self._context, self._context.running.look(), HEALTH)
        except StoreError:  # the store's own state tells of that
            return
        finally:
            self._looked_at = monotonic()
        states = Counter(_state_of(one) for one in found if one["state"] != "lost")
        self._counts = {state: states[state] for state in ("degraded", "failed")}


def _state_of(entity: Mapping[str, object]) -> object:
    return cast("Mapping[str, object]", entity["attributes"]).get("state")
