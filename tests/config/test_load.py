"""Every setting from every source, their precedence, and the messages about mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otel_ext.config import SETTINGS, Config, Setting, load_config
from otel_ext.errors import ConfigError
from otel_ext.redaction.settings import Patterns, Secret
from otel_ext.settings.kinds import (
    Boolean,
    Choice,
    Duration,
    Folder,
    Integer,
    Kind,
    Size,
    Thresholds,
)

BY_NAME = {setting.name: setting for setting in SETTINGS}
each_setting = pytest.mark.parametrize("setting", SETTINGS, ids=lambda item: item.name)


OTHERS: dict[type[Kind], tuple[str, str]] = {
    Integer: ("17", "18"),
    Duration: ("90s", "100s"),
    Folder: ("/elsewhere", "/there"),
    Thresholds: ("db.*=5s", "http *=1h"),
    Patterns: ("iban,[a-z]{2,3}", r"EMP-\d+"),
    Secret: ("sixteen letters or more", "another of that length"),
}


def other(setting: Setting, *, second: bool = False) -> str:
    """Return text for an allowed value that is not the default; `second` gives another."""
    kind = setting.kind
    if isinstance(kind, Boolean):
        return kind.format(not setting.default)
    if isinstance(kind, Choice):
        return [name for name in kind.names if name != setting.default][second]
    if isinstance(kind, Size):
        return kind.format(kind.low * (2 if second else 1))
    return OTHERS[type(kind)][second]


def in_yaml_or_toml(setting: Setting, text: str) -> str:
    """Return `text` as a value for both file formats."""
    return text if isinstance(setting.kind, (Boolean, Integer)) else json.dumps(text)


def test_every_setting_has_a_unique_name() -> None:
    """Names, variables and attributes are unique and derived from each other."""
    assert len({item.name for item in SETTINGS}) == len(SETTINGS)
    assert len({(item.section, item.field) for item in SETTINGS}) == len(SETTINGS)
    for item in SETTINGS:
        assert item.env == "OTEL_EXT_" + item.name.upper().replace("-", "_")
        assert item.help.endswith(".")


@each_setting
def test_every_default_is_allowed(setting: Setting) -> None:
    """A default is allowed by its kind, and round-trips through text."""
    assert setting.kind.parse(setting.default) == setting.default
    assert setting.kind.parse(setting.kind.format(setting.default) or setting.default) == (
        setting.default
    )


def test_without_any_source_all_is_default() -> None:
    """Without any source, the values are those of `Config()`, without a warning."""
    config = load_config()
    assert config == Config()
    assert (config.file, config.warnings) == (None, ())
    for setting, value, source in config.items():
        assert (value, source.layer) == (setting.default, "default")


def test_the_documented_defaults() -> None:
    """The defaults that documents and other parts rely on."""
    config = Config()
    assert config.output.folder == Path("traces")
    assert (config.journal.durability, config.journal.sync) == ("mapped", "interval")
    assert config.journal.ring_size == 8 * 1024**2
    assert config.journal.retention_age == 7 * 86_400
    assert config.inflight.max_open_spans == 100_000
    assert (config.inflight.heartbeat_interval, config.inflight.stall_after) == (5.0, 60.0)


@each_setting
def test_each_setting_from_the_environment(setting: Setting) -> None:
    """Its variable sets it, and is its source."""
    config = load_config(environ={setting.env: other(setting)})
    assert config.value(setting.name) == setting.kind.parse(other(setting)) != setting.default
    assert str(config.source_of(setting.name)) == f"environment variable {setting.env}"


@each_setting
@pytest.mark.parametrize(
    "name", ["otel-ext.toml", "otel-ext.yaml", "otel-ext.yml", "pyproject.toml"]
)
def test_each_setting_from_each_file(setting: Setting, name: str, repository: Path) -> None:
    """Its key sets it in every kind of file; its source has file and line."""
    separator = ": " if ".y" in name else " = "
    head = "[tool.otel-ext]" if name == "pyproject.toml" else "# first line"
    value = in_yaml_or_toml(setting, other(setting))
    (repository / name).write_text(f"{head}\n{setting.name}{separator}{value}\n", "utf-8")
    config = load_config(environ={})
    assert config.value(setting.name) == setting.kind.parse(other(setting)) != setting.default
    assert str(config.source_of(setting.name)) == f"{repository / name}:2"
    assert config.file == repository / name


@each_setting
@pytest.mark.parametrize("kebab", [True, False], ids=["kebab", "snake"])
def test_each_setting_from_code(setting: Setting, kebab: bool) -> None:
    """It is set by argument name and by setting name, as text and as its own type."""
    name = setting.name if kebab else setting.argument
    value = setting.kind.parse(other(setting))
    for form in (other(setting), value):
        config = load_config({name: form}, environ={})
        assert config.value(setting.name) == value
        assert str(config.source_of(setting.name)) == f"argument {setting.argument}"


@each_setting
def test_code_beats_environment_beats_file(setting: Setting, repository: Path) -> None:
    """If several sources set it, code wins over environment, and environment over file."""
    low, high = other(setting), other(setting, second=True)
    value = in_yaml_or_toml(setting, low)
    (repository / "otel-ext.toml").write_text(f"{setting.name} = {value}", "utf-8")
    environ = {setting.env: high}
    assert load_config(environ={}).source_of(setting.name).layer == "file"
    config = load_config(environ=environ)
    assert (config.value(setting.name), config.source_of(setting.name).layer) == (
        setting.kind.parse(high),
        "environment",
    )
    config = load_config({setting.argument: low}, environ=environ)
    assert (config.value(setting.name), config.source_of(setting.name).layer) == (
        setting.kind.parse(low),
        "code",
    )


@each_setting
def test_a_wrong_value_is_reported_in_full(setting: Setting, repository: Path) -> None:
    """For every source, the message has the setting, the value, the source and what is allowed."""
    kind = setting.kind
    wrong = (
        "\0" if isinstance(kind, Folder) else "(so-so" if isinstance(kind, Patterns) else "so-so"
    )
    file = repository / "otel-ext.toml"
    file.write_text(f"\n{setting.name} = {json.dumps(wrong)}", "utf-8")
    sources: dict[str, tuple[dict[str, object], dict[str, str]]] = {
        f"{file}:2": ({}, {"OTEL_EXT_CONFIG": str(file)}),
        f"environment variable {setting.env}": (
            {},
            {setting.env: wrong, "OTEL_EXT_CONFIG": "/dev/null"},
        ),
        f"argument {setting.argument}": ({setting.name: wrong}, {"OTEL_EXT_CONFIG": "/dev/null"}),
    }
    for source, (settings, environ) in sources.items():
        with pytest.raises(ConfigError) as caught:
            load_config(settings, environ=environ)
        message = str(caught.value)
        assert message.startswith(f"{setting.name}: ")
        assert f"({source}) is not allowed. Use {setting.kind.allowed}" in message
        # A secret is not shown, not even a wrong one.
        is_shown = "so-so" in message or "x00" in message
        assert is_shown != isinstance(setting.kind, Secret)
        assert caught.value.context["key"] == setting.name


def test_a_secret_is_not_in_the_repr_of_the_settings() -> None:
    """A program that prints or logs the configuration does not reveal the key."""
    config = load_config(
        {"redact_hmac_key": "correct horse battery"}, environ={"OTEL_EXT_CONFIG": "/dev/null"}
    )
    assert "horse" not in repr(config)
    assert "RedactionSettings(mode='default'" in repr(config)


def test_an_option_is_named_as_on_the_command_line() -> None:
    """A message of a command has the option, not a Python argument."""
    with pytest.raises(ConfigError, match=r"\(option --compat-mode\)"):
        load_config({"compat_mode": "maybe"}, environ={}, command_line=True)


def test_a_wrong_name_of_a_choice_suggests_the_nearest() -> None:
    """The error for a misspelt name suggests the right one."""
    with pytest.raises(
        ConfigError, match="one of: always, interval, never. Did you mean 'always'?"
    ):
        load_config({"sync": "allways"}, environ={})


def test_all_mistakes_are_reported_at_once(repository: Path) -> None:
    """Mistakes in file, environment and code are reported in one error, one line each."""
    (repository / "otel-ext.toml").write_text('sync = "often"\ncolor = 1\n', "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config({"ring_size": 1, "flavour": 2}, environ={"OTEL_EXT_DURABILITY": "forever"})
    lines = str(caught.value).splitlines()
    assert lines[0] == "5 problems in the configuration:"
    message = "\n".join(lines[1:])
    for word in ("sync", "color", "ring-size", "flavour", "durability"):
        assert word in message
    assert all(line.startswith("- ") for line in lines[1:])
    assert len(lines) == 6
    assert caught.value.context["problems"] == tuple(line.removeprefix("- ") for line in lines[1:])


def test_a_broken_file_does_not_hide_other_mistakes(repository: Path) -> None:
    """Other mistakes are reported together with an invalid file."""
    (repository / "otel-ext.toml").write_text("sync = \n", "utf-8")
    with pytest.raises(ConfigError, match=r"2 problems(.|\n)*toml:1:8(.|\n)*ring-size"):
        load_config({"ring_size": -1}, environ={})


@pytest.mark.parametrize(
    ("key", "meant"),
    [("compat_mode", "compat-mode"), ("compat-mod", "compat-mode"), ("OUTPUT", "output")],
)
def test_an_unknown_key_of_a_file_suggests_the_nearest(
    key: str, meant: str, repository: Path
) -> None:
    """An unknown key is an error; the message has file, line and the nearest key."""
    (repository / "otel-ext.toml").write_text(f"# one\n{key} = true\n", "utf-8")
    with pytest.raises(ConfigError, match=f"unknown setting '{key}' .*:2.*Did you mean '{meant}'"):
        load_config(environ={})


def test_an_unknown_argument_suggests_the_nearest() -> None:
    """An unknown argument is an error that suggests an argument, not a file key."""
    with pytest.raises(ConfigError, match="unknown setting 'compat'.*Did you mean 'compat_mode'"):
        load_config({"compat": True}, environ={})


def test_a_table_of_pyproject_in_our_own_file_is_explained(repository: Path) -> None:
    """`[tool.otel-ext]` is for pyproject.toml only; the error in other files explains that."""
    (repository / "otel-ext.toml").write_text("[tool.otel-ext]\nsync = 'never'", "utf-8")
    with pytest.raises(ConfigError, match=r"without \[tool.otel-ext\]"):
        load_config(environ={})


def test_an_unknown_variable_is_a_warning() -> None:
    """The environment is shared, so an unknown variable does not stop a program."""
    wrong = "OTEL_EXT_COMPATMODE"
    known = {"OTEL_X": "1", "OTEL_EXT_SERVE_TOKEN": "that of otel-ext serve"}
    config = load_config(environ={wrong: "1", "OTEL_EXT_XYZZY": "1", **known})
    assert config.warnings == (
        f"environment variable {wrong} is not known. Did you mean 'OTEL_EXT_COMPAT_MODE'?",
        "environment variable OTEL_EXT_XYZZY is not known.",
    )


def test_variables_of_other_parts_are_known() -> None:
    """There is no warning for switches and marks of other parts."""
    environ = {"OTEL_EXT_AUTO": "true", "OTEL_EXT_RUN_PID": "1", "OTEL_EXT_TEST_X": "1"}
    assert load_config(environ=environ).warnings == ()


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_variable_counts_as_not_set(empty: str) -> None:
    """OpenTelemetry's rule for its variables holds for ours."""
    environ = {setting.env: empty for setting in SETTINGS} | {"OTEL_EXT_CONFIG": empty.strip()}
    assert load_config(environ=environ) == Config()


def test_the_old_variable_of_compat_mode_still_works() -> None:
    """`AITRACE_COMPAT_MODE` sets it, unless the present name is set too."""
    config = load_config(environ={"AITRACE_COMPAT_MODE": "true"})
    assert config.output.compat_mode is True
    assert "AITRACE_COMPAT_MODE" in str(config.source_of("compat-mode"))
    both = {"AITRACE_COMPAT_MODE": "true", "OTEL_EXT_COMPAT_MODE": "false"}
    assert load_config(environ=both).output.compat_mode is False


def test_none_from_code_counts_as_not_set() -> None:
    """A command can pass on all its options, also those that are not set."""
    config = load_config({"sync": None}, environ={"OTEL_EXT_SYNC": "never"})
    assert config.journal.sync == "never"


def test_the_environment_of_the_process_is_read_at_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A variable that is set after the import is used."""
    monkeypatch.setenv("OTEL_EXT_SYNC", "never")
    assert load_config().journal.sync == "never"


def test_undecodable_text_of_the_environment_is_shown() -> None:
    """If a variable contains bytes that are not text, the message is printable."""
    with pytest.raises(ConfigError) as caught:
        load_config(environ={"OTEL_EXT_SYNC": "\udcff\x1b[31m"})
    assert str(caught.value).isprintable()
    assert "udcff" in str(caught.value)


def test_a_hostile_value_from_code_is_an_ordinary_mistake() -> None:
    """A value whose methods raise is refused with a message, not with its own exception."""

    class Hostile:
        """A path and a text that both raise."""

        def __fspath__(self) -> str:
            raise RuntimeError

        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(ConfigError, match="output: <.*Hostile.*> .argument output. is not allowed"):
        load_config({"output": Hostile()}, environ={})


def test_an_unknown_name_is_refused_by_the_configuration() -> None:
    """Asking for a setting that does not exist suggests the nearest."""
    with pytest.raises(ConfigError, match="Did you mean 'ring-size'"):
        Config().value("ringsize")
    with pytest.raises(ConfigError, match="no setting 'nothing'"):
        Config().source_of("nothing")


def test_the_configuration_is_frozen() -> None:
    """Sections and their values cannot be assigned."""
    config = Config()
    with pytest.raises(AttributeError):
        config.output.compat_mode = True  # type: ignore[misc]
    with pytest.raises(AttributeError):
        config.output = Config().output  # type: ignore[misc]
    assert not hasattr(config.sources, "__setitem__")
