"""Declares the settings for what is recorded, and where and in which form it is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from otel_ext.settings.declarations import declare
from otel_ext.settings.kinds import Boolean, Folder

__all__ = ["CaptureSettings", "OutputSettings"]


@dataclass(frozen=True)
class CaptureSettings:
    """What is recorded."""

    enabled: bool = declare(
        Boolean(),
        "Whether anything is recorded; with false, the program runs as without otel-ext.",
        default=True,
    )
    record_only: bool = declare(
        Boolean(),
        "Also record spans that the sampler does not sample but records (`RECORD_ONLY`).",
        default=False,
    )
    instrument: bool = declare(
        Boolean(),
        "Switch on each installed OpenTelemetry instrumentation when its library is imported."
        " `otel-ext run` does so unless this is set to `false`.",
        default=False,
    )
    strict: bool = declare(
        Boolean(),
        "Refuse to start if a variable, the configuration file or the output folder is wrong,"
        " instead of printing a warning and ignoring it.",
        default=False,
    )
    structlog: bool = declare(
        Boolean(),
        "Configure structlog too, so that its logs are recorded beside the spans; the same as"
        " calling `otel_ext.configure_structlog()`.",
        default=False,
    )


@dataclass(frozen=True)
class OutputSettings:
    """Where records are written, and in which form."""

    folder: Path = declare(
        Folder(),
        "The folder for the JSONL files, one for each process. A relative path in a configuration"
        " file is relative to that file, elsewhere to the working directory.",
        default=Path("traces"),
        name="output",
    )
    compat_mode: bool = declare(
        Boolean(),
        "Write the timestamp at the top level of each line too, for tools that expect it there."
        " Can be changed while the program runs.",
        default=False,
        aliases=("AITRACE_COMPAT_MODE",),
    )
