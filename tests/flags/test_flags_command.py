"""`otel-ext flags`: as a process and as a call, for people and for programs."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from otel_ext.flags.document import parse
from tests.commands import call
from tests.flags.files import staged, write_flags
from tests.programs import OTEL_EXT, environment, execute, python, succeed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.programs import Done


def test_a_rollout_from_first_to_last(tmp_path: Path) -> None:
    """Made, raised, enforced, rolled back: by commands as a user types them."""
    said: list[str] = []
    for words in (
        "stage flags.json search 1 --create",
        "stage flags.json search 2",
        "enforce flags.json search",
        "rollback flags.json search",
        "rollback flags.json search",
        "rollback flags.json search",
        "rollback flags.json search",
    ):
        done = execute([OTEL_EXT, "flags", *words.split()], cwd=tmp_path)
        assert (done.code, done.err) == (0, "")
        said.append(done.out.strip())
    assert said == [
        "search: no stage → stage 1, on for 1 % of the traces",
        "search: stage 1 → stage 2, on for 10 % of the traces",
        "search: stage 2 → stage 5, on for all traces, enforced",
        "search: stage 5 → stage 2, on for 10 % of the traces",
        "search: stage 2 → stage 1, on for 1 % of the traces",
        "search: stage 1 → stage 0, on for 0 % of the traces",
        "search: stage 0 → stage 0, on for 0 % of the traces",
    ]
    listed = execute([OTEL_EXT, "flags", "list", "--json", "flags.json"], cwd=tmp_path).document
    assert [step["stage"] for step in listed["history"]] == [1, 2, 5, 2, 1, 0]


def test_json_has_all_facts(tmp_path: Path) -> None:
    """One object for each flag, in UTF-8 in any locale."""
    path = write_flags(
        tmp_path / "flags.json", {"möbel": {**staged(2), "state": "DISABLED"}, "x": staged(5)}
    )
    first, second = call("flags", "list", path, "--json", encoding="ascii").documents
    assert first.pop("history")[0]["stage"] == 2
    assert first == {
        "flag": "möbel",
        "enabled": False,
        "stage": 2,
        "percentage": 10.0,
        "enforced": False,
        "percentages": [1.0, 10.0, 25.0, 50.0, 100.0],
    }
    assert second["enforced"] is True
    ascii_only = environment(PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0")
    words = [OTEL_EXT, "flags", "rollback", str(path), "x", "--to", "1", "--json"]
    changed = execute(words, cwd=tmp_path, env=ascii_only).document
    assert (changed["stage_before"], changed["stage"], changed["percentage"]) == (5, 1, 1.0)


def test_the_table(tmp_path: Path) -> None:
    """Each flag with its stage, its share, since when, and its state; it fits."""
    plain = {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}
    flags = {"plain": plain, "a": staged(3), "b": {**staged(1), "state": "DISABLED"}}
    path = write_flags(tmp_path / "flags.json", {**flags, "e\x1b[31m": staged(5)})
    rows = [line.split() for line in call("flags", "list", path, NO_COLOR="1").out.splitlines()]
    assert rows[0] == ["FLAG", "STAGE", "TRACES", "SINCE", "STATE"]
    assert rows[1] == ["plain", "-", "-", "-", "enabled"]
    assert [*rows[2][:4], rows[2][-1]] == ["a", "3", "25", "%", "enabled"]
    assert rows[3][-1] == "disabled"
    assert rows[4][0] == r"e\x1b[31m"
    assert rows[4][-1] == "enforced"


def test_percentages_are_set(tmp_path: Path) -> None:
    """And stay for the next stage."""
    path = tmp_path / "flags.json"
    new = ["--create", "--percentages", "0.5,5%, 20,50,100"]
    done = call("flags", "stage", path, "search", "1", *new)
    assert "on for 0.5 % of the traces" in done.out
    assert "on for 5 % of the traces" in call("flags", "stage", path, "search", "2").out


def test_a_disabled_flag_is_named(tmp_path: Path) -> None:
    """Going back does not enable it."""
    path = write_flags(tmp_path / "flags.json", {"search": {**staged(2), "state": "DISABLED"}})
    done = call("flags", "rollback", path, "search")
    assert "stage 0, on for 0 % of the traces; no effect: the flag is DISABLED" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: ACTION"),
        (["show"], "invalid choice: 'show'"),
        (["list"], "arguments are required: FILE. See otel-ext flags list --help"),
        (["list", "a", "b"], "flags: unexpected argument 'b'"),
        (["stage", "flags.json", "search"], "arguments are required: N"),
        (["stage", "flags.json", "search", "6"], "'6' is not a stage; use 0 to 5"),
        (["stage", "flags.json", "search", "x"], "'x' is not a stage"),
        (["stage", "flags.json", "serch", "1"], "Did you mean 'search'?"),
        (["enforce", "flags.json", "search", "--to", "1"], "there is no option '--to'"),
        (["list", "flags.json", "--create"], "there is no option '--create'"),
        (["rollback", "flags.json", "search", "--to", "4"], "cannot go back from stage 2 to 4"),
        (
            ["stage", "flags.json", "search", "1", "--percentages", "1,2"],
            "1,2 are not the percentages of five stages",
        ),
        (["stage", "flags.json", "search", "1", "--percentages", "a"], "is not a valid percentage"),
        (["list", "broken.json"], "broken.json, line 1, column 2: Expecting property name"),
        (["list", "missing.json"], "missing.json does not exist"),
        (["enforce", "missing.json", "search"], "missing.json does not exist"),
    ],
)
def test_wrong_use(words: list[str], message: str, tmp_path: Path) -> None:
    """One line on stderr with the way out, exit code 2, and the file stays."""
    path = write_flags(tmp_path / "flags.json", {"search": staged(2)})
    write_flags(tmp_path / "broken.json", b"{")
    before = path.read_bytes()
    done = call("flags", *words, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert path.read_bytes() == before


def test_commands_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Each that says that it is done is in the file."""
    path = write_flags(tmp_path / "flags.json", {f"f{number}": staged(0) for number in range(4)})

    def change(number: int) -> Done:
        words = f"stage flags.json f{number} 1 --create"
        return execute([OTEL_EXT, "flags", *words.split()], cwd=tmp_path)

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(change, range(8)))
    assert [one.err for one in done] == [""] * 8
    flags = parse(path, path.read_bytes())["flags"]
    assert json.dumps(flags).count('"otel_ext.stage": 1') == sum(one.code == 0 for one in done)


def test_the_command_needs_no_openfeature(tmp_path: Path) -> None:
    """A machine that only changes flags does not need the extra."""
    path = write_flags(tmp_path / "flags.json", {"search": staged(2)})
    code = (
        "import sys\nsys.modules['openfeature'] = None\n"
        "from otel_ext.cli.main import main\n"
        f"sys.exit(main(['flags', 'enforce', {str(path)!r}, 'search']))"
    )
    assert "enforced" in succeed(python("-c", code), tmp_path).out
