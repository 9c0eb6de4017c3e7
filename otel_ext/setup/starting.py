"""Lets a program start with an output folder that works, whatever is wrong with its own.

A wrong variable, a typo in a file and a folder that cannot be made are reported once
and ignored; without a folder, records go to a private one below the temporary directory.
Only the setting `strict` makes these errors. `otel-ext run` and `configure()` share
this; docs/adr/0013 has the reasons.
"""

from __future__ import annotations

from otel_ext.config import Config, Source
from otel_ext.errors import ConfigError
from otel_ext.journal.fallback import fallback_folder, problem_with_output

__all__ = ["with_usable_output"]

_BY_US = Source("default", "otel-ext, instead of a folder that cannot be used")


def with_usable_output(config: Config, *, trial: bool = False) -> tuple[Config, str]:
    """Return `config` with an output folder that can be used, and the problem with its own.

    Args:
        config: The configuration. If it switches recording off, nothing is checked.
        trial: As for `problem_with_output`.

    Returns:
        The configuration, with recording switched off if no folder can be used; and a
        sentence with the old folder and the new one, empty if there was no problem.

    Raises:
        ConfigError: The folder cannot be used, and the setting `strict` is on.

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
