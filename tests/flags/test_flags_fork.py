"""A forked child has the flags, and reads the file again by itself."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from openfeature.evaluation_context import (  # pyright: ignore[reportMissingTypeStubs]
    EvaluationContext,
)

from otel_ext.flags import FileProvider, enforce
from tests.flags.files import staged, write_flags
from tests.programs import becomes_true, in_child

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.forks


def is_on(provider: FileProvider) -> bool:
    """Evaluate the flag."""
    return provider.resolve_boolean_details("search", False, EvaluationContext("k")).value  # noqa: FBT003


def test_a_child_reads_the_file_again(tmp_path: Path) -> None:
    """Without a span processor that would start the worker."""
    path = write_flags(tmp_path / "flags.json", {"search": staged(0)})
    provider = FileProvider(path)
    provider.initialize(EvaluationContext())
    assert not is_on(provider)

    def child() -> bool:
        before = is_on(provider)
        enforce(path, "search")
        return not before and becomes_true(lambda: is_on(provider))

    assert in_child(child) == "True"
    provider.shutdown()


def test_a_lock_that_is_held_at_the_fork(tmp_path: Path) -> None:
    """Of the evaluator, by a thread that the child does not have."""
    provider = FileProvider(write_flags(tmp_path / "flags.json", {"search": staged(5)}))
    rules = provider._file.rules  # noqa: SLF001
    assert rules is not None
    lock = rules.evaluator()._lock  # noqa: SLF001
    held, ended = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            ended.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    try:
        assert in_child(lambda: is_on(provider)) == "True"
    finally:
        ended.set()
        thread.join()
