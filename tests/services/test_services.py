"""`ServiceRegistry`: registration, readiness, namespaces, errors, and what the records show."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from typing import TYPE_CHECKING, cast

import pytest

from otel_ext.errors import ConfigError
from otel_ext.events import subscribe
from otel_ext.events.deferred import deferred_events
from otel_ext.services import NotRegisteredError, ServiceRegistry, default_services
from tests.programs import in_child
from tests.services.registries import wait_for_steps
from tests.threads import in_threads, numbered_threads, on_thread

if TYPE_CHECKING:
    from otel_ext.events import Event
    from otel_ext.record.model import Record

REGISTERED = ("service.registered", "service.ready")


def test_a_service_is_found_until_it_is_unregistered(services: ServiceRegistry) -> None:
    """It is returned itself, ready or not."""
    pool = object()
    services.register("db", pool, ready=False)
    services.register("none", None)
    assert services.lookup("db") is pool
    assert services.lookup("none") is None
    assert services.names() == ["db", "none"]
    assert (len(services), "db" in services, "x" in services) == (2, True, False)
    assert services.unregister("db")
    assert not services.unregister("db")
    assert services.names() == ["none"]


def test_readiness(services: ServiceRegistry) -> None:
    """A service is ready once it is marked so, whoever marks it again."""
    services.register("db", 1, ready=False)
    assert not services.is_ready("db")
    services.mark_ready("db")
    services.mark_ready("db")
    assert services.is_ready("db")
    services.unregister("db")
    assert not services.is_ready("db")
    services.register("db", 1, ready=False)
    assert not services.is_ready("db")


def test_an_unknown_name_names_the_nearest(services: ServiceRegistry) -> None:
    """So do all methods that need the service."""
    services.register("database", 1)
    text = "no service 'databse' is registered. Did you mean 'database'?"
    for use in (services.lookup, services.mark_ready, services.health_check):
        with pytest.raises(NotRegisteredError) as found:
            use("databse")
        assert str(found.value) == text
    assert not services.is_ready("databse")


@pytest.mark.parametrize("wrong", ["", "x" * 201, 7, None, ["a"], "a/b"])
def test_a_wrong_name_is_refused(services: ServiceRegistry, wrong: str) -> None:
    """It is neither registered nor found, nor the name of a namespace."""
    with pytest.raises(ConfigError, match="service name"):
        services.register(wrong, 1)
    with pytest.raises(ConfigError, match="namespace"):
        services.namespace(wrong)
    with pytest.raises(ConfigError, match="service name"):
        services.wait_for(wrong, 1)
    with pytest.raises(NotRegisteredError):
        services.lookup(wrong)
    with pytest.raises(NotRegisteredError):
        services.mark_ready(wrong)
    assert not services.unregister(wrong)
    assert not services.is_ready(wrong)
    assert wrong not in services


@pytest.mark.parametrize("wrong", [7, "text", [1], {1: 2}, None])
def test_wrong_metadata_are_refused(services: ServiceRegistry, wrong: dict[str, object]) -> None:
    """They must be a mapping with names."""
    with pytest.raises(ConfigError, match="metadata="):
        services.register("db", 1, metadata=wrong)
    assert services.names() == []


def test_a_name_in_use_is_refused(services: ServiceRegistry) -> None:
    """The error says by which thread, in which process and since when; the first one stays."""
    on_thread(lambda: services.register("db", 1), name="main-7")
    text = (
        rf"'db' is registered already, by thread 'main-7' of process {os.getpid()}, since \d{{4}}-"
    )
    with pytest.raises(ConfigError, match=f"{text}.*namespace"):
        services.register("db", 2)
    assert services.lookup("db") == 1


def test_events_of_a_service(services: ServiceRegistry, records: list[Record]) -> None:
    """Each step is recorded in order, with metadata and readiness, and is on the bus."""
    heard: list[Event] = []
    facts = {"host": "db-1"}
    with subscribe("service.*", heard.append, inline=True):
        services.register("db", 1, ready=False, metadata=facts)
        facts["host"] = "changed later"
        services.mark_ready("db")
        services.unregister("db")
        steps = wait_for_steps(records, "db", *REGISTERED, "service.unregistered")
    assert [record.attributes for record in steps] == [
        {"host": "db-1", "ready": False},
        {"host": "db-1", "ready": True},
        {"host": "db-1", "reason": "unregistered"},
    ]
    assert [record.extra["entity"] for record in steps] == [
        {"type": "service", "id": "db"},
        {"type": "service", "id": "db"},
        {"type": "service", "id": "db", "deleted": True},
    ]
    assert [(event.name, event.metadata["id"]) for event in heard] == [
        ("service.registered", "db"),
        ("service.ready", "db"),
        ("service.unregistered", "db"),
    ]


def test_metadata_run_no_code_on_the_worker(
    services: ServiceRegistry, records: list[Record]
) -> None:
    """Other values become text on the thread that registers."""
    ran_on: list[int] = []

    class Pool:
        def __str__(self) -> str:
            ran_on.append(threading.get_ident())
            return "a pool"

    services.register("db", 1, metadata={"pool": Pool(), "hosts": ("a", "b")})
    first, _ = wait_for_steps(records, "db", *REGISTERED)
    assert first.attributes == {"pool": "a pool", "hosts": ["a", "b"], "ready": False}
    assert ran_on == [threading.get_ident()]


def test_a_removed_service_is_freed_at_once(services: ServiceRegistry) -> None:
    """Neither the queue of events nor its health check keeps it alive."""

    class Pool:
        def check(self) -> None:
            pass

    pool = Pool()
    freed_on: list[int] = []
    weakref.finalize(pool, lambda: freed_on.append(threading.get_ident()))
    services.register("db", pool, health=pool.check)
    services.health_check("db", 30)
    del pool
    services.unregister("db")
    assert freed_on == [threading.get_ident()]


def test_namespaces_are_apart(services: ServiceRegistry, records: list[Record]) -> None:
    """Equal names in namespaces are different services, gone with their block."""
    services.register("db", "root")
    with services.namespace("a") as a, services.namespace("b") as b, a.namespace("deep") as deep:
        for number, one in enumerate((a, b, deep)):
            one.register("db", number)
        assert [one.lookup("db") for one in (services, a, b, deep)] == ["root", 0, 1, 2]
        with pytest.raises(ConfigError, match="namespace 'a' is in use"):
            services.namespace("a")
        a.unregister("db")
        assert [one.lookup("db") for one in (services, b, deep)] == ["root", 1, 2]
    for name, reason in (("a/db", "unregistered"), ("b/db", "closed"), ("a/deep/db", "closed")):
        *_, last = wait_for_steps(records, name, *REGISTERED, "service.unregistered")
        assert last.attributes == {"reason": reason}
    assert services.names() == ["db"]
    with services.namespace("a") as again:
        assert again.names() == []


def test_a_closed_namespace_says_so(services: ServiceRegistry) -> None:
    """Each use but the harmless ones is refused, by name; so is that of its namespaces."""
    outer = services.namespace("test-7")
    inner = outer.namespace("deep")
    inner.register("db", 1)
    outer.close()
    outer.close()
    for closed, name in ((outer, "test-7"), (inner, "test-7/deep")):
        for use in (
            lambda closed=closed: closed.register("db", 1),
            lambda closed=closed: closed.lookup("db"),
            lambda closed=closed: closed.mark_ready("db"),
            lambda closed=closed: closed.wait_for("db", 1),
            lambda closed=closed: closed.health_check("db"),
            lambda closed=closed: closed.namespace("x"),
            closed.__enter__,
        ):
            with pytest.raises(ConfigError, match=f"namespace '{name}' is closed"):
                use()
        assert closed.names() == []
        assert not closed.is_ready("db")
        assert not closed.unregister("db")


def test_closing_while_others_register(services: ServiceRegistry, records: list[Record]) -> None:
    """After the close nothing is left, whoever registered at that moment."""
    for turn in range(20):
        closing = services.namespace(f"turn-{turn}")
        kept = registered_while_closing(closing)
        assert closing.names() == []
        for name in kept:
            wait_for_steps(records, f"turn-{turn}/{name}", *REGISTERED, "service.unregistered")


def registered_while_closing(closing: ServiceRegistry) -> list[str]:
    """Close a registry while four threads register; return what was accepted."""
    kept: list[str] = []
    start = threading.Barrier(5)

    def register(number: int) -> None:
        start.wait()
        for step in range(20):
            try:
                closing.register(f"{number}-{step}", step)
                closing.namespace(f"{number}-{step}")
            except ConfigError:
                return
            kept.append(f"{number}-{step}")

    def run(number: int) -> None:
        if number < 4:
            register(number)
        else:
            start.wait()
            closing.close()

    numbered_threads(5, run)
    return kept


def test_only_one_thread_gets_a_name(services: ServiceRegistry) -> None:
    """Eight threads that want the same names get each once."""
    got: list[str] = []

    def register(thread: int) -> None:
        for number in range(200):
            try:
                services.register(f"service-{number}", thread)
            except ConfigError:
                continue
            got.append(f"service-{number}")

    numbered_threads(8, register)
    assert sorted(got) == sorted(f"service-{number}" for number in range(200))


def test_one_thread_marks_ready(services: ServiceRegistry, records: list[Record]) -> None:
    """However many mark a service, there is one event."""
    services.register("db", 1, ready=False)
    in_threads(*[lambda: services.mark_ready("db")] * 8)
    services.unregister("db")
    wait_for_steps(records, "db", *REGISTERED, "service.unregistered")


def test_a_registry_that_is_dropped(records: list[Record]) -> None:
    """Its services do not stay in the records."""
    registry = ServiceRegistry()
    registry.register("dropped", 1)
    wait_for_steps(records, "dropped", *REGISTERED)
    del registry
    *_, last = wait_for_steps(records, "dropped", *REGISTERED, "service.unregistered")
    assert last.attributes == {"reason": "registry-collected"}


@pytest.mark.forks
def test_a_forked_child_has_no_services_of_its_parent(services: ServiceRegistry) -> None:
    """It can register the same names, and nothing of the parent's is freed there."""

    class Pool:
        def __del__(self) -> None:
            freed.append("freed")

    freed: list[str] = []
    services.register("db", Pool())
    space = services.namespace("space")
    space.register("db", 1)

    def child() -> str:
        before = [services.names(), space.names(), freed]
        services.register("db", "the child's")
        return f"{before} {services.lookup('db')}"

    assert in_child(child) == "[[], [], []] the child's"
    assert isinstance(services.lookup("db"), Pool)
    services.unregister("db")
    gc.collect()
    assert freed == ["freed"]


@pytest.mark.forks
def test_a_forked_child_has_no_namespaces_of_its_parent(services: ServiceRegistry) -> None:
    """It can use the same names; closing the parent's there does not close its own."""
    space = services.namespace("space")

    def child() -> str:
        mine = services.namespace("space")
        mine.register("db", 1)
        space.close()
        with pytest.raises(ConfigError, match="in use"):
            services.namespace("space")
        services.close()
        return str(mine.names())

    assert in_child(child) == "[]"
    with pytest.raises(ConfigError, match="in use"):
        services.namespace("space")


def test_the_default_registry_is_shared() -> None:
    """All threads get the same one."""
    found: list[ServiceRegistry] = []
    in_threads(*[lambda: found.append(default_services())] * 8)
    assert set(map(id, found)) == {id(default_services())}


def test_services_before_the_first_destination(services: ServiceRegistry) -> None:
    """A destination that is set up later gets the newest step of each, once."""
    from tests.global_provider import recording_globally  # noqa: PLC0415 - after the services

    services.register("early", 1)
    deferred_events().write_now()
    with recording_globally() as capture:
        (record,) = wait_for_steps(capture.records, "early", "service.ready")
    assert cast("bool", record.attributes["ready"]) is True
