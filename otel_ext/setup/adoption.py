"""The tracer provider that otel-ext sets, which gives way to the program's own.

`otel-ext run` and `configure()` set a provider before the program sets one, so that
instrumentations have one to use. The API accepts a provider only once and would refuse
the program's; its exporters would then get nothing. Here the refused provider takes
over instead: our processors are added to it, every tracer handed out so far delegates
to one of its tracers, and the API's warning is not logged.

The API reports a refusal only through its logger. `_listen` puts a function of ours in
front of that one logger, until a provider has been adopted; see docs/adr/0012.
"""

from __future__ import annotations

import atexit
import inspect
import logging
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast

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


class _Provider(Protocol):
    """What a provider must have to be adopted."""

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
        /,
    ) -> trace.Tracer: ...


class _HandedOut(NamedTuple):
    """A tracer that the program may still hold, and the arguments it was requested with."""

    tracer: weakref.ref[Tracer]
    scope: tuple[str, str | None, str | None, Attributes]


class _DelegatingTracer(Tracer):
    """A tracer of ours after the adoption: it makes the spans of the program's provider.

    A tracer is handed out as a plain `Tracer` of the SDK, so nothing is in its way. On
    adoption it becomes an instance of this class. A decorator that
    `start_as_current_span` made earlier calls `start_span` of the tracer it was made
    with, so its spans go to the program's provider too.
    """

    successor: trace.Tracer

    # The signature is the other tracer's: openinference's takes more arguments.
    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:  # noqa: ANN401
        """Start a span of the program's provider."""
        return self.successor.start_span(*args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return what the program's tracer returns: a context manager, and a decorator."""
        return self.successor.start_as_current_span(*args, **kwargs)


class AdoptingTracerProvider(TracerProvider):
    """A provider of the SDK that works until another is to be used in its place.

    Args:
        resource: The resource of the spans.

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
        self._handed_out: dict[int, _HandedOut] = {}
        self._processors: list[SpanProcessor] = []
        atexit.register(self._end)

    @property
    def successor(self) -> object:
        """The provider that took over; None if none did."""
        return self._successor

    @property
    def resource(self) -> Resource:
        """The resource of the provider that is in use."""
        own = super().resource
        return own if self._successor is None else getattr(self._successor, "resource", own)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the program's provider has
        # Called only for what this class lacks, such as a method of the successor's class.
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
        """Return a tracer, which makes the successor's spans once there is one."""
        scope = (
            instrumenting_module_name,
            instrumenting_library_version,
            schema_url,
            attributes,
        )
        if self._successor is not None:
            return _tracer_of(self._successor, scope)
        tracer = super().get_tracer(*scope)
        if isinstance(tracer, Tracer):
            # Weakly: a program may ask for a tracer with every request.
            handed_out, number = self._handed_out, id(tracer)
            held = weakref.ref(tracer, partial(handed_out.pop, number))
            one = handed_out.setdefault(number, _HandedOut(held, scope))
            if self.successor is not None:  # adopted meanwhile, by another thread
                _hand_over(one, self.successor)
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
            getattr(self._successor, "shutdown", _do_nothing)()
        super().shutdown()

    def adopt(self, provider: object) -> bool:
        """Let `provider` take over. Only the first one can.

        Spans that are open keep the processors they started with. A provider that takes
        no span processors takes over too, since the program's telemetry comes first;
        its spans are not recorded, which is reported.

        Args:
            provider: A provider that the program has made.

        Returns:
            Whether `provider` is in use from now on.
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
            return False  # another thread came first
        add_processors(provider, self._processors)
        for name in _PUBLIC_PARTS:
            if hasattr(provider, name):
                setattr(self, name, getattr(provider, name))
        self._successor = provider
        for one in list(self._handed_out.values()):
            _hand_over(one, provider)
        return True

    def _end(self) -> None:
        # A successor ends as the program has arranged.
        if self._successor is None:
            super().shutdown()


def add_processors(provider: object, processors: Sequence[SpanProcessor]) -> bool:
    """Add processors to a provider of any kind; reports where that cannot be done.

    A processor that was added to the provider here before is not added again: a program
    may name a provider to `configure` and set it as the global one too.

    Args:
        provider: Has `add_span_processor`, as the SDK's providers and their wrappers do.
        processors: What to add, in this order.

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
    """Note that `provider` gets `processor`, and return whether it had it before."""
    try:
        providers = _providers_of.setdefault(processor, weakref.WeakSet())
        known = provider in providers
        providers.add(provider)
    except TypeError:  # a class whose objects cannot be referred to weakly, or be hashed
        return False
    return known


def ensure_provider() -> object:
    """Return the global tracer provider, after setting one that gives way if there is none."""
    found = trace.get_tracer_provider()
    if not isinstance(found, trace.ProxyTracerProvider):
        return found
    provider = AdoptingTracerProvider(Resource.create())
    trace.set_tracer_provider(provider)
    found = trace.get_tracer_provider()
    if found is provider:
        _listen(provider)
    return found  # another thread's, if that one was faster


def _listen(provider: AdoptingTracerProvider) -> None:
    """Learn when the API refuses a provider, from its logger.

    A filter would not do: none is called where the program has raised the logger's level,
    called `logging.disable`, or disabled the logger with `dictConfig` or `fileConfig`.
    What the logger is asked in any case is whether it is enabled for a level.
    """
    logger = logging.getLogger(_REFUSALS)

    def is_enabled_for(level: int) -> bool:
        try:
            if level >= logging.WARNING and _is_made_good(provider):
                vars(logger).pop(_CHECK, None)
                return False
        except Exception as error:  # noqa: BLE001 - the program's own call goes on
            report_problem("the program's tracer provider gets no spans of others", error)
        return type(logger).isEnabledFor(logger, level)

    vars(logger)[_CHECK] = is_enabled_for


def _is_made_good(provider: AdoptingTracerProvider) -> bool:
    """Whether `provider` has now adopted one that the API is refusing."""
    refused = _refused_provider()
    # Test suites reset the API; another provider may be the global one since.
    return (
        refused is not None and trace.get_tracer_provider() is provider and provider.adopt(refused)
    )


def _refused_provider() -> object:
    """Return what the program gave to `trace.set_tracer_provider`; None outside such a call."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == _REFUSALS and _ARGUMENT in frame.f_locals:
            return frame.f_locals[_ARGUMENT]
        frame = frame.f_back
    return None


def _hand_over(handed_out: _HandedOut, provider: object) -> None:
    """Make a tracer that was handed out delegate to one of `provider`."""
    tracer = handed_out.tracer()
    if tracer is None:
        return
    try:
        vars(tracer)["successor"] = _tracer_of(provider, handed_out.scope)
        # A call that is under way on another thread ends as it began.
        tracer.__class__ = _DelegatingTracer
    except Exception as error:  # noqa: BLE001 - the program's own class; the other tracers go on
        report_problem(f"{_name(provider)} gets no spans of {handed_out.scope[0]}", error)


def _tracer_of(
    provider: object, scope: tuple[str, str | None, str | None, Attributes]
) -> trace.Tracer:
    """Ask a provider of any kind for a tracer; older ones take fewer arguments."""
    words = list(scope)
    while len(words) > 1 and words[-1] is None:
        words.pop()
    return cast("_Provider", provider).get_tracer(*cast("tuple[str]", tuple(words)))


def _name(provider: object) -> str:
    return type(provider).__qualname__


def _do_nothing() -> None:
    pass
