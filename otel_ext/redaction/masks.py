"""Replaces secrets by marks, which with a key carry a code that equal values share."""

from __future__ import annotations

import re
from collections import deque
from importlib import import_module
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.counters import COUNTERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_ext.redaction.rules.row import Span

__all__ = ["ERROR_MARK", "MARK", "MARK_BEGIN", "Marker"]

_HEX_DIGITS: Final = 32
MARK_BEGIN: Final = "[redacted: "
ERROR_MARK: Final = f"{MARK_BEGIN}error]"
MARK: Final = re.compile(
    rf"{re.escape(MARK_BEGIN)}[a-z-]{{1,32}}(?: hmac:[0-9a-f]{{{_HEX_DIGITS}}})?\]"
)
"""Matches the marks that replace secrets."""


class Marker:
    """Replaces secrets by marks, and counts them.

    Args:
        key: With a key, marks show which values are equal: each carries 128 bits of the
            value's HMAC-SHA256 (RFC 2104). A plain hash would let readers try out values.

    >>> Marker("").mark("hunter2", "password")
    '[redacted: password]'
    >>> Marker("a key of 16 or more").mark("hunter2", "password")[:26]
    '[redacted: password hmac:6'
    """

    def __init__(self, key: str = "") -> None:
        self._key = key.encode("utf-8", "surrogatepass")
        if self._key:
            import_module("hmac")  # slow, so before any span

    @property
    def shows_equality(self) -> bool:
        """Whether marks show which values are equal."""
        return bool(self._key)

    def mark(self, secret: str | bytes | None, rule: str) -> str:
        """Return the mark for `secret`; for None, one without a code for its value."""
        COUNTERS.add(f"redacted.{rule}")
        code = ""
        if self._key and secret is not None:
            import hmac  # noqa: PLC0415 - loads OpenSSL, and only with a key

            data = secret if isinstance(secret, bytes) else secret.encode("utf-8", "surrogatepass")
            code = f" hmac:{hmac.new(self._key, data, 'sha256').hexdigest()[:_HEX_DIGITS]}"
        return f"{MARK_BEGIN}{rule}{code}]"

    def mark_spans(self, text: str, spans: Iterable[Span]) -> str:
        """Return `text` with a mark for each span; overlapping ones become one."""
        marks = deque(match.span() for match in MARK.finditer(text))
        found: list[Span] = []
        for span in sorted(spans):
            # Both are in order, so that one pass over the marks serves all spans.
            while marks and marks[0][1] <= span.start:
                marks.popleft()
            if marks and marks[0][0] <= span.start and span.end <= marks[0][1]:
                continue
            if found and span.start < found[-1].end:
                found[-1] = found[-1]._replace(end=max(span.end, found[-1].end))
            else:
                found.append(span)
        parts: list[str] = []
        done = 0
        for start, end, rule in found:
            parts += (text[done:start], self.mark(text[start:end], rule))
            done = end
        return "".join((*parts, text[done:]))
