"""Checks of `otel-ext doctor` for versions, the codec, zero-code start and the platform."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import distributions, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, cast

from otel_ext._accel import REINSTALL, why_pure
from otel_ext.cli.commands.doctor.check import Check
from otel_ext.readable import listed
from otel_ext.runtime.process.incarnation import boot_id
from otel_ext.setup.sdk_version import ADMITTED, is_admitted, is_sdk_disabled, release_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_installation", "check_platform", "check_zero_code", "versions_agree"]

_NEEDED: Final = ("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp")
_PIP: Final = "Run: pip install -U " + " ".join(f"'{name}{ADMITTED}'" for name in _NEEDED)
# 0.N of the beta packages is released together with 1.(N-21) of the stable ones.
_BETA_LEAD: Final = 21
_MAX_NAMES: Final = 8


def check_installation() -> Iterator[Check]:
    """Check the installed packages."""
    python = f"{platform.python_version()}, {platform.python_implementation()}"
    yield Check("Python", "healthy", python)
    found = _packages()
    yield Check("otel-ext", "healthy", found.get("otel-ext", "unknown"))
    yield from _opentelemetry(found)
    pure = why_pure()
    if pure is None:
        yield Check("codec", "healthy", "compiled")
    else:
        text = f"pure Python: {pure[0]}; records are the same and cost more"
        yield Check("codec", "note", text, pure[1])
    if find_spec("yaml") is None:
        text = "PyYAML is not installed; only a configuration file in YAML needs it"
        yield Check("YAML", "note", text, "Run: pip install pyyaml")


def _packages() -> dict[str, str]:
    """Return the versions of installed packages that matter here, by normalised name."""
    found: dict[str, str] = {}
    for distribution in distributions():
        name = cast("str | None", distribution.metadata["Name"])
        if not name:
            continue  # a damaged installation of something else
        name = re.sub(r"[-_.]+", "-", name).lower()
        if name.startswith("opentelemetry-") or name in {"otel-ext", "structlog", "orjson"}:
            found.setdefault(name, distribution.version)
    return found


def _opentelemetry(found: dict[str, str]) -> Iterator[Check]:
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        yield Check("OpenTelemetry", "failed", f"missing: {', '.join(missing)}", _PIP)
        return
    ours = {name: version for name, version in found.items() if name.startswith("opentelemetry-")}
    sdk = ours["opentelemetry-sdk"]
    refused = [f"{name} {ours[name]}" for name in _NEEDED if not is_admitted(ours[name])]
    mismatched = versions_agree(ours)
    if refused:
        text = f"otel-ext works with {ADMITTED}, and here is {', '.join(refused)}"
        yield Check("OpenTelemetry", "failed", text, _PIP)
    elif mismatched:
        yield Check(
            "OpenTelemetry",
            "degraded",
            f"SDK {sdk}, and not of the same release: {', '.join(mismatched)}",
            "Packages of different releases may not work together; upgrade them in one command",
        )
    else:
        yield Check("OpenTelemetry", "healthy", f"SDK {sdk}, {len(ours)} packages of one release")


def versions_agree(found: dict[str, str]) -> list[str]:
    """Return the packages that are not of the SDK's release, with their versions.

    Packages of OpenTelemetry for Python are released together: the stable ones as
    1.N, the others as 0.(N+21) beta. Third-party packages have their own versions.

    >>> versions_agree({"opentelemetry-sdk": "1.45.1", "opentelemetry-distro": "0.66b1"})
    []
    >>> versions_agree({"opentelemetry-sdk": "1.45.1", "opentelemetry-api": "1.44.0"})
    ['opentelemetry-api 1.44.0']
    """
    sdk = release_of(found["opentelemetry-sdk"])[:2]
    if len(sdk) < 2:  # noqa: PLR2004 - it needs major and minor
        return []
    mismatched: list[str] = []
    for name, version in sorted(found.items()):
        numbers = release_of(version)[:2]
        if len(numbers) < len(sdk) or not _is_released_with_sdk(name, version):
            continue
        wanted = sdk if numbers[0] else (0, sdk[1] + _BETA_LEAD)
        if numbers != wanted:
            mismatched.append(f"{name} {version}")
    return mismatched


def _is_released_with_sdk(name: str, version: str) -> bool:
    stable = {*_NEEDED, "opentelemetry-proto", "opentelemetry-semantic-conventions"}
    if name in stable or name.startswith("opentelemetry-exporter-otlp"):
        return True
    is_contrib = name.startswith(("opentelemetry-instrumentation", "opentelemetry-distro"))
    return is_contrib and re.match(r"0\.\d+b\d", version) is not None


def check_zero_code() -> Iterator[Check]:
    """Check what `otel-ext run` and `opentelemetry-instrument` would use."""
    if "otel_ext" in _names("opentelemetry_pre_instrument"):
        yield Check("entry point", "healthy", "opentelemetry-instrument calls otel-ext")
    else:
        yield Check(
            "entry point",
            "failed",
            "opentelemetry-instrument does not find otel-ext: its installation is incomplete",
            f"In a checkout: {REINSTALL}",
        )
    yield from map(_entry_point, ("distro", "configurator"))
    found = _names("opentelemetry_instrumentor")
    if found:
        yield Check("instrumentations", "healthy", f"{len(found)}: {listed(found, _MAX_NAMES)}")
    else:
        yield Check(
            "instrumentations",
            "note",
            "none is installed, so only spans that the program itself opens are seen",
            "Run: pip install opentelemetry-instrumentation && opentelemetry-bootstrap -a install",
        )
    if is_sdk_disabled():
        hint = "Unset it, or set it to false"
        yield Check("OTEL_SDK_DISABLED", "failed", "true: nothing is recorded", hint)
    if os.environ.get("OTEL_TRACES_SAMPLER", "").strip().lower() == "always_off":
        yield Check(
            "OTEL_TRACES_SAMPLER",
            "failed",
            "always_off: no span is sampled, so none is recorded",
            "Unset it, or use parentbased_always_on",
        )


def _names(group: str) -> list[str]:
    return sorted({entry.name for entry in entry_points(group=group)})


def _entry_point(part: str) -> Check:
    found = _names(f"opentelemetry_{part}")
    variable = f"OTEL_PYTHON_{part.upper()}"
    selected = os.environ.get(variable, "").strip()
    if selected and selected not in found:
        there = f"there are {', '.join(found)}" if found else "none is installed"
        return Check(
            part,
            "failed",
            f"{variable}={selected} is not installed; {there}",
            "Install it, or unset the variable",
        )
    if len(found) > 1 and not selected:
        # Which of them is used depends on the order of sys.path.
        text = f"several, of which any may be used: {', '.join(found)}"
        return Check(part, "degraded", text, f"Choose one with {variable}")
    used = selected or (found[0] if found else "none (otel-ext run needs none)")
    return Check(part, "healthy", used)


def check_platform() -> Iterator[Check]:
    """Check what the system offers to distinguish living processes from dead ones."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    yield Check("system", "healthy", system)
    boot = boot_id()
    if boot and os.path.exists("/proc/self/stat"):  # noqa: PTH110
        yield Check("process identity", "healthy", f"pid, start time and boot id {boot[:8]}")
    else:
        yield Check(
            "process identity",
            "degraded",
            "no /proc: only its pid distinguishes a dead process from a living one",
            "Mount /proc where programs run",
        )
