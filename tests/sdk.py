"""Which release of OpenTelemetry the tests run with, for those that hold from one release on."""

from __future__ import annotations

from importlib.metadata import version

import pytest

SDK = tuple(int(part) for part in version("opentelemetry-sdk").split(".")[:2])


def since(minor: int, why: str) -> pytest.MarkDecorator:
    """Return a mark for tests that hold from release 1.`minor` of OpenTelemetry on.

    Args:
        minor: The release.
        why: What earlier releases lack.
    """
    reason = f"needs OpenTelemetry 1.{minor}, this is {'.'.join(map(str, SDK))}: {why}"
    return pytest.mark.skipif((1, minor) > SDK, reason=reason)


# Before it the gRPC exporters try again by themselves and do not tell why a request failed.
GRPC_ANSWERS = since(42, "its gRPC exporters take the codes to try again")
CONFIG_FILES = since(44, "a package of that release reads OTEL_CONFIG_FILE")
LOG_CLASSES = since(39, "the classes for log records have these names")
EVENT_NAMES = since(35, "a log record has the name of its event")
