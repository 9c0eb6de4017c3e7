"""For each setting, a value and an observation that prove that it has an effect."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import structlog
from opentelemetry.sdk.trace import TracerProvider

import otel_ext
from otel_ext.config import load_leniently
from otel_ext.errors import ConfigError
from otel_ext.journal.ring_layout import RING_FOLDER
from otel_ext.setup.handle import exit_seconds
from tests.processors.spans import RecordOnly
from tests.programs import records_in

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    from opentelemetry.trace import Span

    from otel_ext.exporters.delivery.retry import CircuitBreaker
    from otel_ext.record.model import Record
    from otel_ext.setup.handle import Handle

_OLD = "00000000-7-1-0000000a"  # an incarnation of an earlier boot
_TWO_HOURS = 7_200.0


class Collector(ThreadingHTTPServer):
    """Accepts all requests, and keeps their bodies with their paths."""

    daemon_threads = True

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        super().__init__(("127.0.0.1", 0), _Taking)

    def took(self, path: str, part: bytes = b"") -> bool:
        """Return whether a body that contains `part` was sent to `path`."""
        return any(one == path and part in body for one, body in self.got)


class _Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Accept one request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        cast("Collector", self.server).got.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base has it
        """Print nothing."""


class Session:
    """A program that records with some settings."""

    def __init__(self, folder: Path, settings: Mapping[str, object], collector: Collector) -> None:
        self.folder = folder
        self.collector = collector
        self.output = folder / "traces"
        self.spied: list[str] = []
        self.made: list[object] = []
        self.kept: list[Span] = []
        sampler = RecordOnly() if settings.get("record_only") is not None else None
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        arguments: dict[str, Any] = {"output": self.output, **settings}
        self.handle: Handle = otel_ext.configure(tracer_provider=self.provider, **arguments)

    def span(self, name: str = "work", **attributes: Any) -> None:  # noqa: ANN401 - as the SDK's
        """Start and end a span, and flush."""
        with self.provider.get_tracer("t").start_as_current_span(name, attributes=attributes):
            pass
        self.handle.flush()

    def open(self, name: str = "open") -> None:
        """Start a span that stays open."""
        self.kept.append(self.provider.get_tracer("t").start_span(name))
        self.handle.flush()

    def records(self) -> list[Record]:
        """Return the written records."""
        return records_in(self.output)

    def line(self, name: str = "work.end") -> bytes:
        """Return the line of a record."""
        files = sorted(self.output.glob("*.jsonl"))
        lines = [line for file in files for line in file.read_bytes().splitlines()]
        return next(line for line in lines if f'"event":"{name}"'.encode() in line)


@contextmanager
def recording(
    folder: Path, settings: Mapping[str, object], collector: Collector
) -> Generator[Session]:
    """Record with `settings` during the block."""
    folder.mkdir()
    made = Session(folder, settings, collector)
    try:
        yield made
    finally:
        made.handle.shutdown(1.0)


@contextmanager
def collecting() -> Generator[Collector]:
    """Run a collector during the block."""
    made = Collector()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        made.server_close()


class Proof(NamedTuple):
    """Proves that a setting has an effect.

    Attributes:
        value: A value that is not the default.
        observe: Does something and returns its effect; repeated, with `value`, until the
            effect differs from that of the default.
        beside: Other settings, used in both cases.
        spy: The module and name of a part whose calls `Session.spied` lists and whose results
            `Session.made`, if other tests show what the part does.
    """

    value: object
    observe: Callable[[Session], object]
    beside: Mapping[str, object] = {}
    spy: tuple[str, str] = ("", "")


def _worked(session: Session) -> bool:
    session.span()
    return any(one.name == "work" for one in session.records())


def _in_traces(session: Session) -> bool:
    session.span()
    return session.output.exists()


def _begins(session: Session) -> bytes:
    session.span()
    return session.line()[:12]


def _handler(_: Session) -> bool:
    return signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def _seconds(session: Session) -> float:
    return exit_seconds(session.handle.config)


def _logged(session: Session) -> bool:
    structlog.get_logger().warning("hello")
    session.span()
    return any(one.name == "hello" for one in session.records())


def _files(session: Session) -> bool:
    for _ in range(4):
        session.span(text="x" * 30_000)
    return len(list(session.output.glob("*.jsonl"))) > 1


def _rings(session: Session) -> list[int]:
    session.span()
    return [one.stat().st_size for one in (session.output / RING_FOLDER).glob("*.ring")]


def _has_ring(session: Session) -> bool:
    return bool(_rings(session))


def _kept_old(session: Session) -> bool:
    old, newer = session.output / f"{_OLD}.jsonl", session.output / f"{_OLD}.1.jsonl"
    if not newer.exists():
        session.output.mkdir(exist_ok=True)
        for path in (old, newer):
            path.write_bytes(b"x" * 100_000 + b"\n")
            os.utime(path, (time.time() - _TWO_HOURS, time.time() - _TWO_HOURS))
    session.span()
    return old.exists()


def _synced(session: Session) -> bool:
    session.span()
    return len(session.spied) > 20


def _recovers(session: Session) -> bool:
    session.span()
    return bool(session.spied)


def _watched(session: Session) -> int:
    for _ in range(3):
        session.open()
    processor: Any = session.handle.processor
    return min(len(processor.tracker.table), 3)


def _has(judge: Callable[[Record], bool], number: int = 1) -> Callable[[Session], bool]:
    def observe(session: Session) -> bool:
        if not session.kept:
            session.open()
        session.handle.flush()
        return sum(map(judge, session.records())) >= number

    return observe


def _refuses(session: Session) -> bool:
    os.environ["OTEL_EXT_SYNC"] = "sometimes"
    try:
        load_leniently({"strict": session.handle.config.value("strict")})
    except ConfigError:
        return True
    finally:
        del os.environ["OTEL_EXT_SYNC"]
    return False


def _spied(session: Session) -> list[str]:
    return session.spied


def _sent(path: str, part: bytes = b"", *, ended: bool) -> Callable[[Session], bool]:
    def observe(session: Session) -> bool:
        if ended:
            session.span()
        elif not session.kept:
            session.open()
        session.handle.flush()
        return session.collector.took(path, part)

    return observe


def _persisted(session: Session) -> bool:
    session.collector.server_close()
    session.span()
    session.handle.shutdown(0.5)
    return any((session.output / ".queue").rglob("*"))


def _opens_after(failures: int) -> Callable[[Session], bool]:
    def observe(session: Session) -> bool:
        breaker = cast("CircuitBreaker", session.made[-1])
        breaker.succeeded()
        for _ in range(failures):
            breaker.failed("no answer")
        return breaker.state == "open"

    return observe


def _pauses(failures: int, seconds: float) -> Callable[[Session], bool]:
    def observe(session: Session) -> bool:
        breaker = cast("CircuitBreaker", session.made[-1])
        breaker.succeeded()
        for _ in range(failures):
            breaker.failed("no answer", at_once=True)
        return breaker.wait > seconds

    return observe


def _line(**attributes: Any) -> Callable[[Session], bytes]:  # noqa: ANN401 - as the SDK's
    def observe(session: Session) -> bytes:
        session.span(**attributes)
        return session.line().partition(b'"status"')[2]

    return observe


_OTLP = {"otlp": True}
_QUICK = {"otlp": True, "otlp_grace": 0}
_LIMITS = ("otel_ext.exporters.otlp.setup", "QueueLimits")
_STORE = ("otel_ext.exporters.delivery.sender", "PersistentQueue")
_WATCH = ("otel_ext.journal.recovery.housekeeping", "FolderWatch")
_BREAKER = ("otel_ext.exporters.delivery.sender", "CircuitBreaker")
_SECRET = {"password": "open sesame"}
_REAPER = ("otel_ext.inflight.tracker", "Reaper")

PROOFS: dict[str, Proof] = {
    "instrument": Proof(
        value=True, observe=_spied, spy=("otel_ext.instrumentors", "instrument_libraries")
    ),
    "strict": Proof(value=True, observe=_refuses),
    "enabled": Proof(value=False, observe=_worked),
    "record-only": Proof(value=True, observe=_worked, beside={"record_only": False}),
    "structlog": Proof(value=True, observe=_logged),
    "output": Proof("elsewhere", _in_traces),
    "compat-mode": Proof(value=True, observe=_begins),
    "console": Proof(
        "json", _spied, spy=("otel_ext.exporters.console.exporter", "ConsoleExporter")
    ),
    "durability": Proof("write", _has_ring),
    "sync": Proof("always", _synced, spy=("os", "fdatasync")),
    "ring-size": Proof("64 KiB", _rings),
    "segment-size": Proof("64 KiB", _files),
    "segment-age": Proof("1s", _files),
    "retention-size": Proof("64 KiB", _kept_old),
    "retention-age": Proof("1m", _kept_old),
    "recover-on-start": Proof(value=False, observe=_recovers, spy=_WATCH),
    "max-open-spans": Proof(1, _watched),
    "max-open-age": Proof("1s", _has(lambda one: one.abandoned == "expired")),
    "heartbeat-interval": Proof("0.1s", _has(lambda one: one.name == "process.heartbeat", 4)),
    "stall-after": Proof("0.01s", _has(lambda one: one.phase == "update")),
    "stall-patterns": Proof({"op*": "0.01s"}, _has(lambda one: one.phase == "update")),
    "owner-grace": Proof("2s", _spied, spy=_REAPER),
    "handle-sigterm": Proof(value=True, observe=_handler),
    "otlp": Proof(value=True, observe=_sent("/v1/traces", ended=True)),
    "otlp-encoding": Proof("same-id", _sent("/v1/traces", ended=False), _QUICK),
    "otlp-spans": Proof("never", _sent("/v1/traces", ended=True), _OTLP),
    "otlp-ends-only": Proof(
        value=True, observe=_sent("/v1/logs", b"open.start", ended=False), beside=_OTLP
    ),
    "otlp-grace": Proof(0, _spied, _OTLP, ("otel_ext.exporters.delivery.remote_queue", "Batcher")),
    "otlp-queue-size": Proof(7, _spied, _OTLP, _LIMITS),
    "otlp-queue-bytes": Proof("1 MiB", _spied, _OTLP, _LIMITS),
    "otlp-exit-timeout": Proof("5s", _seconds, _OTLP),
    "persistent-queue": Proof(value=False, observe=_persisted, beside=_OTLP),
    "persistent-queue-size": Proof("1 MiB", _spied, _OTLP, _STORE),
    "retry-failures": Proof(7, _opens_after(3), _OTLP, _BREAKER),
    "retry-initial-interval": Proof("7s", _pauses(1, 3.0), _OTLP, _BREAKER),
    "retry-max-interval": Proof("7m", _pauses(20, 100.0), _OTLP, _BREAKER),
    "redact": Proof("off", _line(**_SECRET)),
    "redact-keys": Proof("color", _line(color="red")),
    "redact-values": Proof("zebra-[0-9]+", _line(text="a zebra-77")),
    "redact-allow": Proof("password", _line(**_SECRET)),
    "redact-hmac-key": Proof("0123456789abcdef", _line(**_SECRET)),
    "redact-scan-limit": Proof("1 KiB", _line(text="password=x " + "y" * 4_000)),
}
"""The proof of each setting's effect."""
