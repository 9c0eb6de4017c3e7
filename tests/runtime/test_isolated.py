"""A thread for calls that may hang: order, deadlines, its start, its end and forks."""

from __future__ import annotations

import gc
import os
import threading
from time import monotonic

import pytest

from otel_ext.runtime.isolated import IsolatedThread
from tests.programs import in_child, wait_until


def soon() -> float:
    """Return a deadline that a call which does not hang keeps."""
    return monotonic() + 30


def threads_named(name: str) -> list[threading.Thread]:
    """Return the live threads of that name."""
    return [thread for thread in threading.enumerate() if thread.name == name]


def refuse(*_: object) -> None:
    """Refuse to start a thread, as the system does at its limit."""
    raise RuntimeError("can't start new thread")


def test_calls_are_made_in_order_on_one_thread() -> None:
    """The ticket has what the call returns or raises, also an exception that ends programs."""
    thread = IsolatedThread("test in order")
    made: list[int] = []
    idents: set[int] = set()

    def call(number: int) -> int:
        made.append(number)
        idents.add(threading.get_ident())
        if number == 99:
            raise SystemExit(3)
        return number

    tickets = [thread.submit(call, number) for number in range(100)]
    assert all(ticket.wait(30) for ticket in tickets)
    assert [ticket.result for ticket in tickets[:99]] == made[:99] == list(range(99))
    assert isinstance(tickets[99].error, SystemExit)
    assert len(idents) == 1
    assert thread.is_alive
    assert thread.stop(30)


def test_a_call_that_hangs_is_left_behind_at_the_deadline(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """After `abandon` the next call gets a new thread; the old one ends when its call returns."""
    thread = IsolatedThread("test hangs")
    go_on = threading.Event()
    hanging = thread.submit(go_on.wait, 60)
    assert not hanging.succeeds_by(monotonic() + 0.01)
    assert "test hangs: a call takes too long" in capfd.readouterr().err
    waiting = thread.submit(str)
    thread.abandon()
    assert thread.submit(str).wait(30)
    assert len(threads_named("otel-ext test hangs")) == 2
    go_on.set()
    assert hanging.wait(30)
    assert waiting.wait(30)
    wait_until(lambda: len(threads_named("otel-ext test hangs")) == 1, "the old thread ends")


def test_only_one_call_is_under_way_if_it_is_submitted_alone() -> None:
    """One waits behind it, and all later ones are that one; the last one waits for none."""
    thread = IsolatedThread("test alone", stays=False)
    go_on = threading.Event()
    first = thread.submit_alone(lambda: go_on.wait(60))
    wait_until(lambda: first.has_begun, "the first one begins")
    second = thread.submit_alone(str)
    assert second is not first
    assert thread.submit_alone(refuse) is second
    last = thread.submit_alone(str, is_last=True)
    assert last is not second
    assert last.succeeds_by(soon())
    go_on.set()
    assert first.succeeds_by(soon())
    assert second.succeeds_by(soon())
    assert thread.submit_alone(str) is not second


def test_a_thread_that_does_not_stay_ends_when_all_calls_are_made() -> None:
    """However calls and the end of the thread meet, each call is made."""
    thread = IsolatedThread("test short", stays=False)
    for _ in range(500):
        assert thread.submit(str).wait(30)
    wait_until(lambda: not threads_named("otel-ext test short"), "the thread ends")
    assert thread.is_idle


def test_an_error_that_no_caller_gets_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    """So is one whose caller has left at the deadline."""
    thread = IsolatedThread("test lost")

    def fail() -> None:
        raise ValueError("lost")

    assert thread.submit(fail, is_left=True).wait(30)
    assert capfd.readouterr().err == "otel-ext: test lost: ValueError: lost\n"


def test_without_a_thread_the_caller_makes_the_call(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """That is reported; a thread is tried again later, and an interrupt reaches the caller."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("otel_ext.runtime.isolated._REFUSED_SECONDS", 0.05)
    with monkeypatch.context() as patch:
        patch.setattr("otel_ext.runtime.isolated.start_thread", refuse)
        thread = IsolatedThread("test refused")
        assert thread.submit(threading.get_ident).result == threading.get_ident()
        assert "test refused: no thread for its calls" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            thread.submit(interrupt)
    wait_until(thread.ensure, "a thread is started")
    ticket = thread.submit(threading.get_ident)
    assert ticket.wait(30)
    assert ticket.result != threading.get_ident()


def test_a_dropped_owner_ends_the_thread_after_its_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread holds its owner weakly, and still makes the queued calls."""
    monkeypatch.setattr("otel_ext.runtime.isolated._CHECK_SECONDS", 0.01)
    go_on = threading.Event()
    made: list[str] = []
    thread = IsolatedThread("test dropped")
    thread.submit(go_on.wait, 60)
    thread.submit(made.append, "queued")
    del thread
    gc.collect()
    go_on.set()
    wait_until(lambda: made == ["queued"], "the queued call")
    wait_until(lambda: not threads_named("otel-ext test dropped"), "the thread ends")


@pytest.mark.forks
@pytest.mark.parametrize("stays", [True, False])
def test_a_forked_child_has_no_calls_and_gets_a_thread(*, stays: bool) -> None:
    """Even while a call of the parent hangs, it is not waited for in the child."""
    thread = IsolatedThread("test fork", stays=stays)
    go_on = threading.Event()
    hanging = thread.submit_alone(lambda: go_on.wait(60))
    queued = thread.submit(str)

    def child() -> tuple[bool, bool, bool]:
        is_idle, is_alive = thread.is_idle, thread.is_alive
        return is_idle, is_alive, thread.submit_alone(lambda: os.getpid()).wait(20)  # noqa: PLW0108 - not for str

    assert in_child(child) == "(True, False, True)"
    go_on.set()
    assert hanging.wait(30)
    assert queued.wait(30)


def test_many_threads_may_submit_at_once() -> None:
    """No call is lost or made a second time, also if the thread ends again and again."""
    thread = IsolatedThread("test many", stays=False)
    made: list[int] = []

    def submit(first: int) -> None:
        for number in range(first, first + 200):
            assert thread.submit(made.append, number).wait(30)

    callers = [threading.Thread(target=submit, args=(1_000 * one,)) for one in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(made) == len(set(made)) == 1_600


def test_a_call_from_the_thread_itself_is_made_at_once() -> None:
    """Otherwise the call that waits for it would wait for itself."""
    thread = IsolatedThread("test itself")
    outer = thread.submit(lambda: thread.submit(threading.get_ident).wait(0))
    assert outer.wait(30)
    assert outer.result is True


@pytest.mark.parametrize("stays", [True, False])
def test_a_call_is_made_if_another_thread_abandons_meanwhile(*, stays: bool) -> None:
    """The call was queued for the thread that is left behind, before that had started."""

    class Abandoned(IsolatedThread):
        def ensure(self) -> bool:
            """Abandon, as another thread may do at this moment."""
            self.abandon()
            return super().ensure()

    assert Abandoned("test abandoned", stays=stays).submit(str).wait(30)
