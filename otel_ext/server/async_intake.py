"""`AsyncIntake`: takes bodies for the ports of a server, in its event loop."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from otel_ext.settings.units import KIB

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from otel_ext.server.ingest.result import Ingested
    from otel_ext.server.intake import Form, Intake

__all__ = ["AsyncIntake"]

# One body above this is read at a time: what is made of it may take a hundred MiB.
_LARGE: Final = 256 * KIB


class AsyncIntake:
    """Takes bodies; one for all ports of a server.

    Args:
        intake: Keeps the records.
        executor: Runs what takes long, so that other requests go on.
        wake: Called in the event loop when records were added.
    """

    def __init__(self, intake: Intake, executor: Executor, wake: Callable[[], object]) -> None:
        self._intake = intake
        self._executor = executor
        self._wake = wake
        # Large bodies wait for each other without a thread, which small ones need.
        self._large = asyncio.Lock()

    async def take(self, form: Form, body: bytes) -> Ingested:
        """Keep the records in a body, as `Intake.take` does.

        Args:
            form: What the body consists of.
            body: The body, no longer compressed.

        Raises:
            RequestError: It cannot be read (400), or the records cannot be kept now (503).
        """
        loop = asyncio.get_running_loop()
        async with self._large if len(body) > _LARGE else nullcontext():
            ingested = await loop.run_in_executor(self._executor, self._intake.take, form, body)
        if ingested.lines:
            self._wake()
        return ingested
