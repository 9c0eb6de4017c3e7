"""TOML and YAML: the positions of errors, and text that attacks the parser."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.config import load_config
from otel_ext.config.sources.toml import parse_pyproject, parse_toml
from otel_ext.config.sources.yaml import parse_yaml
from otel_ext.errors import ConfigError
from tests.examples import examples

PATH = Path("settings.file")


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("sync = \n", "1:8"),
        ("\nsync 'x'", "2:6"),
        ("sync = 'x", "1:10"),
        ("a = 1\na = 2", "2:6"),
        ("[a]\n[a]", "2:3"),
        ('x = """\n\n', "3:1"),
        ("\0", "1:1"),
    ],
)
def test_broken_toml_is_reported_with_line_and_column(text: str, position: str) -> None:
    """A syntax error names file, line and column."""
    with pytest.raises(ConfigError, match=f"^settings.file:{position}: .*Correct the file$"):
        parse_toml(PATH, text)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("sync: [", "1:8"),
        ("a: 1\n b: 2", "2:3"),
        ("a: 1\na: 2", "2:1"),
        ("- a\n- b", "1:1"),
        ("just text", "1:1"),
        ("? [a]\n: 1", "1:3"),
        ("a: 1\n---\nb: 2", "2:1"),
        ("a: b\n\tc: 1", "2:1"),
        ("a: 1\nb: \x07", "2:4"),
        ("a: !!python/object/apply:os.system ['true']", "1:4"),
        ("a: !custom 1", "1:4"),
        ("a: &x 1\nb: *x", "2:4"),
        ("a: 1\nb: 2026-13-45", "2"),
        ("a: " + "9" * 5000, "1"),
    ],
)
def test_broken_yaml_is_reported_with_its_position(text: str, position: str) -> None:
    """Errors for syntax, tags, aliases and duplicate keys have the line, and most the column."""
    with pytest.raises(ConfigError, match=f"^settings.file:{position}: .*Correct the file$"):
        parse_yaml(PATH, text)


@pytest.mark.parametrize("text", ["x = " + "[" * 50_000, "x = " + "{a=" * 50_000])
def test_deep_toml(text: str) -> None:
    """Endlessly nested TOML is an error with a message, never a crash."""
    with pytest.raises(ConfigError, match="^settings.file.*(nested too deeply|deep|nest)"):
        parse_toml(PATH, text)


@pytest.mark.parametrize("text", ["[" * 50_000, "a: " + "{a: " * 50_000, "- " * 50_000])
def test_deep_yaml(text: str) -> None:
    """YAML that is nested deeper than settings are is refused early."""
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse_yaml(PATH, text)


def test_a_yaml_bomb_is_refused() -> None:
    """Aliases that expand to a billion values are refused at the first, merge keys too."""
    laughs = "a: &a [ha, ha]\n"
    merges = "a: &a {k: 1}\n"
    for one, two in zip("abcdefghijkl", "bcdefghijklm", strict=True):
        laughs += f"{two}: &{two} [{', '.join([f'*{one}'] * 9)}]\n"
        merges += f"{two}: &{two} {{<<: [{', '.join([f'*{one}'] * 9)}]}}\n"
    for text in (laughs, merges):
        with pytest.raises(ConfigError, match=r"settings.file:2:\d+: aliases are not supported"):
            parse_yaml(PATH, text)


def test_a_huge_value_is_shown_short() -> None:
    """A message is short, whatever the value."""
    for value in ("x" * 10**6, ["y" * 10**6] * 1000, {"k": {"k": {"k": [0] * 1000}}}, 10**5000):
        with pytest.raises(ConfigError) as caught:
            load_config({"sync": value}, file=os.devnull, environ={})
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("parse", [parse_toml, parse_yaml])
@examples(2)
@given(text=st.one_of(st.text(), st.text("[]{}=:.'\"\n-#&*!|> ab1,")))
def test_any_text_parses_or_is_refused(parse: object, text: str) -> None:
    """A parser raises only ConfigError, whatever the text."""
    assert callable(parse)
    with suppress(ConfigError):
        assert isinstance(parse(PATH, text), tuple)


@pytest.mark.parametrize("text", ["", "# nothing\n", "\n\n"])
def test_an_empty_file_is_valid(text: str) -> None:
    """A file with comments only is a configuration without settings."""
    assert parse_toml(PATH, text) == ()
    assert parse_yaml(PATH, text) == ()


def test_lines_of_toml_keys() -> None:
    """The line is found for keys, quoted keys, dotted keys and tables."""
    text = "# comment\na = 1\n'b' = 2\n  c.x = 3\n[d]\na = 5\n[ 'e' . f ]\nx = 1\n[[g]]\n"
    lines = {entry.key: entry.line for entry in parse_toml(PATH, text)}
    assert lines == {"a": 2, "b": 3, "c": 4, "d": 5, "e": 7, "g": None}


def test_an_uncertain_toml_line_is_omitted() -> None:
    """If a line of a multi-line text looks like a key, that key has no line."""
    text = 'x = """\nsync = 1\n"""\nsync = 2\n'
    assert [entry.line for entry in parse_toml(PATH, text)] == [1, None]


def test_lines_of_keys_in_pyproject() -> None:
    """The lines are those of our table, not of the same keys in other tables."""
    text = (
        "[tool.other]\nsync = 1\n[tool.otel-ext]\nsync = 2\n"
        "[tool.otel-ext.stall-patterns]\nx = 1\n[tool.otel-extra]\nsync = 3\n"
    )
    entries = parse_pyproject(PATH, text, explicit=False)
    assert entries is not None
    assert [(entry.key, entry.line) for entry in entries] == [("sync", 4), ("stall-patterns", 5)]


@pytest.mark.parametrize(
    "text",
    [
        "[tool.otel-ext]\nsync = 'never'",
        " [ 'tool' . \"otel-ext\" ]\nsync = 'never'",
        "[tool]\notel-ext = {sync = 'never'}",
        "[tool]\notel-ext.sync = 'never'",
        "tool.otel-ext.sync = 'never'",
        "tool = {otel-ext = {sync = 'never'}}",
        "'tool'.'otel-ext' = {sync = 'never'}",
    ],
)
def test_all_ways_to_write_our_table(text: str, repository: Path) -> None:
    """Every TOML form of the table is accepted."""
    (repository / "pyproject.toml").write_text(text, "utf-8")
    assert load_config(environ={}).journal.sync == "never"


def test_a_broken_pyproject_with_our_table_is_an_error() -> None:
    """If the file has our table, invalid TOML is an error."""
    with pytest.raises(ConfigError, match="settings.file:2:8"):
        parse_pyproject(PATH, "[tool.otel-ext]\nsync = \n", explicit=False)
    with pytest.raises(ConfigError, match="tool.otel-ext is not a table"):
        parse_pyproject(PATH, "[tool]\notel-ext = 1\n", explicit=False)


@pytest.mark.parametrize(("text", "mode"), [("on", "on"), ("off", "off"), ("'json'", "json")])
def test_bare_on_and_off_in_yaml(text: str, mode: str, repository: Path) -> None:
    """`console: off` means the name, though YAML parses it as a boolean."""
    (repository / "otel-ext.yaml").write_text(f"console: {text}", "utf-8")
    assert load_config(environ={}).console.mode == mode


def test_a_table_of_patterns(repository: Path) -> None:
    """Patterns are a table in TOML and a mapping in YAML; their order is kept."""
    (repository / "a.toml").write_text("[stall-patterns]\n'z.*' = 5\n'a *' = '1h'\n", "utf-8")
    (repository / "a.yaml").write_text("stall-patterns:\n  z.*: 5\n  'a *': 1h\n", "utf-8")
    for name in ("a.toml", "a.yaml"):
        patterns = load_config(environ={}, file=name).inflight.stall_patterns
        assert list(patterns.items()) == [("z.*", 5.0), ("a *", 3600.0)]


def run_python(code: str, folder: Path) -> str:
    """Run `code` in a new interpreter in `folder`, and return its output."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_yaml_without_its_extra(repository: Path) -> None:
    """PyYAML is required only if a YAML file is used; the error has the command to install it."""
    code = (
        "import sys; sys.modules['yaml'] = None\n"
        "from otel_ext.config import load_config\n"
        "from otel_ext.errors import MissingExtraError\n"
        "try: print(load_config().journal.sync)\n"
        "except MissingExtraError as error: print(error)\n"
    )
    assert run_python(code, repository) == "interval"
    (repository / "otel-ext.yaml").write_text("sync: never", "utf-8")
    message = run_python(code, repository)
    assert message == "pyyaml is not installed. Run: pip install pyyaml"
    (repository / "otel-ext.toml").write_text("sync = 'always'", "utf-8")
    assert run_python(code, repository) == "always"


def test_importing_reads_nothing(repository: Path) -> None:
    """Importing the package reads no environment and no file, and imports no parser."""
    (repository / "otel-ext.toml").write_text("broken", "utf-8")
    code = (
        "import os, sys\n"
        "os.environ['OTEL_EXT_SYNC'] = 'broken'\n"
        "import otel_ext.config\n"
        "unwanted = {'yaml', 'tomllib', 'tomli', 'difflib', 'decimal', 'rich', 'orjson'}\n"
        "print(sorted(unwanted & set(sys.modules)))\n"
    )
    assert run_python(code, repository) == "[]"


def test_importing_loads_no_part(repository: Path) -> None:
    """Of the parts, importing the package loads the `settings` modules and their packages only."""
    code = (
        "import sys, otel_ext.config\n"
        "ours = [name for name in sys.modules if name.startswith('otel_ext.')]\n"
        "ends = ('.settings', '.exporters', '.console', '.delivery', '.otlp', '.inflight',\n"
        "        '.journal', '.redaction', '.setup', '.errors', '.lazy_names')\n"
        "print([name for name in ours if not name.endswith(ends)\n"
        "       and name.split('.')[1] not in ('config', 'settings')])\n"
    )
    assert run_python(code, repository) == "[]"


def test_an_endless_dotted_key_is_refused() -> None:
    """A key for which the parser would need gigabytes is refused first, also as a table's name."""
    for text in ("\na" + ".a" * 100_000 + " = 1", "\n[a" + ".a" * 100_000 + "]"):
        with pytest.raises(ConfigError, match="settings.file:2: too many dots in one line"):
            parse_toml(PATH, text)


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("\n".join(f"k{n}" + ".a" * 100 + " = 1" for n in range(1000)), 1000),
        ("x = '" + "\\" * 2**20 + "'", 1),
        ("#\n" * 2**19, 0),
        ("\n".join(f"[t{n}]" for n in range(50_000)), 50_000),
    ],
    ids=["dotted", "backslashes", "comments", "tables"],
)
def test_the_largest_files_are_read(text: str, entries: int) -> None:
    """Files near the size limit, in the slowest forms for parsers, are parsed in time."""
    assert len(parse_toml(PATH, text)) == entries
