"""`BudgetSampler` keeps to its budget, and decides alike in each process."""

from __future__ import annotations

import random
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, ParentBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceState, set_span_in_context

from otel_ext.errors import ConfigError
from otel_ext.monitor import BudgetSampler, budget_sampler
from tests.monitor.monitored import Clock

if TYPE_CHECKING:
    from types import FrameType


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The sampler's clock."""
    clock = Clock()
    monkeypatch.setattr(budget_sampler, "monotonic", clock)
    return clock


def sampled(sampler: BudgetSampler, ids: list[int]) -> list[int]:
    """Return the ids that are sampled."""
    kept = Decision.RECORD_AND_SAMPLE
    return [one for one in ids if sampler.should_sample(None, one, "job").decision is kept]


def test_a_quiet_program_keeps_all(clock: Clock) -> None:
    """As long as the rate is within the budget."""
    sampler, rng = BudgetSampler(per_second=20), random.Random(1)
    for _ in range(10):
        ids = [rng.getrandbits(128) for _ in range(15)]
        assert sampled(sampler, ids) == ids
        clock.now += 1
    assert sampler.ratio == 1.0


def test_a_busy_program_keeps_to_the_budget(clock: Clock) -> None:
    """From the first second on; later ones are spread over the second."""
    sampler, rng = BudgetSampler(per_second=20), random.Random(2)
    numbers: list[int] = []
    for _ in range(20):
        numbers.append(len(sampled(sampler, [rng.getrandbits(128) for _ in range(2_000)])))
        clock.now += 1
    assert max(numbers) <= 20
    assert sum(numbers[5:]) / 15 >= 15
    assert sampler.ratio == pytest.approx(0.01, rel=0.01)
    clock.now += 60
    sampler.should_sample(None, 1, "job")
    assert sampler.ratio == 1.0


def test_a_budget_below_one_a_second(clock: Clock) -> None:
    """One in ten seconds."""
    sampler, rng = BudgetSampler(per_second=0.1), random.Random(3)
    number = 0
    for _ in range(1_000):
        number += len(sampled(sampler, [rng.getrandbits(128) for _ in range(50)]))
        clock.now += 1
    assert 99 <= number <= 101


@pytest.mark.parametrize("per_second", [0.4, 1.5, 2.5, 20])
@pytest.mark.parametrize("seed", range(3))
def test_a_fractional_budget_is_used_up(clock: Clock, per_second: float, seed: int) -> None:
    """A thousand traces a second: the average is the budget, and never more with a burst."""
    sampler, rng = BudgetSampler(per_second), random.Random(seed)
    begun = clock.now
    moments: list[float] = []
    for number in range(60_000):
        clock.now = begun + number / 1_000
        moments += [clock.now for _ in sampled(sampler, [rng.getrandbits(128)])]
    assert len(moments) / 60 == pytest.approx(per_second, rel=0.05)
    burst = max(per_second, 5)
    for first, since in enumerate(moments):
        for number, until in enumerate(moments[first:], 1):
            assert number <= per_second * (until - since) + burst + 1e-6


@pytest.mark.parametrize(("per_second", "rate"), [(0.4, 1), (2.5, 4), (20, 25), (20, 300)])
def test_the_budget_is_used_up_at_any_rate(clock: Clock, per_second: float, rate: float) -> None:
    """Of traces that start at random moments."""
    sampler, rng = BudgetSampler(per_second), random.Random(7)
    begun, number = clock.now, 0
    while clock.now < begun + 600:
        clock.now += rng.expovariate(rate)
        number += len(sampled(sampler, [rng.getrandbits(128)]))
    assert number / 600 == pytest.approx(per_second, rel=0.05)


def test_a_pause_allows_one_burst(clock: Clock) -> None:
    """What was not used for an hour is not used at once."""
    sampler, rng = BudgetSampler(per_second=2.5), random.Random(8)
    for _ in range(3):
        clock.now += 3_600
        assert len(sampled(sampler, [rng.getrandbits(128) for _ in range(100)])) == 5


def test_most_decisions_follow_from_the_id(clock: Clock) -> None:
    """Of a process with the same rate that handles the same traces later, in another order."""
    rng = random.Random(9)
    batches = [[rng.getrandbits(128) for _ in range(200)] for _ in range(30)]
    kept: list[set[int]] = []
    for order in (1, -1):
        sampler, numbers = BudgetSampler(per_second=20), set[int]()
        for batch in batches:
            for one in batch[::order]:
                clock.now += 1 / 200
                numbers.update(sampled(sampler, [one]))
        kept.append(numbers - {*batches[0], *batches[1]})
    assert len(kept[0] & kept[1]) > 0.9 * len(kept[0])


def test_a_trace_of_a_signal_handler(clock: Clock) -> None:
    """It may come while the sampler calculates its ratio; so may one of another thread."""
    sampler = BudgetSampler(per_second=20)
    sampled(sampler, list(range(40)))
    clock.now += 1
    traces = [7]

    def interrupt(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == "_adapt" and traces:
            sampled(sampler, [traces.pop()])

    before = sys.getprofile()
    sys.setprofile(interrupt)
    try:
        sampled(sampler, [8])
    finally:
        sys.setprofile(before)
    assert not traces
    assert sampler.ratio == 0.5


def test_threads_share_the_budget(clock: Clock) -> None:
    """They take no more than there is."""
    sampler, kept = BudgetSampler(per_second=500), list[int]()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda: kept.extend(sampled(sampler, list(range(2_000)))))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(kept) == 500
    clock.now += 1
    assert sampler.should_sample(None, 1, "job").decision is Decision.RECORD_AND_SAMPLE


def test_an_infinite_budget(clock: Clock) -> None:
    """It samples all."""
    sampler = BudgetSampler(per_second=float("inf"))
    for _ in range(3):
        clock.now += 1
        assert sampled(sampler, list(range(100))) == list(range(100))


def test_equal_rates_decide_alike(clock: Clock) -> None:
    """By the trace id alone."""
    one, two, rng = BudgetSampler(per_second=50), BudgetSampler(per_second=50), random.Random(4)
    for _ in range(5):
        ids = [rng.getrandbits(128) for _ in range(60)]
        assert sampled(one, ids) == sampled(two, ids)
        clock.now += 1


@pytest.mark.parametrize("value", [0, -1, float("nan"), "5", None, True])
def test_a_wrong_budget_is_refused(value: Any) -> None:  # noqa: ANN401 - of any type
    """The message names it."""
    with pytest.raises(ConfigError, match="per_second"):
        BudgetSampler(value)


@pytest.mark.parametrize("budget", [1, 1e-9])
def test_the_trace_state_of_a_remote_parent_is_kept(budget: float) -> None:
    """Where the sampler decides about spans with a parent."""
    state = TraceState([("vendor", "1")])
    remote = SpanContext(1, 2, is_remote=True, trace_state=state)
    parent = set_span_in_context(NonRecordingSpan(remote))
    sampler = BudgetSampler(budget)
    for _ in range(2):
        assert sampler.should_sample(parent, 1, "job").trace_state == state


def test_children_follow_their_root() -> None:
    """With the SDK's own sampler around it."""
    sampler = BudgetSampler(per_second=1)
    provider = TracerProvider(sampler=ParentBased(root=sampler), shutdown_on_exit=False)
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("kept") as kept:
        assert kept.is_recording()
        assert tracer.start_span("child").is_recording()
    with tracer.start_as_current_span("dropped") as dropped:
        assert not dropped.is_recording()
        assert not tracer.start_span("child").is_recording()
    assert "1 per second" in sampler.get_description()
