"""Clients that hold connections, or send what is not a request, keep no others out."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from otel_ext.server.security.connections import ConnectionLimit, ReaderWatch
from otel_ext.server.security.limits import ServerLimits
from tests.programs import wait_until
from tests.server.security.routes import LARGE
from tests.server.security.served import Answer, Server, everything, one_answer, served

if TYPE_CHECKING:
    from collections.abc import Generator

# Short times, so that the tests are quick.
QUICK = ServerLimits(header_seconds=0.3, write_seconds=0.4, linger_seconds=0.2)


@pytest.fixture(scope="module", name="server")
def _server() -> Generator[Server]:
    with served(limits=QUICK) as server:
        yield server


def is_closed(connection: socket.socket) -> bool:
    """Return whether the other side has closed a connection that does not block."""
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize(
    ("begin", "status"),
    [
        ("", 0),
        ("\r\n", 0),
        ("GET", 408),
        ("GET / HTTP/1.1\r\n", 408),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1", 408),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX: ", 408),
    ],
)
def test_headers_must_arrive_in_time(server: Server, begin: str, status: int) -> None:
    """A client that stops in the middle is answered 408; one that says nothing is closed."""
    before = server.counters.value("server.late.header")
    with server.connect() as client:
        client.sendall(begin.replace("{port}", str(server.port)).encode())
        assert server.ask("GET /data").status == 200
        assert Answer(everything(client)).status == status
    assert server.counters.value("server.late.header") == before + 1


@pytest.mark.parametrize("drop", [b"x", b"\r\n", b"X: y\r\n"])
def test_slow_headers_do_not_extend_their_time(server: Server, drop: bytes) -> None:
    """However a client goes on sending, its time for the headers is the same: slowloris."""
    with server.connect() as client:
        client.settimeout(0.02)
        client.sendall(b"GET / HTTP/1.1\r\n" if drop != b"\r\n" else b"")
        received = b""
        try:
            while True:
                client.sendall(drop)
                try:
                    part = client.recv(65_536)
                except TimeoutError:
                    continue
                if not part:
                    break
                received += part
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert received.startswith(b"HTTP/1.1 408 ") or drop == b"\r\n"


@pytest.mark.parametrize("begin", ["\r\n", "G", "GET / HTTP/1.1\r\nX: "])
def test_the_second_headers_must_arrive_in_time_too(server: Server, begin: str) -> None:
    """A connection that has had a request gets no more time for the next."""
    with server.connect() as client:
        client.sendall(server.request("GET /data"))
        assert one_answer(client).status == 200
        client.sendall(begin.encode())
        assert Answer(everything(client)).status in {0, 408}


def test_late_headers_behind_a_stream_end_it(server: Server) -> None:
    """The next request cannot be answered into the answer of the first."""
    with server.connect() as client:
        client.sendall(server.request("GET /stream") + b"GET ")
        assert b"HTTP/1.1 408" not in everything(client)


def test_an_event_stream_stays_open(server: Server) -> None:
    """The time for headers is over, and the connection has its request: it is not closed."""
    with server.connect() as stream, server.connect() as late:
        stream.sendall(server.request("GET /stream"))
        assert stream.recv(65_536).startswith(b"HTTP/1.1 200 ")
        late.sendall(b"GET")
        assert Answer(everything(late)).status == 408
        stream.settimeout(0)
        assert not is_closed(stream)


def test_an_idle_connection_is_closed() -> None:
    """It may be idle for longer than headers may take, and is closed after that."""
    limits = ServerLimits(header_seconds=0.1, keep_alive_seconds=1)
    with served(limits=limits) as server, server.connect() as client, server.connect() as late:
        client.sendall(server.request("GET /data"))
        assert one_answer(client).status == 200
        late.sendall(b"GET")
        assert Answer(everything(late)).status == 408
        client.sendall(server.request("GET /data"))
        assert one_answer(client).status == 200
        assert everything(client) == b""


def test_a_client_that_reads_nothing_is_given_up(server: Server) -> None:
    """An answer that waits for its reader holds memory; others are answered meanwhile."""
    before = server.counters.value("server.late.reader")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30)
        client.connect(("127.0.0.1", server.port))
        client.sendall(server.request("GET /large"))
        assert server.ask("GET /data").status == 200
        wait_until(
            lambda: server.counters.value("server.late.reader") == before + 1, "it is given up"
        )
        assert len(everything(client)) < LARGE


def test_a_client_that_reads_slowly_is_not_given_up() -> None:
    """A byte now and then is enough, also while the server adds to what waits."""
    watch = ReaderWatch(30.0, now=0.0)
    unsent = [1_000, 999, 999, 998, 2_000, 1_999, 0, 0, 500]
    assert not any(watch.has_stopped(one, now=20.0 * at) for at, one in enumerate(unsent, 1))
    assert not watch.has_stopped(500, now=189.0)
    assert watch.has_stopped(500, now=190.0)
    watch.note_read(now=190.0)
    assert not watch.has_stopped(501, now=219.0)
    assert watch.has_stopped(502, now=220.0)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 70_000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 40_000,
        b"GET / HTTP/1.1\r\n" + b"x" * 1_000_000,
        b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000_000,
        b"\r\n" * 500_000,
    ],
)
def test_headers_have_a_limit(server: Server, head: bytes) -> None:
    """A long line, many short headers, a long one, or nothing at all without end."""
    before = server.counters.value("server.refused.header")
    assert server.send(head).status == 431
    assert server.counters.value("server.refused.header") == before + 1


def test_headers_within_the_limit_are_taken(server: Server) -> None:
    """60 KiB are, in one header or in many, and in small pieces."""
    assert server.ask("GET /data", f"X: {'x' * 60_000}").status == 200
    assert (
        server.ask("GET /data", *[f"X{number}: {'x' * 60}" for number in range(900)]).status == 200
    )
    with server.connect() as client:
        for piece in server.request("GET /data", "X: y").splitlines(keepends=True):
            client.sendall(piece)
        assert one_answer(client).status == 200


@pytest.mark.parametrize(
    "rest",
    [
        b"1;" + b"x" * 1_000_000,  # an extension of a chunk
        b"1\r\na\r\n0\r\nX: " + b"x" * 1_000_000,  # a trailer
        b"1\r\na\r\n0\r\n" + b"X: y\r\n" * 40_000,  # many of them
    ],
)
def test_what_is_around_a_body_has_the_limit_too(server: Server, rest: bytes) -> None:
    """A body in chunks can carry more than the body."""
    before = server.counters.value("server.refused.header")
    head = server.request("POST /take", "Content-Type: a/json", "Transfer-Encoding: chunked")
    received = server.send(head + rest)
    assert received.status in {0, 415, 431}
    assert server.counters.value("server.refused.header") == before + 1


def test_small_chunks_are_a_body(server: Server) -> None:
    """Each byte in a chunk of its own is wasteful, but a body."""
    chunks = "1\r\n \r\n" * 50_000 + "2\r\n{}\r\n0\r\n\r\n"
    answer = server.ask(
        "POST /take",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
        body=chunks,
    )
    assert answer.body == b'{"size":50002,"type":"application/json"}'


def test_trailers_do_not_become_headers(server: Server) -> None:
    """What follows a body is dropped: it was not there when the request was checked."""
    answer = server.ask(
        "POST /take",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
        body="2\r\n{}\r\n0\r\nHost: evil.example\r\n\r\n",
    )
    assert answer.status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_not_a_request_is_answered_so(
    server: Server, data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also what two servers could understand in two ways: request smuggling."""
    answer = server.send(data)
    assert answer.status == 400
    assert answer.body.startswith(b'{"error":{"message":"')
    assert capfd.readouterr() == ("", "")
    assert server.ask("GET /data").status == 200


def test_a_malformed_chunk_ends_the_request(server: Server) -> None:
    """The route learns that the client is gone, which is not counted as a failure."""
    before = server.counters.value("server.failed")
    head = server.request(
        "POST /take", "Content-Type: application/json", "Transfer-Encoding: chunked"
    )
    assert server.send(head + b"zzz\r\n").status == 400
    assert server.counters.value("server.failed") == before


def test_requests_one_behind_the_other_are_answered_in_order(server: Server) -> None:
    """A client may send the next before it has read the answer."""
    requests = [server.request(f"GET {path}") for path in ("/data", "/refuse", "/")]
    last = server.request("GET /data", "Connection: close")
    received = bytes(server.send(b"".join([*requests, last])).body)
    assert received.count(b"HTTP/1.1 ") == 3  # after the first
    assert received.endswith(b'{"data":1}')


def test_requests_one_behind_the_other_have_a_limit(server: Server) -> None:
    """Each takes memory before it is answered, so thousands at once are refused."""
    before = server.counters.value("server.refused.request")
    with server.connect() as client:
        client.sendall(server.request("GET /stream"))
        assert client.recv(65_536)
        client.sendall(server.request("GET /data") * 1_000)
        assert b"HTTP/1.1 200" not in everything(client)
    assert server.counters.value("server.refused.request") == before + 1


def test_answers_are_sent_at_once() -> None:
    """No part of an answer waits until the client has confirmed the part before it."""
    with served() as server, server.connect() as client:
        client.sendall(server.request("GET /data"))
        assert one_answer(client).status == 200
        (connection,) = server.connections()
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_new_connection_replaces_one_that_waits() -> None:
    """Connections without a request are closed for a new one, the longest waiting first."""
    with served(limits=ServerLimits(connections=4)) as server, ExitStack() as held:
        silent = [held.enter_context(server.connect()) for _ in range(4)]
        wait_until(lambda: server.ask("GET /data").status == 200, "a request is answered")
        assert everything(silent[0]) == b""
        assert server.counters.value("server.closed.idle") >= 1


def test_any_number_of_silent_clients_keeps_no_other_out() -> None:
    """Each request is answered at once, with far more of them than the limit."""
    with served(limits=ServerLimits(connections=4)) as server, ExitStack() as held:
        for _ in range(40):
            held.enter_context(server.connect()).sendall(b"GET / HTTP/1.1\r\n")
            assert server.ask("GET /health").status == 200
        assert server.counters.value("server.refused.connection") == 0


def test_with_a_request_on_each_connection_others_are_refused() -> None:
    """503 with a time; a request that is answered is never broken off for a new one."""
    with served(limits=ServerLimits(connections=3)) as server, ExitStack() as held:
        streams = [held.enter_context(server.connect()) for _ in range(3)]
        for stream in streams:
            stream.sendall(server.request("GET /stream"))
            assert stream.recv(65_536)
        refused = server.ask("GET /data")
        assert (refused.status, refused.header("retry-after")) == (503, "1")
        assert refused.header("cache-control") == "no-store"
        with_body = server.ask(
            "POST /take", "Content-Type: application/json", "Content-Length: 2", body="{}"
        )
        assert with_body.status == 503
        streams[0].close()
        wait_until(lambda: server.ask("GET /data").status == 200, "there is room again")


@dataclass(eq=False)
class Held:
    """A connection of a test."""

    waiting_since: float | None
    is_evicted: bool = False

    def evict(self) -> None:
        """Note it."""
        self.is_evicted = True


def test_the_longest_waiting_goes_first() -> None:
    """Not the first one that came, and never one with a request."""
    limit = ConnectionLimit(4)
    waiting = [Held(3.0), Held(1.0), Held(None), Held(2.0)]
    assert all(limit.add(one) for one in [*waiting, Held(4.0), Held(5.0)])
    assert [one.is_evicted for one in waiting] == [False, True, False, True]


def test_the_limit_is_kept() -> None:
    """Whatever is added, at most one connection is over the limit, the next one's victim."""
    limit = ConnectionLimit(3)
    busy = [Held(None) for _ in range(3)]
    assert all(limit.add(one) for one in busy)
    over = Held(5.0)
    assert not limit.add(over)
    assert not limit.add(Held(6.0))
    assert over.is_evicted
    assert len(limit) == 4
    busy[0].waiting_since = 7.0
    assert limit.add(Held(8.0))
    assert busy[0].is_evicted
    assert not busy[1].is_evicted
    assert len(limit) == 3
    for one in busy:
        limit.remove(one)
    assert len(limit) == 1
