"""Marks for tests that need a certain release of OpenTelemetry or a later one."""

from __future__ import annotations

from importlib.metadata import version

import pytest

SDK = tuple(int(part) for part in version("opentelemetry-sdk").split(".")[:2])


def since(minor: int, why: str) -> pytest.MarkDecorator:
    """Return a mark that skips a test before release 1.`minor` of OpenTelemetry.

    Args:
        minor: The first release to run it with.
        why: What earlier releases lack.
    """
    reason = f"needs OpenTelemetry 1.{minor}, this is {'.'.join(map(str, SDK))}: {why}"
    return pytest.mark.skipif((1, minor) > SDK, reason=reason)


CONFIG_FILES = since(44, "a package of that release reads OTEL_CONFIG_FILE")
