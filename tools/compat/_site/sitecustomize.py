"""Adds our processor to every tracer provider of a test run and of its children.

Only `tools/compat` puts this folder on the path. The interpreter imports the module when it
starts; it acts if `OTEL_EXT_COMPAT_OUTPUT` names a folder for the records, and not before the
program itself imports the SDK.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from opentelemetry.sdk.trace import TracerProvider

OUTPUT = os.environ.get("OTEL_EXT_COMPAT_OUTPUT")


def add_our_processor(module: ModuleType) -> None:
    """Let every provider of `module` start with our processor."""
    provider: type[TracerProvider] = module.TracerProvider
    original = provider.__init__

    @functools.wraps(original)
    def with_our_processor(self: TracerProvider, *args: object, **kwargs: object) -> None:
        from otel_ext.exporters import JsonlExporter  # noqa: PLC0415 - needs the whole SDK
        from otel_ext.processors import LifecycleSpanProcessor  # noqa: PLC0415

        original(self, *args, **kwargs)  # type: ignore[arg-type]
        self.add_span_processor(LifecycleSpanProcessor(JsonlExporter(OUTPUT or "")))

    provider.__init__ = with_our_processor  # type: ignore[method-assign]


if OUTPUT:
    import wrapt

    wrapt.register_post_import_hook(add_our_processor, "opentelemetry.sdk.trace")
