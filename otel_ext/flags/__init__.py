"""Feature flags from a file of flagd's format, and their rollout in stages, by OpenFeature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.flags.extra import flags_name

if TYPE_CHECKING:
    from otel_ext.flags.editing import Changed, enforce, list_rollouts, roll_back, set_stage
    from otel_ext.flags.hooks import SpanHook, TargetingHook
    from otel_ext.flags.provider import FileProvider
    from otel_ext.flags.stages import Rollout, Step
    from otel_ext.flags.start import use_flags
    from otel_ext.flags.targeting import context, targeting_key

__all__ = [
    "Changed",
    "FileProvider",
    "Rollout",
    "SpanHook",
    "Step",
    "TargetingHook",
    "context",
    "enforce",
    "list_rollouts",
    "roll_back",
    "set_stage",
    "targeting_key",
    "use_flags",
]

_MODULES = {
    "Changed": "otel_ext.flags.editing",
    "FileProvider": "otel_ext.flags.provider",
    "Rollout": "otel_ext.flags.stages",
    "SpanHook": "otel_ext.flags.hooks",
    "Step": "otel_ext.flags.stages",
    "TargetingHook": "otel_ext.flags.hooks",
    "context": "otel_ext.flags.targeting",
    "enforce": "otel_ext.flags.editing",
    "list_rollouts": "otel_ext.flags.editing",
    "roll_back": "otel_ext.flags.editing",
    "set_stage": "otel_ext.flags.editing",
    "targeting_key": "otel_ext.flags.targeting",
    "use_flags": "otel_ext.flags.start",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    return flags_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
