"""Parses settings from YAML text, with the line of each.

Only plain data is accepted: no tags that create objects, no aliases (a few lines of
them can expand to gigabytes), no deep nesting, no duplicate keys.
"""

# PyYAML's stubs leave the methods of its loaders untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import yaml

from otel_ext.config.messages import Entry
from otel_ext.errors import ConfigError
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["parse_yaml"]

_MAX_DEPTH: Final = 32
_FIX: Final = "Correct the file"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, without aliases and with limited depth."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node; PyYAML calls this for each node."""
        event = cast("yaml.Event", self.peek_event())  # type: ignore[no-untyped-call]
        self._depth += 1
        if isinstance(event, yaml.AliasEvent):
            raise _error("aliases are not supported", event)
        if self._depth > _MAX_DEPTH:
            raise _error("nested too deeply", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def parse_yaml(path: Path, text: str) -> tuple[Entry, ...]:
    """Return the entries of a YAML file.

    Raises:
        ConfigError: It is not YAML or not a mapping; the message has line and column.
    """
    try:
        loader = _Loader(text)
        try:
            return _entries(path, loader)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(
            f"{position}: {str(error.problem or error.context)[:200]}", hint=_FIX
        ) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise ConfigError(f"{path}:{line}:{column}: {error.reason}", hint=_FIX) from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply", hint=_FIX) from None


def _error(problem: str, at: yaml.Event | yaml.Node) -> yaml.MarkedYAMLError:
    """Return an error of PyYAML's kind, so that `parse_yaml` handles all errors alike."""
    mark = cast("yaml.Mark | None", at.start_mark)
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _entries(path: Path, loader: _Loader) -> tuple[Entry, ...]:
    """Return the entries of the one document of `loader`."""
    root = loader.get_single_node()
    if root is None:
        return ()
    if not isinstance(root, yaml.MappingNode):
        raise _error("expected 'key: value' lines", root)
    entries: dict[str, Entry] = {}
    for key_node, value_node in root.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise _error("expected a plain key", key_node)
        key = str(key_node.value)
        if key in entries:
            raise _error(f"{short_repr(key)} is a duplicate key", key_node)
        try:
            value: object = loader.construct_object(value_node, deep=True)
        except ValueError as error:
            # Such as a date that does not exist, or a number with too many digits.
            raise ConfigError(
                f"{path}:{line}: {short_repr(key)}: {str(error)[:200]}", hint=_FIX
            ) from None
        entries[key] = Entry(key, value, line)
    return tuple(entries.values())
