"""A provider of OpenFeature that takes flags from a flag file, and reads it again on change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar, cast

from openfeature.evaluation_context import EvaluationContext  # pyright: ignore[reportMissingTypeStubs]
from openfeature.exception import (
    FlagNotFoundError,
    GeneralError,
    OpenFeatureError,
    ProviderNotReadyError,
)
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata  # pyright: ignore[reportMissingTypeStubs]

from otel_ext.flags.announcing import Announcer
from otel_ext.flags.arguments import absolute, checked_baggage_key, checked_names, flag_path
from otel_ext.flags.hooks import CONTEXT_ID, SpanHook
from otel_ext.flags.remembered import FirstOutcomes, place_here
from otel_ext.flags.targeting import BAGGAGE_KEY, targeting_key
from otel_ext.flags.watched import WatchedFile
from otel_ext.runtime.fork import check_process
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.worker import shared_worker

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Mapping, Sequence

    from openfeature.hook import Hook  # pyright: ignore[reportMissingTypeStubs]

    from otel_ext.flags.ruleset import Ruleset
    from otel_ext.flags.watched import Change
    from otel_ext.runtime.worker import Job

__all__ = ["FileProvider"]

T = TypeVar("T")

_CHECK_SECONDS: Final = 1.0
_ON: Final = ("on", True)


class FileProvider(AbstractProvider):
    """Takes flags from a flag file of flagd's format, and reads it again when it changes.

    The file is read at once, and looked at once a second from `initialize` on. A file that is
    broken or gone leaves the last good flags; that is reported once and shows in `health()`.

    A change of a flag's stage is recorded as an event `feature_flag.stage`.

    An evaluation without a targeting key gets that of its trace, and is recorded on its span.
    A trace keeps its first outcome for a flag with stages, within the limits that
    `otel_ext.flags.targeting` states.

    A flag at stage 5 is enforced: it stays on if it cannot be evaluated, and if it or its stage
    is gone from the file or not valid there. Only a lower stage in the file, or the state
    DISABLED, ends that.

    Args:
        path: The flag file; it may come later.
        baggage_key: The entry of the baggage with the targeting key.
        enforced: Boolean flags that are on until the file has them at a lower stage or
            DISABLED, since the program has no other path left.

    Raises:
        ConfigError: `path` is not a path, `baggage_key` not a text, or `enforced` no list of
            names.

    >>> provider = FileProvider("missing.json", enforced=["new-search"])
    >>> provider.resolve_boolean_details("new-search", False).value
    True
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        baggage_key: str = BAGGAGE_KEY,
        enforced: Collection[str] = (),
    ) -> None:
        super().__init__()
        self._baggage_key = checked_baggage_key(baggage_key)
        self._hooks: list[Hook] = [SpanHook()]
        self._file = WatchedFile(absolute(flag_path(path)))
        self._file.enforced = dict.fromkeys(checked_names(enforced), _ON)
        self._first = FirstOutcomes()
        self._job: Job | None = None
        self._file.check()
        self._announcer = Announcer(self._file)

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(name="otel_ext")

    def get_provider_hooks(self) -> list[Hook]:
        """Return the hook that records evaluations on spans."""
        return self._hooks

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Start to look at the file once a second; OpenFeature calls it.

        Raises:
            ProviderNotReadyError: There are no flags yet. They are used once they come.
        """
        if self._job is None:
            self._job = shared_worker().every(_CHECK_SECONDS, self._check, "feature flags")
        shared_worker().ensure()
        if self._file.rules is None:
            raise ProviderNotReadyError(self._file.problem)

    def shutdown(self) -> None:
        """Look at the file no more; OpenFeature calls it. Idempotent."""
        job, self._job = self._job, None
        if job is not None:
            job.cancel()

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 - as OpenFeature has it
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Evaluate a boolean flag."""
        return self._resolve(bool, "boolean", flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """Evaluate a flag whose values are texts."""
        return self._resolve(str, "string", flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """Evaluate a flag whose values are whole numbers."""
        return self._resolve(int, "integer", flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """Evaluate a flag whose values are numbers."""
        return self._resolve(float, "float", flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Evaluate a flag whose values are objects or lists."""
        found = self._resolve(object, "object", flag_key, default_value, evaluation_context)
        return cast(
            "FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]", found
        )

    def _resolve(
        self,
        value_type: type[T],
        kind: str,
        name: str,
        default: T,
        given: EvaluationContext | None,
    ) -> FlagResolutionDetails[T]:
        """Evaluate a flag, or return the value of an enforced one if that fails.

        Raises:
            OpenFeatureError: It cannot be evaluated; the client then uses the default.
        """
        check_process()
        if self._job is not None:
            shared_worker().ensure()  # in a forked child it does not run yet
        context = self._with_key(given)
        rules = self._file.rules
        place = None if context is given else place_here(rules, name, kind)
        known = None if place is None else self._first.find(place)
        if known is None:
            found = self._answer(value_type, kind, name, default, context, rules)
            if context.targeting_key:
                metadata = {**found.flag_metadata}
                metadata.setdefault(CONTEXT_ID, context.targeting_key)
                found = replace(found, flag_metadata=metadata)
            if place is None:
                return found
            known = self._first.keep(place, found)
        # A copy, since the metadata are the caller's then.
        copy = replace(known, flag_metadata={**known.flag_metadata})
        return cast("FlagResolutionDetails[T]", copy)

    def _answer(
        self,
        value_type: type[T],
        kind: str,
        name: str,
        default: T,
        context: EvaluationContext,
        rules: Ruleset | None,
    ) -> FlagResolutionDetails[T]:
        """Evaluate a flag; an enforced one is on whatever comes of it."""
        try:
            found = self._evaluate(kind, name, default, context, rules)
        except Exception as error:
            known = _as_known(error)
            on = self._file.enforced_side(name, value_type)
            if on is None:
                raise known from error
            why = f"{known.error_code.value}: {known.error_message}"
        else:
            on = self._file.enforced_side(name, value_type)
            is_said = rules is None or rules.decides(name, found.variant)
            if on is None or is_said or found.value == on[1]:
                return found
            why = f"the file says {found.variant or 'no variant'}, but names no lower stage"
        self._file.note_replaced(name, why)
        # With an error code the client would use the default.
        return FlagResolutionDetails(cast("T", on[1]), reason=Reason.STALE, variant=on[0])

    def _evaluate(
        self,
        kind: str,
        name: str,
        default: T,
        context: EvaluationContext,
        rules: Ruleset | None,
    ) -> FlagResolutionDetails[T]:
        if rules is None:
            raise ProviderNotReadyError(self._file.problem)
        if name not in rules:
            raise FlagNotFoundError(f"{self._file.path} has no flag {name!r}")
        resolve = getattr(rules.evaluator(), f"resolve_{kind}_value")
        return cast("Callable[..., FlagResolutionDetails[T]]", resolve)(name, default, context)

    def _with_key(self, given: EvaluationContext | None) -> EvaluationContext:
        """Return the context with the trace's targeting key, if the caller gave none."""
        if given is not None and given.targeting_key:
            return given
        try:
            key = targeting_key(self._baggage_key) or None
        except Exception as error:  # noqa: BLE001 - an enforced flag is on also then
            report_problem("a flag is evaluated without a targeting key", error)
            key = None
        return EvaluationContext(key, {} if given is None else given.attributes)

    def _check(self) -> None:
        """Look at the file; the job of the worker."""
        self._file.check(self._announce)

    def _announce(self, change: Change, names: list[str]) -> None:
        self._announcer.announce(self.emit, change, names)


def _as_known(error: Exception) -> OpenFeatureError:
    """Return an error of OpenFeature, whatever a rule has raised."""
    if isinstance(error, OpenFeatureError):
        return error
    return GeneralError(f"{type(error).__name__}: {error}")
