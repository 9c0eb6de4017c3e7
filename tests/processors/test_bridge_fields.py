"""What a log of the standard library brings along: the fields of the program, and no others."""

from __future__ import annotations

import io
import logging
from typing import cast

from otel_ext.processors.stdlib_bridge import StdlibBridge


def test_what_another_handler_formats_is_no_field() -> None:
    """A formatter leaves `message` and `asctime` on the record; `extra` is kept."""
    seen: list[dict[str, object]] = []

    def final(_: object, __: str, event_dict: object) -> str:
        assert isinstance(event_dict, dict)
        seen.append(cast("dict[str, object]", event_dict))
        return ""

    log = logging.Logger("shop")  # noqa: LOG001 - no handlers of others
    printing = logging.StreamHandler(io.StringIO())
    printing.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(printing)
    log.addHandler(StdlibBridge(final))
    log.warning("late by %d days", 3, extra={"order": 7})
    assert {key for key in seen[0] if not key.startswith("_")} == {"event", "order"}
