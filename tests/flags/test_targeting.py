"""The targeting key of a trace, and what is recorded on its spans."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openfeature import api
from openfeature.evaluation_context import (  # pyright: ignore[reportMissingTypeStubs]
    EvaluationContext,
)
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagType, Reason
from openfeature.hook import Hook, HookContext  # pyright: ignore[reportMissingTypeStubs]
from openfeature.provider.in_memory_provider import (  # pyright: ignore[reportMissingTypeStubs]
    InMemoryFlag,
    InMemoryProvider,
)
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach

from otel_ext.flags import FileProvider, SpanHook, TargetingHook, context, targeting_key, use_flags
from otel_ext.flags.remembered import FirstOutcomes
from tests.flags.files import in_trace, staged, write_flags
from tests.global_provider import recording_globally
from tests.threads import on_thread

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from openfeature.client import OpenFeatureClient
    from openfeature.hook import HookHints  # pyright: ignore[reportMissingTypeStubs]

    from otel_ext.record.model import Record

DOMAIN = "flags-test"


@pytest.fixture(autouse=True)
def openfeature_as_it_was() -> Generator[None]:
    """Remove the providers and hooks that a test has set."""
    yield
    api.clear_providers()
    api.clear_hooks()


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> FileProvider:
    """Return a provider of a flag that half of the traces are in."""
    path = tmp_path_factory.mktemp("flags") / "half.json"
    return FileProvider(write_flags(path, {"search": staged(4)}))


def events_of(record: Record) -> list[Mapping[str, object]]:
    """Return the attributes of the evaluations on a span."""
    return [one.attributes for one in record.events if one.name == "feature_flag.evaluation"]


def value(provider: FileProvider, given_context: EvaluationContext | None = None) -> bool:
    """Evaluate the flag here."""
    return provider.resolve_boolean_details("search", False, given_context).value  # noqa: FBT003


@given(st.integers(1, (1 << 128) - 1), st.lists(st.integers(1, (1 << 64) - 1), min_size=2))
def test_a_trace_never_has_two_variants(
    half: FileProvider, trace_id: int, span_ids: list[int]
) -> None:
    """In all its spans, processes (which know only the ids) and threads."""
    found: list[bool] = []

    def evaluate() -> None:
        for span_id in span_ids:
            with in_trace(trace_id, span_id):
                found.append(value(half))

    evaluate()
    on_thread(evaluate)
    assert len(set(found)) == 1


@given(st.text(min_size=1), st.lists(st.integers(1, (1 << 128) - 1), min_size=2))
def test_one_entry_of_the_baggage_is_one_variant(
    half: FileProvider, entry: str, trace_ids: list[int]
) -> None:
    """In all traces that begin with it, whatever it is."""
    half._first = FirstOutcomes()  # noqa: SLF001 - the traces are new
    token = attach(baggage.set_baggage("otel_ext.flags.key", entry))
    try:
        found: set[bool] = set()
        for trace_id in trace_ids:
            with in_trace(trace_id):
                found.add(value(half))
    finally:
        detach(token)
    assert len(found) == 1


def test_what_the_key_is(half: FileProvider) -> None:
    """The caller's, else the baggage's, else the trace's, else none."""
    assert targeting_key() == ""
    assert context().targeting_key is None
    with in_trace(0xABC):
        assert targeting_key() == f"{0xABC:032x}"
        token = attach(baggage.set_baggage("user", "u1"))
        try:
            assert targeting_key("user") == "u1"
            assert context("user", plan="free") == EvaluationContext("u1", {"plan": "free"})
            assert targeting_key() == f"{0xABC:032x}"
        finally:
            detach(token)
        details = half.resolve_boolean_details("search", False, EvaluationContext("mine"))  # noqa: FBT003
        assert details.flag_metadata["contextId"] == "mine"
    for odd in ("", 5, None, ["x"]):
        token = attach(baggage.set_baggage("otel_ext.flags.key", odd))
        try:
            assert targeting_key() == ""
        finally:
            detach(token)


def test_an_evaluation_is_recorded_on_its_span(tmp_path: Path) -> None:
    """By the semantic conventions, once for each outcome on a span."""
    path = write_flags(
        tmp_path / "flags.json",
        {"search": {**staged(5), "metadata": {"version": "7", "otel_ext.stage": 5}}},
        metadata={"flagSetId": "shop"},
    )
    client = use_flags(path, domain=DOMAIN)
    with recording_globally() as capture:
        tracer = trace.get_tracer("test")
        for _ in range(2):
            with tracer.start_as_current_span("work"):
                for _ in range(1_000):
                    assert client.get_boolean_value("search", False)  # noqa: FBT003
                client.get_string_value("search", "no text")
                client.get_string_value("absent", "none")
                client.get_object_value("absent-too", {})
        ends = [one for one in capture.records if one.phase == "end"]
    assert len(ends) == 2
    for end in ends:
        on, mismatch, absent, hidden = events_of(end)
        assert on == {
            "feature_flag.key": "search",
            "feature_flag.result.reason": "static",
            "feature_flag.result.variant": "on",
            "feature_flag.provider.name": "otel_ext",
            "feature_flag.context.id": end.trace_id,
            "feature_flag.set.id": "shop",
            "feature_flag.version": "7",
        }
        assert mismatch["error.type"] == "type_mismatch"
        assert absent["error.type"] == "flag_not_found"
        assert absent["feature_flag.result.value"] == "none"
        assert "has no flag 'absent'" in str(absent["feature_flag.error.message"])
        assert "feature_flag.result.value" not in hidden


def test_outcomes_on_a_span_are_bounded(half: FileProvider) -> None:
    """A span with many flags keeps room for its other events."""
    api.set_provider_and_wait(half, DOMAIN)
    client = api.get_client(DOMAIN)
    with recording_globally() as capture:
        with trace.get_tracer("test").start_as_current_span("work"):
            for number in range(100):
                client.get_boolean_value(f"flag-{number}", False)  # noqa: FBT003
        [end] = [one for one in capture.records if one.phase == "end"]
    assert len(events_of(end)) == 32


def memory_client(*hooks: Hook) -> OpenFeatureClient:
    """Return a client of another provider, whose flag has the key as its variant."""

    def variant(_: InMemoryFlag[bool], given_context: EvaluationContext) -> Any:  # noqa: ANN401
        return flag_details(given_context.targeting_key)

    flag = InMemoryFlag("on", {"on": True}, context_evaluator=variant)
    api.set_provider_and_wait(InMemoryProvider({"search": flag}), DOMAIN)
    api.add_hooks(list(hooks))
    return api.get_client(DOMAIN)


def flag_details(key: str | None) -> Any:  # noqa: ANN401
    """Return a result whose variant is a targeting key."""
    from openfeature.flag_evaluation import FlagResolutionDetails  # noqa: PLC0415

    return FlagResolutionDetails(value=True, variant=key or "none", reason=Reason.SPLIT)


class OwnKey(Hook):
    """A hook of the user that gives a key."""

    def before(self, hook_context: HookContext, hints: HookHints) -> EvaluationContext:
        """Return it."""
        return EvaluationContext("own")


def test_the_hooks_with_another_provider() -> None:
    """The key of the trace, unless the caller or a later hook gives one; recorded."""
    client = memory_client(TargetingHook(), SpanHook())
    assert client.get_boolean_details("search", False).variant == "none"  # noqa: FBT003
    with recording_globally() as capture:
        with trace.get_tracer("test").start_as_current_span("work") as span:
            key = f"{span.get_span_context().trace_id:032x}"
            assert client.get_boolean_details("search", False).variant == key  # noqa: FBT003
            mine = EvaluationContext("mine")
            assert client.get_boolean_details("search", False, mine).variant == "mine"  # noqa: FBT003
            api.add_hooks([OwnKey()])
            assert client.get_boolean_details("search", False).variant == "own"  # noqa: FBT003
        [end] = [one for one in capture.records if one.phase == "end"]
    variants = [one["feature_flag.result.variant"] for one in events_of(end)]
    assert variants == [key, "mine", "own"]


def test_a_hook_of_the_user_chooses_the_key_of_our_provider(tmp_path: Path) -> None:
    """The key that the evaluation had is recorded."""
    client = use_flags(write_flags(tmp_path / "own.json", {"search": staged(4)}), domain=DOMAIN)
    api.add_hooks([OwnKey()])
    with recording_globally() as capture:
        with trace.get_tracer("test").start_as_current_span("work"):
            client.get_boolean_value("search", False)  # noqa: FBT003
        [end] = [one for one in capture.records if one.phase == "end"]
    assert [one["feature_flag.context.id"] for one in events_of(end)] == ["own"]


def test_hooks_that_fail_do_no_harm(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """They are reported, and the evaluation goes on."""

    def refuse(*_: object) -> str:
        raise RuntimeError("broken propagator")

    monkeypatch.setattr("otel_ext.flags.hooks.targeting_key", refuse)
    monkeypatch.setattr("otel_ext.flags.provider.targeting_key", refuse)
    assert FileProvider("missing.json", enforced=["x"]).resolve_boolean_details("x", False).value  # noqa: FBT003
    client = memory_client(TargetingHook())
    assert client.get_boolean_value("search", False) is True  # noqa: FBT003
    monkeypatch.setattr(trace, "get_current_span", refuse)
    hook_context = HookContext(
        "search", FlagType.BOOLEAN, default_value=False, evaluation_context=EvaluationContext()
    )
    SpanHook().finally_after(hook_context, FlagEvaluationDetails("search", value=True), {})
    errors = capfd.readouterr().err
    assert "a flag is evaluated without a targeting key: RuntimeError" in errors
    assert "the evaluation of a flag is not recorded: RuntimeError" in errors


def test_a_span_of_another_sdk() -> None:
    """One that has no hash gets each evaluation."""

    class Unhashable(trace.NonRecordingSpan):
        __hash__ = None  # type: ignore[assignment]
        added = 0

        def __eq__(self, other: object) -> bool:
            return self is other

        def is_recording(self) -> bool:
            return True

        def add_event(self, *_: object, **__: object) -> None:
            self.added += 1

    span = Unhashable(trace.INVALID_SPAN_CONTEXT)
    client = memory_client(SpanHook())
    with trace.use_span(span):
        client.get_boolean_value("search", False)  # noqa: FBT003
        client.get_boolean_value("search", False)  # noqa: FBT003
    assert span.added == 2


def test_the_asynchronous_client(tmp_path: Path) -> None:
    """Has the same flags and the same key."""
    client = use_flags(write_flags(tmp_path / "async.json", {"search": staged(5)}), domain=DOMAIN)
    assert asyncio.run(client.get_boolean_value_async("search", False))  # noqa: FBT003
