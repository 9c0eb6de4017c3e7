"""`otel-ext config` and `otel-ext dump`: settings with their sources; stacks of open spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.config import SETTINGS
from tests.cli.watched import columns, run_on_traces
from tests.commands import call
from tests.programs import OTEL_EXT, environment, execute

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.watched import Shop


def test_every_setting_with_value_source_and_variable(tmp_path: Path) -> None:
    """The table has all settings with their source; for a file, with the line."""
    (tmp_path / "otel-ext.toml").write_text('output = "spans"\nsync = "never"\n')
    env = environment(OTEL_EXT_SYNC="always")
    done = execute([OTEL_EXT, "config"], cwd=tmp_path, env=env)
    header, *rows = columns(done.out)
    assert header == ["SETTING", "VALUE", "SOURCE", "ENVIRONMENT VARIABLE"]
    by_name = {row[0]: row[1:] for row in rows}
    assert list(by_name) == [setting.name for setting in SETTINGS]
    assert by_name["output"][:2] == [str(tmp_path / "spans"), f"{tmp_path}/otel-ext.toml:1"]
    assert by_name["sync"] == ["always", "environment variable OTEL_EXT_SYNC", "OTEL_EXT_SYNC"]
    assert by_name["ring-size"] == ["8 MiB", "default", "OTEL_EXT_RING_SIZE"]
    assert (done.code, done.err) == (0, "")


def test_only_what_was_changed(tmp_path: Path) -> None:
    """--changed leaves defaults out; without any other setting it prints that."""
    done = call("config", "--changed", cwd=tmp_path, OTEL_EXT_SYNC="always")
    assert [row[0] for row in columns(done.out)] == ["SETTING", "sync"]
    done = call("config", "--changed", cwd=tmp_path)
    assert (done.code, done.out) == (0, "")
    assert "every setting has its default" in done.err


def test_config_as_json(tmp_path: Path) -> None:
    """--json: file, warnings, and each setting with value, text, default, layer and source."""
    variables = {"OTEL_EXT_RING_SIZE": "1MiB", "OTEL_EXT_SYNK": "x"}
    done = call("config", "--json", cwd=tmp_path, **variables)
    found = done.document
    assert list(found) == ["file", "warnings", "settings"]
    (ring,) = [one for one in found["settings"] if one["name"] == "ring-size"]
    assert (ring["value"], ring["text"], ring["layer"]) == (2**20, "1 MiB", "environment")
    assert "OTEL_EXT_SYNK" in found["warnings"][0]
    assert (found["file"], done.err) == (None, "")


@pytest.mark.parametrize(
    ("env", "words", "expected"),
    [
        ({"OTEL_EXT_SYNC": "often"}, [], "sync: 'often' (environment variable OTEL_EXT_SYNC)"),
        (
            {},
            ["--config", "missing.toml"],
            "missing.toml does not exist (named by option --config)",
        ),
    ],
)
def test_a_wrong_setting_is_named(
    tmp_path: Path, env: dict[str, str], words: list[str], expected: str
) -> None:
    """The error is one message with key, value and source; exit code 2."""
    done = call("config", *words, cwd=tmp_path, **env)
    assert (done.code, done.out) == (2, "")
    assert expected in done.err


@pytest.mark.usefixtures("waits_for_stacks")
def test_dump_shows_whole_stacks(open_shop: Shop) -> None:
    """`dump` asks the program and shows each span's stack, its own frame marked."""
    done = run_on_traces(open_shop.folder, "dump")
    spans = run_on_traces(open_shop.folder, "dump", "--json").documents
    assert f"process {open_shop.label}" in done.out
    assert "> shop_one.py:10 wait_for_the_bank" in done.out
    assert "opened at shop_one.py:12 " in done.out
    assert [frame["function"] for frame in spans[1]["stack"]] == ["wait_for_the_bank", "<module>"]
    assert (done.code, done.err) == (0, "")
