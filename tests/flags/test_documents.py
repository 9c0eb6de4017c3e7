"""Flag files: what is wrong with one is said with its place, and what is not known stays."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from otel_ext.errors import ConfigError
from otel_ext.flags import document
from otel_ext.flags.document import MAX_FILE_BYTES, parse, read_file, write_file
from otel_ext.flags.editing import enforce, list_rollouts, roll_back, set_stage
from otel_ext.flags.stages import new_flag
from tests.flags.files import staged, write_flags

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = [
    "",
    " ",
    "a b",
    "käse",
    "\x1b[31m",
    "a\nb",
    "x" * 1_000,
    "{}",
    "$ref",
    "__proto__",
    "'\"",
]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "flags.json, line 1, column 1: Expecting value"),
        (b'{"flags": {\n  "a": }\n}', "flags.json, line 2, column 8: Expecting value"),
        (b'{\n"flags": \xff}', "flags.json, line 2, column 10: not UTF-8"),
        (b"\xef\xbb\xbf{}", "flags.json, line 1, column 1: Unexpected UTF-8 BOM"),
        (b"[]", "flags.json: it is not a JSON object"),
        (b'{"flags": []}', "'flags' is not an object"),
        (b'{"$evaluators": 1}', "'$evaluators' is not an object"),
        (b'{"flags": {"a": 1}}', "the flag 'a' is not an object"),
        (b'{"flags": {"a": {}}}', "the flag 'a': 'state' is not one of ENABLED, DISABLED"),
        (b'{"flags": {"a": {"state": "ENABLED"}}}', "the flag 'a': it has no 'variants'"),
        (
            b'{"flags": {"a": {"state": "ENABLED", "variants": {"x": 1}, "defaultVariant": "y"}}}',
            "the flag 'a': 'defaultVariant' 'y' is not one of its variants",
        ),
        (
            b'{"flags": {"a": {"state": "ENABLED", "variants": {"x": 1}, "defaultVariant": [1]}}}',
            "the flag 'a': 'defaultVariant' [1] is not one of its variants",
        ),
        (b'{"metadata": {"a": 1' + b"0" * 9_999 + b"}}", "flags.json: Exceeds the limit"),
        (
            b'{"flags": {"a": {"state": "ENABLED", "variants": {"x": 1}, "targeting": 1}}}',
            "the flag 'a': 'targeting' is not an object",
        ),
        (b'{"metadata": {"a": [1]}}', "the metadata 'a' is not a text, number, true or false"),
        (b'{"flags": {}, "flags": {}}', "the name 'flags' comes twice"),
        (b'{"metadata": {"a": NaN}}', "NaN is not a JSON number"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    ],
)
def test_a_broken_file(text: bytes, message: str, tmp_path: Path) -> None:
    """The message names the file, and the line and column or the flag; the file stays."""
    path = write_flags(tmp_path / "flags.json", text)
    with pytest.raises(ConfigError) as caught:
        list_rollouts(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    with pytest.raises(ConfigError):
        set_stage(path, "a", 1, create=True)
    assert path.read_bytes() == text


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, a folder, a pipe, too large: never a wait."""
    with pytest.raises(ConfigError, match="does not exist. Name an existing flag file"):
        list_rollouts(tmp_path / "missing.json")
    with pytest.raises(ConfigError, match=r"(is not a file|cannot be read)"):
        list_rollouts(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="is not a file. Name a flag file"):
        list_rollouts(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="cannot be read: .*embedded null"):
        list_rollouts("a\0b")
    large = write_flags(tmp_path / "large.json", b" " * (MAX_FILE_BYTES + 1))
    with pytest.raises(ConfigError, match="is too large for flags. Use at most 4 MiB"):
        list_rollouts(large)


def test_what_is_not_known_stays(tmp_path: Path) -> None:
    """Unknown keys, their order, other flags, numbers and texts of any kind."""
    other: dict[str, Any] = {
        "state": "DISABLED",
        "variants": {"a": 1.5, "b": 1e300, "c": "käse \ud83d", "d": {"deep": [None, True]}},
        "defaultVariant": "a",
        "owner": ["me"],
    }
    path = tmp_path / "flags.json"
    write_flags(path, {"z": other, "search": staged(1), "a": other}, **{"$schema": "s", "x": [1]})
    before = json.loads(path.read_bytes())
    set_stage(path, "search", 3)
    after = json.loads(path.read_bytes())
    assert list(after) == list(before)
    assert list(after["flags"]) == ["z", "search", "a"]
    assert after["flags"]["z"] == after["flags"]["a"] == before["flags"]["z"]
    assert {**after, "flags": 0} == {**before, "flags": 0}


def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """With its permissions, through a link, and nothing beside it."""
    path = write_flags(tmp_path / "flags.json", {"search": staged(1)})
    path.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(path.name)
    inode = path.stat().st_ino
    set_stage(link, "search", 2)
    assert link.is_symlink()
    assert path.stat().st_ino != inode
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert {one.name for one in tmp_path.iterdir()} == {"flags.json", "link.json"}
    assert path.read_text("utf-8").endswith("}\n")


def test_a_change_of_another_program_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading and writing; the file then has the other's change, and nothing is beside."""
    path = write_flags(tmp_path / "flags.json", {"search": staged(1)})

    def parse_slowly(file: Path, data: bytes) -> dict[str, object]:
        found = parse(file, data)
        write_flags(path, {"other": staged(2)})
        return found

    monkeypatch.setattr("otel_ext.flags.editing.parse", parse_slowly)
    with pytest.raises(ConfigError, match="changed by another program meanwhile. Run the command"):
        set_stage(path, "search", 2)
    assert list(json.loads(path.read_bytes())["flags"]) == ["other"]
    assert [one.name for one in tmp_path.iterdir()] == ["flags.json"]


def test_a_file_that_another_program_makes_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by one that takes no lock, such as an editor."""
    path = tmp_path / "flags.json"

    def new_slowly() -> dict[str, object]:
        write_flags(path, {"other": staged(2)})
        return new_flag()

    monkeypatch.setattr("otel_ext.flags.editing.new_flag", new_slowly)
    with pytest.raises(ConfigError, match="changed by another program meanwhile. Run the command"):
        set_stage(path, "search", 2, create=True)
    assert [one.name for one in list_rollouts(path)] == ["other"]


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the file and the reason."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write_flags(tmp_path / "flags.json", {"search": staged(1)})
    monkeypatch.setattr(document, "whole_file", refuse)
    with pytest.raises(ConfigError, match="cannot be written: Permission denied. Make its folder"):
        set_stage(path, "search", 2)


def test_a_changed_file_has_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that grows while it is read is not taken as whole."""
    path = write_flags(tmp_path / "flags.json", {"search": staged(1)})
    assert read_file(path).state is not None
    real = os.fstat

    def growing(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        if stat.S_ISREG(found.st_mode):
            with path.open("ab") as file:
                file.write(b" ")
        return found

    monkeypatch.setattr(os, "fstat", growing)
    assert read_file(path).state is None


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_of_a_flag(name: str, tmp_path: Path) -> None:
    """It is kept as it is; only an empty one cannot be made."""
    path = tmp_path / "flags.json"
    if not name:
        with pytest.raises(ConfigError, match="a flag needs a name"):
            set_stage(path, name, 1, create=True)
        return
    assert set_stage(path, name, 2, create=True).before is None
    assert enforce(path, name).after.is_enforced
    assert roll_back(path, name).after.stage == 2
    assert [(one.name, one.rollout and one.rollout.stage) for one in list_rollouts(path)] == [
        (name, 2)
    ]


def test_wrong_names_and_stages(tmp_path: Path) -> None:
    """A near name is proposed; a stage is 0 to 5; going back needs a stage."""
    plain = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    path = write_flags(tmp_path / "flags.json", {"new-search": staged(2), "plain": plain})
    with pytest.raises(ConfigError, match="has no flag 'new_serch'. Did you mean 'new-search'?"):
        set_stage(path, "new_serch", 1)
    with pytest.raises(ConfigError, match="no flag 'x'. List them: otel-ext flags list FILE"):
        enforce(path, "x")
    for wrong in (-1, 6, True, "1"):
        with pytest.raises(ConfigError, match="is not a stage. Use 0 to 5"):
            set_stage(path, "new-search", wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="'plain' has no stage to go back from"):
        roll_back(path, "plain")
    for up in (3, -1):
        with pytest.raises(ConfigError, match="cannot go back from stage 2 to"):
            roll_back(path, "new-search", to=up)
    assert roll_back(path, "new-search", to=0).after.stage == 0


@pytest.mark.parametrize("wrong", [["a"] * 5, 7, "12345", [None] * 5, [10**400] * 5, [], object()])
def test_wrong_percentages_are_named(wrong: Any, tmp_path: Path) -> None:  # noqa: ANN401
    """With the argument, its value and the way out."""
    path = write_flags(tmp_path / "flags.json", {"search": staged(1)})
    with pytest.raises(ConfigError, match=r"percentages=.* are not the percent.* Name five from"):
        set_stage(path, "search", 1, percentages=wrong)


def test_wrong_files_and_flags_are_named(tmp_path: Path) -> None:
    """In each function that takes them."""
    path = write_flags(tmp_path / "flags.json", {"search": staged(1)})
    before = path.read_bytes()
    wrong: Any
    for wrong in (5, None, b"flags.json"):
        message = f"path={wrong!r} is not a path. Pass the path of a flag file"
        with pytest.raises(ConfigError, match=message):
            list_rollouts(wrong)
        with pytest.raises(ConfigError, match=message):
            set_stage(wrong, "search", 1, create=True)
        with pytest.raises(ConfigError, match=message):
            roll_back(wrong, "search")
    for wrong in (7, None, ["search"]):
        with pytest.raises(ConfigError, match="is not the name of a flag. Pass a text"):
            set_stage(path, wrong, 1, create=True)
        with pytest.raises(ConfigError, match="is not the name of a flag. Pass a text"):
            roll_back(path, wrong)
    with pytest.raises(ConfigError, match="cannot be written: .*embedded null"):
        set_stage("a\0b", "search", 1, create=True)
    assert path.read_bytes() == before


def test_a_disabled_flag(tmp_path: Path) -> None:
    """A stage enables it, since it would have no effect; going back does not."""
    path = write_flags(tmp_path / "flags.json", {"search": {**staged(2), "state": "DISABLED"}})
    assert not roll_back(path, "search", to=1).enabled
    assert set_stage(path, "search", 2).enabled


def test_a_default_variant_may_be_a_boolean(tmp_path: Path) -> None:
    """Of variants called true and false, as flagd has it; or empty."""
    flag = {"state": "ENABLED", "variants": {"true": True, "false": False}}
    flags = {"a": {**flag, "defaultVariant": True}, "b": {**flag, "defaultVariant": ""}, "c": flag}
    path = write_flags(tmp_path / "flags.json", flags)
    assert len(list_rollouts(path)) == 3
    assert set_stage(path, "a", 1).after.stage == 1


def test_a_document_without_flags_is_written(tmp_path: Path) -> None:
    """It gets the first."""
    path = write_flags(tmp_path / "flags.json", b"{}")
    set_stage(path, "search", 1, create=True)
    assert [one.name for one in list_rollouts(path)] == ["search"]
    write_file(path, parse(path, b'{"flags": {}}'), read_file(path))
    assert list_rollouts(path) == []
