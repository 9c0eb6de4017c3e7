"""Property tests: the registries against plain dicts, while owners die at random."""

from __future__ import annotations

import gc
import weakref
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import settings, stateful
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from otel_ext.errors import ConfigError
from otel_ext.services import AgentRegistry, NotReadyError, NotRegisteredError, ServiceRegistry
from tests.programs import wait_until
from tests.threads import on_thread

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = st.sampled_from(["a", "b", "c", "d"])
OWNERS = st.integers(0, 3)


class Owner:
    """An object that owns agents."""


def refused(call: Callable[[], object], error: type[Exception] = ConfigError) -> bool:
    """Return whether a call raises this error."""
    try:
        call()
    except error:
        return True
    return False


class AgentsModel(RuleBasedStateMachine):
    """Agents with owners that are alive or dead; dead ones are found only when looked for."""

    @initialize()
    def begin(self) -> None:
        """Start with an empty registry and four owners."""
        self.agents = AgentRegistry()
        self.owners = [Owner() for _ in range(4)]
        # By id: metadata and the number of the owner; None for a thread that has ended.
        self.model: dict[str, tuple[int, int | None]] = {}
        self.counter = 0

    def living(self) -> dict[str, int]:
        """Return the number of each agent whose owner lives."""
        return {name: number for name, (number, owner) in self.model.items() if owner is not None}

    @rule(name=NAMES, owner=OWNERS)
    def register(self, name: str, owner: int) -> None:
        """Only an id whose owner is dead can be registered again."""
        self.counter += 1
        number = self.counter
        was_refused = refused(
            lambda: self.agents.register(name, owner=self.owners[owner], n=number)
        )
        assert was_refused == (name in self.living())
        if not was_refused:
            self.model.pop(name, None)
            self.model[name] = number, owner

    @rule(name=NAMES)
    def register_on_a_thread(self, name: str) -> None:
        """Such an agent is dead at once."""
        self.counter += 1
        number = self.counter
        results: list[bool] = []
        on_thread(lambda: results.append(refused(lambda: self.agents.register(name, n=number))))
        assert results == [name in self.living()]
        if results == [False]:
            self.model[name] = number, None

    @rule(owner=OWNERS)
    def kill(self, owner: int) -> None:
        """An owner is collected; a new one takes its number."""
        before = weakref.ref(self.owners[owner])
        self.owners[owner] = Owner()
        gc.collect()
        # The worker may be looking at it just now.
        wait_until(lambda: before() is None, "it is collected")
        for name, (number, whose) in list(self.model.items()):
            if whose == owner:
                self.model[name] = number, None

    @rule(name=NAMES)
    def unregister(self, name: str) -> None:
        """A living agent is removed; the worker may have removed a dead one."""
        was_there = self.agents.unregister(name)
        if name in self.living():
            assert was_there
        elif name not in self.model:
            assert not was_there
        self.model.pop(name, None)

    @rule()
    def look_for_the_dead(self) -> None:
        """The worker's job removes those whose objects are gone."""
        self.agents.check_owners()

    @invariant()
    def living_agents_are_found(self) -> None:
        """Each is found with its metadata, and nothing is found that was not registered."""
        if not hasattr(self, "agents"):
            return
        for name, number in self.living().items():
            assert self.agents.get(name).metadata == {"n": number}
        listed = {agent.id for agent in self.agents.list()}
        assert self.living().keys() <= listed <= self.model.keys()
        for name in {"a", "b", "c", "d"} - self.model.keys():
            assert refused(partial(self.agents.get, name), NotRegisteredError)

    def teardown(self) -> None:
        """Remove what is left."""
        for agent in self.agents.list() if hasattr(self, "agents") else ():
            self.agents.unregister(agent.id)


class ServicesModel(RuleBasedStateMachine):
    """Services in a registry and in a namespace that is closed and opened at random."""

    @initialize()
    def begin(self) -> None:
        """Start with an empty registry and a namespace."""
        self.root = ServiceRegistry()
        self.spaces = [self.root, self.root.namespace("space")]
        # By name: the service, and whether it is ready.
        self.models: list[dict[str, tuple[int, bool]]] = [{}, {}]
        self.counter = 0

    @rule(space=st.integers(0, 1), name=NAMES, ready=st.booleans())
    def register(self, space: int, name: str, ready: bool) -> None:
        """A name that is in use is refused."""
        self.counter += 1
        registry, model, number = self.spaces[space], self.models[space], self.counter
        was_refused = refused(lambda: registry.register(name, number, ready=ready))
        assert was_refused == (name in model)
        model.setdefault(name, (number, ready))

    @rule(space=st.integers(0, 1), name=NAMES)
    def unregister(self, space: int, name: str) -> None:
        """It says whether the service was there."""
        there = self.models[space].pop(name, None) is not None
        assert self.spaces[space].unregister(name) == there

    @rule(space=st.integers(0, 1), name=NAMES)
    def mark_ready(self, space: int, name: str) -> None:
        """Only a registered service can be marked."""
        registry, model = self.spaces[space], self.models[space]
        was_refused = refused(lambda: registry.mark_ready(name), NotRegisteredError)
        assert was_refused == (name not in model)
        if name in model:
            model[name] = model[name][0], True

    @rule(space=st.integers(0, 1), name=NAMES)
    def wait(self, space: int, name: str) -> None:
        """A short wait returns a ready service, and no other."""
        number, ready = self.models[space].get(name, (0, False))
        try:
            assert self.spaces[space].wait_for(name, 0.0001) == number
        except NotReadyError:
            assert not ready
        else:
            assert ready

    @rule()
    def close_and_open(self) -> None:
        """A namespace loses its services; one of the same name is empty."""
        self.spaces[1].close()
        assert refused(lambda: self.spaces[1].register("a", 1))
        self.spaces[1] = self.root.namespace("space")
        self.models[1] = {}

    @invariant()
    def all_are_found(self) -> None:
        """Names, services and readiness are those of the model, in its order."""
        if not hasattr(self, "root"):
            return
        for registry, model in zip(self.spaces, self.models, strict=True):
            assert registry.names() == list(model)
            for name, (number, ready) in model.items():
                assert registry.lookup(name) == number
                assert registry.is_ready(name) == ready

    def teardown(self) -> None:
        """Close all."""
        if hasattr(self, "root"):
            self.root.close()


# The data is generated: see tests.measuring.
pytestmark = pytest.mark.usefixtures("untraced")

BRIEF = settings(max_examples=40, stateful_step_count=25, deadline=None)


def run(model: type[RuleBasedStateMachine]) -> None:
    """Run the steps of a model in random orders."""
    run_machine = cast("Callable[..., None]", vars(stateful)["run_state_machine_as_test"])
    run_machine(model, settings=BRIEF)


def test_agents_agree_with_the_model() -> None:
    """Whatever is registered and whoever dies, living agents are found and ids are unique."""
    run(AgentsModel)


def test_services_agree_with_the_model() -> None:
    """Names, readiness and namespaces are those of plain dicts."""
    run(ServicesModel)
