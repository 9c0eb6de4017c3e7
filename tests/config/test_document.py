"""docs/configuration.md agrees with the declared settings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from otel_ext.config import SETTINGS, Config, load_config
from otel_ext.config.sources.toml import parse_toml
from tools.settings_page import main, render_configuration, render_toml

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_up_to_date() -> None:
    """The committed page is the generated one; its comment has the command."""
    assert PAGE.read_text("utf-8") == render_configuration()


def test_the_page_has_every_setting() -> None:
    """The page contains the name and the variables of each setting."""
    page = render_configuration()
    for setting in SETTINGS:
        for word in (setting.name, setting.env, *setting.aliases):
            assert f"`{word}`" in page


def test_the_file_of_the_page_sets_every_default(repository: Path) -> None:
    """The example file is valid, has every setting, and changes nothing."""
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert {entry.key for entry in parse_toml(PAGE, example)} == {item.name for item in SETTINGS}
    file = repository / "otel-ext.toml"
    file.write_text(example.replace('output = "traces"\n', ""), "utf-8")
    assert load_config(environ={}) == Config()


def test_the_program_of_the_page_runs(repository: Path) -> None:
    """The Python lines of the page run unchanged."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    environ = {name: value for name, value in os.environ.items() if "OTEL" not in name}
    subprocess.run([sys.executable, "-c", example], cwd=repository, env=environ, check=True)


def test_every_row_has_four_cells() -> None:
    """No text in the table breaks its Markdown."""
    rows = [line for line in render_configuration().splitlines() if line.startswith("| `")]
    assert len(rows) == len(SETTINGS)
    assert all(row.count("|") == 5 for row in rows)


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    """The command writes the page to the file that its argument names."""
    file = tmp_path / "page.md"
    assert main([str(file)]) == 0
    assert file.read_text("utf-8") == render_configuration()


def test_the_example_file_is_generated() -> None:
    """The page contains the generated example file unchanged."""
    assert render_toml() in render_configuration()
