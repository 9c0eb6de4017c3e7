"""Checks that a checkpoint's state comes back as it was stored, and says where it would not.

Only what JSON has is accepted, of the exact types, so that a state never comes back as
something else: a tuple would be a list, and a NaN a text.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from otel_ext.errors import ConfigError
from otel_ext.record.sanitise.judge import VALUES
from otel_ext.record.sanitise.scalars import INT_MAX, INT_MIN, is_utf8
from otel_ext.record.sanitise.values import MAX_DEPTH, encode_plain
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["MAX_STATE_BYTES", "PlainState", "State", "Storable", "altered_error", "plain_state"]

MAX_STATE_BYTES: Final = 65_536
"""The most bytes of a state as JSON."""

State: TypeAlias = "dict[str, State] | list[State] | str | int | float | bool | None"
"""What JSON has: dicts with texts as keys, lists, texts, finite numbers, bools and None."""

Storable: TypeAlias = (
    "Mapping[str, Storable] | Sequence[Storable] | str | int | float | bool | None"
)
"""The same as an argument, so that a `list[str]` is one; of the mappings only dicts are taken,
and of the sequences only lists."""

# The state is nested in the record's data.
_MAX_DEPTH: Final = MAX_DEPTH - 1
_LONGEST_PATH: Final = 200
_MARK: Final = "[redacted"
_OTHER: Final = "Use dicts with texts as keys, lists, texts, finite numbers, bools and None."
_HINT: Final = "Store only what the next attempt needs, such as a number or a file's name."


class PlainState(NamedTuple):
    """A copy of a state.

    Attributes:
        value: The copy, which shares nothing with the program's own.
        size: How many bytes it has as JSON.
        flat: Its texts and numbers by their paths, and its dicts as None; None if more than
            that decides whether it has secrets, as in lists.
    """

    value: State
    size: int
    flat: Mapping[str, object] | None


class _Copier:
    """Copies one state, and refuses what would change."""

    def __init__(self) -> None:
        self.left = MAX_STATE_BYTES
        self.fields: dict[str, object] = {}
        self.is_flat = True
        self._open: list[object] = []

    def copy(self, value: object, path: str) -> State:
        kind = type(value)
        self.left -= 1
        if kind is str:
            text = cast("str", value)
            self.left -= len(text)
            if self.left >= 0 and not text.isascii() and not is_utf8(text):
                raise _refused(path, "has half of a surrogate pair, which UTF-8 cannot encode")
        elif kind is int:
            if not INT_MIN <= cast("int", value) <= INT_MAX:
                raise _refused(path, "is an integer beyond 64 bits", "Store it as text.")
        elif kind is float:
            if not isfinite(cast("float", value)):
                raise _refused(path, f"is {value}, which JSON does not have", "Store None.")
        elif kind is dict or kind is list:
            return self._container(value, path, is_list=kind is list)
        elif value is not None and kind is not bool:
            raise _refused(path, f"is a {kind.__name__}, which JSON does not have", _OTHER)
        if self.left < 0:
            raise _too_large(f"at least {MAX_STATE_BYTES - self.left:,}")
        self.fields[path] = value
        return cast("State", value)

    def _container(self, value: object, path: str, *, is_list: bool) -> State:
        if any(one is value for one in self._open):
            raise _refused(path, "contains itself")
        if len(self._open) >= _MAX_DEPTH:
            raise _refused(path, f"is nested more than {_MAX_DEPTH} levels deep")
        self._open.append(value)
        self.fields[path] = None
        copied: State = self._list(value, path) if is_list else self._dict(value, path)
        self._open.pop()
        return copied

    def _list(self, value: object, path: str) -> list[State]:
        self.is_flat = False
        items = cast("list[object]", value)
        return [self.copy(item, f"{path}[{index}]") for index, item in enumerate(items)]

    def _dict(self, value: object, path: str) -> dict[str, State]:
        copied: dict[str, State] = {}
        for key, item in cast("dict[object, object]", value).items():
            if type(key) is not str:
                raise _refused(path, f"has the key {short_repr(key)}, which is not a text")
            if not key.isascii() and not is_utf8(key):
                raise _refused(path, f"has the key {short_repr(key)}, half of a surrogate pair")
            self.left -= len(key)
            below = f"{path}.{key}"
            # One field of a dict may name the kind of another: only a walk judges that.
            if below in self.fields or key in VALUES or len(below) > _LONGEST_PATH:
                self.is_flat = False
                below = below[:_LONGEST_PATH]
            copied[key] = self.copy(item, below)
        return copied


def plain_state(state: object) -> PlainState:
    """Return a copy of `state`, if JSON keeps it as it is.

    Raises:
        ConfigError: It is too large, nested too deep, or has what JSON does not have.

    >>> plain_state({"done": 3})
    PlainState(value={'done': 3}, size=10, flat={'state': None, 'state.done': 3})
    """
    copier = _Copier()
    try:
        value = copier.copy(state, "state")
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - another thread changes it meanwhile
        raise ConfigError(
            f"the checkpoint's state cannot be read: {type(error).__name__}: {error}",
            hint="Pass a copy, if another thread changes it.",
        ) from None
    size = len(encode_plain(value))
    if size > MAX_STATE_BYTES:
        raise _too_large(f"{size:,}")
    return PlainState(value, size, copier.fields if copier.is_flat else None)


def altered_error(
    name: str, kept: Mapping[str, object], altered: Mapping[str, object]
) -> ConfigError:
    """Return the error that says where and how a checkpoint would have changed.

    Args:
        name: The checkpoint's name.
        kept: Its data.
        altered: What would have been stored.

    >>> error = altered_error("import", {"state": {"n": 1}}, {"state": {"n": "[redacted: pin]"}})
    >>> str(error).partition(". ")[0]
    "the checkpoint's state.n would be stored as '[redacted: pin]': it looks like a secret"
    """
    path, found = _difference("", dict(kept), dict(altered))
    if not path:
        return ConfigError(
            "the checkpoint's name would change when it is stored: it looks like a secret",
            hint="Give it a plain name, such as 'import'.",
        )
    if isinstance(found, dict):
        what = "would be stored with other keys: one of them looks like a secret"
    elif _MARK in str(found):
        what = f"would be stored as {short_repr(found)}: it looks like a secret"
    else:
        what = f"would be stored as {short_repr(found)}"
    return ConfigError(
        f"the checkpoint's {_shown(path)} {what}",
        hint=_HINT,
        context={"name": name, "path": path},
    )


def _difference(path: str, kept: object, altered: object) -> tuple[str, object]:
    """Return where two values differ first, and the altered one there; no path if nowhere."""
    pairs: Iterable[tuple[str, object, object]] | None = None
    answer: tuple[str, object] = "", None
    if kept != altered:
        answer = path, altered
    if isinstance(kept, dict) and isinstance(altered, dict):
        first, second = cast("dict[str, object]", kept), cast("dict[str, object]", altered)
        if first.keys() == second.keys():
            pairs = ((_below(path, key), first[key], second[key]) for key in first)
    elif isinstance(kept, list) and isinstance(altered, list):
        items, others = cast("list[object]", kept), cast("list[object]", altered)
        if len(items) == len(others):
            both = enumerate(zip(items, others, strict=True))
            pairs = ((f"{path}[{index}]", *pair) for index, pair in both)
    if pairs is not None:
        found = (_difference(*pair) for pair in pairs)
        return next((one for one in found if one[0]), ("", None))
    return answer


def _below(path: str, key: str) -> str:
    return f"{path}.{key}"[:_LONGEST_PATH] if path else key


def _shown(path: str) -> str:
    return path if path.isprintable() else short_repr(path)


def _refused(path: str, what: str, hint: str = _HINT) -> ConfigError:
    return ConfigError(f"the checkpoint's {_shown(path)} {what}", hint=hint, context={"path": path})


def _too_large(size: str) -> ConfigError:
    return ConfigError(
        f"the checkpoint's state has {size} bytes as JSON; at most {MAX_STATE_BYTES:,} are kept",
        hint=_HINT,
    )
