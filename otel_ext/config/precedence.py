"""Loads the configuration: code wins over environment, environment over file, file over default."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.config.messages import Problems, Source, did_you_mean
from otel_ext.config.sections import BY_NAME, SETTINGS, Config
from otel_ext.config.sources.files import FileSettings, find_file, read_file
from otel_ext.errors import ConfigError
from otel_ext.settings.declarations import ENV_PREFIX, Setting
from otel_ext.settings.kinds import NotAllowedError
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TypeAlias

    _Path: TypeAlias = str | os.PathLike[str]
    # A value as its source has it, not yet checked.
    _Unchecked: TypeAlias = tuple[Setting, object, Source]

__all__ = ["CONFIG_VARIABLE", "check_value", "load_config", "load_leniently"]

CONFIG_VARIABLE: Final = "OTEL_EXT_CONFIG"
"""The environment variable with the path of the configuration file; `/dev/null` means none."""

# Variables with our prefix that are not settings: switches, and messages between
# our own processes.
_NOT_SETTINGS: Final = (
    CONFIG_VARIABLE,
    "OTEL_EXT_AUTO",
    "OTEL_EXT_ERROR_CONTEXT",
    "OTEL_EXT_PURE_PYTHON",
    "OTEL_EXT_SERVE_TOKEN",
)
_NOT_SETTINGS_PREFIXES: Final = ("OTEL_EXT_RUN_", "OTEL_EXT_TEST_")


def load_config(
    settings: Mapping[str, object] | None = None,
    *,
    file: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    command_line: bool = False,
) -> Config:
    """Load and check the configuration of this program.

    Args:
        settings: Values from code, by argument name (`compat_mode`) or setting name
            (`compat-mode`); None counts as not set.
        file: The configuration file, instead of searching for one; `/dev/null` means none.
        environ: The environment to read, instead of the process's own.
        folder: The folder in which the search for a file starts, instead of the working
            directory.
        command_line: Whether `settings` are options of a command, for messages.

    Returns:
        The configuration; `set_config` makes it the active one.

    Raises:
        ConfigError: A setting is wrong; the message lists every mistake.
        MissingExtraError: The file is YAML, and PyYAML is not installed.

    >>> config = load_config(
    ...     {"sync": "always"}, file=os.devnull, environ={"OTEL_EXT_SYNC": "never"}
    ... )
    >>> config.journal.sync, str(config.source_of("sync"))
    ('always', 'argument sync')
    """
    config, problems = _load(settings or {}, file, environ, folder, command_line=command_line)
    problems.raise_all()
    return config


def load_leniently(
    settings: Mapping[str, object] | None = None,
    *,
    file: str | os.PathLike[str] | None = None,
    command_line: bool = False,
) -> Config:
    """Load the configuration as `load_config` does, ignoring mistakes outside of code.

    For the start of a program, which a typo in a file must not prevent. A wrong
    value or name in the environment or in a file is ignored, with a warning. The arguments
    are those of `load_config`.

    Raises:
        ConfigError: `settings` or `file` is wrong, or the setting `strict` is on and any
            source is; the message lists every mistake.
        MissingExtraError: The same, for a YAML file without PyYAML.

    >>> os.environ["OTEL_EXT_SYNC"] = "often"
    >>> config = load_leniently(file=os.devnull)
    >>> config.journal.sync, len(config.warnings)
    ('interval', 1)
    """
    config, problems = _load(settings or {}, file, command_line=command_line)
    if config.capture.strict or not problems.only_outside:
        problems.raise_all()
    ignored = [
        f"{sentence if sentence.endswith('?') else sentence.rstrip('.') + '.'} It is ignored"
        for sentence in problems.sentences()
    ]
    return replace(config, warnings=(*ignored, *config.warnings))


def _load(
    settings: Mapping[str, object],
    file: _Path | None,
    environ: Mapping[str, str] | None = None,
    folder: _Path | None = None,
    *,
    command_line: bool,
) -> tuple[Config, Problems]:
    """Return the configuration without the wrong values, and the problems."""
    environ = os.environ if environ is None else environ
    problems = Problems()
    found = FileSettings()
    with problems.collecting(outside=file is None):
        found = _read_settings_file(file, environ, folder, command_line=command_line)
    unchecked = [
        *_from_file(found, problems),
        *_from_environment(environ),
        *_from_code(settings, problems, command_line=command_line),
    ]
    values: dict[str, tuple[object, Source]] = {}
    for setting, value, source in unchecked:
        with problems.collecting(outside=source.layer != "code"):
            values[setting.name] = (check_value(setting, value, source), source)
    warnings = (*found.warnings, *_unknown_variables(environ))
    return Config(file=found.path, warnings=warnings).with_values(values), problems


def check_value(setting: Setting, value: object, source: Source) -> object:
    """Return `value` parsed, as the setting holds it.

    Raises:
        ConfigError: It is not allowed; the message names the setting, the value, its
            source, and the allowed values.
    """
    try:
        return setting.kind.parse(value)
    except Exception as error:  # noqa: BLE001 - a value from code may be of a user's class
        allowed = setting.kind.allowed
        reason = str(error) if isinstance(error, NotAllowedError) else ""
        shown = "the value" if setting.kind.is_secret else short_repr(value)
        suggestion = did_you_mean(value, setting.kind.names) if isinstance(value, str) else ""
        raise ConfigError(
            f"{setting.name}: {shown} ({source}) is not allowed",
            hint=f"Use {allowed}. {reason or suggestion}".strip(),
            context={
                "key": setting.name,
                "value": shown,
                "source": str(source),
                "allowed": allowed,
            },
        ) from None


def _read_settings_file(
    named: _Path | None, environ: Mapping[str, str], folder: _Path | None, *, command_line: bool
) -> FileSettings:
    """Return the settings of the file that is named, else of the one that is found, if any."""
    file, source = environ.get(CONFIG_VARIABLE, ""), f"environment variable {CONFIG_VARIABLE}"
    if named is not None:
        file, source = os.fspath(named), "option --config" if command_line else "argument file"
    if not file:
        return find_file(folder)
    if file == os.devnull:
        return FileSettings()
    path = Path(os.path.abspath(os.path.expanduser(file)))  # noqa: PTH100, PTH111 - keeps links
    try:
        return read_file(path)
    except ConfigError as error:
        message = f"{error.message} (named by {source})"
        raise ConfigError(message, hint=error.hint, context=error.context) from None


def _from_file(found: FileSettings, problems: Problems) -> Iterator[_Unchecked]:
    """Yield the values in a file; unknown keys are problems."""
    for key, value, line in found.entries:
        where = str(found.path) if line is None else f"{found.path}:{line}"
        setting = BY_NAME.get(key)
        if setting is None:
            hint = did_you_mean(key, BY_NAME) or "See the settings in docs/configuration.md"
            if key == "tool":
                hint = "Write the settings at the top of this file, without [tool.otel-ext]"
            message = f"unknown setting {short_repr(key)} ({where})"
            problems.add(message, hint=hint, key=key, outside=True)
            continue
        if found.path and setting.name == "output" and isinstance(value, str) and value.strip():
            # A path in a file is relative to the file, wherever the program is started.
            value = str(found.path.parent / os.path.expanduser(value))  # noqa: PTH111, PLW2901 - raises without a home
        yield setting, value, Source("file", where)


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Unchecked]:
    """Yield the values in the environment.

    An empty variable counts as not set, as in OpenTelemetry's specification of
    environment variables.
    """
    for setting in SETTINGS:
        for variable in setting.variables:
            if text := environ.get(variable, "").strip():
                yield setting, text, Source("environment", f"environment variable {variable}")
                break


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable that has our prefix and is not known."""
    variables = (name for setting in SETTINGS for name in setting.variables)
    known = {name.removeprefix(ENV_PREFIX) for name in (*variables, *_NOT_SETTINGS)}
    sentences: list[str] = []
    for name in sorted(environ):
        rest = name.removeprefix(ENV_PREFIX)
        if rest == name or rest in known or name.startswith(_NOT_SETTINGS_PREFIXES):
            continue
        hint = did_you_mean(rest, known, prefix=ENV_PREFIX)
        sentences.append(f"environment variable {name} is not known. {hint}".rstrip())
    return sentences


def _from_code(
    settings: Mapping[str, object], problems: Problems, *, command_line: bool
) -> Iterator[_Unchecked]:
    """Yield the values of arguments; unknown arguments are problems."""
    for name, value in settings.items():
        setting = BY_NAME.get(name.replace("_", "-"))
        if setting is None:
            known = (one.name if command_line else one.argument for one in SETTINGS)
            hint = did_you_mean(name, known)
            problems.add(f"unknown setting {short_repr(name)} (argument)", hint=hint, key=name)
        elif value is not None:
            where = f"option --{setting.name}" if command_line else f"argument {setting.argument}"
            yield setting, value, Source("code", where)
