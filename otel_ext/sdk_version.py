"""Which releases of the OpenTelemetry SDK otel-ext works with; the only place that decides."""

from __future__ import annotations

from typing import Final

from otel_ext.runtime.guard import report_problem

__all__ = ["OLDEST", "is_sdk_supported"]

OLDEST: Final = (1, 30)
"""The oldest release that the tests pass with, as in the dependencies of pyproject.toml."""


def is_sdk_supported() -> bool:
    """Return whether the SDK of this process is one that otel-ext works with.

    Installers see to that by the dependencies; an environment that was put together
    otherwise may hold an older release. Says so on stderr then, once a minute at most.

    >>> is_sdk_supported()
    True
    """
    version = _installed()
    release = _release(version or "")
    if not release or release >= OLDEST:  # what tells no number gets a chance
        return True
    oldest = ".".join(map(str, OLDEST))
    report_problem(
        "nothing is recorded",
        f"opentelemetry-sdk {version} is older than {oldest}:"
        f" pip install 'opentelemetry-sdk>={oldest}'",
    )
    return False


def _installed() -> str | None:
    """Return the version of the SDK; None where it does not tell."""
    try:
        from opentelemetry.sdk.version import __version__  # noqa: PLC0415 - reports, never raises
    except Exception:  # noqa: BLE001 - another distribution of the SDK; it is tried
        return None
    return str(__version__)


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, those of `1.30.0rc1` being (1, 30, 0)."""
    numbers: list[int] = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)
