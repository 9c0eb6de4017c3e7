"""The inputs of commands, and errors for wrong ones: one rule for every command."""

from __future__ import annotations

import argparse
import gzip
import os
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli import inputs
from otel_ext.cli import registry as commands
from otel_ext.cli.inputs import inputs_of, no_records_message
from tests.cli.watched import ENDING
from tests.cli.written import DEAD, event, span, write
from tests.commands import call
from tests.programs import execute, python
from tests.users import as_unprivileged_user, let_others_enter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_ext.record.model import Record

# Commands without inputs: one writes records, one shows settings, two serve one folder; three need
# names.
WITHOUT_INPUTS = {"run", "config", "serve", "mcp", "diff", "convert", "flags"}
# What commands take before their inputs.
BEFORE = {"grep": ["name:pa*"], "export": ["csv"]}
# Those that print no name of a span.
NAMELESS = {"doctor", "validate", "report", "rebuild"}
READING = [command.name for command in commands.COMMANDS if command.name not in WITHOUT_INPUTS]
FOLDERS_ONLY = {"recover", "rebuild"}
# The exit codes of commands that succeed without records.
WITHOUT_RECORDS = {"doctor": 0, "recover": 0}
VARIABLE = "OTEL_EXT_OUTPUT"
# Makes a record that the command shows.
SHOWN: dict[str, Callable[[str, int], Record]] = {"record": span}


@pytest.fixture(params=READING)
def command(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Return each command in turn, in a folder without records."""
    monkeypatch.chdir(tmp_path)
    name = str(request.param)
    if name == "events":
        monkeypatch.setitem(SHOWN, "record", event)
    return [name, *BEFORE.get(name, []), *ENDING.get(name, [])]


def records(folder: Path, name: str = "pay", number: int = 2) -> Path:
    """Write a span that its process left open, or what the command shows, and return the file."""
    return write(folder, DEAD, SHOWN["record"](name, number))


def answer(*words: str, output: str | Path | None = None) -> tuple[int, str]:
    """Return the exit code and both outputs of a command, with the setting `output`."""
    done = call(*words) if output is None else call(*words, OTEL_EXT_OUTPUT=str(output))
    return done.code, done.output


def parser_of(name: str) -> argparse.ArgumentParser:
    """Return the parser of a command."""
    parser = argparse.ArgumentParser(prog=f"otel-ext {name}")
    command = commands.find(name)
    assert command is not None
    commands.load(command).set_up(parser)
    return parser


@pytest.mark.parametrize("name", [command.name for command in commands.COMMANDS])
def test_every_reading_command_takes_the_same_arguments(name: str) -> None:
    """Any number of inputs and --all, with the same default, and examples of both."""
    page = " ".join(parser_of(name).format_help().split())
    if name in WITHOUT_INPUTS:
        return
    args = parser_of(name).parse_args(BEFORE.get(name, []))
    assert (args.inputs, args.all, args.prog) == ([], False, f"otel-ext {name}")
    assert "(default: the setting output)" in page
    assert "--all the whole machine: where running programs record, and the setting output" in page
    assert f"otel-ext {name} " in page.partition("examples:")[2]


def test_a_missing_input(command: list[str]) -> None:
    """It is named, with a hint; exit code 2."""
    for name in ("nowhere", "nowhere/below", "nul\0"):
        code, output = answer(*command, name)
        shown = name.replace("\0", r"\x00")
        way_out = f"Name another; the whole machine: otel-ext {command[0]} --all"
        assert output == f"otel-ext: {shown}: there is no such folder or file. {way_out}\n"
        assert code == 2


def test_the_setting_names_a_missing_folder(command: list[str], tmp_path: Path) -> None:
    """Folder, source of the setting and a hint are printed; `doctor` checks the folder."""
    code, output = answer(*command, output="not-yet")
    if command[0] == "doctor":
        assert f"Records in {tmp_path / 'not-yet'}" in output
        assert code != 2
        return
    assert output == (
        f"otel-ext: {tmp_path / 'not-yet'} (setting output, environment variable {VARIABLE}): there"
        " is no such folder or file. Start a program: otel-ext run -- python app.py; the whole"
        f" machine: otel-ext {command[0]} --all\n"
    )
    assert code == 2


def test_an_input_without_records(command: list[str], tmp_path: Path) -> None:
    """The message names the folder and suggests --all; exit code 1."""
    (tmp_path / "traces").mkdir(mode=0o700)
    for words in (["traces"], []):
        code, output = answer(*command, *words)
        if command[0] != "doctor":
            assert (
                f"otel-ext: no records in {tmp_path / 'traces'}. Start a program: otel-ext run --"
                f" python app.py; the whole machine: otel-ext {command[0]} --all\n"
            ) in output
        assert code == WITHOUT_RECORDS.get(command[0], 1), output


@pytest.mark.parametrize("closed", ["folder", "above", "files"])
def test_an_input_that_cannot_be_read(command: list[str], closed: str, tmp_path: Path) -> None:
    """The system's reason and a hint are printed, whichever part is unreadable; exit code 2."""
    file = records(tmp_path / "traces")
    records(tmp_path / "other")
    answer(*command, str(tmp_path / "other"))  # imports what another user may not import
    let_others_enter(tmp_path)
    (tmp_path / "traces").chmod(0o000 if closed == "folder" else 0o755)
    (tmp_path).chmod(0o700 if closed == "above" else 0o755)
    file.chmod(0)
    with as_unprivileged_user():
        code, output = answer(*command, str(tmp_path / "traces"))
    (tmp_path / "traces").chmod(0o755)
    named = tmp_path / "traces"
    if command[0] == "validate" and closed == "files":
        named = file
    reason = "cannot be read: Permission denied. Run this as the user that wrote the records"
    assert f"otel-ext: {named}: {reason}\n" in output
    assert code == 2


def test_a_file_without_records(command: list[str], tmp_path: Path) -> None:
    """A device and a file of another kind are refused with a hint; exit code 2."""
    (tmp_path / "notes.md").write_text("# Notes\n" * 20)
    (tmp_path / "old.jsonl.gz").write_bytes(gzip.compress(b'{"' * 100))
    for name, reason, way_out in (
        ("/dev/null", "a device or pipe, not a file of records", "Write its data to a file"),
        ("notes.md", "not a file of records", "A file of records has one JSON object a line"),
        ("old.jsonl.gz", "not a file of records", "It is compressed: gzip -dc FILE | otel-ext"),
    ):
        code, output = answer(*command, name)
        assert f"otel-ext: {name}: {reason}. {way_out}" in output
        assert code == 2


def test_an_empty_name(command: list[str]) -> None:
    """An unset variable in a script does not mean the working directory."""
    code, output = answer(*command, "")
    assert output.startswith("otel-ext: the name of a file or folder is empty. ")
    assert code == 2


def test_a_single_file(command: list[str], tmp_path: Path) -> None:
    """A single file is read, except by commands for folders: their hint names the folder."""
    file = records(tmp_path / "traces")
    code, output = answer(*command, f"traces/{file.name}")
    if command[0] in FOLDERS_ONLY:
        hint = f"Name its folder: otel-ext {command[0]} traces"
        assert output == f"otel-ext: traces/{file.name}: a file, not a folder. {hint}\n"
        assert code == 2
        return
    assert "pay" in output or command[0] in NAMELESS
    assert code in {0, 1 if command[0] == "doctor" else 0}


@pytest.mark.parametrize("source", ["default", "environment", "file", "single file"])
def test_without_an_input_the_setting_is_used(
    command: list[str], source: str, tmp_path: Path
) -> None:
    """From the environment, else a configuration file, else `traces`, as for a program."""
    folder = tmp_path / ("traces" if source == "default" else "elsewhere")
    file = records(folder)
    setting = {"environment": folder, "single file": folder / "all.jsonl"}.get(source)
    if source == "single file":
        file.rename(folder / "all.jsonl")
    elif source == "file":
        (tmp_path / "otel-ext.toml").write_text('output = "elsewhere"\nsink = 1\nsync = "no"\n')
    code, output = answer(*command, output=setting)
    if command[0] == "validate":
        assert "span.start" in output
    elif command[0] == "doctor":
        assert "left 1 open span" in output
    else:
        assert "pay" in output or command[0] in NAMELESS
    assert code == (1 if command[0] == "doctor" else 0)
    # An error in the file is printed, and does not hide the folder that it names.
    assert source != "file" or "sync" in output


def test_the_whole_machine(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--all reads where running programs record and the setting's folder, each once."""
    records(tmp_path / "traces")
    records(tmp_path / "other", "parcel", 3)
    (tmp_path / "link").symlink_to(tmp_path / "other")
    monkeypatch.setenv(VARIABLE, "link")
    found = [tmp_path / "other", tmp_path / "traces"]
    monkeypatch.setattr(inputs, "find_folders", lambda: list(found))
    args = parser_of(command[0]).parse_args([*BEFORE.get(command[0], []), "--all"])
    assert inputs_of(args) == found
    monkeypatch.setenv(VARIABLE, "traces")
    assert inputs_of(args) == found
    code, output = answer(*command, "--all", output="traces")
    if command[0] == "doctor":
        assert all(f"Records in {folder}" in output for folder in found)
    elif command[0] == "rebuild":
        assert output.count("2 records stored") == len(found)
    elif command[0] == "validate":
        assert "2 files, 4 lines: all good" in output
    elif command[0] == "report":
        assert "2 traces" in output or "2 spans" in output
    else:
        assert "pay" in output
        assert "parcel" in output
    assert code == (1 if command[0] == "doctor" else 0)
    monkeypatch.setattr(inputs, "find_folders", list)
    monkeypatch.setenv(VARIABLE, "not-yet")
    assert inputs_of(args) == []
    assert no_records_message([], args).startswith(
        "no running program of this machine records spans. "
    )
    code, _ = answer(*command, "--all", output="not-yet")
    assert code == WITHOUT_RECORDS.get(command[0], 1)


def test_a_file_and_its_folder_are_one(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in a folder that is an input is not read twice."""
    file = records(tmp_path / "traces")
    monkeypatch.setenv(VARIABLE, str(file))
    monkeypatch.setattr(inputs, "find_folders", lambda: [tmp_path / "traces"])
    args = parser_of(command[0]).parse_args([*BEFORE.get(command[0], []), "--all"])
    assert inputs_of(args) == [tmp_path / "traces"]
    code, output = answer(*command, "--all", output=file)
    assert output.count("pay") == 1 or command[0] in {*NAMELESS, "dump", "analyze"}
    assert code == (1 if command[0] == "doctor" else 0)


def test_the_working_directory_is_gone(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that cannot be resolved is reported in one line."""
    if command[0] == "doctor":
        return
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    try:
        code, output = answer(*command)
    finally:
        os.chdir(tmp_path)
    assert "the working directory has been removed" in output
    assert code in {0, 1, 2}


def test_the_whole_machine_and_an_input(command: list[str]) -> None:
    """Both together are an error, since --all meant other machines once; exit code 2."""
    code, output = answer(*command, "traces", "--all")
    assert output.startswith("otel-ext: --all cannot be combined with traces. ")
    assert ("--other-hosts" in output) == (command[0] in {"ps", "top", "dump"})
    assert code == 2


def test_an_input_after_an_option_is_named(command: list[str]) -> None:
    """Inputs must be adjacent; a separate one is not reported as an option."""
    option = "--errors" if command[0] in {"report", "export"} else "--json"
    code, output = answer(*command, "one", option, "two")
    assert "'two'" in output
    assert "no option" not in output
    assert code == 2


def test_a_folder_that_cannot_be_created_is_replaced_as_for_a_program(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command reads the folder that `configure()` uses instead, and prints it."""
    if command[0] == "doctor":
        return  # it names the wrong setting: tests/cli/test_doctor.py
    spare = tmp_path / f"otel-ext-{os.geteuid()}"
    records(spare)
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, output = answer(*command, output="file/traces")
    assert f"Records go to {spare}; " in output
    assert "pay" in output or command[0] in NAMELESS
    assert code == 0


KILLED = """\
import os
from opentelemetry import trace
import otel_ext
otel_ext.configure(output="all.jsonl")
span = trace.get_tracer("shop").start_span("kept")
os.kill(os.getpid(), 9)
"""


def test_the_tree_of_a_single_file_counts_its_ring_buffer(tmp_path: Path) -> None:
    """`tree` and `ps` both show spans that a killed program left only in its ring buffer."""
    assert execute(python("-c", KILLED), cwd=tmp_path).code == -9
    (tmp_path / "all.jsonl").write_bytes(b"")
    for command in ("ps", "tree"):
        done = call(command, "all.jsonl", cwd=tmp_path)
        assert "kept" in done.out
        assert done.code == 0
