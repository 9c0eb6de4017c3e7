"""OTLP over gRPC: what calls may cost in time and memory."""

# grpc has no types.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownMemberType=false
# pyright: reportUnknownLambdaType=false

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc  # type: ignore[import-untyped]
import pytest

from benchmarks.servers import memory_bytes
from otel_ext.server import grpc_calls
from otel_ext.server.grpc_calls import MessageReader
from otel_ext.server.security.limits import ServerLimits
from otel_ext.settings.units import KIB, MIB
from tests.programs import free_port, wait_until
from tests.server.http.half_sent import half_sent, is_ended
from tests.server.http.running import Running, command_started, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

TRACES: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
# Not protobuf; it is so large that each that is kept is noticed.
MALFORMED: Final = b"\xff" * (8 * MIB - KIB)
# One message is received at once, and four calls may wait.
NARROW: Final = ServerLimits(
    wire_bytes=MIB, inflated_bytes=MIB, in_flight_bytes=MIB, connections=4, body_seconds=600.0
)


@contextmanager
def exporting(running: Running) -> Generator[Callable[..., bytes]]:
    """Yield what calls the method for traces."""
    with grpc.insecure_channel(running.grpc) as channel:
        yield channel.unary_unary(TRACES)


def refusal(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    """Return the status with which a call is refused."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value.code(), str(raised.value.details())


def refusal_of_nothing_sent(channel: grpc.Channel) -> tuple[grpc.StatusCode, str]:
    """Return the status with which a call is refused whose message is never sent."""
    end = threading.Event()

    def never() -> Iterator[bytes]:
        end.wait()
        yield from ()

    try:
        return refusal(lambda: channel.stream_unary(TRACES)(never(), timeout=20))
    finally:
        end.set()


def served(export: Callable[..., bytes]) -> bool:
    """Whether a call without records succeeds."""
    try:
        return export(b"", timeout=20) == b""
    except grpc.RpcError:
        return False


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_refused_messages_are_freed(tmp_path: Path, compression: grpc.Compression) -> None:
    """Malformed messages leave nothing behind in memory, compressed or not."""
    ports = (free_port(), free_port(), free_port())
    with (
        command_started(tmp_path / "records", ports) as (running, process),
        exporting(running) as export,
    ):
        export(b"", timeout=20)
        before = memory_bytes(process.pid, "VmRSS")
        for _ in range(30):
            code, _ = refusal(lambda: export(MALFORMED, compression=compression, timeout=20))
            assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert memory_bytes(process.pid, "VmRSS") - before < 64 * MIB


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_many_messages_at_once(tmp_path: Path) -> None:
    """Many small messages that become large are not all in memory at once."""
    ports = (free_port(), free_port(), free_port())
    packed = grpc.Compression.Gzip
    body = b"\xff" * (8 * MIB)  # 60 of them are 480 MiB
    with (
        command_started(tmp_path / "records", ports) as (running, process),
        grpc.insecure_channel(running.grpc) as channel,
    ):
        export = channel.unary_unary(TRACES)
        calls = [export.future(body, compression=packed, timeout=60) for _ in range(60)]
        codes = {call.code() for call in calls}
        assert codes <= {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE}
        assert served(export)
        assert memory_bytes(process.pid) < 256 * MIB


def test_a_token_is_checked_first(tmp_path: Path) -> None:
    """A call without the token is refused, although its message is never sent."""
    with (
        serving(tmp_path, token="a-token-of-the-tests-0123") as running,  # noqa: S106
        grpc.insecure_channel(running.grpc) as channel,
    ):
        code, details = refusal_of_nothing_sent(channel)
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert "authorization: Bearer TOKEN" in details


def test_a_late_message(tmp_path: Path) -> None:
    """A message that does not arrive in time is DEADLINE_EXCEEDED; the server goes on."""
    with (
        serving(tmp_path, limits=ServerLimits(body_seconds=0.2)) as running,
        grpc.insecure_channel(running.grpc) as channel,
    ):
        code, details = refusal_of_nothing_sent(channel)
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert details.startswith("The message has not arrived in time. Send it within 0.2 s")
        assert channel.unary_unary(TRACES)(b"", timeout=20) == b""


def test_half_sent_messages_do_not_keep_out_others(tmp_path: Path) -> None:
    """While others wait, half a message is given up sooner; they are served meanwhile."""
    limits = ServerLimits(body_seconds=25.0)
    with serving(tmp_path, limits=limits) as running, ExitStack() as stack:
        halves = [
            stack.enter_context(half_sent(running.grpc, TRACES, length=MIB, sent=10 * KIB))
            for _ in range(12)
        ]
        with exporting(running) as export:
            assert export(b"", timeout=20) == b""
        assert is_ended(halves[0])


def test_too_many_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While no more may wait, calls are refused to be sent again; who leaves makes room."""
    monkeypatch.setattr(grpc_calls, "_GRACE_SECONDS", 600.0)
    come: list[MessageReader] = []
    received: list[MessageReader] = []
    enter = MessageReader._enter  # noqa: SLF001 - nothing else tells that a call waits

    async def noted(reader: MessageReader) -> None:
        come.append(reader)
        await enter(reader)
        received.append(reader)

    monkeypatch.setattr(MessageReader, "_enter", noted)
    with (
        serving(tmp_path, limits=NARROW) as running,
        grpc.insecure_channel(running.grpc) as channel,
    ):
        export = channel.unary_unary(TRACES)
        with ExitStack() as stack:

            def send_half() -> None:
                stack.enter_context(half_sent(running.grpc, TRACES, length=KIB, sent=KIB // 2))

            send_half()
            wait_until(lambda: received, "the first is received")
            for _ in range(NARROW.connections):
                send_half()
            wait_until(lambda: len(come) == 1 + NARROW.connections, "the others wait")
            code, details = refusal(lambda: export(b"", timeout=20))
            assert code is grpc.StatusCode.UNAVAILABLE
            assert "too many requests at once" in details
        wait_until(lambda: served(export), "those who left have made room")


def test_a_broken_gzip_message(tmp_path: Path) -> None:
    """A message that begins as gzip and is not is refused."""
    with serving(tmp_path) as running, exporting(running) as export:
        code, details = refusal(lambda: export(b"\x1f\x8bno", timeout=20))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "gzip" in details


def test_a_compression_that_is_not_taken(tmp_path: Path) -> None:
    """Deflate, which OTLP does not have, is refused by name."""
    with serving(tmp_path) as running, exporting(running) as export:
        packed = grpc.Compression.Deflate
        code, _ = refusal(lambda: export(bytes(MIB), compression=packed, timeout=20))
    assert code is grpc.StatusCode.UNIMPLEMENTED
