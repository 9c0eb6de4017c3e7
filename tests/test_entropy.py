"""Ids come from the system's entropy: they never repeat, whatever seed a program sets."""

from __future__ import annotations

import os
import random
import textwrap
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.resources import Resource

from otel_ext.setup.adoption import AdoptingTracerProvider
from otel_ext.setup.ids import EntropyIdGenerator
from tests.programs import python, recorded, spans_in, succeed

if TYPE_CHECKING:
    from pathlib import Path


def test_seeding_random_does_not_repeat_ids() -> None:
    """Two providers, used after the same seed, generate different trace and span ids."""
    seen: set[int] = set()
    for _ in range(2):
        random.seed(42)
        provider = AdoptingTracerProvider(Resource({}))
        context = provider.get_tracer("test").start_span("work").get_span_context()
        seen |= {context.trace_id, context.span_id}
    assert len(seen) == 4


def test_an_id_is_never_the_invalid_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the random bytes are all 0, the generator draws again."""
    drawn = iter([bytes(8), b"\0" * 7 + b"\5", bytes(16), b"\7" + bytes(15)])

    def draw(_: int) -> bytes:
        return next(drawn)

    monkeypatch.setattr(os, "urandom", draw)
    generator = EntropyIdGenerator()
    assert (generator.generate_span_id(), generator.generate_trace_id()) == (5, 7 << 120)


def test_a_system_without_entropy_still_has_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the system's random source does not reach the program."""

    def refuse(_: int) -> bytes:
        raise OSError("no random device")

    monkeypatch.setattr(os, "urandom", refuse)
    assert EntropyIdGenerator().generate_trace_id() > 0


FORKED_IN_C = """\
import ctypes, json, os, sys
from otel_ext.setup.ids import EntropyIdGenerator
generator = EntropyIdGenerator()
generator.generate_span_id()
reading, writing = os.pipe()
child = ctypes.PyDLL(None).fork()  # Python's own hooks do not run
ids = [generator.generate_span_id() for _ in range(50)]
os.write(writing, (json.dumps(ids) + "\\n").encode())
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
sys.stdout.write(os.read(reading, 100_000).decode())
"""


def test_a_child_forked_in_c_draws_other_ids(tmp_path: Path) -> None:
    """Parent and child share no id, though Python's fork hooks did not run."""
    one, other = succeed(python("-c", FORKED_IN_C), tmp_path).documents
    assert len({*one, *other}) == 100


SEEDED = textwrap.dedent("""\
    import random, sys
    from opentelemetry import trace
    if len(sys.argv) > 1:
        import otel_ext
        otel_ext.configure(output=sys.argv[1], console="off")
    random.seed(42)
    with trace.get_tracer("train").start_as_current_span("epoch"):
        assert random.getrandbits(32) == 2746317213  # the program's random numbers are unchanged
    """)


@pytest.mark.parametrize("way", ["configure", "otel-ext run"])
def test_seeded_processes_have_different_traces(way: str, tmp_path: Path) -> None:
    """Processes with the same seed have different traces, and `random` is not affected."""
    traces = tmp_path / "traces"
    for _ in range(2):
        if way == "configure":
            command = python("-c", SEEDED, traces)
        else:
            command = recorded(traces, *python("-c", SEEDED))
        succeed(command, tmp_path)
    assert len({span.trace_id for span in spans_in(traces, "epoch")}) == 2
