"""Subscribers to live settings, and threads that change them at the same time."""

from __future__ import annotations

import gc
import signal
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from otel_ext.errors import ConfigError
from otel_ext.events import Event, deferred, subscribe
from otel_ext.runtime.counters import COUNTERS
from otel_ext.services import Settings
from otel_ext.services.live_settings import changes
from tests.programs import in_child, wait_until
from tests.services.shop_settings import Database, Pool, Shop
from tests.threads import numbered_threads, on_thread, worker_held

LIMIT = 30.0


class Heard:
    """A handler that keeps its events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def hear(self, event: Event) -> None:
        """Keep one."""
        self.events.append(event)

    @property
    def changes(self) -> list[tuple[str, object, object]]:
        """The name, the old and the new value of each."""
        return [(event.name, event.metadata["old"], event.metadata["new"]) for event in self.events]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("name", ["name"]),
        ("pool", ["pool.size", "pool.wait"]),
        ("pool.*", ["pool.size", "pool.wait"]),
        ("pool.size", ["pool.size"]),
        ("*", ["name", "pool.size", "pool.wait", "total"]),
        ("db.*", []),
    ],
)
def test_a_subscriber_gets_what_its_pattern_matches(pattern: str, names: list[str]) -> None:
    """One event for each setting that changes, in their order; none for the others."""
    settings, heard = Settings(Shop(), name="shop"), Heard()
    with settings.subscribe(pattern, heard.hear):
        settings.update({"pool.size": 6, "pool.wait": 9, "pool.spare": 2}, name="x")
        settings.update({"pool.size": 6})
        assert settings.flush(LIMIT)
    settings.update({"pool.size": 7, "db.pool.size": 7}, name="y")
    assert settings.flush(LIMIT)
    assert [name for name, _, _ in heard.changes] == names
    assert all(event.metadata["settings"] == "shop" for event in heard.events)
    assert all(event.time_ns > 0 for event in heard.events)


def test_a_subscriber_gets_the_values_themselves() -> None:
    """Also a secret: it is to use it."""
    settings, heard = Settings(Shop()), Heard()
    with settings.subscribe("db", heard.hear):
        settings.update(db=Database(password="hunter2"))  # noqa: S106 - for the test
        assert settings.flush(LIMIT)
    assert heard.changes == [("db.password", "start", "hunter2")]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("nmae", "Did you mean 'name'?"),
        ("pol.*", r"pattern='pol\.\*' matches no setting. Did you mean 'pool\.\*'?"),
        ("zzz*", r"Use \* for all settings"),
        (5, "there is no setting 5"),
    ],
)
def test_a_pattern_that_matches_nothing(pattern: Any, message: str) -> None:  # noqa: ANN401 - wrong on purpose
    """It is refused, since its handler would never be called."""
    with pytest.raises(ConfigError, match=message):
        Settings(Shop()).subscribe(pattern, print)


@pytest.mark.parametrize(
    "options", [{"handler": 5}, {"max_failures": 0}, {"max_seconds": 0}, {"max_queued": -1}]
)
def test_wrong_arguments_of_a_subscription(options: dict[str, Any]) -> None:
    """They are refused."""
    arguments: dict[str, Any] = {"handler": print, **options}
    with pytest.raises(ConfigError):
        Settings(Shop()).subscribe("*", **arguments)


def test_a_bound_method_is_held_weakly() -> None:
    """Its subscription ends with its object; a function is kept."""
    settings, kept = Settings(Pool()), Heard()
    gone = Heard()
    weak = settings.subscribe("size", gone.hear)
    strong = settings.subscribe("size", lambda event: kept.hear(event))  # noqa: PLW0108 - a function
    events = gone.events
    del gone
    gc.collect()
    settings.update(size=5)
    assert settings.flush(LIMIT)
    wait_until(lambda: not weak.active, "the end of the subscription")
    assert (events, kept.changes, strong.active) == ([], [("size", 4, 5)], True)
    strong.cancel()


def test_a_handler_that_raises_is_detached(capfd: pytest.CaptureFixture[str]) -> None:
    """After its limit; the updates and the other handlers go on."""
    settings, heard = Settings(Pool()), Heard()

    def fail(event: Event) -> None:
        raise ValueError(event.name)

    failing = settings.subscribe("*", fail, max_failures=2)
    with settings.subscribe("*", heard.hear):
        for size in range(5, 9):
            settings.update(size=size)
        assert settings.flush(LIMIT)
    assert [new for _, _, new in heard.changes] == [5, 6, 7, 8]
    assert failing.detached == "ValueError: size"
    assert "test_a_handler_that_raises_is_detached" in capfd.readouterr().err


def test_a_handler_that_hangs_delays_nothing() -> None:
    """It is detached while it hangs, without a further change."""
    settings, heard = Settings(Pool()), Heard()
    release = threading.Event()
    hanging = settings.subscribe("*", lambda _: release.wait(LIMIT), max_seconds=0.05)
    with settings.subscribe("*", heard.hear):
        assert settings.update(size=5).size == 5
        wait_until(lambda: heard.events, "the other handler's event")
        wait_until(lambda: not hanging.active, "that it is detached")
        assert settings.update(size=6).size == 6
        assert settings.flush(LIMIT)
    release.set()
    assert hanging.detached == "a call has not returned for 0.05 s"
    assert heard.changes == [("size", 4, 5), ("size", 5, 6)]


def test_a_handler_may_change_settings() -> None:
    """It does not get its own changes, or they would go on without end; others get them."""
    settings, heard = Settings(Pool()), Heard()

    def follow(event: Event) -> None:
        assert settings.update(lambda now: {"size": now.size + 1}).size
        names.append(event.name)

    names: list[str] = []
    with settings.subscribe("size", follow), settings.subscribe("size", heard.hear):
        settings.update(size=10)
        wait_until(lambda: len(heard.events) == 2, "both changes")
        assert settings.flush(LIMIT)
    assert heard.changes == [("size", 4, 10), ("size", 10, 11)]
    assert names == ["size"]


def test_a_subscriber_of_the_bus_that_hangs_delays_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also one that runs on the thread that emits; later events get another thread."""
    monkeypatch.setattr(deferred, "_HANGING_SECONDS", 0.0)
    settings, heard = Settings(Pool(), name="pool"), Heard()
    release, entered = threading.Event(), threading.Event()

    def hang(_: Event) -> None:
        entered.set()
        release.wait(LIMIT)

    with subscribe("settings.*", heard.hear):
        with subscribe("settings.changed", hang, inline=True, max_seconds=0.01) as hanging:
            settings.update(size=5)
            assert entered.wait(LIMIT)
            assert settings.update(size=6).size == 6
            wait_until(lambda: not hanging.active, "that it is detached")
        settings.update(size=7)
        wait_until(lambda: len(heard.events) == 3, "all three events")
    release.set()
    news = [event.metadata["new"] for event in heard.events]
    assert all({"size": size} in news for size in (5, 6, 7))


def test_no_update_is_lost() -> None:
    """Threads that count at the same time; each change starts where the one before ended."""

    @dataclass(frozen=True)
    class Counts:
        both: int = 0
        each: tuple[int, ...] = (0,) * 4

    settings, heard = Settings(Counts()), Heard()

    def count(number: int) -> None:
        for _ in range(100):

            def more(now: Counts) -> dict[str, object]:
                each = list(now.each)
                each[number] += 1
                return {"both": now.both + 1, "each": each}

            after = settings.update(more)
            assert sum(after.each) == after.both

    with settings.subscribe("both", heard.hear):
        numbered_threads(4, count)
        assert settings.flush(LIMIT)
    assert settings.get() == Counts(400, (100,) * 4)
    assert heard.changes == [("both", number, number + 1) for number in range(400)]


def test_a_reader_never_sees_half_an_update() -> None:
    """Two settings that change together are always from the same update."""

    @dataclass(frozen=True)
    class Pair:
        left: int = 0
        right: int = 0

    settings = Settings(Pair())
    seen: list[bool] = []

    def work(number: int) -> None:
        for step in range(300):
            if number:
                now = settings.get()
                seen.append(now.left == now.right)
            else:
                settings.update(left=step, right=step)

    numbered_threads(3, work)
    assert len(seen) == 600
    assert all(seen)


def test_a_change_function_that_never_is_in_time() -> None:
    """One that changes the settings itself is given up, with an error."""
    settings = Settings(Pool())

    def meddle(now: Pool) -> dict[str, object]:
        settings.update(size=now.size + 1)
        return {"wait": 9.0}

    with pytest.raises(ConfigError, match="others have changed them 1,000 times during one update"):
        settings.update(meddle)
    assert settings.get() == Pool(1004)


def test_a_signal_handler_may_update() -> None:
    """Also in the middle of an update, such as one that reloads a file: nothing is lost."""

    @dataclass(frozen=True)
    class Counts:
        main: int = 0
        handler: int = 0

    settings = Settings(Counts())

    def reload(_number: int, _frame: object) -> None:
        settings.update(lambda now: {"handler": now.handler + 1})

    before = signal.signal(signal.SIGALRM, reload)
    timer = signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for _ in range(300):
            settings.update(lambda now: {"main": now.main + 1})
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before)
    assert settings.get().main == 300
    assert settings.flush(LIMIT)


def test_a_check_that_hangs_delays_its_own_thread_alone() -> None:
    """Others read and update meanwhile: no code of the program runs under the lock."""
    entered, release = threading.Event(), threading.Event()

    def check(value: int) -> None:
        if value == 1:
            entered.set()
            release.wait(LIMIT)

    @dataclass(frozen=True)
    class Checked:
        slow: int = field(default=0, metadata={"validate": check})
        quick: int = 0

    settings = Settings(Checked())
    slow = threading.Thread(target=lambda: settings.update(slow=1))
    slow.start()
    assert entered.wait(LIMIT)
    on_thread(lambda: settings.update(quick=5))
    assert settings.get() == Checked(0, 5)
    release.set()
    slow.join()
    assert settings.get() == Checked(1, 5)


def test_what_waits_is_bounded(capfd: pytest.CaptureFixture[str]) -> None:
    """The oldest changes are left out, counted and reported; the last one arrives."""
    settings, heard = Settings(Pool()), Heard()
    dropped = COUNTERS.value("settings.dropped")
    with settings.subscribe("size", heard.hear):
        with worker_held():
            for size in range(changes.MOST_WAITING + 50):
                settings.update(size=size + 5)
        assert settings.flush(LIMIT)
    assert COUNTERS.value("settings.dropped") - dropped == 50
    assert len(heard.events) == changes.MOST_WAITING
    assert heard.changes[-1][2] == changes.MOST_WAITING + 54
    assert "settings: changes are not recorded: 50 came too fast" in capfd.readouterr().err


@pytest.mark.forks
def test_a_forked_child() -> None:
    """It has the values and the handlers, and no change that waits; another thread may update."""
    settings, heard = Settings(Pool()), Heard()
    subscription = settings.subscribe("size", heard.hear)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with settings._lock:  # noqa: SLF001 - as an update does
            held.set()
            release.wait(LIMIT)

    def child() -> str:
        size = settings.get("size")
        settings.update(size=50)
        assert settings.flush(LIMIT)
        return f"{size} {heard.changes}"

    with worker_held():  # the change waits
        settings.update(size=5)
        holder = threading.Thread(target=hold)
        holder.start()
        assert held.wait(LIMIT)
        assert in_child(child) == "5 [('size', 5, 50)]"
        release.set()
        holder.join()
    assert settings.flush(LIMIT)
    assert heard.changes == [("size", 4, 5)]
    subscription.cancel()
