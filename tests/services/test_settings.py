"""Settings that change while a program runs: reading, updates, and what they refuse."""

from __future__ import annotations

import re
from dataclasses import InitVar, dataclass, field, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NewType, NoReturn, Protocol

import pytest

from otel_ext.errors import ConfigError
from otel_ext.services import Settings
from tests.services.shop_settings import Colour, Database, Pool, Shop

if TYPE_CHECKING:
    from collections.abc import Iterator

Port = NewType("Port", int)


class Named(Protocol):
    """A protocol that cannot be checked while a program runs."""

    name: str


def test_reading() -> None:
    """All settings, one, one in a group in a group, and a whole group."""
    settings = Settings(Shop(), name="shop")
    assert settings.get() == Shop()
    assert settings.get("db.pool.size") == 4
    assert settings.get("db.pool") == Pool()
    assert settings.names[:3] == ("name", "open", "colour")
    assert "db.pool.size" in settings.names
    assert "db.pool" not in settings.names
    assert (settings.name, Settings(Shop()).name) == ("shop", "Shop")


def test_an_update_leaves_what_was_read_as_it_is() -> None:
    """It makes new objects; groups that it does not touch stay the same ones."""
    settings = Settings(Shop())
    before = settings.get()
    after = settings.update({"db.pool.size": 8, "db.pool.wait": 2}, name="market")
    assert before == Shop()
    assert after is settings.get()
    assert (after.name, after.db.pool, after.total) == ("market", Pool(8, 2, 2.0), 12)
    assert type(after.db.pool.wait) is float
    assert after.pool is before.pool
    assert settings.update() is after
    assert settings.update(name="market") is after


def test_a_group_is_set_as_a_whole() -> None:
    """By an instance of its dataclass; each value in it is checked."""
    settings = Settings(Shop())
    assert settings.update(db=Database(pool=Pool(9))).db.pool.size == 9
    with pytest.raises(ConfigError, match=r"pool\.spare: 3 is not allowed"):
        settings.update(pool=Pool(5, 3))
    with pytest.raises(ConfigError, match=r"pool\.size is there twice, by itself and in its"):
        settings.update({"pool": Pool(6), "pool.size": 7})
    assert settings.get().pool == Pool()


def test_an_update_by_a_function() -> None:
    """It gets the settings as they are."""
    settings = Settings(Pool())
    assert settings.update(lambda now: {"size": now.size + 1}, wait=3.0) == Pool(5, 2, 3.0)


def test_reset() -> None:
    """One setting, a group, or all of them go back to their initial values."""
    settings = Settings(Shop(pool=Pool(10)))
    settings.update({"name": "x", "pool.size": 20, "db.pool.size": 30, "timeout": "2m"})
    assert settings.reset("name").name == "corner"
    assert settings.reset("db").db == Database()
    assert (settings.get().pool.size, settings.get().timeout) == (20, 120.0)
    assert settings.reset() == Shop(pool=Pool(10))
    assert settings.reset() is settings.get()
    with pytest.raises(ConfigError, match="Did you mean 'pool'"):
        settings.reset("pol")


@pytest.mark.parametrize(
    ("name", "value", "held"),
    [
        ("open", False, False),
        ("colour", Colour.BLUE, Colour.BLUE),
        ("mode", 1, 1),
        ("note", "a", "a"),
        ("note", None, None),
        ("ports", [1, 2], (1, 2)),
        ("names", ("a",), ["a"]),
        ("pair", [2, "b"], (2, "b")),
        ("either", "x", "x"),
        ("timeout", "1m", 60.0),
        ("cache", "2 KiB", 2048),
        ("pool.wait", 3, 3.0),
    ],
)
def test_values_that_are_allowed(name: str, value: object, held: object) -> None:
    """They are held in the field's type."""
    settings = Settings(Shop())
    settings.update({name: value})
    assert settings.get(name) == held
    assert type(settings.get(name)) is type(held)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("name", 5, "name: 5 (update) is not allowed. Use text"),
        ("open", 1, "open: 1 (update) is not allowed. Use True or False"),
        ("colour", "RED", "one of: Colour.RED, Colour.BLUE"),
        ("mode", "fats", "one of: 'fast', 'slow', 1. Did you mean 'fast'?"),
        ("mode", True, "one of: 'fast', 'slow', 1"),
        ("note", 5, "Use text; or None"),
        ("ports", (1, "2"), "Use a tuple with, for each item, a whole number"),
        ("ports", 80, "Use a tuple with, for each item, a whole number"),
        ("names", "abc", "Use a list with, for each item, text"),
        ("pair", (1,), "Use a tuple of 2: a whole number, text"),
        ("timeout", "2 days", "timeout: '2 days' (update) is not allowed. Use a duration"),
        ("cache", 5, "cache: 5 (update) is not allowed. Use a size from 1 KiB"),
        ("pool.size", 1.5, "pool.size: 1.5 (update) is not allowed. Use a whole number"),
        ("pool.size", True, "pool.size: True (update) is not allowed"),
        ("pool.wait", 10**400, "is not allowed. Use a number"),
        ("pool.spare", 3, "pool.spare: 3 is not allowed: its check raised ValueError: 3 is odd"),
        ("pool.size", 1, "Pool refuses the change of pool.size: ValueError: more spare ones"),
        ("pool", {"size": 5}, "pool: a value of the type dict is not allowed for a group"),
        ("pool", None, "Use an instance of Pool, or one of the names in the group: pool.size"),
        ("pool.sise", 5, "there is no setting 'pool.sise'. Did you mean 'pool.size'?"),
        ("zzz", 5, "there is no setting 'zzz'. The names are: name, open, colour"),
        ("total", 5, "total is computed by its dataclass, so it cannot be set"),
        (7, 7, "there is no setting 7"),
    ],
)
def test_a_wrong_value_changes_nothing(name: str, value: object, message: str) -> None:
    """Nor do the right ones beside it; the message has name, value and the way out."""
    settings = Settings(Shop())
    before = settings.get()
    with pytest.raises(ConfigError, match=re.escape(message)):
        settings.update({"db.pool.size": 99, name: value})
    assert settings.get() is before


def test_one_error_lists_all_mistakes() -> None:
    """An update with several wrong values is corrected in one go."""
    with pytest.raises(ConfigError, match="2 problems") as caught:
        Settings(Shop()).update({"pool.size": "x", "opne": False})
    assert "pool.size: 'x'" in str(caught.value)
    assert "Did you mean 'open'?" in str(caught.value)


@pytest.mark.parametrize("name", ["db.password", "db.address"])
def test_no_message_shows_a_secret(name: str) -> None:
    """Neither one known by its name nor one that its field marks."""
    secret = ("hunter2", "hunter2")
    with pytest.raises(ConfigError, match="the value") as caught:
        Settings(Shop()).update({name: secret})
    assert "hunter2" not in f"{caught.value} {dict(caught.value.context)}"


@dataclass(frozen=True)
class Guarded:
    """A secret with a check, and one that the dataclass refuses."""

    token: str = field(default="", metadata={"validate": "hunter2-a".__ne__})
    secret: str = field(default="", metadata={"validate": {"": 1, "hunter2-c": 1}.__getitem__})

    def __post_init__(self) -> None:
        if self.secret:
            raise ValueError(self.secret)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"token": "hunter2-a"}, "token: the value is not allowed: its check returned False"),
        ({"secret": "hunter2-b"}, "its check raised KeyError. "),
        ({"secret": "hunter2-c"}, "Guarded refuses the change of secret: ValueError. "),
    ],
)
def test_no_message_quotes_the_error_of_a_check_of_a_secret(
    values: dict[str, object], reason: str
) -> None:
    """It may contain the value."""
    with pytest.raises(ConfigError, match=re.escape(reason)) as caught:
        Settings(Guarded()).update(values)
    assert "hunter2" not in f"{caught.value} {dict(caught.value.context)}"


class HostileMapping(dict[str, object]):
    """A mapping that cannot be read."""

    def keys(self) -> NoReturn:
        """Fail."""
        raise RuntimeError("no keys")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no items")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (5, "changes=5 is not a mapping of names to values"),
        (print, "changes=None is not a mapping"),
        (len, "what is passed to update() raised TypeError: object of type 'Pool' has no len()"),
        (HostileMapping(), "what is passed to update() raised RuntimeError: no keys"),
        ({"size": 5}, "size is there twice, in the mapping and as an argument"),
    ],
)
def test_what_is_not_an_update(changes: Any, message: str) -> None:  # noqa: ANN401 - wrong on purpose
    """It is refused with the way out."""
    with pytest.raises(ConfigError, match=re.escape(message)):
        Settings(Pool()).update(changes, size=6)


def test_a_config_error_of_a_change_function_passes() -> None:
    """It says more than one around it."""

    def refuse(_: Pool) -> NoReturn:
        raise ConfigError("the pool is closed")

    with pytest.raises(ConfigError, match=r"^the pool is closed$"):
        Settings(Pool()).update(refuse)


@dataclass
class Thawed:
    """Not frozen."""

    size: int = 1


@dataclass(frozen=True)
class Holder:
    """Holds anything."""

    inside: object = None


@dataclass(frozen=True)
class Unknown:
    """Names a type that is not there."""

    size: Nowhere = 1  # type: ignore[name-defined] # noqa: F821 # pyright: ignore[reportUndefinedVariable]


@dataclass(frozen=True)
class Uncallable:
    """Has a check that cannot be called."""

    size: int = field(default=1, metadata={"validate": "positive"})


@pytest.mark.parametrize(
    ("initial", "message"),
    [
        (Shop, "is not an instance of a dataclass. Use an instance of a frozen dataclass: Shop()"),
        ({"size": 1}, "initial={'size': 1} is not an instance of a dataclass"),
        (Thawed(), "initial: Thawed is not frozen"),
        (Holder(Holder(Thawed())), "inside.inside: Thawed is not frozen"),
        (Shop(name=5), "name: 5 (initial) is not allowed. Use text"),  # type: ignore[arg-type]
        (Pool(9, 3), "spare: 3 is not allowed: its check raised"),
        (Unknown(), "the types of the fields of Unknown are not known"),
        (Uncallable(), "size: validate='positive' in the field's metadata cannot be called"),
    ],
)
def test_what_is_not_a_set_of_settings(initial: object, message: str) -> None:
    """It is refused when the settings are made."""
    with pytest.raises(ConfigError, match=re.escape(message)):
        Settings(initial)


def test_a_name_is_text() -> None:
    """Another one is refused."""
    with pytest.raises(ConfigError, match="name=5 is not text"):
        Settings(Pool(), name=5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="there is no setting 5"):
        Settings(Pool()).get(5)  # type: ignore[call-overload]


@dataclass(frozen=True)
class Loose:
    """Types that are not checked item by item."""

    path: Path = Path()
    port: Port = Port(1)
    level: Annotated[int, "a level"] = 1
    named: Named | None = None
    thing: Any = None
    table: dict[str, int] = field(default_factory=dict[str, int])
    plain: tuple = ()  # type: ignore[type-arg] # pyright: ignore[reportMissingTypeArgument, reportUnknownVariableType]


def test_further_types() -> None:
    """Of a class a value must be an instance; what cannot be checked is allowed."""
    settings = Settings(Loose())
    settings.update(path=Path("a"), port=2, level=3, thing=object, table={"a": 1}, plain=[1, "a"])
    settings.update(named=object())
    wrong: dict[str, object] = {"path": "a", "port": "2", "level": 1.5, "table": []}
    for name, value in wrong.items():
        with pytest.raises(ConfigError, match=f"{name}: .* is not allowed"):
            settings.update({name: value})
    assert settings.get("plain") == (1, "a")


class Hostile:
    """An object whose every answer is an error."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __repr__(self) -> str:
        raise RuntimeError("no text")


def test_hostile_values() -> None:
    """They change a setting without a type, and are refused elsewhere; nothing else is raised."""
    settings = Settings(Loose())
    first, second = Hostile(), Hostile()
    assert settings.update(thing=first).thing is first
    assert settings.update(thing=second).thing is second
    with pytest.raises(ConfigError, match="level: <Hostile instance .* is not allowed"):
        settings.update(level=Hostile())
    with pytest.raises(ConfigError, match="is not allowed"):
        settings.update(named=5, path=Hostile())


@dataclass(frozen=True)
class Shifting:
    """Replaces its group by something else."""

    pool: Pool = field(default_factory=Pool)
    broken: bool = False

    def __post_init__(self) -> None:
        if self.broken:
            object.__setattr__(self, "pool", None)


def test_a_dataclass_that_loses_a_group() -> None:
    """Its change is refused, since names in the group would mean nothing."""
    settings = Settings(Shifting())
    with pytest.raises(ConfigError, match="pool: its dataclass has replaced it by None"):
        settings.update(broken=True)
    assert settings.get("pool.size") == 4


@dataclass(frozen=True)
class Seeded:
    """Cannot be copied: it needs an argument that it does not keep."""

    seed: InitVar[int]
    size: int = 1

    def __post_init__(self, seed: int) -> None:
        assert seed


def test_a_dataclass_that_cannot_be_copied() -> None:
    """The error says which change it refuses."""
    with pytest.raises(ConfigError, match="Seeded refuses the change of size: "):
        Settings(Seeded(3)).update(size=2)


def test_a_check_that_raises_a_config_error_in_the_dataclass() -> None:
    """An error of otel-ext from `__post_init__` passes as it is."""

    def refuse(self: Any) -> None:  # noqa: ANN401 - of a class that is made here
        if self.size > 1:
            raise ConfigError("too many")

    made = make_dataclass(
        "Made", [("size", int, 1)], frozen=True, namespace={"__post_init__": refuse}
    )
    with pytest.raises(ConfigError, match=r"^too many$"):
        Settings(made()).update(size=2)
