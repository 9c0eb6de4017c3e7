"""A trace keeps its first outcome for a flag, whatever changes while it is open."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from openfeature.evaluation_context import (  # pyright: ignore[reportMissingTypeStubs]
    EvaluationContext,
)
from opentelemetry import baggage
from opentelemetry.context import attach, detach

from otel_ext.flags import FileProvider, remembered
from otel_ext.flags.stages import at_stage
from tests.flags.files import in_trace, staged, write_flags
from tests.programs import in_child

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TRACES = range(1, 201)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file with a flag at stage 1."""
    return write_flags(tmp_path / "flags.json", {"search": staged(1)})


def change(provider: FileProvider, path: Path, flag: dict[str, Any]) -> None:
    """Replace the flag, and let the provider look."""
    write_flags(path, {"search": flag})
    provider._check()  # noqa: SLF001 - without waiting


def value(provider: FileProvider, key: str | None = None) -> bool:
    """Evaluate the flag here."""
    context = EvaluationContext(key)
    return provider.resolve_boolean_details("search", False, context).value  # noqa: FBT003


def values(provider: FileProvider, traces: Sequence[int] = TRACES) -> list[bool]:
    """Evaluate the flag in traces."""
    found: list[bool] = []
    for trace_id in traces:
        with in_trace(trace_id):
            found.append(value(provider))
    return found


def test_a_raised_stage_is_for_new_traces(path: Path) -> None:
    """Open ones go on as they began; about half of the new ones are in."""
    provider = FileProvider(path)
    before = values(provider)
    for stage in (2, 4):
        change(provider, path, at_stage("search", staged(1), stage))
        assert values(provider) == before
    assert 50 < sum(values(provider, range(1_001, 1_201))) < 150
    assert before != values(FileProvider(path))


def test_baggage_that_comes_within_a_trace(tmp_path: Path) -> None:
    """The trace keeps its outcome, and the key that it came from."""
    provider = FileProvider(write_flags(tmp_path / "half.json", {"search": staged(4)}))
    keys: set[object] = set()
    for trace_id in TRACES:
        with in_trace(trace_id):
            first = value(provider)
            token = attach(baggage.set_baggage("otel_ext.flags.key", f"user-{trace_id}"))
            try:
                found = provider.resolve_boolean_details("search", False)  # noqa: FBT003
            finally:
                detach(token)
        assert found.value is first
        keys.add(found.flag_metadata["contextId"])
    assert keys == {f"{trace_id:032x}" for trace_id in TRACES}


@pytest.mark.parametrize(
    "lower",
    [
        at_stage("search", staged(4), 0),
        {**staged(4), "state": "DISABLED"},
        staged(4, 0, 0, 0, 0, 100),
        {**staged(4), "targeting": {"fractional": [["on", 0], ["off", 100]]}},
    ],
)
def test_going_back_takes_effect_at_once(lower: dict[str, Any], path: Path) -> None:
    """In open traces, too, for safety; later stages are then for new traces."""
    write_flags(path, {"search": staged(4)})
    provider = FileProvider(path)
    before = values(provider)
    assert any(before)
    change(provider, path, lower)
    assert not any(values(provider))
    change(provider, path, staged(5))
    assert all(values(provider))


def test_a_trace_that_went_back_stays_back(path: Path) -> None:
    """Raised again, it goes on as it did after the rollback."""
    write_flags(path, {"search": staged(4)})
    provider = FileProvider(path)
    values(provider)
    change(provider, path, staged(0))
    assert not any(values(provider))
    change(provider, path, staged(4))
    assert not any(values(provider))


def test_what_is_not_remembered(path: Path) -> None:
    """A key of the caller, no trace, and rules of one's own, which ask for other things."""
    provider = FileProvider(path)
    keys = [f"user-{number}" for number in range(100)]
    with in_trace(7):
        assert len({value(FileProvider(path), key) for key in keys}) == 2
        assert not value(provider)
        assert any(value(provider, key) for key in keys)
    assert not value(provider)
    rule = {"if": [{"==": [{"var": "plan"}, "free"]}, "on", "off"]}
    own = {**staged(0), "metadata": {}, "targeting": rule}
    change(provider, path, own)
    with in_trace(8):
        for plan in ("paid", "free"):
            context = EvaluationContext(attributes={"plan": plan})
            found = provider.resolve_boolean_details("search", False, context)  # noqa: FBT003
            assert found.value is (plan == "free")


def test_what_a_caller_changes_is_its_own(path: Path) -> None:
    """The metadata of a result are a copy."""
    provider = FileProvider(path)
    with in_trace(9):
        for _ in range(3):
            found = provider.resolve_boolean_details("search", False)  # noqa: FBT003
            assert "mine" not in found.flag_metadata
            found.flag_metadata["mine"] = True  # type: ignore[index]


def test_outcomes_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were not asked for longest go."""
    monkeypatch.setattr(remembered, "MOST_OUTCOMES", 100)
    provider = FileProvider(path)
    first = values(provider, [1])
    for trace_id in range(2, 500):
        values(provider, [trace_id, 1])
    known = provider._first._known  # noqa: SLF001
    assert {place.trace_id for place in known} == {1, *range(401, 500)}
    change(provider, path, staged(4))
    assert values(provider, [1]) == first


def test_threads_of_one_trace_agree(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the stage is raised, and outcomes are dropped."""
    monkeypatch.setattr(remembered, "MOST_OUTCOMES", 150)
    provider = FileProvider(path)
    found: dict[int, set[bool]] = {trace_id: set() for trace_id in TRACES}
    barrier = threading.Barrier(5)
    errors: list[BaseException] = []

    def evaluate() -> None:
        try:
            for start in range(0, 200, 20):
                barrier.wait(30)
                for trace_id in [*TRACES[start : start + 20]] * 3:
                    with in_trace(trace_id):
                        found[trace_id].add(value(provider))
        except BaseException as error:  # noqa: BLE001 - the test shows it
            errors.append(error)

    threads = [threading.Thread(target=evaluate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for stage in (1, 1, 2, 2, 2, 3, 3, 4, 4, 4):
        barrier.wait(30)
        change(provider, path, staged(stage))
    for thread in threads:
        thread.join()
    assert not errors
    assert all(len(one) == 1 for one in found.values())


@pytest.mark.forks
def test_a_forked_child_agrees(path: Path) -> None:
    """It goes on with what its parent remembered, and keeps its own from then on."""
    provider = FileProvider(path)
    before = values(provider)

    def child() -> bool:
        change(provider, path, staged(4))
        new = values(provider, range(1_001, 1_201))
        change(provider, path, staged(4, 1, 10, 25, 90, 100))
        return (
            values(provider) == before and any(new) and new == values(provider, range(1_001, 1_201))
        )

    assert in_child(child) == "True"
