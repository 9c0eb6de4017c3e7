"""Spans of many tasks and threads at the same time, with random failures and cancellations."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from random import Random
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from tests.context.programs_of_spans import FORMS, OUTCOMES, Model, Node, random_node
from tests.context.tracing import Tracing, tracing
from tests.threads import numbered_threads

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

EAGER = pytest.mark.since(3, 12)
FACTORIES = pytest.mark.parametrize(
    "is_eager", [False, pytest.param(True, marks=EAGER)], ids=["tasks", "eager tasks"]
)


def nodes(children: st.SearchStrategy[tuple[Node, ...]]) -> st.SearchStrategy[Node]:
    """Return spans with these children."""
    booleans = st.booleans()
    return st.builds(
        Node, st.sampled_from(FORMS), st.sampled_from(OUTCOMES), booleans, booleans, children
    )


PROGRAMS = st.recursive(
    nodes(st.just(())), lambda inner: nodes(st.lists(inner, max_size=3).map(tuple)), max_leaves=8
)


async def run_as_tasks(
    model: Model, programs: Sequence[Node], seed: int, *, is_eager: bool, cancels: int
) -> None:
    """Run programs in a task each, cancelling tasks at random, until the last has ended."""
    if is_eager:
        asyncio.get_running_loop().set_task_factory(
            asyncio.eager_task_factory  # type: ignore[attr-defined,unused-ignore]
        )
    random = Random(seed)
    for program in programs:
        model.tasks.append(asyncio.create_task(model.run(program)))
    while not all(task.done() for task in model.tasks):
        await asyncio.sleep(0)
        for _ in range(min(cancels, 5)):
            cancels -= 1
            random.choice(model.tasks).cancel()
    for task in model.tasks:
        error = None if task.cancelled() else task.exception()
        assert error is None or isinstance(error, ValueError), error


@FACTORIES
@given(st.lists(PROGRAMS, min_size=1, max_size=6), st.integers(0, 2**32), st.integers(0, 10))
def test_each_span_of_interleaved_tasks_has_its_parent_and_status(
    is_eager: bool, programs: list[Node], seed: int, cancels: int
) -> None:
    """Whatever tasks do, each span ends with the parent and status that the model has."""
    with tracing(ALWAYS_ON) as traced:
        model = Model()
        asyncio.run(run_as_tasks(model, programs, seed, is_eager=is_eager, cancels=cancels))
        model.check(traced.records)


@FACTORIES
def test_a_thousand_tasks(traced: Tracing, is_eager: bool) -> None:
    """1,000 tasks with failures, children that outlive them, and 300 cancellations."""
    random, model = Random(11), Model()
    programs = [random_node(random) for _ in range(1_000)]
    asyncio.run(run_as_tasks(model, programs, 12, is_eager=is_eager, cancels=300))
    assert len(model.tasks) > 1_000
    model.check(traced.records)


@contextmanager
def switching_often() -> Generator[None]:
    """Let threads take turns every 10 microseconds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def call_each(model: Model, programs: Sequence[Node]) -> None:
    """Run programs one after another, whatever exception one lets through."""
    for program in programs:
        try:
            model.call(program)
        except (ValueError, asyncio.CancelledError):
            assert program.spreads


@given(st.lists(PROGRAMS, min_size=2, max_size=4))
def test_each_span_of_interleaved_threads_has_its_parent_and_status(programs: list[Node]) -> None:
    """Threads that run the same programs at the same time each have their own nesting."""
    with tracing(ALWAYS_ON) as traced, switching_often():
        model = Model()
        numbered_threads(3, lambda _: call_each(model, programs))
        model.check(traced.records)


def test_sixty_four_threads(traced: Tracing) -> None:
    """64 threads, half of them with an event loop, all with failures and cancellations."""
    barrier, models = Barrier(64), [Model() for _ in range(64)]
    whole = Model()

    def work(number: int) -> None:
        random, model = Random(number), models[number]
        programs = [random_node(random) for _ in range(12)]
        barrier.wait(60)
        if number % 2:
            call_each(whole, programs)
        else:
            asyncio.run(run_as_tasks(model, programs, number, is_eager=False, cancels=6))

    with switching_often():
        numbered_threads(64, work)
    for model in models:
        whole.add(model)
    whole.check(traced.records)
