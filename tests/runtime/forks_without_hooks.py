"""Forks made in C: the hooks run as soon as the child calls this package.

`tests/test_forks.py` runs these in a process of their own. CPython does not repair its
interpreter lock in such a child, which hangs if another thread waited for the lock.
"""

from __future__ import annotations

import _thread
import ctypes
import os
from typing import TYPE_CHECKING

import pytest

from otel_ext.runtime import fork
from otel_ext.runtime.fork import check_process, forked_without_hooks
from otel_ext.runtime.threads import may_start_threads, start_thread
from tests.programs import in_child, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded"),
    pytest.mark.skipif(os.name != "posix", reason="there is no fork"),
]


def in_child_without_hooks(answer: Callable[[], str]) -> str:
    """Return the result of `answer` in a child that C code forks."""
    return in_child(answer, ctypes.PyDLL(None).fork)


class Part:
    """Something that must be reset in a child; its reset checks the mark again."""

    def __init__(self, process: fork._Process, name: str, names: list[str]) -> None:
        self.process = process
        self.name = name
        self.names = names

    def reset(self) -> None:
        """Note the name, and check as a signal handler that records something does."""
        self.names.append(self.name)
        if not self.process.mark[0]:
            self.process.enter()


def ignore(*_: object) -> None:
    """Stand in for what tells the compiled part of a process."""


@pytest.fixture(params=["page", "process id"])
def process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> fork._Process:
    """Return the state of a process, with either way to detect a fork."""
    if request.param == "process id":
        monkeypatch.setattr(fork, "_wiped_page", lambda: None)
    monkeypatch.delattr(os, "register_at_fork")
    monkeypatch.setattr(fork, "configure", ignore)
    return fork._Process()  # noqa: SLF001 - the existing one belongs to this process


def test_hooks_run_once_and_in_order(process: fork._Process) -> None:
    """A child that checks the mark runs each hook once, even if one is interrupted."""
    names: list[str] = []
    parts = [Part(process, name, names) for name in "abc"]
    for part in parts:
        process.add(part.reset)

    def check() -> str:
        for _ in range(3):
            if not process.mark[0]:
                process.enter()
        return "".join(names)

    assert in_child_without_hooks(check) == "abc"
    # The child of a child inherits the list of its parent.
    assert (
        in_child_without_hooks(lambda: f"{check()} {in_child_without_hooks(check)}") == "abc abcabc"
    )
    assert names == []
    assert process.mark[0]


def test_a_page_is_cleared_where_the_kernel_can() -> None:
    """On Linux the check costs no system call."""
    page = fork._wiped_page()  # noqa: SLF001 - its fallback would hide that it fails
    assert page is not None
    page[0] = 1
    assert in_child_without_hooks(lambda: str(page[0])) == "0"
    assert page[0] == 1


def test_an_ordinary_fork_runs_the_hooks() -> None:
    """After `os.fork` the hooks have run, and threads may be started."""
    check_process()
    assert not forked_without_hooks()
    assert in_child(lambda: (may_start_threads(), forked_without_hooks())) == "(True, False)"


def test_no_thread_beside_a_broken_interpreter_lock() -> None:
    """A process with threads of this package forks in C: the child may start none."""
    started: list[str] = []
    start_thread(lambda: started.append("it runs"), "test-thread")
    wait_until(lambda: started and not _thread._count(), "the thread ends")  # noqa: SLF001 - of all threads

    def answer() -> str:
        check_process()
        try:
            start_thread(started.clear, "test-thread")
        except RuntimeError:
            return "refused"
        return "started"

    assert in_child_without_hooks(answer) == "refused"
