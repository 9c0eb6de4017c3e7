"""Tells the spans of LLM agents by their attributes, as the viewer does."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_agent_attribute", "is_agent_key"]


class _Keys(NamedTuple):
    """The content of the file that Python and TypeScript share."""

    prefixes: tuple[str, ...]
    keys: frozenset[str]
    exceptions: Mapping[str, frozenset[object]]


@cache
def _keys() -> _Keys:
    text = files("otel_ext.record.schema").joinpath("agent_keys.json").read_bytes()
    found = orjson.loads(text)
    exceptions = {key: frozenset(values) for key, values in found["except"].items()}
    return _Keys(tuple(found["prefixes"]), frozenset(found["keys"]), exceptions)


def is_agent_key(key: str) -> bool:
    """Whether a span with an attribute of this name may be one of an agent.

    >>> is_agent_key("gen_ai.request.model"), is_agent_key("http.route")
    (True, False)
    """
    known = _keys()
    return key in known.keys or key.startswith(known.prefixes)


def is_agent_attribute(key: str, value: object) -> bool:
    """Whether an attribute shows that its span is one of an agent.

    Args:
        key: Its name, for which `is_agent_key` holds.
        value: Its value.

    >>> is_agent_attribute("langfuse.observation.type", "span")
    False
    """
    excluded = _keys().exceptions.get(key)
    return excluded is None or not isinstance(value, str) or value not in excluded
