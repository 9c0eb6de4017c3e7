"""Loads the configuration: code wins over environment, environment over file, file over default."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.config.messages import Problems, Source, did_you_mean
from otel_ext.config.sections import SETTINGS, Config
from otel_ext.config.sources.files import FileSettings, find_file, read_file
from otel_ext.errors import ConfigError
from otel_ext.settings.declarations import ENV_PREFIX, Setting
from otel_ext.settings.kinds import NotAllowedError
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from otel_ext.config.sources.entry import Entry

    _Path: TypeAlias = str | os.PathLike[str]
    # A value as its source has it, not yet checked.
    _Unchecked: TypeAlias = tuple[Setting, object, Source]

__all__ = ["CONFIG_VARIABLE", "check_value", "load_config", "load_leniently"]

CONFIG_VARIABLE: Final = "OTEL_EXT_CONFIG"
"""The environment variable with the path of the configuration file; `/dev/null` means none."""

# Variables with our prefix that are not settings: switches, and messages between
# our own processes.
_NOT_SETTINGS: Final = (CONFIG_VARIABLE, "OTEL_EXT_AUTO", "OTEL_EXT_PURE_PYTHON")
_NOT_SETTINGS_PREFIXES: Final = ("OTEL_EXT_RUN_", "OTEL_EXT_TEST_")

_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}
_BY_ARGUMENT: Final = {setting.argument: setting for setting in SETTINGS}
_VARIABLES: Final = {
    **{setting.env: setting for setting in SETTINGS},
    **{alias: setting for setting in SETTINGS for alias in setting.aliases},
}


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
    environ: Mapping[str, str] | None = None,
    command_line: bool = False,
) -> Config:
    """Load the configuration as `load_config` does, ignoring mistakes outside of code.

    For the start of a program, which a typo in a file must not prevent. A wrong
    value or name in the environment or in a file is ignored, with a warning.

    Args:
        settings: As for `load_config`.
        file: As for `load_config`.
        environ: As for `load_config`.
        command_line: As for `load_config`.

    Raises:
        ConfigError: `settings` or `file` is wrong, or the setting `strict` is on and any
            source is; the message lists every mistake.
        MissingExtraError: The same, for a YAML file without PyYAML.

    >>> config = load_leniently(file=os.devnull, environ={"OTEL_EXT_SYNC": "often"})
    >>> config.journal.sync, len(config.warnings)
    ('interval', 1)
    """
    config, problems = _load(settings or {}, file, environ, command_line=command_line)
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
    environ: Mapping[str, str] | None,
    folder: _Path | None = None,
    *,
    command_line: bool,
) -> tuple[Config, Problems]:
    """Return the configuration without the wrong values, and the problems."""
    environ = os.environ if environ is None else environ
    problems = Problems()
    found: FileSettings | None = None
    with problems.collecting(outside=file is None):
        found = _read_settings_file(file, environ, folder, command_line=command_line)
    unchecked = _from_file(found.path, found.entries, problems) if found and found.path else []
    unchecked += _from_environment(environ)
    unchecked += _from_code(settings, problems, command_line=command_line)
    values: dict[str, tuple[object, Source]] = {}
    for setting, value, source in unchecked:
        with problems.collecting(outside=source.layer != "code"):
            values[setting.name] = (check_value(setting, value, source), source)
    warnings = (*(found.warnings if found else ()), *_unknown_variables(environ))
    path = found.path if found else None
    return Config(file=path, warnings=warnings).with_values(values), problems


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
        suggestion = (
            did_you_mean(value, getattr(setting.kind, "names", ()))
            if isinstance(value, str)
            else ""
        )
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
) -> FileSettings | None:
    """Return the settings of the file that is named, else of the one that is found, if any."""
    file, source = environ.get(CONFIG_VARIABLE, ""), f"environment variable {CONFIG_VARIABLE}"
    if named is not None:
        file, source = os.fspath(named), "option --config" if command_line else "argument file"
    if file:
        return None if file == os.devnull else _read_named(file, source)
    return find_file(folder)


def _read_named(file: str, source: str) -> FileSettings:
    """Return the settings in `file`; errors include `source`, which names the file."""
    path = Path(os.path.abspath(os.path.expanduser(file)))  # noqa: PTH100, PTH111 - keeps links
    try:
        return read_file(path)
    except ConfigError as error:
        message = f"{error.message} (named by {source})"
        raise ConfigError(message, hint=error.hint, context=error.context) from None


def _from_file(path: Path, entries: tuple[Entry, ...], problems: Problems) -> list[_Unchecked]:
    """Return the values in a file; unknown keys are problems."""
    unchecked: list[_Unchecked] = []
    for entry in entries:
        where = str(path) if entry.line is None else f"{path}:{entry.line}"
        setting = _BY_NAME.get(entry.key)
        if setting is None:
            hint = _hint_for_key(entry) or "See the settings in docs/configuration.md"
            message = f"unknown setting {short_repr(entry.key)} ({where})"
            problems.add(message, hint=hint, key=entry.key, outside=True)
            continue
        value = entry.value
        if setting.name == "output" and isinstance(value, str) and value.strip():
            # A path in a file is relative to the file, wherever the program is started.
            value = str(path.parent / os.path.expanduser(value))  # noqa: PTH111 - raises without a home
        unchecked.append((setting, value, Source("file", where)))
    return unchecked


def _hint_for_key(entry: Entry) -> str:
    """Return a hint about an unknown key of a file."""
    if entry.key == "tool":
        return "Write the settings at the top of this file, without [tool.otel-ext]"
    return did_you_mean(entry.key, _BY_NAME)


def _from_environment(environ: Mapping[str, str]) -> list[_Unchecked]:
    """Return the values in the environment.

    An empty variable counts as not set, as in OpenTelemetry's specification of
    environment variables.
    """
    unchecked: list[_Unchecked] = []
    for setting in SETTINGS:
        for variable in (setting.env, *setting.aliases):
            if text := environ.get(variable, "").strip():
                source = Source("environment", f"environment variable {variable}")
                unchecked.append((setting, text, source))
                break
    return unchecked


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable that has our prefix and is not known."""
    known = {name.removeprefix(ENV_PREFIX) for name in (*_VARIABLES, *_NOT_SETTINGS)}
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
) -> list[_Unchecked]:
    """Return the values of arguments; unknown arguments are problems."""
    unchecked: list[_Unchecked] = []
    for name, value in settings.items():
        setting = _BY_ARGUMENT.get(name.replace("-", "_"))
        if setting is None:
            hint = did_you_mean(name, _BY_NAME if command_line else _BY_ARGUMENT)
            problems.add(f"unknown setting {short_repr(name)} (argument)", hint=hint, key=name)
        elif value is not None:
            where = f"option --{setting.name}" if command_line else f"argument {setting.argument}"
            unchecked.append((setting, value, Source("code", where)))
    return unchecked
