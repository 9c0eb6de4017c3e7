"""What the stages of a pipeline return besides a context, and what a pipeline returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from otel_ext.context.outcome import Failure

__all__ = ["Ended", "PipelineResult", "Skipped"]


class Skipped(NamedTuple):
    """What a stage returns if it has nothing to do: the next one gets the same context.

    Args:
        reason: Why, in a few words.
    """

    reason: str = ""


class Ended(NamedTuple):
    """What a stage returns to end the pipeline early, with success.

    Args:
        context: The final context; None for the stage's own.
        reason: Why, in a few words.
    """

    context: object = None
    reason: str = ""


class PipelineResult(NamedTuple):
    """What a pipeline returns.

    Attributes:
        context: The context after the last stage that ran.
        completed: The names of the stages that did their work.
        skipped: The names of those that had nothing to do.
        ended: Why the pipeline ended early; None if it did not.
        failure: The failure that ended it; None without one.
    """

    context: object
    completed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    ended: str | None = None
    failure: Failure | None = None

    @property
    def ok(self) -> bool:
        """Whether no stage has failed."""
        return self.failure is None
