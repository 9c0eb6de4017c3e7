"""`otel-ext run` and mistakes of the user: nothing is started, and a message says why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.commands import call
from tests.programs import (
    ONE_SPAN,
    OTEL_EXT,
    execute,
    python,
    record,
    recorded,
    spans_in,
    succeed,
    write_program,
)
from tests.users import as_unprivileged_user


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["no-such-program"], 127, "no-such-program was not found. It is neither a file here"),
        (["./progam.py"], 127, "./progam.py was not found. Did you mean program.py?"),
        (["missing/program"], 127, "missing/program was not found. There is no such file"),
        (["./notes.txt"], 126, "./notes.txt is not executable. Try: chmod +x ./notes.txt"),
        (["./empty-folder"], 126, "./empty-folder is a folder, not a program"),
        (["./bad-interpreter"], 127, "The interpreter in its first line does not exist"),
        (["./not-a-program"], 126, "It has no first line like #!/bin/sh"),
        ([""], 127, "the command to run is empty"),
        ([], 2, "the command is missing. Try: otel-ext run -- python app.py"),
        (["-m"], 2, "the command is missing"),
    ],
)
@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_a_command_that_cannot_start(
    tmp_path: Path, words: list[str], code: int, expected: str, quiet: tuple[str]
) -> None:
    """The exit code is that of a shell, and one line names the problem and what to do."""
    write_program(tmp_path, "")
    write_program(tmp_path, "notes", "notes.txt")
    (tmp_path / "empty-folder").mkdir()
    write_program(tmp_path, "#!/no/such/interpreter\n", "bad-interpreter").chmod(0o755)
    write_program(tmp_path, "\0\0\0", "not-a-program").chmod(0o755)
    done = call("run", *quiet, *words, cwd=tmp_path)
    assert done.code == code, done.err
    assert expected in done.err
    assert done.err.startswith("otel-ext: ")
    assert len(done.err.splitlines()) == 1


def test_a_command_that_is_not_found_ends_as_in_a_shell(tmp_path: Path) -> None:
    """The real command has the exit code and the message."""
    done = execute([OTEL_EXT, "run", "no-such-program"], cwd=tmp_path)
    assert done == call("run", "no-such-program", cwd=tmp_path)
    assert done.code == 127


@pytest.mark.parametrize(
    ("options", "variables", "expected"),
    [
        (["--output", "file.txt/below"], {}, "file.txt is not a folder"),
        (["--output", "/dev/null"], {}, "/dev/null is not a folder"),
        (["--output", "lost"], {}, "lost is not a folder"),
        (["--output", "lost/below"], {}, "lost is not a folder"),
        (["--output", "/proc/x"], {}, "/proc/x (option --output): /proc cannot be written to"),
        (["--output", "x" * 300], {}, "the name cannot be used: File name too long"),
        (["--output", "link.jsonl"], {}, "link.jsonl cannot be written to: it is a link"),
        (["--output", "broken.toml"], {}, "broken.toml holds something other than records"),
        (["--config", "missing.toml"], {}, "missing.toml does not exist (named by option"),
        (["--config", "broken.toml"], {}, "broken.toml"),
        ([], {"OTEL_EXT_SYNC": "often"}, "environment variable OTEL_EXT_SYNC"),
        (["--no-such-option"], {}, "otel-ext"),
    ],
)
def test_with_strict_a_wrong_setting_keeps_the_program_from_starting(
    tmp_path: Path, options: list[str], variables: dict[str, str], expected: str
) -> None:
    """With --strict a wrong option, variable or file is exit code 2 before anything runs."""
    write_program(tmp_path, "", "file.txt")
    write_program(tmp_path, "sync = [", "broken.toml")
    write_program(tmp_path, "", "real.jsonl")
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")
    (tmp_path / "lost").symlink_to("nowhere")
    program = python("-c", "open('started', 'w')")
    done = call("run", "--strict", *options, "--", *program, cwd=tmp_path, **variables)
    assert done.code == 2
    assert expected in done.err
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("options", "files", "variables", "expected"),
    [
        (["--output", "file.txt/below"], {}, {}, "file.txt is not a folder. Records go to "),
        (["--output", "/proc/x"], {}, {}, "/proc cannot be written to: No such file or directory."),
        ([], {}, {"OTEL_EXT_SYNC": "often"}, "OTEL_EXT_SYNC) is not allowed. Use one of"),
        ([], {}, {"OTEL_EXT_CONFIG": "none.toml"}, "none.toml does not exist"),
        ([], {"otel-ext.toml": "ouput = 'x'"}, {}, "'ouput' ("),
        ([], {"otel-ext.toml": "sync = ["}, {}, "otel-ext.toml:1"),
        ([], {"pyproject.toml": "[tool.otel-ext]\nouput = 'x'"}, {}, "Did you mean 'output'?"),
    ],
)
def test_a_wrong_setting_never_prevents_the_start(
    tmp_path: Path,
    options: list[str],
    files: dict[str, str],
    variables: dict[str, str],
    expected: str,
) -> None:
    """A wrong folder, variable or file is reported once; the program runs and is recorded."""
    for name, text in files.items():
        write_program(tmp_path, text, name)
    write_program(tmp_path, "", "file.txt")
    spare = tmp_path / "tmp"
    spare.mkdir()
    command = [OTEL_EXT, "run", *options, "--", *python("-c", ONE_SPAN)]
    done = succeed(command, tmp_path, TMPDIR=str(spare), **variables)
    assert done.err.count(expected) == 1, done.err
    folder = spare / f"otel-ext-{os.geteuid()}" if options else tmp_path / "traces"
    assert len(spans_in(folder, "work")) == 2
    assert str(folder) in done.err or "in traces" in done.err


@pytest.mark.parametrize("below", ["", "traces", "deep/traces", "one.jsonl"])
def test_a_folder_without_permission_is_refused_by_strict(below: str) -> None:
    """A folder this user cannot write to is named before the program starts."""
    # Not `tmp_path`, which only the user of the tests can read.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        with as_unprivileged_user():
            done = call("run", "--strict", "--output", Path(folder, below), "--", "true")
        Path(folder).chmod(0o700)
    message = f"{folder} cannot be written to: Permission denied. Name another by --output"
    assert message in done.err
    assert done.code == 2


def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    """The program runs, and the message says that the working directory has been removed."""
    spare = tmp_path / "tmp"
    gone = tmp_path / "gone"
    for folder in (spare, gone):
        folder.mkdir()
    script = f'rmdir "$PWD"; exec {OTEL_EXT} run -- {sys.executable} -c "$CODE"'
    done = succeed(["sh", "-c", script], gone, TMPDIR=str(spare), CODE=ONE_SPAN)
    assert "traces (default): the working directory has been removed. Records go to" in done.err
    assert len(spans_in(spare / f"otel-ext-{os.geteuid()}", "work")) == 2


# Only root can give a folder to another user.
TRAPS = ["link", "file", *([] if os.geteuid() else ["folder of another user"])]


@pytest.mark.parametrize("trap", TRAPS)
def test_the_spare_folder_belongs_to_this_user(tmp_path: Path, trap: str) -> None:
    """If another user made a folder of that name, it is not used; a new one is created."""
    own = tmp_path / f"otel-ext-{os.geteuid()}"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if trap == "link":
        own.symlink_to(elsewhere)
    elif trap == "file":
        own.write_text("")
    else:
        own.mkdir(0o777)
        os.chown(own, 65_534, 65_534)
    code = "from otel_ext.journal.fallback import fallback_folder; print(fallback_folder())"
    done = succeed(python("-c", code), tmp_path, TMPDIR=str(tmp_path))
    found = Path(done.out.strip())
    assert found.parent == tmp_path, done.err
    assert found not in {own, elsewhere}
    assert found.stat().st_mode & 0o777 == 0o700


@pytest.mark.measured
def test_trying_a_folder_leaves_nothing(tmp_path: Path) -> None:
    """A program without spans creates no folder and changes no existing one."""
    (tmp_path / "there").mkdir()
    for name in ("there", "new", "deep/new", "one.jsonl"):
        done = succeed(recorded(tmp_path / name, "true"), tmp_path)
        assert "no records. No Python process started otel-ext: true is not" in done.err
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@pytest.mark.measured
def test_misspelled_variables_are_reported_once(tmp_path: Path) -> None:
    """A variable that looks like ours is reported once, not by every process."""
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''])"
    done = record(tmp_path, "-c", code, OTEL_EXT_OUTPTU="x")
    assert done.err.count("OTEL_EXT_OUTPTU") == 1


def test_an_interpreter_without_otel_ext_is_named_once(tmp_path: Path) -> None:
    """If the program's Python has no otel-ext, the program runs, and one line reports it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    bare = tmp_path / "bare" / "bin" / "python"
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1)'])"
    done = execute(recorded(tmp_path / "traces", bare, "-c", code), cwd=tmp_path)
    assert (done.code, done.out) == (0, "1\n")
    assert done.err.count(f"{bare} has no working otel-ext") == 1
    assert "Traceback" not in done.err
