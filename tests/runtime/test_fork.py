"""A forked child runs the hooks first; hooks keep no object alive."""

from __future__ import annotations

import gc
import weakref

import pytest

from otel_ext.runtime import fork
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import after_fork_in_child
from tests.programs import in_child

pytestmark = pytest.mark.forks


class Part:
    """Something with a fork hook."""

    def __init__(self, names: list[str], name: str) -> None:
        self.names = names
        self.name = name

    def reset(self) -> None:
        """Note the name."""
        self.names.append(self.name)

    def fail(self) -> None:
        """Raise."""
        raise RuntimeError(self.name)


def test_hooks_run_in_the_child_in_order() -> None:
    """Each hook runs once in the child, in the order of registration, and not in the parent."""
    names: list[str] = []
    parts = [Part(names, name) for name in "abc"]
    for part in parts:
        after_fork_in_child(part.reset)
    assert in_child(lambda: ",".join(names)) == "a,b,c"
    assert names == []


def test_grandchild_runs_them_again() -> None:
    """A child of a child runs the hooks, too."""
    names: list[str] = []
    part = Part(names, "x")
    after_fork_in_child(part.reset)
    assert in_child(lambda: in_child(lambda: ",".join(names))) == "x,x"


def test_hook_that_raises_stops_no_other() -> None:
    """The child starts, and the hooks after the failing one run."""
    names: list[str] = []
    bad, good = Part(names, "bad"), Part(names, "good")
    after_fork_in_child(bad.fail)
    after_fork_in_child(good.reset)
    assert in_child(lambda: ",".join(names)) == "good"


def test_hooks_keep_nothing_alive() -> None:
    """A part that was dropped is gone, its hook does not run, and the list does not grow."""
    names: list[str] = []
    part = Part(names, "gone")
    after_fork_in_child(part.reset)
    reference = weakref.ref(part)
    del part
    gc.collect()
    assert reference() is None
    assert in_child(lambda: ",".join(names) or "nothing") == "nothing"
    before = len(fork._PROCESS.hooks)  # noqa: SLF001 - its size is what is tested
    for _ in range(200):
        after_fork_in_child(Part(names, "short-lived").reset)
    assert len(fork._PROCESS.hooks) <= before + 1  # noqa: SLF001


def test_counters_of_a_child_begin_at_nothing() -> None:
    """The child does not take over the parent's counts."""
    from otel_ext.runtime.process import incarnation  # noqa: PLC0415 - its first use sets the hook

    incarnation.current()
    COUNTERS.add("accepted", 5)
    assert in_child(lambda: str(COUNTERS.value("accepted"))) == "0"
    assert COUNTERS.value("accepted") >= 5
