"""`StoreProcess`: runs the process that stores, and starts it again if it dies."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process.own_program import own_command
from otel_ext.runtime.restarts import RestartPolicy
from otel_ext.server.feeding.messages import FeedState, decode_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_ext.store.sqlite.days import StoreLimits

__all__ = ["StoreProcess"]

_INITIAL_SECONDS: Final = 0.1
_MAX_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 10.0


class StoreProcess:
    """Stores the records of a folder as they come.

    Args:
        folder: The folder of records.
        limits: How much the store keeps.
        on_change: Called with each new state, in the event loop.

    Attributes:
        state: How the store stands.
    """

    def __init__(
        self, folder: Path, limits: StoreLimits, on_change: Callable[[FeedState], object]
    ) -> None:
        self.state = FeedState()
        arguments = str(folder), str(limits.days), str(limits.size)
        self._command = own_command("otel_ext.server.feeding.child", arguments)
        self._on_change = on_change
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Start the process."""
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Say that records were added."""
        stdin = None if self._process is None else self._process.stdin
        # What has not been read yet wakes it too.
        if stdin is not None and stdin.transport.get_write_buffer_size() == 0:
            stdin.write(b"\n")

    async def stop(self) -> None:
        """Let the process store what is left, and wait for its end."""
        self._stopping.set()
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
        if self._task is None:
            return
        done, _ = await asyncio.wait([self._task], timeout=_STOP_SECONDS)
        if not done:
            if process is not None:
                with suppress(ProcessLookupError):
                    process.kill()
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        restarts = RestartPolicy(_INITIAL_SECONDS, _MAX_SECONDS)
        while not self._stopping.is_set():
            code: object
            try:
                code = await self._run_once(restarts)
            except (OSError, ValueError, TypeError) as error:  # also of a line that is no state
                code = error
            self._process = None
            if self._stopping.is_set():
                return
            problem = self.state.problem or f"the process that stores has ended ({code})"
            report_problem("serve: storing", problem)
            self._set(self.state._replace(problem=problem))
            with suppress(asyncio.TimeoutError):
                pause = restarts.failed(monotonic(), problem)
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _run_once(self, restarts: RestartPolicy) -> object:
        """Run the process to its end; return its exit code."""
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the server, which then ends it
        )
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        if self._stopping.is_set():  # while it was being started
            process.stdin.close()
        try:
            async for line in process.stdout:
                state = decode_state(line)
                if not state.problem:
                    restarts.reset()
                self._set(state)
        except BaseException:
            with suppress(ProcessLookupError):
                process.kill()
            raise
        finally:
            code = await process.wait()
        return code

    def _set(self, state: FeedState) -> None:
        self.state = state
        self._on_change(state)
