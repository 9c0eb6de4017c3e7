"""Recording a program whose code does not know of us.

Two ways lead here, and each leaves the other's work alone:

- `opentelemetry-instrument` calls `pre_instrument`, the entry point of group
  `opentelemetry_pre_instrument`, in every process it instruments. Whichever
  distribution and configurator are in use, or `OTEL_CONFIG_FILE`, they have made
  the provider by then, and our processor is added to it.
- `otel-ext run` calls `start_process` by its `sitecustomize`. It makes a
  provider and switches on the instrumentations that are installed.

Both do nothing unless the environment says `OTEL_EXT_AUTO=true`, because an
entry point runs wherever the package is installed. Nothing here ever raises.
"""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process.run_notes import are_wanted, note
from otel_ext.setup.sdk_version import is_sdk_supported

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from otel_ext.config import Config

__all__ = ["AUTO", "BOOTSTRAP_DIR", "pre_instrument", "start_process", "tolerant_config", "wanted"]

AUTO: Final = "OTEL_EXT_AUTO"
"""The environment variable that switches recording on in a process: `true`."""

BOOTSTRAP_DIR: Final = str(Path(__file__).resolve().parent / "cli" / "runner" / "_site")
"""The folder that `otel-ext run` puts on PYTHONPATH; it holds a `sitecustomize`."""

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_GEVENT_PATCH: Final = "OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH"
_DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
_SDK_START: Final = "opentelemetry.instrumentation.auto_instrumentation"
# Each of these asks for an SDK that is configured the way of opentelemetry-instrument.
_SDK_WANTED: Final = (
    "OTEL_CONFIG_FILE",
    "OTEL_PYTHON_CONFIGURATOR",
    "OTEL_PYTHON_DISTRO",
    "OTEL_TRACES_EXPORTER",
)
_done: Final[set[str]] = set()


def _first(step: str) -> bool:
    """Whether `step` is taken for the first time in this process."""
    before = len(_done)
    _done.add(step)
    return len(_done) > before


def _is_true(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() in _TRUE


def wanted() -> bool:
    """Return whether the environment asks for recording in this process.

    >>> import os
    >>> os.environ["OTEL_EXT_AUTO"] = "no"
    >>> wanted()
    False
    """
    return _is_true(AUTO) and not _is_true("OTEL_SDK_DISABLED")


def pre_instrument() -> None:
    """Add recording to the provider of this process, if the environment asks for it.

    Called by `opentelemetry-instrument` through the entry point; twice is once.
    """
    if wanted() and _first("recording"):
        _guarded("recording was not started", _configure)


def start_process() -> None:
    """Start recording in this process as `otel-ext run` does; twice is once.

    If the environment names exporters, a configurator or a configuration file,
    OpenTelemetry's own start-up does the work and calls `pre_instrument`.
    """
    if not wanted() or _is_helper_process() or not _first("process") or not is_sdk_supported():
        return
    with _children_unrecorded():
        if _sdk_has_started():
            pre_instrument()
        elif _sdk_is_wanted():
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
    """Leave a note of a provider that takes no span processors, so that nothing is recorded."""
    from opentelemetry import trace  # noqa: PLC0415 - imported long before

    provider = trace.get_tracer_provider()
    if not hasattr(provider, "add_span_processor"):
        note("provider", f"{type(provider).__module__}.{type(provider).__qualname__}")


@contextmanager
def _children_unrecorded() -> Generator[None, None, None]:
    """Keep processes that are started meanwhile from recording.

    A resource detector may start one; it is no part of the program, and would
    start its own recording, with a detector that starts one, without end.
    """
    path = os.environ.get("PYTHONPATH")
    entries = [] if path is None else path.split(os.pathsep)
    # By its name: the one on the path may belong to another installation.
    own = [entry for entry in entries if Path(entry).parts[-3:] == Path(BOOTSTRAP_DIR).parts[-3:]]
    if not own:
        yield
        return
    os.environ["PYTHONPATH"] = os.pathsep.join(entry for entry in entries if entry not in own)
    try:
        yield
    finally:
        os.environ["PYTHONPATH"] = path or BOOTSTRAP_DIR


def _guarded(what: str, work: Callable[[], object]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - a host program starts whatever happens here
        report_problem(f"zero code: {what}", error)


def _configure() -> None:
    from otel_ext.pipeline import install  # noqa: PLC0415 - only where it is wanted

    install(tolerant_config())


def _provide() -> None:
    from otel_ext.setup.adoption import ensure_provider  # noqa: PLC0415

    ensure_provider()


def tolerant_config() -> Config:
    """Return the configuration with a place for records; what is wrong is reported, not raised."""
    from otel_ext.config import Config, load_leniently  # noqa: PLC0415
    from otel_ext.errors import OtelExtError  # noqa: PLC0415
    from otel_ext.setup.starting import with_usable_output  # noqa: PLC0415

    config = Config()
    try:
        config, problem = with_usable_output(load_leniently())
        if problem:
            report_problem("zero code", problem)
    except OtelExtError as error:
        # Strict; but a `sitecustomize` or an entry point that raises stops nothing.
        report_problem("zero code: the configuration is left out", error)
    return config


def _instrument() -> None:
    from otel_ext.config import get_config  # noqa: PLC0415
    from otel_ext.instrumentors import instrument_libraries  # noqa: PLC0415

    config = get_config()
    if not config.capture.instrument and config.source_of("instrument").layer != "default":
        return
    if os.environ.get(_GEVENT_PATCH) == "patch_all":
        # Before any instrumentation imports what gevent wants to replace.
        import_module("gevent.monkey").patch_all()
    instrument_libraries()


def _initialize_sdk() -> None:
    """Let OpenTelemetry's own start-up set up the SDK; instrumentations wait for their libraries.

    A distribution other than the stock one may have its own way to load them.
    """
    if _has_own_distro():
        _run_sdk_start()
        return
    before = os.environ.get(_DISABLED)
    # Each by its name: the first releases that are admitted do not know `*`.
    os.environ[_DISABLED] = ",".join(_entry_points("opentelemetry_instrumentor"))
    try:
        _run_sdk_start()
    finally:
        if before is None:
            del os.environ[_DISABLED]
        else:
            os.environ[_DISABLED] = before
    _guarded("libraries were not instrumented", _instrument)


def _run_sdk_start() -> None:
    # By name, since the package is optional and comes without types.
    start = import_module(_SDK_START)
    if hasattr(start, "initialize"):
        start.initialize()
    else:  # before OpenTelemetry 1.31 importing this module is the start
        import_module(f"{_SDK_START}.sitecustomize")


def _has_own_distro() -> bool:
    chosen = os.environ.get("OTEL_PYTHON_DISTRO", "")
    found = _entry_points("opentelemetry_distro").items()
    values = [value for name, value in found if chosen in {"", name}]
    return any(not value.startswith("opentelemetry.distro:") for value in values)


def _entry_points(group: str) -> dict[str, str]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and only for this way

    return {entry.name: entry.value for entry in entry_points(group=group)}


def _sdk_has_started() -> bool:
    """Whether `opentelemetry-instrument` has been here before us."""
    return _SDK_START in sys.modules


def _sdk_is_wanted() -> bool:
    """Whether the environment asks for what `opentelemetry-instrument` sets up."""
    return any(os.environ.get(name, "").strip() not in {"", "none"} for name in _SDK_WANTED)


def _is_helper_process() -> bool:
    """Whether this is multiprocessing's resource tracker, which runs nobody's code."""
    return any("multiprocessing.resource_tracker" in word for word in sys.orig_argv)
