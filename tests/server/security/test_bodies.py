"""Request bodies are read within limits of size, time and memory."""

from __future__ import annotations

import asyncio
import gzip
import json
import traceback
from contextlib import ExitStack
from random import Random
from typing import TYPE_CHECKING

import httpx
import pytest

from otel_ext.runtime.counters import Counters
from otel_ext.server.security.answers import RequestError
from otel_ext.server.security.bodies import BodyReader, ByteBudget
from otel_ext.server.security.limits import ServerLimits
from tests.programs import wait_until
from tests.server.security.served import Answer, Server, everything, one_answer, served

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

JSON = "application/json"
EMPTY = gzip.compress(b"{}")
# Small ones, so that the tests are quick.
SMALL = ServerLimits(
    wire_bytes=100_000, inflated_bytes=1_000_000, in_flight_bytes=1_500_000, gzip_members=5
)


@pytest.fixture(scope="module", name="server")
def _server() -> Generator[Server]:
    with served(limits=SMALL) as server:
        yield server


def post(
    server: Server, content: bytes | Iterator[bytes], coding: str = "", media_type: str = JSON
) -> httpx.Response:
    """Send a body with an ordinary client; in chunks if it is an iterator."""
    headers = {"content-type": media_type} | ({"content-encoding": coding} if coding else {})
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        return client.post("/take", content=content, headers=headers)


def message(response: httpx.Response) -> str:
    """Return the message of an error."""
    found: str = response.json()["error"]["message"]
    return found


@pytest.mark.parametrize("size", [0, 1, 50_000, 100_000])
def test_a_body_within_the_limits_is_read(server: Server, size: int) -> None:
    """With its length given, in chunks, compressed or not."""
    data = bytes(size)
    packed = gzip.compress(data)
    plain = [post(server, data), post(server, iter([data[:7], data[7:]]))]
    plain += [post(server, data, "identity"), post(server, packed, "gzip")]
    plain += [post(server, packed, "X-GZIP"), post(server, iter([packed[:9], packed[9:]]), "gzip")]
    assert [one.json() for one in plain] == [{"size": size, "type": JSON}] * len(plain)
    assert server.bodies.budget.used == 0


def test_too_large_a_body_is_refused_before_it_is_read(server: Server) -> None:
    """With its length given it is not even begun; the client sees the answer all the same."""
    refused = post(server, bytes(100_001))
    assert (refused.status_code, message(refused)) == (413, "The body has more than 97.7 KiB")
    huge = server.ask("POST /take", f"Content-Type: {JSON}", f"Content-Length: {10**30}")
    assert huge.status in {400, 413}
    assert server.bodies.budget.used == 0


def test_too_large_a_body_in_chunks_is_refused_at_the_limit(server: Server) -> None:
    """Nothing says how long it is: it is counted, and not kept beyond the limit."""
    random = Random(1).randbytes(150_000)
    parts = (random[place : place + 10_000] for place in range(0, 150_000, 10_000))
    refused = post(server, parts)
    assert (refused.status_code, message(refused)) == (413, "The body has more than 97.7 KiB")
    packed = post(server, iter([gzip.compress(random)]), "gzip")
    assert (packed.status_code, message(packed)) == (413, "The body has more than 97.7 KiB")
    assert server.bodies.budget.used == 0


def test_a_client_that_sends_first_and_reads_then_sees_the_refusal(server: Server) -> None:
    """It would find a broken connection otherwise, and an exporter would send it all again."""
    size = 20_000_000
    for length in (f"Content-Length: {size}", "Transfer-Encoding: chunked"):
        request = server.request("POST /take", f"Content-Type: {JSON}", length)
        chunk = f"{size:x}\r\n".encode() if "chunked" in length else b""
        with server.connect() as client:
            client.sendall(request + chunk + bytes(size))
            assert one_answer(client).status == 413


def test_a_refused_body_is_not_kept_in_memory() -> None:
    """The error does not lead to what was read: it lives until the client has the answer."""
    scope = {"type": "http", "headers": [(b"content-type", JSON.encode())]}
    bodies = BodyReader(Counters(), SMALL)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": bytes(60_000), "more_body": True}

    async def read() -> None:
        async with bodies.read(scope, receive, {JSON}):
            pass

    with pytest.raises(RequestError) as raised:
        asyncio.run(read())
    assert raised.value.__context__ is None
    functions = [entry.name for entry in traceback.extract_tb(raised.value.__traceback__)]
    assert "_collect" not in functions


def test_a_bomb_is_refused_at_the_limit(server: Server) -> None:
    """A small body that inflates to too much is 413, also nested in members."""
    bomb = gzip.compress(bytes(1_000_001))
    assert len(bomb) < 2_000
    refused = post(server, bomb, "gzip")
    assert refused.status_code == 413
    assert message(refused) == "The body has more than 976.6 KiB when decompressed"
    parts = gzip.compress(bytes(300_000)) * 4
    assert post(server, parts, "gzip").status_code == 413
    assert post(server, gzip.compress(bytes(1_000_000)), "gzip").json()["size"] == 1_000_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        EMPTY[:-1],
        EMPTY + b"\0",
        EMPTY * 6,
    ],
    ids=["empty", "plain", "cut off", "followed", "many"],
)
def test_a_body_that_is_not_gzip_is_a_bad_request(server: Server, body: bytes) -> None:
    """Damaged, cut off, with something behind it, or in too many members."""
    refused = post(server, body, "gzip")
    assert refused.status_code == 400
    assert refused.json()["error"].keys() == {"message", "hint"}


@pytest.mark.parametrize("coding", ["deflate", "br", "zstd", "gzip, gzip", "gzip,identity", "zip"])
def test_other_content_codings_are_refused(server: Server, coding: str) -> None:
    """Only gzip, once; the answer says so to clients that read it."""
    refused = post(server, b"{}", coding)
    assert refused.status_code == 415
    assert refused.headers["accept-encoding"] == "gzip"
    twice = server.ask(
        "POST /take", f"Content-Type: {JSON}", *["Content-Encoding: gzip"] * 2, "Content-Length: 0"
    )
    assert twice.status == 415


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "application/jsonp",
        "application/json, text/plain",
        "",
    ],
)
def test_other_media_types_are_refused(server: Server, media_type: str) -> None:
    """What a form of another site could send without being asked is not read."""
    refused = post(server, b"{}", media_type=media_type)
    assert refused.status_code == 415
    assert refused.json()["error"]["hint"] == "Send it as application/json."
    assert server.ask("POST /take", "Content-Length: 0").status == 415


@pytest.mark.parametrize("media_type", ["APPLICATION/JSON", "application/json ; charset=utf-8"])
def test_case_and_parameters_of_the_media_type_do_not_matter(
    server: Server, media_type: str
) -> None:
    """The route gets the type in one form."""
    assert post(server, b"{}", media_type=media_type).json() == {"size": 2, "type": JSON}


def test_a_client_that_sends_slowly_is_given_up() -> None:
    """A body that is not there in time is 408, however it is delayed; others go on."""
    limits = ServerLimits(body_seconds=0.3, linger_seconds=0.1)
    with served(limits=limits) as server, ExitStack() as slow:
        head = server.request("POST /take", f"Content-Type: {JSON}", "Content-Length: 1000")
        chunked = server.request(
            "POST /take", f"Content-Type: {JSON}", "Transfer-Encoding: chunked"
        )
        clients = [slow.enter_context(server.connect()) for _ in range(10)]
        for number, client in enumerate(clients):
            client.sendall((chunked + b"5\r\nabc", head + b"abc", head)[number % 3])
        assert post(server, b"{}").json() == {"size": 2, "type": JSON}
        for client in clients:
            answer = Answer(everything(client))
            assert answer.status == 408
            assert json.loads(answer.body)["error"]["hint"] == "Send it within 0.3 s."
        assert server.counters.value("server.late.body") == 10
        assert server.bodies.budget.used == 0


def test_a_client_that_goes_on_sending_slowly_is_given_up() -> None:
    """Each byte in time does not help: the deadline is for the whole body."""
    limits = ServerLimits(body_seconds=0.3)
    with served(limits=limits) as server, server.connect() as client:
        client.settimeout(0.02)
        client.sendall(
            server.request("POST /take", f"Content-Type: {JSON}", "Content-Length: 1000000")
        )
        received = b""
        while b"\r\n\r\n" not in received:
            client.sendall(b"x")
            try:
                received += client.recv(65_536)
            except TimeoutError:
                continue
        assert Answer(received).status == 408


def test_the_memory_of_all_bodies_is_bounded(server: Server) -> None:
    """What would not fit beside the others is 503 with a time; when they end, it fits."""
    budget = server.bodies.budget
    assert budget.take(1_400_000)
    body = gzip.compress(bytes(200_000))
    refused = post(server, body, "gzip")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["error"]["hint"] == "Try again later."
    budget.give_back(1_400_000)
    assert post(server, body, "gzip").status_code == 200
    assert budget.used == 0


def test_bodies_that_are_on_their_way_count(server: Server) -> None:
    """Half a body holds what has arrived of it, until its client goes away."""
    budget = server.bodies.budget
    head = server.request("POST /take", f"Content-Type: {JSON}", "Content-Length: 90000")
    with ExitStack() as half:
        for _ in range(5):
            half.enter_context(server.connect()).sendall(head + bytes(80_000))
        wait_until(lambda: budget.used == 400_000, "all that was sent counts")
    wait_until(lambda: budget.used == 0, "nothing counts when the clients are gone")


def test_a_client_that_is_gone_is_no_failure(server: Server) -> None:
    """It is not counted as one, and nothing is printed."""
    before = server.counters.value("server.failed")
    with server.connect() as client:
        client.sendall(server.request("POST /take", f"Content-Type: {JSON}", "Content-Length: 9"))
    assert post(server, b"{}").status_code == 200
    assert server.counters.value("server.failed") == before


def test_the_budget_is_counted_exactly() -> None:
    """It is used to the last byte, and what did not fit is not counted."""
    budget = ByteBudget(10)
    assert budget.take(10)
    assert not budget.take(1)
    assert budget.used == 10
    budget.give_back(1)
    assert budget.take(1)


def test_a_body_that_was_read_leaves_the_connection_open(server: Server) -> None:
    """One that was refused unread ends it, after the answer."""
    length = "Content-Length: 2"
    with server.connect() as connection:
        for _ in range(2):
            connection.sendall(
                server.request("POST /take", f"Content-Type: {JSON}", length, body="{}")
            )
            assert one_answer(connection).status == 200
        connection.sendall(server.request("POST /take", "Content-Type: a/b", length, body="{}"))
        answer = Answer(everything(connection))
        assert (answer.status, answer.header("connection")) == (415, "close")


def test_a_body_without_a_reader_does_not_keep_the_connection(server: Server) -> None:
    """An endless body for a route that reads none ends with the answer."""
    with server.connect() as connection:
        connection.sendall(server.request("GET /data", "Transfer-Encoding: chunked"))
        answer = one_answer(connection)
        assert (answer.status, answer.header("connection")) == (200, "close")
        assert answer.body == b'{"data":1}'


def test_a_client_that_asks_first_sends_nothing_in_vain(server: Server) -> None:
    """With `Expect: 100-continue` the refusal comes before the body, or the go-ahead."""
    expect = ("Expect: 100-continue", f"Content-Type: {JSON}")
    with server.connect() as connection:
        connection.sendall(server.request("POST /take", *expect, "Content-Length: 100001"))
        assert one_answer(connection).status == 413
    with server.connect() as connection:
        connection.sendall(server.request("POST /take", *expect, "Content-Length: 2"))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"{}")
        assert one_answer(connection).status == 200
