"""Records random spans twice, by the compiled and by the plain code, and compares the lines.

    python fuzz.py [SPANS [SEED]]

Each round starts two programs that make the same spans, from the hook of the SDK to the file:
one with `OTEL_EXT_PURE_PYTHON=1`. What differs between any two processes (their id, numbers of
records, addresses of threads and tasks) is left out. Exits with 1 at the first difference, and
prints how to run that round again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.trace import Span, Tracer

SPANS: Final = 200_000
A_ROUND: Final = 10_000
OPEN_AT_MOST: Final = 30
FLUSH_EVERY: Final = 500
VARIES: Final = re.compile(rb'"(?:seq|process|id)":(?:\d+|"[^"]*")|0x[0-9a-f]{6,}')
WORDS: Final = (
    *("", "GET /orders", 'say "hi"', "back\\slash", "é", "\x00\x1f\x7f\x85", "\u202e", "\ud800"),
    *("𝄞", "__tracer_meta__", "timestamp", "line\nline", "x" * 4_095, "y" * 4_097, "%s {}"),
    *("password", "api_key", "Bearer abcdefghijklmnop", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"),
    *("AKIAIOSFODNN7EXAMPLE", "4111 1111 1111 1111", "https://u:secret@host/?token=abc", "session"),
    *("code.file.path", "code.filepath", "code.line.number", "code.function.name", "/app/a.py"),
)
NUMBERS: Final = (
    *(0, 1, -1, 7, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64, 10**40),
    *(4_111_111_111_111_111, 0.0, -0.0, 0.1, 1e-5, 1e22, 1.5, float("nan"), float("inf")),
)


class OddText(str):
    """A text of a class of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return "shown"


class OddNumber(int):
    """A number of a class of its own."""


def text(rng: Random) -> str:
    """Return a text, mostly a plain one."""
    kind = rng.random()
    if kind < 0.5:
        return f"name {rng.randrange(50)}"
    if kind < 0.9:
        return rng.choice(WORDS)
    return "".join(chr(rng.choice((65, 97, 34, 92, 233, 0x4E2D))) for _ in range(rng.randrange(40)))


def key(rng: Random) -> str:
    """Return a key. Long ones spend the redactor's budget, which counts what it has not cached."""
    return text(rng)[:300]


def value(rng: Random, depth: int = 0) -> object:
    """Return a value of an attribute; lists and dicts contain others."""
    kind = rng.randrange(14)
    if kind < 5:
        return text(rng)
    if kind < 9:
        return rng.choice(NUMBERS)
    if kind < 11 or depth > 5:
        return rng.choice((True, False, None, b"bytes", b"\xff", OddText("hidden"), OddNumber(3)))
    inner = [value(rng, depth + 1) for _ in range(rng.randrange(5))]
    return rng.choice((inner, tuple(inner), {key(rng): one for one in inner}))


def attributes(rng: Random) -> dict[str, Any]:
    """Return the attributes of a span, link or event."""
    return {key(rng): value(rng) for _ in range(rng.choice((0, 1, 2, 4, 4, 4, 9)))}


def moment(rng: Random) -> Any:  # noqa: ANN401 - the SDK takes anything
    """Return a time, mostly a usual one; the clock stands still, so 0 may be used too."""
    usual = 1_700_000_000_000_000_000 + rng.randrange(10**15)
    odd = (0, 1, -5, 2**63 - 1, 2**63, 2**70, 1.5, "noon", True, OddNumber(10**18))
    return usual if rng.random() < 0.85 else rng.choice(odd)


class Maker:
    """Starts, changes and ends spans; the same ones for the same seed."""

    def __init__(self, rng: Random, tracers: list[Tracer]) -> None:
        self.rng = rng
        self.tracers = tracers
        self.opened: list[Span] = []
        self.here = [self._start, self._start_inside, *self._scripts()]

    def _start_inside(self) -> None:
        self._start()

    def _scripts(self) -> Iterator[Callable[[], None]]:
        for name in ("<script>", "/app/orders.py", "/usr/lib/python3/json/decoder.py"):
            names: dict[str, Any] = {"start": self._start}
            exec(compile("def run():\n\n    start()\n", name, "exec"), names)  # noqa: S102 - code of other files
            yield names["run"]

    def _links(self) -> list[Any]:
        from opentelemetry.trace import Link, SpanContext  # noqa: PLC0415 - after the clock

        rng = self.rng
        if rng.random() < 0.8:
            return []
        ids = [(rng.getrandbits(128), rng.getrandbits(64)) for _ in range(rng.randrange(1, 4))]
        ids += [(0, 0)] * rng.randrange(2)
        return [Link(SpanContext(*one, is_remote=True), attributes(rng)) for one in ids]

    def _start(self) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - after the clock

        rng = self.rng
        parent = rng.choice(self.opened) if self.opened and rng.random() < 0.5 else None
        kind: Any = rng.choice((*trace.SpanKind, "odd")) if rng.random() < 0.3 else None
        span = rng.choice(self.tracers).start_span(
            text(rng),
            None if parent is None else trace.set_span_in_context(parent),
            kind or trace.SpanKind.INTERNAL,
            attributes(rng),
            self._links(),
            moment(rng),
        )
        self.opened.append(span)

    def _change(self, span: Any) -> None:  # noqa: ANN401 - also private parts
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - after the clock

        rng = self.rng
        for _ in range(rng.choice((0, 0, 1, 3))):
            span.set_attribute(key(rng), value(rng))
        if rng.random() < 0.2:
            span.add_event(text(rng), attributes(rng), moment(rng))
        if rng.random() < 0.1:
            span.record_exception(ValueError(text(rng)), timestamp=10**18)
        if rng.random() < 0.2:
            span.set_status(Status(rng.choice(tuple(StatusCode)), text(rng)))
        if rng.random() < 0.1:
            span.update_name(rng.choice((text(rng), OddText("odd"), 7, None)))
        if rng.random() < 0.1 and span.is_recording():
            # What no public method stores: the SDK cleans values on their way in.
            span._attributes._dict[key(rng)] = value(rng)  # noqa: SLF001

    def _end(self) -> None:
        span = self.opened.pop(self.rng.randrange(len(self.opened)))
        with suppress(Exception):  # the SDK's own, as for a surrogate; the same in both
            self._change(span)
        span.end(moment(self.rng))

    def step(self) -> None:
        """Start one span; then end some, so that few are open."""
        with suppress(Exception):
            self.rng.choice(self.here)()
        while self.opened and (len(self.opened) > OPEN_AT_MOST or self.rng.random() < 0.5):
            self._end()

    def end_all(self) -> None:
        """End all spans."""
        while self.opened:
            self._end()

    def step_anywhere(self) -> None:
        """Take a step, on this thread, on another one, or in a task."""
        where = self.rng.random()
        if where < 0.97:
            self.step()
        elif where < 0.985:
            thread = threading.Thread(target=self.step, name=text(self.rng)[:200])
            thread.start()
            thread.join()
        else:
            asyncio.run(self._step_in_task())

    async def _step_in_task(self) -> None:
        async def step() -> None:
            self.step()

        await asyncio.create_task(step(), name=text(self.rng)[:200])


def make_spans(folder: str, seed: int, count: int) -> None:
    """Record `count` random spans into a folder."""
    logging.disable()  # the SDK logs what it drops
    time.time_ns = lambda: 1_700_000_000_000_000_000  # before anything takes the function
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415

    from otel_ext.exporters import CompatExporter, JsonlExporter  # noqa: PLC0415
    from otel_ext.exporters.redacting import RedactingExporter  # noqa: PLC0415
    from otel_ext.inflight.settings import InflightSettings  # noqa: PLC0415
    from otel_ext.processors import LifecycleSpanProcessor  # noqa: PLC0415

    rng = Random(seed)

    class Ids(RandomIdGenerator):
        """Ids that depend on the seed."""

        def generate_trace_id(self) -> int:
            return rng.getrandbits(128) or 1

        def generate_span_id(self) -> int:
            return rng.getrandbits(64) or 1

    provider = TracerProvider(
        shutdown_on_exit=False, id_generator=Ids(), span_limits=SpanLimits(max_attributes=64)
    )
    journal = JsonlExporter(folder)
    wrapped: Any = (journal, RedactingExporter(journal), CompatExporter(journal))[seed % 3]
    # When the watch finds a span stalled, or its thread ended, depends on the machine.
    watch = InflightSettings(owner_grace=3_600, stall_after=0)
    processor = LifecycleSpanProcessor(wrapped, inflight=watch)
    provider.add_span_processor(processor)
    tracers = [provider.get_tracer(text(rng), text(rng)) for _ in range(5)]
    maker = Maker(rng, tracers)
    for number in range(count):
        maker.step_anywhere()
        if number % FLUSH_EVERY == 0:
            provider.force_flush()
    maker.end_all()
    provider.shutdown()


def lines_of(seed: int, count: int, *, is_plain: bool) -> set[bytes]:
    """Return the lines that a program of its own writes, without what always differs."""
    with tempfile.TemporaryDirectory() as folder:
        traces = Path(folder, "traces")
        env = {**os.environ, "OTEL_EXT_PURE_PYTHON": "1" if is_plain else ""}
        command = [sys.executable, __file__, "--record", str(traces), str(seed), str(count)]
        subprocess.run(command, env=env, check=True, cwd=folder)
        lines = b"".join(file.read_bytes() for file in traces.glob("*.jsonl")).splitlines()
    spans = (line for line in lines if b'"kind":"span"' in line)
    return {VARIES.sub(b"", line) for line in spans}


def compare(spans: int, seed: int) -> int:
    """Compare rounds of spans; return 1 at the first difference."""
    done = 0
    while done < spans:
        count = min(A_ROUND, spans - done)
        plain = lines_of(seed, count, is_plain=True)
        compiled = lines_of(seed, count, is_plain=False)
        if plain != compiled or len(plain) < count:
            for name, lines in (("plain", plain - compiled), ("compiled", compiled - plain)):
                for line in sorted(lines)[:5]:
                    print(f"only {name}: {line.decode(errors='replace')}")
            print(f"lines: {len(plain)} plain, {len(compiled)} compiled, {count} spans")
            print(f"again: python {__file__} {count} {seed}")
            return 1
        done += count
        report = f"{done:,} of {spans:,} spans, {len(plain):,} lines the same (seed {seed})"
        print(report, flush=True)
        seed += 1
    return 0


def main(arguments: list[str]) -> int:
    """Compare, or record in a program of its own."""
    if arguments[:1] == ["--record"]:
        make_spans(arguments[1], int(arguments[2]), int(arguments[3]))
        return 0
    from otel_ext._accel import why_pure  # noqa: PLC0415 - the recording program sets its clock first

    if why_pure() is not None:
        print(why_pure())
        return 2
    numbers = [int(one) for one in arguments]
    return compare(*numbers, *(SPANS, 1)[len(numbers) :])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
