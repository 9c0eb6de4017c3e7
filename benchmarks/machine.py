"""Describes what the figures were measured on: the machine, the versions, the date."""

from __future__ import annotations

import os
import platform
import sys
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from otel_ext._accel import load_speed

__all__ = ["describe"]

_PACKAGES: Final = (
    "otel-ext",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp",
    "logfire",
    "structlog",
    "orjson",
    "fastapi",
    "uvicorn",
    "django",
    "gunicorn",
    "celery",
    "rotel",
)


def describe() -> list[tuple[str, str]]:
    """Return the description as names and values, for a table."""
    compiled = "yes" if load_speed() is not None else "no"
    return [
        ("date", datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("processor", f"{_processor()}, {os.cpu_count()} of them"),
        ("memory", f"{_memory_gib():.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}, {_distribution()}"),
        ("load before", f"{os.getloadavg()[0]:.1f}"),
        ("Python", f"{platform.python_version()}, {platform.python_implementation()}"),
        ("interpreter lock", "yes" if getattr(sys, "_is_gil_enabled", lambda: True)() else "no"),
        ("otel_ext._speed", compiled),
        *((name, _version(name)) for name in _PACKAGES),
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"
