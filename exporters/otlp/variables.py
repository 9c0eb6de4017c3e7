"""Reads OpenTelemetry's variables for OTLP, as the stock exporters read them.

`OTEL_EXPORTER_OTLP_TRACES_...` and `OTEL_EXPORTER_OTLP_LOGS_...` are for one signal and
come before `OTEL_EXPORTER_OTLP_...`. A variable that is empty counts as not set.
"""

from __future__ import annotations

import math
import os
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.version import __version__ as sdk_version
from opentelemetry.util.re import parse_env_headers

from otel_ext.errors import ConfigError
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GRPC", "HTTP", "SignalVariables", "retryable_codes", "sends_logs"]

GRPC: Final = "grpc"
HTTP: Final = "http/protobuf"

_NAMES: Final = {"spans": "TRACES", "logs": "LOGS"}
_PREFIX: Final = "OTEL_EXPORTER_OTLP"
_HTTP_BASE: Final = "http://localhost:4318"
_GRPC_ENDPOINT: Final = "http://localhost:4317"
_TIMEOUT: Final = 10.0
_COMPRESSIONS: Final = ("none", "gzip", "deflate")
_PROVIDERS: Final = {GRPC: "OTEL_PYTHON_EXPORTER_OTLP_GRPC", HTTP: "OTEL_PYTHON_EXPORTER_OTLP_HTTP"}
_CODES: Final = "OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES"
_PROVIDER_GROUP: Final = "opentelemetry_otlp_credential_provider"


def sends_logs() -> bool:
    """Return whether logs are enabled: `OTEL_LOGS_EXPORTER` is not `none`.

    >>> sends_logs()
    True
    """
    return os.environ.get("OTEL_LOGS_EXPORTER", "").strip().lower() != "none"


def retryable_codes() -> frozenset[str]:
    """Return the names of gRPC's codes that the user wants to retry; empty if not set.

    >>> retryable_codes()
    frozenset()
    """
    names = os.environ.get(_CODES, "").upper().split(",")
    return frozenset(name.strip() for name in names if name.strip())


def _user_agent() -> str:
    try:
        ours = f"otel-ext/{version('otel-ext')}"
    except PackageNotFoundError:  # a program that was packed without its packages' metadata
        ours = "otel-ext"
    return f"{ours} OTel-OTLP-Exporter-Python/{sdk_version}"


class SignalVariables:
    """How one signal is sent; the variables are read when they are asked for.

    A timeout or compression that cannot be used is reported and ignored, as
    OpenTelemetry's specification requires.

    Args:
        signal: `spans` or `logs`.

    Attributes:
        protocol: `grpc` or `http/protobuf`.
        user_agent: The text by which receivers recognize the sender.

    Raises:
        ConfigError: The protocol is unknown or not supported.

    >>> found = SignalVariables("spans")
    >>> found.protocol, found.endpoint, found.timeout, found.compression
    ('http/protobuf', 'http://localhost:4318/v1/traces', 10.0, 'none')
    """

    def __init__(self, signal: str) -> None:
        self._signal = _NAMES[signal]
        self.user_agent = _user_agent()  # here, since it reads a file
        name, value = self._find("PROTOCOL")
        self.protocol = value.lower() or HTTP
        if self.protocol not in _PROVIDERS:
            message = f"environment variable {name}: {self.protocol!r} cannot be used"
            raise ConfigError(message, hint=f"Use one of: {', '.join(_PROVIDERS)}")

    def get(self, name: str) -> str:
        """Return the value of `OTEL_EXPORTER_OTLP_..._NAME`; empty if none is set."""
        return self._find(name)[1]

    def _find(self, name: str, prefix: str = _PREFIX) -> tuple[str, str]:
        """Return the variable that counts and its value; both empty if none is set."""
        for full_name in (f"{prefix}_{self._signal}_{name}", f"{prefix}_{name}"):
            value = os.environ.get(full_name, "").strip()
            if value:
                return full_name, value
        return "", ""

    @property
    def endpoint(self) -> str:
        """The address; over HTTP the one for all signals is a base for their paths."""
        name, value = self._find("ENDPOINT")
        if self.protocol == GRPC or self._signal in name:
            return value or _GRPC_ENDPOINT
        return f"{(value or _HTTP_BASE).removesuffix('/')}/v1/{self._signal.lower()}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers, with names in lower case."""
        return dict(parse_env_headers(self.get("HEADERS"), liberal=True))

    @property
    def timeout(self) -> float:
        """The seconds that a request may take."""
        name, value = self._find("TIMEOUT")
        try:
            seconds = float(value or _TIMEOUT)
        except ValueError:
            seconds = math.nan
        if math.isfinite(seconds) and seconds > 0:
            return seconds
        _report_ignored(name, value, f"{_TIMEOUT:g} seconds are used")
        return _TIMEOUT

    @property
    def compression(self) -> str:
        """The compression: `none`, `gzip` or `deflate`."""
        name, value = self._find("COMPRESSION")
        compression = value.lower() or "none"
        if compression in _COMPRESSIONS:
            return compression
        _report_ignored(name, value, f"known are {', '.join(_COMPRESSIONS)}")
        return "none"

    def credential_provider(self) -> EntryPoint | None:
        """Return the entry point of the user's credentials; None if no variable names one.

        Raises:
            ConfigError: There is no such entry point.
        """
        name, value = self._find("CREDENTIAL_PROVIDER", _PROVIDERS[self.protocol])
        if not value:
            return None
        for found in entry_points(group=_PROVIDER_GROUP, name=value):
            return found
        message = f"environment variable {name}: there is no credential provider {value!r}"
        hint = f"Install the package that has it in the entry points {_PROVIDER_GROUP!r}."
        raise ConfigError(message, hint=hint)


def _report_ignored(name: str, value: str, why: str) -> None:
    report_problem(f"OTLP: environment variable {name} is ignored", f"{value!r}; {why}")
