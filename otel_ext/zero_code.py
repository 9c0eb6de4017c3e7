"""Starts recording in a program whose code does not import otel-ext.

There are two ways, which can be combined:

- `opentelemetry-instrument` calls `pre_instrument`, the entry point of group
  `opentelemetry_pre_instrument`, in every process it instruments, after
  the distribution, the configurator or `OTEL_CONFIG_FILE` has set the provider. Our
  processor is added to that provider.
- The `sitecustomize` of `otel-ext run` calls `start_process`. It sets a provider
  and switches on the installed instrumentations.

Both do nothing unless `OTEL_EXT_AUTO=true` is set, because an entry point runs
wherever the package is installed. Nothing here raises.
"""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process.run_notes import are_wanted, note
from otel_ext.settings.truth import is_true
from otel_ext.setup.sdk_version import is_sdk_disabled, is_sdk_supported

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from otel_ext.config import Config

__all__ = [
    "AUTO",
    "BOOTSTRAP_DIR",
    "is_requested",
    "lenient_config",
    "pre_instrument",
    "start_process",
]

AUTO: Final = "OTEL_EXT_AUTO"
"""The environment variable that switches recording on in a process, with `true`."""

BOOTSTRAP_DIR: Final = str(Path(__file__).resolve().parent / "cli" / "runner" / "_site")
"""The folder that `otel-ext run` puts on PYTHONPATH; it holds a `sitecustomize`."""

_GEVENT_PATCH: Final = "OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH"
_SDK_START: Final = "opentelemetry.instrumentation.auto_instrumentation"
# With one of these, OpenTelemetry's own start-up configures the SDK.
_EXPORTERS: Final = "OTEL_TRACES_EXPORTER"
_SDK_VARIABLES: Final = (
    "OTEL_CONFIG_FILE",
    "OTEL_PYTHON_CONFIGURATOR",
    "OTEL_PYTHON_DISTRO",
    _EXPORTERS,
)
_STOCK_OTLP: Final = frozenset({"", "otlp", "otlp_proto_grpc", "otlp_proto_http"})
_done: Final[set[str]] = set()


def _first(step: str) -> bool:
    """Return whether `step` is done for the first time in this process."""
    before = len(_done)
    _done.add(step)
    return len(_done) > before


def is_requested() -> bool:
    """Return whether the environment requests recording in this process.

    >>> import os
    >>> os.environ["OTEL_EXT_AUTO"] = "no"
    >>> is_requested()
    False
    """
    return is_true(AUTO) and not is_sdk_disabled()


def pre_instrument() -> None:
    """Add recording to the provider of this process, if the environment requests it.

    Called by `opentelemetry-instrument` through the entry point. Idempotent.
    """
    if is_requested() and _first("recording"):
        _guarded("recording was not started", _configure)


def start_process() -> None:
    """Start recording in this process, for `otel-ext run`. Idempotent.

    If the environment names exporters, a configurator or a configuration file,
    OpenTelemetry's own start-up sets up the SDK and calls `pre_instrument`.
    """
    if not is_requested() or _is_helper_process():
        return
    if not _first("process") or not is_sdk_supported():
        return
    with _children_unrecorded():
        if _SDK_START in sys.modules:  # `opentelemetry-instrument` has set up the SDK already
            pre_instrument()
        elif _sdk_is_requested():
            _guarded("OpenTelemetry was not started", _initialize_sdk)
            pre_instrument()
        else:
            _guarded("no tracer provider was made", _provide)
            pre_instrument()
            _guarded("libraries were not instrumented", _instrument)
    if are_wanted():
        note("ready")
        atexit.register(_note_provider)


def _note_provider() -> None:
    """Write a note for `otel-ext run` if the provider takes no span processors."""
    from opentelemetry import trace  # noqa: PLC0415 - imported long before

    provider = trace.get_tracer_provider()
    if not hasattr(provider, "add_span_processor"):
        note("provider", f"{type(provider).__module__}.{type(provider).__qualname__}")


@contextmanager
def _variable(name: str, value: str) -> Generator[None, None, None]:
    """Set an environment variable for the time of the block."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _children_unrecorded() -> AbstractContextManager[None]:
    """Keep processes that are started meanwhile from recording.

    A resource detector may start one, which is not part of the program. If it recorded,
    its own detector would start another, without end.
    """
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    # Compared by the end of the path: it may be of another installation.
    own = [entry for entry in entries if Path(entry).parts[-3:] == Path(BOOTSTRAP_DIR).parts[-3:]]
    kept = os.pathsep.join(entry for entry in entries if entry not in own)
    return _variable("PYTHONPATH", kept) if own else nullcontext()


def _guarded(what: str, work: Callable[[], object]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - the host program starts in any case
        report_problem(f"zero code: {what}", error)


def _configure() -> None:
    from otel_ext.pipeline import install  # noqa: PLC0415 - only if requested

    install(lenient_config())


def _provide() -> None:
    from otel_ext.setup.adoption import ensure_provider  # noqa: PLC0415

    ensure_provider()


def lenient_config() -> Config:
    """Return a configuration with a usable output folder; mistakes are reported, not raised."""
    from otel_ext.config import Config, load_leniently  # noqa: PLC0415
    from otel_ext.errors import OtelExtError  # noqa: PLC0415
    from otel_ext.setup.starting import with_usable_output  # noqa: PLC0415

    config = Config()
    try:
        config, problem = with_usable_output(load_leniently())
        if problem:
            report_problem("zero code", problem)
    except OtelExtError as error:
        # With `strict`. An exception here would not stop the program, so report it.
        report_problem("zero code: the configuration is ignored", error)
    return config


def _instrument() -> None:
    from otel_ext.config import get_config  # noqa: PLC0415
    from otel_ext.instrumentors import instrument_libraries  # noqa: PLC0415

    config = get_config()
    if not config.capture.instrument and config.source_of("instrument").layer != "default":
        return
    if os.environ.get(_GEVENT_PATCH) == "patch_all":
        # Before any instrumentation imports the modules that gevent patches.
        import_module("gevent.monkey").patch_all()
    instrument_libraries()


def _initialize_sdk() -> None:
    """Let OpenTelemetry's own start-up set up the SDK; instrumentations wait for their libraries.

    A third-party distribution may load them in its own way, so it loads them itself.
    """
    if _has_own_distro():
        _run_sdk_start()
        return
    from otel_ext.instrumentors.libraries import DISABLED_VARIABLE  # noqa: PLC0415

    # Each by its name: the oldest supported releases do not know `*`.
    with _variable(DISABLED_VARIABLE, ",".join(_entry_points("opentelemetry_instrumentor"))):
        _run_sdk_start()
    _guarded("libraries were not instrumented", _instrument)


def _run_sdk_start() -> None:
    with _without_stock_otlp():
        # Imported by name: the package is optional and has no types.
        start = import_module(_SDK_START)
        if hasattr(start, "initialize"):
            start.initialize()
        else:  # before OpenTelemetry 1.31 importing this module is the start
            import_module(f"{_SDK_START}.sitecustomize")


def _without_stock_otlp() -> AbstractContextManager[None]:
    """With `otlp-spans=replace`, keep OpenTelemetry from setting up its own OTLP exporter."""
    otlp = lenient_config().otlp
    if not otlp.enabled or otlp.spans != "replace":
        return nullcontext()
    names = [name.strip() for name in os.environ.get(_EXPORTERS, "").split(",")]
    others = [name for name in names if name not in _STOCK_OTLP]
    return _variable(_EXPORTERS, ",".join(others) or "none")


def _has_own_distro() -> bool:
    chosen = os.environ.get("OTEL_PYTHON_DISTRO", "")
    found = _entry_points("opentelemetry_distro").items()
    values = [value for name, value in found if chosen in {"", name}]
    return any(not value.startswith("opentelemetry.distro:") for value in values)


def _entry_points(group: str) -> dict[str, str]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow to import, rarely needed

    return {entry.name: entry.value for entry in entry_points(group=group)}


def _sdk_is_requested() -> bool:
    """Return whether the environment sets what OpenTelemetry's own start-up reads."""
    return any(os.environ.get(name, "").strip() not in {"", "none"} for name in _SDK_VARIABLES)


def _is_helper_process() -> bool:
    """Return whether this is multiprocessing's resource tracker, which runs no user code."""
    return any("multiprocessing.resource_tracker" in word for word in sys.orig_argv)
