"""What happens at the start of a program where something of ours is wrong: it starts.

A wrong variable, a typo in a file and a folder that cannot be made are said once
and left out; records then go to a private folder below the temporary directory.
Only the setting `strict` makes them errors. `otel-ext run` and `configure()` share
this; docs/adr/0013 says why.
"""

from __future__ import annotations

from otel_ext.config import Config, Source
from otel_ext.errors import ConfigError
from otel_ext.journal.fallback import fallback_folder, problem_with_output

__all__ = ["with_usable_output"]

_BY_US = Source("default", "otel-ext, instead of a place that cannot take records")


def with_usable_output(config: Config, *, trial: bool = False) -> tuple[Config, str]:
    """Return `config` with a place that can take records, and what was wrong with its own.

    Args:
        config: The configuration. Where it switches recording off, nothing is looked at.
        trial: As for `problem_with_output`.

    Returns:
        The configuration, switched off where no place can take records, and a sentence
        that names the old place and the new one; empty if nothing was wrong.

    Raises:
        ConfigError: The place cannot take records, and the setting `strict` is on.

    >>> config, problem = with_usable_output(Config().with_values({"enabled": (False, _BY_US)}))
    >>> problem
    ''
    """
    if not config.capture.enabled:
        return config, ""
    folder = config.output.folder
    problem = problem_with_output(folder, trial=trial)
    if not problem:
        return config, ""
    problem = f"output: {folder} ({config.source_of('output')}): {problem}"
    if config.capture.strict:
        raise ConfigError(problem, hint="Name another by --output, or by the setting output")
    spare = fallback_folder()
    if spare is None:
        off = config.with_values({"enabled": (False, _BY_US)})
        return (
            off,
            f"{problem}. Nothing is recorded; name another by --output, or by the setting output",
        )
    way_out = f"Records go to {spare}; name another by --output, or by the setting output"
    return config.with_values({"output": (spare, _BY_US)}), f"{problem}. {way_out}"
