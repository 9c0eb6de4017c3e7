"""`ViewerServer`: runs all of the server: ports, the process that stores, streams."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import uvicorn

from otel_ext.errors import UsageError
from otel_ext.feed.feeder import RECEIVED_FOLDER
from otel_ext.runtime.counters import Counters
from otel_ext.runtime.guard import report_problem
from otel_ext.server.api.context import About, Context
from otel_ext.server.api.running_now import RunningNow
from otel_ext.server.app import Parts, otlp_app, viewer_app
from otel_ext.server.async_intake import AsyncIntake
from otel_ext.server.feeding.store_process import StoreProcess
from otel_ext.server.grpc_server import GrpcServer
from otel_ext.server.http.health import HEALTH_PATHS
from otel_ext.server.http.pages import PAGE_PATHS
from otel_ext.server.intake import Intake
from otel_ext.server.live.hub import Hub
from otel_ext.server.ports import OTLP_GRPC_PORT, OTLP_HTTP_PORT, VIEWER_PORT
from otel_ext.server.received import ReceivedJournal
from otel_ext.server.security.access import Access, origin_of
from otel_ext.server.security.bodies import BodyReader
from otel_ext.server.security.limits import DEFAULT_LIMITS, ServerLimits
from otel_ext.server.security.memory import give_large_memory_back
from otel_ext.server.security.serving import secured, server_config, token_authority
from otel_ext.settings.units import DAY, GIB
from otel_ext.store.sqlite.days import DEFAULT_LIMITS as DEFAULT_STORE_LIMITS
from otel_ext.store.sqlite.days import StoreLimits
from otel_ext.store.sqlite.schema import STORE_FOLDER
from otel_ext.store.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from starlette.types import ASGIApp

    from otel_ext.server.feeding.messages import FeedState
    from otel_ext.server.security.tokens import TokenAuthority

__all__ = ["ServeOptions", "ViewerServer"]

_READERS: Final = 4
_TEND_SECONDS: Final = 0.5
_BACKLOG: Final = 128
# Threads that parse bodies give way to the event loop sooner than after Python's 5 ms.
_SWITCH_SECONDS: Final = 0.001


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """How to serve.

    Attributes:
        folder: The folder of records.
        host: Where to listen.
        port: The port of the viewer; 0 for any free one.
        otlp_http_port: The port for OTLP over HTTP; None for none, 0 for any free one.
        otlp_grpc_port: The port for OTLP over gRPC; None for none, 0 for any free one.
        token: What clients have to know; needed unless only this machine can connect.
        names: Other names of this machine, with which browsers ask for the viewer.
        roots: Folders whose files the viewer may link to in an editor.
        limits: The sizes, times and counts that bound what clients do.
        store_limits: How much the store keeps.
        received_bytes: Total size of the files of what was received; 0 for no limit.
        received_seconds: For how long these are kept; 0 for no limit.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = VIEWER_PORT
    otlp_http_port: int | None = OTLP_HTTP_PORT
    otlp_grpc_port: int | None = OTLP_GRPC_PORT
    token: str | None = field(default=None, repr=False)
    names: Sequence[str] = ()
    roots: Sequence[Path] = ()
    limits: ServerLimits = DEFAULT_LIMITS
    store_limits: StoreLimits = DEFAULT_STORE_LIMITS
    received_bytes: int = 2 * GIB
    received_seconds: float = 7 * DAY


class _Uvicorn(uvicorn.Server):
    """A server of uvicorn that leaves signals to us, since there are several."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the handlers of signals as they are."""
        yield


class ViewerServer:
    """Serves one folder of records, from `start` to `stop`, in one event loop.

    Args:
        options: How to serve.

    Attributes:
        about: Where it listens; known after `start`.
        authority: Makes one-time links; None if no token is needed.
    """

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._counters = Counters()
        self._hub = Hub()
        self._store = SqliteStore(options.folder / STORE_FOLDER)
        self._process = StoreProcess(options.folder, options.store_limits, self._on_change)
        self._journal = ReceivedJournal(
            options.folder / RECEIVED_FOLDER,
            max_bytes=options.received_bytes,
            max_age=options.received_seconds,
        )
        self._bodies = BodyReader(self._counters, options.limits)
        self._readers = ThreadPoolExecutor(_READERS, "otel-ext-read")
        # Two: while one waits for the disk, another parses.
        self._receivers = ThreadPoolExecutor(2, "otel-ext-receive")
        intake = Intake(self._journal, self.state, self._counters)
        self._intake = AsyncIntake(intake, self._receivers, self._process.wake)
        self._servers: list[_Uvicorn] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._tending: asyncio.Task[None] | None = None
        self._listeners: list[socket.socket] = []
        self._grpc: GrpcServer | None = None
        self.about = About(options.folder, roots=options.roots)
        self.authority: TokenAuthority | None = None

    def state(self) -> FeedState:
        """Return how the store stands."""
        return self._process.state

    def _on_change(self, state: FeedState) -> None:
        self._hub.publish(state.change)

    async def start(self) -> None:
        """Listen on all ports, and begin to store.

        Raises:
            UsageError: It cannot listen on a port, or others could reach it without a token.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        options = self._options
        sys.setswitchinterval(_SWITCH_SECONDS)
        give_large_memory_back()
        viewer = self._listen(options.port, "--port")
        access = Access.listening(
            options.host,
            viewer.getsockname()[1],
            token=options.token,
            names=options.names,
            open_paths=(*PAGE_PATHS, *HEALTH_PATHS[:2]),
        )
        self.authority = token_authority(access)
        otlp = None
        if options.otlp_http_port is not None:
            otlp = self._listen(options.otlp_http_port, "--otlp-http-port")
        if options.otlp_grpc_port is not None:
            await self._start_grpc(options.otlp_grpc_port)
        host = _shown(options)
        self.about = self.about._replace(
            viewer=origin_of(host, viewer.getsockname()[1]),
            otlp_http=None if otlp is None else origin_of(host, otlp.getsockname()[1]),
        )
        parts = self._parts()
        self._serve(viewer_app(parts), viewer, access)
        if otlp is not None:
            port = otlp.getsockname()[1]
            self._serve(
                otlp_app(parts),
                otlp,
                Access.listening(options.host, port, token=options.token, names=options.names),
            )
        await self._process.start()
        self._tending = asyncio.create_task(self._tend())

    def _listen(self, port: int, option: str) -> socket.socket:
        listener = _listener(self._options.host, port, option)
        self._listeners.append(listener)
        return listener

    async def _start_grpc(self, port: int) -> None:
        options = self._options
        # What is wrong with an address is found here: gRPC only logs it.
        _listener(options.host, port, "--otlp-grpc-port").close()
        server = GrpcServer(self._intake, self._bodies, options.limits, self.authority)
        try:
            bound = await server.start(options.host, port)
        except OSError as error:
            raise _cannot_listen(options.host, port, "--otlp-grpc-port", error) from error
        self._grpc = server
        self.about = self.about._replace(otlp_grpc=_address(_shown(options), bound))

    def _parts(self) -> Parts:
        return Parts(
            context=Context(self._store, RunningNow(self._options.folder, self._store), self.about),
            intake=self._intake,
            bodies=self._bodies,
            hub=self._hub,
            readers=self._readers,
            state=self.state,
            counters=self._counters,
        )

    def _serve(self, app: ASGIApp, listener: socket.socket, access: Access) -> None:
        limits = self._options.limits
        guarded = secured(app, access, self._counters, limits, self.authority)
        server = _Uvicorn(server_config(guarded, self._counters, limits))
        self._servers.append(server)
        self._tasks.append(asyncio.create_task(server.serve(sockets=[listener])))

    async def _tend(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TEND_SECONDS)
            try:
                await loop.run_in_executor(self._receivers, self._journal.tend)
            except OSError as error:  # the next time may succeed
                report_problem("serve: keeping files", error)

    async def stop(self) -> None:
        """Finish what was begun, store what was received, and end. Idempotent."""
        self._hub.close()
        if self._tending is not None:
            self._tending.cancel()
        for server in self._servers:
            server.should_exit = True
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()
        if self._grpc is not None:
            await self._grpc.stop()
        self._receivers.shutdown(wait=True)
        self._journal.close()
        await self._process.stop()
        self._readers.shutdown(wait=True)
        self._store.close()


def _listener(host: str, port: int, option: str) -> socket.socket:
    """Return a socket that listens."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _no_address(host, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, option, error) from error
    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listener


def _no_address(host: str, error: Exception) -> UsageError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "no such name"
    message = f"cannot listen on {host}: {reason}"
    return UsageError(message, hint="Give an address of this machine with --host")


def _cannot_listen(host: str, port: int, option: str, error: OSError) -> UsageError:
    if error.errno == errno.EADDRNOTAVAIL:
        return _no_address(host, error)
    hint = f"Give another port: {option} PORT"
    if option != "--port":
        hint += "; with 0 it is not served"
    return UsageError(
        f"cannot listen on {_address(host, port)}: another program does, or this user may not",
        hint=hint,
    )


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _shown(options: ServeOptions) -> str:
    """Return the name by which the server is found: its own one, if it listens everywhere."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(options.host)  # noqa: S104
    return options.host if here is None else next(iter(options.names), here)
