"""The names of our environment variables, for an entry point of OpenTelemetry.

`opentelemetry-instrument` adds an option for each name in this module that begins with
`OTEL_`: `OTEL_EXT_OUTPUT` becomes `--ext_output`. The names are those of the settings,
so none can be missing or outdated.
"""

from __future__ import annotations

from otel_ext._accel import PURE_PYTHON
from otel_ext.config import CONFIG_VARIABLE, SETTINGS
from otel_ext.zero_code import AUTO

__all__: list[str] = []


def __dir__() -> list[str]:
    return sorted({AUTO, CONFIG_VARIABLE, PURE_PYTHON, *(setting.env for setting in SETTINGS)})


def __getattr__(name: str) -> str:
    if name in __dir__():
        return name
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
