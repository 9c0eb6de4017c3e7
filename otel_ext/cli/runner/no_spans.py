"""Explains why a run recorded no span, by the notes of its processes and its command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.instrumentors.libraries import (
    DISABLED_VARIABLE,
    install_command,
    names_and_verb,
    why_disabled,
)
from otel_ext.runtime.process.run_notes import read_notes
from otel_ext.setup.no_spans import sampled_out
from otel_ext.setup.sdk_version import is_sdk_disabled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_ext.config import Config

__all__ = ["reason_for_no_spans"]

# The exporters of OpenTelemetry import these too.
_OF_EXPORTERS: Final = frozenset({"grpc", "requests", "urllib3"})
# Options of Python with which it ignores our variables.
_ISOLATING: Final = frozenset("IES")
_WITH_ARGUMENT: Final = frozenset("cmWX")
_FIRST_LINE: Final = 256


def reason_for_no_spans(command: Sequence[str], notes: Path | None, config: Config) -> str:
    """Return the reason and what to do, by the notes of the processes if there is a folder."""
    found = read_notes(notes) if notes is not None else {"started": [""]}
    if is_sdk_disabled():
        return "OTEL_SDK_DISABLED is true, which switches OpenTelemetry off: unset it."
    if "started" not in found:
        return _never_started(command)
    if "ready" not in found:
        return "otel-ext could not start in the program; the lines above show why."
    return (
        sampled_out(os.environ)
        or _own_provider(found)
        or _not_instrumented(found, config)
        or "The program opened no span. Open some with the OpenTelemetry API"
        " (trace.get_tracer(__name__).start_as_current_span(...)), or install the"
        " instrumentation of a library it uses."
    )


def _never_started(command: Sequence[str]) -> str:
    option = _isolating_option(command)
    if option:
        return (
            f"otel-ext was never started in the program: the option {option} makes Python ignore"
            " the environment that otel-ext run prepares. Run it without, or call"
            " otel_ext.configure() in the program."
        )
    name = Path(command[0]).name
    if _is_python(command[0]):
        return (
            f"otel-ext was never started in the program: {name} did not read the environment that"
            " otel-ext run prepares (PYTHONPATH). Call otel_ext.configure() in the program."
        )
    return (
        f"No Python process started otel-ext: {name} is not a Python program, or the Python it"
        " starts ignores the environment (python -I, -E, -S) or gets another one (env -i, sudo)."
        " There, call otel_ext.configure() in the program."
    )


def _isolating_option(command: Sequence[str]) -> str:
    """Return the option with which Python ignores the environment, or an empty string."""
    if not _is_python(command[0]):
        return ""
    of_script = (word for word in _shebang(command[0])[1:] if word.startswith("-"))
    words = [*of_script, *command[1:]]
    for word in words:
        if not word.startswith("-") or word.startswith("--") or word == "-":
            return ""
        for letter in word[1:]:
            if letter in _ISOLATING:
                return f"-{letter}"
            if letter in _WITH_ARGUMENT:
                return ""
    return ""


def _is_python(path: str) -> bool:
    first = _shebang(path)
    return any(Path(word).name.startswith(("python", "pypy")) for word in first or [path])


def _shebang(path: str) -> list[str]:
    """Return the words of a script's `#!` line; empty for any other file."""
    try:
        with Path(path).open("rb") as file:
            line = file.readline(_FIRST_LINE)
    except OSError:
        return []
    return line[2:].decode("utf-8", "replace").split() if line.startswith(b"#!") else []


def _own_provider(found: Mapping[str, list[str]]) -> str:
    for name in found.get("provider", ()):
        return (
            f"The program uses a tracer provider of its own, {name}, which takes no span"
            " processors: use opentelemetry.sdk.trace.TracerProvider, or call"
            " otel_ext.configure(tracer_provider=...) with one that does."
        )
    return ""


def _not_instrumented(found: Mapping[str, list[str]], config: Config) -> str:
    source = config.source_of("instrument")
    if not config.capture.instrument and source.layer != "default":
        return f"The setting instrument is off ({source}), and the program opened no span itself."
    disabled = found.get("disabled", [])
    if "*" in disabled:
        return (
            f"{DISABLED_VARIABLE}=* switches all instrumentations off, and the program opened"
            " no span."
        )
    exports = config.otlp.enabled or os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    libraries = [
        name for name in found.get("library", ()) if not exports or name not in _OF_EXPORTERS
    ]
    reasons: list[str] = []
    if libraries:
        reasons.append(
            f"{names_and_verb(libraries)} not instrumented. Run: {install_command(libraries)}"
        )
    if disabled:
        reasons.append(why_disabled(disabled))
    if not reasons:
        return ""
    return f"The program opened no span itself, and {'; also, '.join(reasons)}"
