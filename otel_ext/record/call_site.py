"""Finds where the user's code opened a span or wrote a log.

The stack is walked from our hook outwards, past libraries and this package, to the first
frame of the user's own code (`otel_ext.record.own_code` decides which that is). Files and
call sites are cached: after that a call site costs one look-up a frame.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Final
from weakref import ref

from otel_ext.record.model import UNKNOWN_CALL_SITE, CallSite
from otel_ext.record.own_code import CARRIER, FOREIGN, JUDGED, LOOP, OWN, judge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType, FrameType

__all__ = [
    "call_site_from_attributes",
    "describe_frame",
    "find_call_site",
    "remember",
]

_MAX_CACHED: Final = 16_384
_MAX_LINE: Final = 2**63 - 1
_SEPARATOR: Final = os.sep
_MAX_FRAMES: Final = 250

# Code is held weakly, so that programs that keep compiling code (notebooks, template
# engines) can free it. The entry is removed with it.
_call_sites: Final[dict[tuple[int, int], tuple[ref[CodeType], CallSite]]] = {}


def find_call_site(depth: int = 1, *, is_served: bool = False) -> CallSite:
    """Return the innermost call site on the stack that is in the user's own code.

    Without one, it is the line of installed code that called OpenTelemetry itself; or
    unknown, if that code is an instrumentation, which opens spans for others.

    Args:
        depth: How many frames to skip: those of our own hooks.
        is_served: Whether it is the span of a request that a server got. No code of the user's
            called that, so only the code that called OpenTelemetry itself is considered.

    >>> find_call_site(1) is UNKNOWN_CALL_SITE or find_call_site(1).line > 0
    True
    """
    frame: FrameType | None = sys._getframe(depth)  # noqa: SLF001 - the documented way to a frame
    opener: FrameType | None = None
    undecided = True
    for _ in range(_MAX_FRAMES):
        if frame is None:
            break
        filename = frame.f_code.co_filename
        verdict = JUDGED.get(filename)
        if verdict is None:
            verdict = judge(filename)
        if verdict == OWN:
            return _cached_call_site(frame)
        if verdict == LOOP:
            break
        if undecided and verdict != CARRIER:
            undecided = False
            opener = frame if verdict == FOREIGN else None
            if is_served:
                break
        frame = frame.f_back
    return UNKNOWN_CALL_SITE if opener is None else _cached_call_site(opener)


def _cached_call_site(frame: FrameType) -> CallSite:
    code = frame.f_code
    known = _call_sites.get((id(code), frame.f_lasti))
    return known[1] if known is not None and known[0]() is code else remember(frame)


def remember(frame: FrameType) -> CallSite:
    """Return the call site of `frame`, and cache it."""
    call_site = describe_frame(frame)
    if len(_call_sites) >= _MAX_CACHED:
        _call_sites.clear()
    key = (id(frame.f_code), frame.f_lasti)
    # The callback passes the reference, which `pop` takes as its default.
    _call_sites[key] = (ref(frame.f_code, partial(_call_sites.pop, key)), call_site)
    return call_site


def describe_frame(frame: FrameType) -> CallSite:
    """Return the call site of `frame`; its path is relative if it is below the cwd."""
    code = frame.f_code
    function: str = getattr(code, "co_qualname", code.co_name)  # 3.11 and later
    return CallSite(_relative(code.co_filename), frame.f_lineno or 0, function)


def _relative(filename: str) -> str:
    try:
        root = os.getcwd() + _SEPARATOR  # noqa: PTH109 - on the user's path, kept light
    except OSError:  # the working directory was removed
        return filename
    return filename.removeprefix(root)


def call_site_from_attributes(attributes: Mapping[str, object]) -> CallSite | None:
    """Return the call site that `code.*` attributes name; None without such attributes.

    Both the stable names and the older ones are understood
    (https://opentelemetry.io/docs/specs/semconv/registry/attributes/code/).

    >>> call_site_from_attributes({"code.file.path": "a.py", "code.line.number": 3})
    CallSite('a.py', 3, '<unknown>')
    """
    path = _first_text(attributes, "code.file.path", "code.filepath")
    if not path:
        return None
    function = _first_text(attributes, "code.function.name", "code.function")
    return CallSite(_relative(path), _line_number(attributes), function or "<unknown>")


def _first_text(attributes: Mapping[str, object], *keys: str) -> str:
    """Return the first value that is a non-empty text."""
    for key in keys:
        value = attributes.get(key)
        if isinstance(value, str) and value:
            return value
    return ""


def _line_number(attributes: Mapping[str, object]) -> int:
    """Return the first value that can be a line number; 0 for an unknown line."""
    for key in ("code.line.number", "code.lineno"):
        value = attributes.get(key)
        if type(value) is int and 0 < value <= _MAX_LINE:
            return value
    return 0
