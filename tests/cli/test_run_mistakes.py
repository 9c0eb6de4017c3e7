"""`otel-ext run` and a user's mistakes: nothing is started, and the message says why."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.main import main
from tests.programs import (
    OTEL_EXT,
    environment,
    execute,
    python,
    recorded,
    spans_in,
    write_program,
)

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def as_nobody() -> Generator[None]:
    """Give up the rights of root for a while, if there are any."""
    if os.geteuid():
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["no-such-program"], 127, "no-such-program was not found. It is neither a file here"),
        (["./progam.py"], 127, "./progam.py was not found. Did you mean program.py?"),
        (["missing/program"], 127, "missing/program was not found. There is no such file"),
        (["./notes.txt"], 126, "./notes.txt is not executable. Try: chmod +x ./notes.txt"),
        (["./empty-folder"], 126, "./empty-folder is a folder, not a program"),
        (["./bad-interpreter"], 127, "The interpreter in its first line does not exist"),
        (["./not-a-program"], 126, "It has no first line like #!/bin/sh"),
        ([""], 127, "the command to run is an empty word"),
        ([], 2, "there is no command. Try: otel-ext run -- python app.py"),
        (["-m"], 2, "there is no command"),
    ],
)
@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_a_command_that_cannot_start(
    tmp_path: Path, words: list[str], code: int, said: str, quiet: tuple[str]
) -> None:
    """The exit code is a shell's, and one line says which thing is wrong and what to do."""
    write_program(tmp_path, "")
    write_program(tmp_path, "notes", "notes.txt")
    (tmp_path / "empty-folder").mkdir()
    write_program(tmp_path, "#!/no/such/interpreter\n", "bad-interpreter").chmod(0o755)
    write_program(tmp_path, "\0\0\0", "not-a-program").chmod(0o755)
    done = execute([OTEL_EXT, "run", *quiet, *words], cwd=tmp_path)
    assert done.code == code, done.err
    assert said in done.err
    assert done.err.startswith("otel-ext: ")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "variables", "said"),
    [
        (["--output", "file.txt/below"], {}, "file.txt is not a folder"),
        (["--output", "/dev/null"], {}, "/dev/null is not a folder"),
        (["--output", "lost"], {}, "lost is not a folder"),
        (["--output", "lost/below"], {}, "lost is not a folder"),
        (
            ["--output", "/proc/x"],
            {},
            "output: /proc/x (option --output): /proc cannot be written to",
        ),
        (["--output", "x" * 300], {}, "the name cannot be used: File name too long"),
        (["--output", "link.jsonl"], {}, "link.jsonl cannot be written to: it is a link"),
        (["--output", "broken.toml"], {}, "broken.toml holds something other than records"),
        (
            ["--config", "missing.toml"],
            {},
            "missing.toml does not exist (named by option --config)",
        ),
        (["--config", "broken.toml"], {}, "broken.toml"),
        ([], {"OTEL_EXT_SYNC": "often"}, "environment variable OTEL_EXT_SYNC"),
        (["--compat"], {}, "otel-ext"),
    ],
)
def test_a_wrong_setting_keeps_the_program_from_starting_where_that_is_asked_for(
    tmp_path: Path, options: list[str], variables: dict[str, str], said: str
) -> None:
    """With --strict a wrong option, variable or file is exit code 2, before anything runs."""
    write_program(tmp_path, "", "file.txt")
    write_program(tmp_path, "sync = [", "broken.toml")
    write_program(tmp_path, "", "real.jsonl")
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")
    (tmp_path / "lost").symlink_to("nowhere")
    code = "open('started', 'w')"
    if options == ["--compat"]:
        options = ["--no-such-option"]
    command = [OTEL_EXT, "run", "--strict", *options, "--", *python("-c", code)]
    done = execute(command, cwd=tmp_path, env=environment(**variables))
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "started").exists()


ONE_SPAN = (
    "from opentelemetry import trace\nwith trace.get_tracer('t').start_as_current_span('s'): pass"
)


@pytest.mark.parametrize(
    ("options", "files", "variables", "said"),
    [
        (["--output", "file.txt/below"], {}, {}, "file.txt is not a folder. Records go to "),
        (["--output", "/proc/x"], {}, {}, "/proc cannot be written to: No such file or directory."),
        ([], {}, {"OTEL_EXT_SYNC": "often"}, "OTEL_EXT_SYNC) is not allowed. Use one of"),
        ([], {}, {"OTEL_EXT_CONFIG": "none.toml"}, "none.toml does not exist"),
        (
            [],
            {"otel-ext.toml": "ouput = 'x'"},
            {},
            "'ouput' (",
        ),
        ([], {"otel-ext.toml": "sync = ["}, {}, "otel-ext.toml:1"),
        ([], {"pyproject.toml": "[tool.otel-ext]\nouput = 'x'"}, {}, "Did you mean 'output'?"),
    ],
)
def test_starting_never_fails_for_our_sake(
    tmp_path: Path,
    options: list[str],
    files: dict[str, str],
    variables: dict[str, str],
    said: str,
) -> None:
    """A wrong place, variable or file is said once; the program runs and is recorded."""
    for name, text in files.items():
        write_program(tmp_path, text, name)
    write_program(tmp_path, "", "file.txt")
    spare = tmp_path / "tmp"
    spare.mkdir()
    command = [OTEL_EXT, "run", *options, "--", *python("-c", ONE_SPAN)]
    env = environment(TMPDIR=str(spare), **variables)
    done = execute(command, cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    assert done.err.count(said) == 1, done.err
    folder = spare / f"otel-ext-{os.geteuid()}" if options else tmp_path / "traces"
    assert len(spans_in(folder, "s")) == 2
    assert str(folder) in done.err or "in traces" in done.err


@pytest.mark.parametrize("below", ["", "traces", "deep/traces", "one.jsonl"])
def test_a_folder_without_permission_is_refused_by_strict(
    capsys: pytest.CaptureFixture[str], below: str
) -> None:
    """A folder this user cannot write to is named before the program starts."""
    # Not `tmp_path`: into that only the user that runs the tests may look.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        with as_nobody():
            words = ["run", "--strict", "--output", str(Path(folder, below)), "--", "true"]
            assert main(words) == 2
        Path(folder).chmod(0o700)
    said = capsys.readouterr().err
    assert f"{folder} cannot be written to: Permission denied. Name another by --output" in said


def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    """The program runs, and the message says that the working directory has been removed."""
    spare = tmp_path / "tmp"
    gone = tmp_path / "gone"
    for folder in (spare, gone):
        folder.mkdir()
    script = f'rmdir "$PWD"; exec {OTEL_EXT} run -- {sys.executable} -c "$CODE"'
    env = environment(TMPDIR=str(spare), CODE=ONE_SPAN)
    done = execute(["sh", "-c", script], cwd=gone, env=env)
    assert done.code == 0, done.err
    assert "traces (default): the working directory has been removed. Records go to" in done.err
    assert len(spans_in(spare / f"otel-ext-{os.geteuid()}", "s")) == 2


# Only root can give a folder to another user.
TRAPS = ["link", "file", *([] if os.geteuid() else ["folder of another user"])]


@pytest.mark.parametrize("trap", TRAPS)
def test_the_spare_folder_belongs_to_this_user(tmp_path: Path, trap: str) -> None:
    """What someone has put in the way of the private folder is not used; a new one is made."""
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
    done = execute(python("-c", code), cwd=tmp_path, env=environment(TMPDIR=str(tmp_path)))
    found = Path(done.out.strip())
    assert found.parent == tmp_path, done.err
    assert found not in {own, elsewhere}
    assert found.stat().st_mode & 0o777 == 0o700


@pytest.mark.measured
def test_trying_a_folder_leaves_nothing(tmp_path: Path) -> None:
    """A program without spans leaves no folder, and none that was there is changed."""
    (tmp_path / "there").mkdir()
    for name in ("there", "new", "deep/new", "one.jsonl"):
        done = execute(recorded(tmp_path / name, "true"), cwd=tmp_path)
        assert done.code == 0
        assert "no records. No Python process started otel-ext: true is not" in done.err
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@pytest.mark.measured
def test_odd_variables_are_mentioned_once(tmp_path: Path) -> None:
    """A variable that looks like ours and is none is said once, not by every process."""
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''])"
    done = execute(
        recorded(tmp_path / "traces", *python("-c", code)),
        cwd=tmp_path,
        env=environment(OTEL_EXT_OUTPTU="x"),
    )
    assert done.code == 0
    assert done.err.count("OTEL_EXT_OUTPTU") == 1


def test_an_interpreter_without_otel_ext_is_named_once(tmp_path: Path) -> None:
    """Where the program's Python has no otel-ext it runs all the same, and one line says so."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    bare = tmp_path / "bare" / "bin" / "python"
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1)'])"
    done = execute(recorded(tmp_path / "traces", bare, "-c", code), cwd=tmp_path)
    assert (done.code, done.out) == (0, "1\n")
    assert done.err.count(f"{bare} has no working otel-ext") == 1
    assert "Traceback" not in done.err
