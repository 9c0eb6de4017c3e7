"""Decides whether the OpenTelemetry SDK of this process is supported, and switched on."""

from __future__ import annotations

import os
from typing import Final

from otel_ext.runtime.guard import report_problem

__all__ = ["ADMITTED", "OLDEST", "is_admitted", "is_sdk_disabled", "is_sdk_supported", "release_of"]

OLDEST: Final = (1, 30)
"""The oldest supported release, the same as in the dependencies of pyproject.toml."""

_NEXT_MAJOR: Final = (2,)

ADMITTED: Final = f">={'.'.join(map(str, OLDEST))},<{_NEXT_MAJOR[0]}"
"""The supported releases, as a version specifier for pip."""


def is_admitted(version: str) -> bool:
    """Return whether this release of OpenTelemetry's stable packages is supported.

    One without a number in front counts as supported.

    >>> is_admitted("1.45.1"), is_admitted("1.29.0"), is_admitted("2.0.0")
    (True, False, False)
    """
    release = release_of(version)
    return not release or OLDEST <= release < _NEXT_MAJOR


def is_sdk_supported() -> bool:
    """Return whether the SDK of this process is supported; if not, report it on stderr.

    Installers check the dependencies, but an environment can be put together in other
    ways. The report appears once a minute at most.

    >>> is_sdk_supported()
    True
    """
    version = _installed()
    if version is None or is_admitted(version):
        return True
    report_problem(
        "nothing is recorded",
        f"otel-ext works with OpenTelemetry {ADMITTED}, and opentelemetry-sdk is {version}:"
        f" pip install 'opentelemetry-sdk{ADMITTED}'",
    )
    return False


def is_sdk_disabled() -> bool:
    """Return whether the environment switches the SDK off: `OTEL_SDK_DISABLED=true`."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _installed() -> str | None:
    """Return the version of the SDK; None if it has none."""
    try:
        from opentelemetry.sdk.version import __version__  # noqa: PLC0415 - may be absent
    except Exception:  # noqa: BLE001 - another distribution of the SDK counts as supported
        return None
    return str(__version__)


def release_of(version: str) -> tuple[int, ...]:
    """Return the numbers of a version: (1, 30, 0) for `1.30.0rc1`."""
    numbers: list[int] = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)
