"""A pytest plugin that puts our processor in front of every tracer provider of a test run.

Only `tools/compat.py` uses it: the test suites of others, run with and without us,
must have the same outcomes.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider

from otel_ext.exporters import JsonlExporter
from otel_ext.processors import LifecycleSpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable

_original: Callable[..., None] = TracerProvider.__init__


@functools.wraps(_original)
def _with_our_processor(self: TracerProvider, *args: object, **kwargs: object) -> None:
    _original(self, *args, **kwargs)
    exporter = JsonlExporter(os.environ["OTEL_EXT_COMPAT_OUTPUT"])
    self.add_span_processor(LifecycleSpanProcessor(exporter))


TracerProvider.__init__ = _with_our_processor  # type: ignore[method-assign]
