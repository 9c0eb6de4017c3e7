"""The tracer provider that otel-ext sets; the program's own provider can replace it.

`otel-ext run` and `configure()` set a provider before the program sets one, so that
instrumentations have one to use. The API accepts a provider only once and would refuse
the program's; its exporters would then get nothing. Here the refused provider takes
over instead: our processors are added to it, every tracer returned so far delegates
to one of its tracers, and the API's warning is not logged.

The API reports a refusal only through its logger. `_watch_refusals` replaces one method
of that logger, until a provider has been adopted; see docs/adr/0012.
"""

from __future__ import annotations

import atexit
import inspect
import logging
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Tracer, TracerProvider

from otel_ext.runtime.guard import report_problem
from otel_ext.setup.ids import EntropyIdGenerator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.util.types import Attributes

__all__ = ["AdoptingTracerProvider", "add_processors", "ensure_provider"]

_REFUSALS: Final = "opentelemetry.trace"
_ARGUMENT: Final = "tracer_provider"
_CHECK: Final = "isEnabledFor"
# The SDK keeps these on the provider, where programs read them.
_PUBLIC_PARTS: Final = ("sampler", "id_generator")
_providers_of: Final[weakref.WeakKeyDictionary[SpanProcessor, weakref.WeakSet[object]]] = (
    weakref.WeakKeyDictionary()
)


class _IssuedTracer(NamedTuple):
    """A tracer that the program may still use, and the arguments it was requested with."""

    tracer: weakref.ref[Tracer]
    scope: tuple[str, str | None, str | None, Attributes]


class _DelegatingTracer(Tracer):
    """The class of our tracers after an adoption: starts spans of the program's provider.

    Before, they are plain tracers of the SDK, without any overhead; the adoption changes
    their class to this one. A decorator that `start_as_current_span` returned earlier
    calls `start_span` of the tracer that made it, so its spans go to the program's
    provider too.
    """

    successor: trace.Tracer

    # Any arguments: the tracers of openinference take more than the API's.
    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:  # noqa: ANN401
        """Start a span of the program's provider."""
        return self.successor.start_span(*args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return what the program's tracer returns: a context manager and decorator."""
        return self.successor.start_as_current_span(*args, **kwargs)


class AdoptingTracerProvider(TracerProvider):
    """An SDK tracer provider that works until it adopts another, which then replaces it.

    >>> ours = AdoptingTracerProvider(Resource({}))
    >>> tracer = ours.get_tracer("held by an instrumentation")
    >>> theirs = TracerProvider(resource=Resource({"service.name": "shop"}))
    >>> ours.adopt(theirs)
    True
    >>> tracer.start_span("order").resource.attributes["service.name"]
    'shop'
    """

    def __init__(self, resource: Resource) -> None:
        super().__init__(
            resource=resource, shutdown_on_exit=False, id_generator=EntropyIdGenerator()
        )
        self._successor: object = None
        self._claim: dict[str, object] = {}
        self._issued: dict[int, _IssuedTracer] = {}
        self._processors: list[SpanProcessor] = []
        atexit.register(self._end)

    @property
    def successor(self) -> object:
        """The adopted provider, or None."""
        return self._successor

    @property
    def resource(self) -> Resource:
        """The resource of the provider that is in use."""
        own = super().resource
        return own if self._successor is None else getattr(self._successor, "resource", own)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the program's provider has
        # Called only for attributes that this class lacks, such as the successor's methods.
        successor = self.__dict__.get("_successor")
        if successor is None or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(successor, name)

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> trace.Tracer:
        """Return a tracer; after an adoption it starts the successor's spans."""
        scope = (instrumenting_module_name, instrumenting_library_version, schema_url, attributes)
        if self._successor is not None:
            return _tracer_of(self._successor, scope)
        tracer = super().get_tracer(*scope)
        if isinstance(tracer, Tracer):
            # A weak reference: a program may request a tracer for each of its requests.
            issued, key = self._issued, id(tracer)
            reference = weakref.ref(tracer, partial(issued.pop, key))
            one = issued.setdefault(key, _IssuedTracer(reference, scope))
            if self.successor is not None:  # adopted meanwhile, on another thread
                _delegate(one, self.successor)
        return tracer

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Add a processor to the provider that is in use."""
        if self._successor is not None:
            add_processors(self._successor, [span_processor])
            return
        self._processors.append(span_processor)
        super().add_span_processor(span_processor)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the processors of the provider that is in use."""
        if self._successor is not None:
            flush = getattr(self._successor, "force_flush", None)
            return flush is None or flush(timeout_millis) is not False
        return super().force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Shut down, the successor first."""
        atexit.unregister(self._end)
        if self._successor is not None:
            getattr(self._successor, "shutdown", lambda: None)()
        super().shutdown()

    def adopt(self, provider: object) -> bool:
        """Let `provider` replace this one. Only the first can.

        Open spans keep the processors they started with. A provider that accepts no span
        processors is adopted too, since the program's telemetry comes first; its spans
        are not recorded, and a message on stderr reports that.

        Returns:
            Whether `provider` was adopted.
        """
        if provider is self or self._successor is not None:
            return False
        if not callable(getattr(provider, "get_tracer", None)):
            report_problem(
                "the program's tracer provider gets no spans",
                f"{_name(provider)} has no method get_tracer;"
                " derive it from opentelemetry.trace.TracerProvider",
            )
            return False
        if self._claim.setdefault("successor", provider) is not provider:
            return False  # another thread was first
        add_processors(provider, self._processors)
        for name in _PUBLIC_PARTS:
            if hasattr(provider, name):
                setattr(self, name, getattr(provider, name))
        self._successor = provider
        for one in list(self._issued.values()):
            _delegate(one, provider)
        return True

    def _end(self) -> None:
        # The program itself shuts down a successor.
        if self._successor is None:
            super().shutdown()


def add_processors(provider: object, processors: Sequence[SpanProcessor]) -> bool:
    """Add processors to a provider of any class; a failure is reported on stderr.

    A processor that this function has added to the provider before is not added again:
    a program may pass a provider to `configure` and set it as the global one too.

    Args:
        provider: Has `add_span_processor`, like the SDK's providers and their wrappers.
        processors: The processors, in their order.

    Returns:
        Whether all were added.
    """
    add = getattr(provider, "add_span_processor", None)
    if not callable(add):
        report_problem(
            "nothing is recorded",
            f"the tracer provider {_name(provider)} takes no span processors;"
            " use opentelemetry.sdk.trace.TracerProvider",
        )
        return False
    try:
        for processor in processors:
            if not _was_added(provider, processor):
                add(processor)
    except Exception as error:  # noqa: BLE001 - the program's own class
        report_problem(f"nothing is recorded: {_name(provider)} takes no processor", error)
        return False
    return True


def _was_added(provider: object, processor: SpanProcessor) -> bool:
    """Remember that `provider` gets `processor`; return whether it had it before."""
    try:
        providers = _providers_of.setdefault(processor, weakref.WeakSet())
        known = provider in providers
        providers.add(provider)
    except TypeError:  # a class whose objects have no weak references or no hash
        return False
    return known


def ensure_provider() -> object:
    """Return the global tracer provider; if there is none, set an adopting one first."""
    found = trace.get_tracer_provider()
    if not isinstance(found, trace.ProxyTracerProvider):
        return found
    provider = AdoptingTracerProvider(Resource.create())
    trace.set_tracer_provider(provider)
    found = trace.get_tracer_provider()
    if found is provider:
        _watch_refusals(provider)
    return found  # another thread's, if that was faster


def _watch_refusals(provider: AdoptingTracerProvider) -> None:
    """Replace `isEnabledFor` of the API's logger, to notice when the API refuses a provider.

    A filter is not enough: it is not called if the program has raised the logger's level,
    called `logging.disable`, or disabled the logger with `dictConfig` or `fileConfig`.
    `isEnabledFor` is called in any case.
    """
    logger = logging.getLogger(_REFUSALS)

    def is_enabled_for(level: int) -> bool:
        try:
            refused = _refused_provider() if level >= logging.WARNING else None
            # Test suites reset the API; another provider may be the global one by now.
            is_ours = refused is not None and trace.get_tracer_provider() is provider
            if is_ours and provider.adopt(refused):
                vars(logger).pop(_CHECK, None)
                return False
        except Exception as error:  # noqa: BLE001 - the program's own call goes on
            report_problem("the program's tracer provider gets no spans of others", error)
        return type(logger).isEnabledFor(logger, level)

    vars(logger)[_CHECK] = is_enabled_for


def _refused_provider() -> object:
    """Return the argument of the current `trace.set_tracer_provider`; None outside a call."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == _REFUSALS and _ARGUMENT in frame.f_locals:
            return frame.f_locals[_ARGUMENT]
        frame = frame.f_back
    return None


def _delegate(issued: _IssuedTracer, provider: object) -> None:
    """Make an issued tracer delegate to a tracer of `provider`."""
    tracer = issued.tracer()
    if tracer is None:
        return
    try:
        vars(tracer)["successor"] = _tracer_of(provider, issued.scope)
        # A call in progress on another thread still uses the old class.
        tracer.__class__ = _DelegatingTracer
    except Exception as error:  # noqa: BLE001 - the program's own class; the other tracers follow
        report_problem(f"{_name(provider)} gets no spans of {issued.scope[0]}", error)


def _tracer_of(
    provider: object, scope: tuple[str, str | None, str | None, Attributes]
) -> trace.Tracer:
    """Return a tracer of a provider of any class; older ones accept fewer arguments."""
    arguments: list[Any] = list(scope)
    while len(arguments) > 1 and arguments[-1] is None:
        arguments.pop()
    return cast("trace.TracerProvider", provider).get_tracer(*arguments)


def _name(provider: object) -> str:
    return type(provider).__qualname__
