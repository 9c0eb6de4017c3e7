"""Sends prepared bodies to a server, in a process of its own.

As a program: `python -m benchmarks.sending URL MEDIA_TYPE FILE SECONDS [NAME:VALUE ...]`; what
follows are further header fields. Each connection sends its next request when it has the answer
to the one before.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from benchmarks.bodies import read_bodies
from benchmarks.child import python

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.bodies import Body

__all__ = ["CONNECTIONS", "Sent", "send"]

CONNECTIONS: Final = 4
_PAUSE_SECONDS: Final = 0.5


class Sent(NamedTuple):
    """What was sent.

    Attributes:
        records: How many records were acknowledged.
        seconds: From the first request to the last answer.
        busy: How often the server could not take a request, which was then sent again.
    """

    records: int
    seconds: float
    busy: int


def send(
    url: str, media_type: str, bodies: Path, seconds: int, headers: Sequence[str] = ()
) -> Sent:
    """Send bodies until there are no more, or the time is over.

    Args:
        url: Where to.
        media_type: What they are.
        bodies: The file with them.
        seconds: For how long.
        headers: Further fields, as `NAME:VALUE`.

    Raises:
        RuntimeError: The server has refused one of them.
    """
    arguments = [url, media_type, str(bodies), str(seconds), *headers]
    printed = python("-m", "benchmarks.sending", *arguments, timeout=seconds + 120)
    return Sent(*json.loads(printed))


class _Sender:
    """Sends bodies over several connections, which share them.

    Args:
        head: The request up to the size of its body.
        bodies: What to send.
        deadline: When to stop.
    """

    def __init__(self, head: str, bodies: Iterator[Body], deadline: float) -> None:
        self._head = head
        self._bodies = bodies
        self._deadline = deadline
        self.records = self.busy = 0

    async def run(self, host: str, port: int) -> None:
        """Send over one connection."""
        reader, writer = await asyncio.open_connection(host, port)
        for body in self._bodies:
            while not await self._post(reader, writer, body.data):
                self.busy += 1
                await asyncio.sleep(_PAUSE_SECONDS)
            self.records += body.records
            if perf_counter() > self._deadline:
                break
        writer.close()

    async def _post(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes
    ) -> bool:
        """Return whether the server has taken a body; False if it cannot now."""
        writer.write(f"{self._head}content-length: {len(data)}\r\n\r\n".encode())
        writer.write(data)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        answer = await reader.readexactly(int(length[1]) if length else 0)
        status = head[9:12]
        if status in {b"429", b"503"}:
            return False
        if status != b"200":
            raise RuntimeError(f"{head!r} {answer[:500]!r}")
        return True


async def _run(arguments: Sequence[str]) -> Sent:
    url, media_type, path, seconds, *headers = arguments
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    fields = [f"host: {host}:{port}", f"content-type: {media_type}", *headers]
    head = "".join(f"{line}\r\n" for line in (f"POST {parts.path} HTTP/1.1", *fields))
    began = perf_counter()
    with Path(path).open("rb") as file:  # noqa: ASYNC230 - it is in the cache
        sender = _Sender(head, read_bodies(file), began + float(seconds))
        await asyncio.gather(*(sender.run(host, port) for _ in range(CONNECTIONS)))
    return Sent(sender.records, perf_counter() - began, sender.busy)


def main() -> int:
    """Send as the command line says, and print the result as JSON."""
    sys.stdout.write(json.dumps(asyncio.run(_run(sys.argv[1:]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
