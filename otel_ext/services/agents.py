"""`AgentRegistry`: the agents of a program by id, each gone with its owner."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic, sleep, time_ns
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from otel_ext.errors import ConfigError
from otel_ext.events.plain_values import SCALARS
from otel_ext.inflight.origin import Origin
from otel_ext.record.timestamps import format_ns
from otel_ext.runtime.deadline import is_exiting
from otel_ext.runtime.fork import after_fork_in_child, check_process
from otel_ext.runtime.process import incarnation
from otel_ext.services.announcements import (
    ADDED,
    GONE,
    PAUSES,
    Entry,
    announcer,
    plain_facts,
)
from otel_ext.services.errors import LONGEST_NAME, checked_name, not_registered
from otel_ext.services.owners import Callers, CallingThread, owner_of, runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_ext.services.owners import Owner

__all__ = ["Agent", "AgentRegistry"]

# How long one run checks owners, in seconds; the next run goes on with the others.
_CHECK_SECONDS: Final = 0.005
# Within the class `list` is a method.
Agents: TypeAlias = "list[Agent]"


class Agent(Entry):
    """A registered agent; it does not change.

    `AgentRegistry.register` makes it.
    """

    __slots__ = ("_id", "_metadata", "_owner", "_registered_ns")
    kind = "agent"

    def __init__(
        self,
        id: str,  # noqa: A002
        metadata: dict[str, object],
        owner: Owner,
        registered_ns: int,
    ) -> None:
        self._id = id
        self._metadata = metadata
        self._owner = owner
        self._registered_ns = registered_ns
        # As Entry does: one call less in each registration.
        self._written = 0
        self._live = True

    @property
    def id(self) -> str:
        """Its id, unique in its registry."""
        return self._id

    @property
    def metadata(self) -> Mapping[str, object]:
        """What was said about it, for reading only."""
        return MappingProxyType(self._metadata)

    @property
    def owner(self) -> str:
        """What it goes with, such as `thread 'worker-1'` or `process 4711`."""
        return self._owner.text

    @property
    def registered_ns(self) -> int:
        """When it was registered, in nanoseconds since the epoch."""
        return self._registered_ns

    def __repr__(self) -> str:
        return f"Agent({self._id!r}, owner={self.owner!r})"

    def entity_id(self) -> str:
        """Return the id of its entity in the records."""
        return self._id

    def attributes(self, step: int) -> dict[str, object]:
        """Return its metadata, the attributes of its events."""
        return self._metadata.copy()

    def origin(self) -> Origin:
        """Return the thread and task of its owner, whose spans are its work."""
        return Origin(thread=self._owner.thread, task=self._owner.task)


class AgentRegistry:
    """Keeps the agents of this process by id; each goes by itself when its owner has ended.

    An agent is anything of the program that works under a name for a while, such as a worker
    or a session. It shows in the records too: as an entity of type `agent` with the events
    `agent.registered` and `agent.unregistered`, so that other processes see who is there. The
    bus gets the same events. Both come up to 0.1 s later, from a thread of otel-ext.

    No method waits for a lock. A forked child has none of its parent's agents. Two
    registries of one process should not use the same ids, since records have one agent by id.

    >>> agents = AgentRegistry()
    >>> agents.register("importer-1", role="importer").owner
    "thread 'MainThread'"
    >>> agents.get("importer-1").metadata["role"]
    'importer'
    >>> [agent.id for agent in agents.list()], agents.unregister("importer-1")
    (['importer-1'], True)
    """

    def __init__(self) -> None:
        self.is_watched = False
        self._entries: dict[str, Agent] = {}
        # Agents whose owners must be asked whether they live.
        self._asked: dict[Agent, None] = {}
        self._turn: Iterator[Agent] = iter(())
        self._callers = Callers()
        self._inherited: list[object] = []
        self._announcer = announcer()
        after_fork_in_child(self._reset)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, id: object) -> bool:  # noqa: A002 - the word of the public names
        return id in self._entries

    def register(
        self,
        id: str,  # noqa: A002
        /,
        *,
        owner: object = None,
        **metadata: object,
    ) -> Agent:
        """Register an agent until its owner has ended, or until `unregister`.

        A thread that a supervisor has left behind keeps the ids of its agents. So that the
        next life of its child can register, put `context.life` into the id, or call
        `unregister` first.

        Args:
            id: Its id, of 1 to 200 characters.
            owner: A thread, an asyncio task, a process of `subprocess` or `multiprocessing`,
                a pid, or any object, which the registry does not keep alive. By default the
                running asyncio task, else the calling thread.
            **metadata: What there is to say about it: the attributes of its event records.
                They should be values of JSON; others are made plain at once, and all are
                redacted in the records. Subscribers find the agent's id as `id`, and both
                they and the last record why it ended as `reason`, instead of metadata of
                these names.

        Returns:
            The agent.

        Raises:
            ConfigError: The id is not valid or is registered by an owner that lives, or the
                owner cannot be watched.

        >>> agents = AgentRegistry()
        >>> agents.register("mailer", queue="mail")
        Agent('mailer', owner="thread 'MainThread'")
        """
        check_process()
        if type(id) is not str or not 0 < len(id) <= LONGEST_NAME:
            id = checked_name("agent id", id)  # noqa: A001
        callers = self._callers
        holder = callers.current() if owner is None else owner_of(owner, callers)
        for value in metadata.values():
            if type(value) not in SCALARS:
                metadata = plain_facts(metadata)
                break
        agent = Agent(id, metadata, holder, time_ns())
        if self._entries.setdefault(id, agent) is not agent:
            self._replace(agent)
        if holder.is_asked:
            self._asked[agent] = None
        # In this order: what cannot be queued is looked for in the registries that are watched.
        if not self.is_watched:
            self._announcer.watch(self)
        self._announcer.add(agent, ADDED)
        return agent

    def get(self, id: str) -> Agent:  # noqa: A002
        """Return the agent with this id.

        Raises:
            NotRegisteredError: There is none; the error names the nearest id.

        >>> agents = AgentRegistry()
        >>> agent = agents.register("mailer")
        >>> agents.get("mialer")
        Traceback (most recent call last):
        otel_ext.services.errors.NotRegisteredError: no agent 'mialer' is registered. Did you mean \
'mailer'?
        """
        check_process()
        try:
            return self._entries[id]
        except (KeyError, TypeError):
            pass
        raise not_registered("agent", id, self._entries.copy())

    def list(self) -> Agents:
        """Return all agents at one moment, in the order of their registration.

        >>> AgentRegistry().list()
        []
        """
        check_process()
        return self.entries()

    def unregister(self, id: str) -> bool:  # noqa: A002
        """Remove an agent; return whether it was registered. Idempotent.

        >>> AgentRegistry().unregister("never registered")
        False
        """
        check_process()
        try:
            agent = self._entries[id]
        except (KeyError, TypeError):
            return False
        return self._remove(agent, "unregistered")

    def entries(self) -> Agents:
        """Return the agents, for the worker that announces them."""
        # Copied in one step: no registration waits for it.
        return list(self._entries.copy().values())

    def check_owners(self) -> None:
        """Remove the agents whose owner has ended; the worker calls it."""
        ended = self._callers.ended()
        if ended:
            numbers = set(map(id, ended))
            for agent in self.entries():
                owner = agent._owner  # noqa: SLF001 - of this module
                if isinstance(owner, CallingThread) and id(owner.reference) in numbers:
                    self._remove(agent, owner.reason)
        if self._asked:
            self._ask_owners(monotonic() + _CHECK_SECONDS)

    def _ask_owners(self, until: float) -> None:
        """Ask owners until then, each in its turn."""
        start = None
        while monotonic() < until:
            agent = next(self._turn, None)
            if agent is None:
                if start is not None:
                    return  # all have been asked
                self._turn = start = iter(list(self._asked.copy()))
            elif not agent.is_live():
                self._asked.pop(agent, None)
            elif not runs(agent._owner):  # noqa: SLF001
                self._remove(agent, agent._owner.reason)  # noqa: SLF001

    def _replace(self, agent: Agent) -> None:
        """Register an agent whose id is in use, if the owner of the other one has ended."""
        for pause in PAUSES:
            known = self._entries.setdefault(agent.id, agent)
            if known is agent:
                return
            if not known.is_live():
                sleep(pause)  # another thread removes it just now
            elif runs(known._owner):  # noqa: SLF001
                raise _in_use(known)
            else:
                self._remove(known, "replaced")
        # An interrupt ended the thread that removed it.
        self._entries[agent.id] = agent

    def _remove(self, agent: Agent, reason: str) -> bool:
        if not agent.end():
            return False
        # Announced before the id is free: else the next agent could come first in the records.
        self._announcer.add(agent, GONE, reason)
        self._asked.pop(agent, None)
        if self._entries.get(agent.id) is agent:
            self._entries.pop(agent.id, None)
        return True

    def _reset(self) -> None:
        """Forget the parent's agents, which a forked child does not have."""
        # Kept, because freeing them could run code of the program within the fork.
        self._inherited.append((self._entries, self._asked, self._turn, self._callers))
        self._entries, self._asked, self._turn = {}, {}, iter(())
        self._callers = Callers()
        self.is_watched = False

    def __del__(self) -> None:
        # Without its registry one would show in the records until the process ends.
        with suppress(Exception):
            for agent in () if is_exiting() else self.entries():
                self._remove(agent, "registry-collected")


def _in_use(known: Agent) -> ConfigError:
    pid, since = incarnation.current().pid, format_ns(known.registered_ns)
    return ConfigError(
        f"agent {known.id!r} is registered already, by {known.owner} of process {pid}, since"
        f" {since}",
        hint="Use another id, or unregister that agent first. A child of a supervisor whose"
        " earlier life was left behind can put context.life into the id.",
        context={"agent": known.id, "owner": known.owner, "since_ns": known.registered_ns},
    )
