"""`otel-ext run`: the program behaves as without it, and its spans are recorded."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.programs import (
    ONE_SPAN,
    OTEL_EXT,
    SCRIPTS,
    execute,
    ids,
    python,
    record,
    recorded,
    records_in,
    spans_in,
    started,
    succeed,
    write_program,
)

if TYPE_CHECKING:
    from pathlib import Path

SELF_PORTRAIT = """\
import json, os, sys
print(json.dumps({
    "argv": sys.argv,
    "name": __name__,
    "file": globals().get("__file__"),
    "path": sys.path,
    "stdin": sys.stdin.read(),
    "cwd": os.getcwd(),
    "group": os.getpgrp() == int(os.environ["GROUP"]),
    "flags": str(sys.flags),
    "sigpipe": str(__import__("signal").getsignal(13)),
    "mask": sorted(__import__("signal").pthread_sigmask(0, [])),
    "threads": len(__import__("threading").enumerate()),
}))
"""


def portrait(command: list[str], cwd: Path) -> str:
    """Return what the program prints about itself."""
    # Both runs get their own process group and its number in a variable.
    shell = ["setsid", "--wait", "sh", "-c", 'GROUP=$$ exec "$@"', "sh", *command]
    return execute(shell, cwd=cwd, stdin="text on the standard input").out


@pytest.mark.parametrize(
    "words", [("program.py", "--one", "two words"), ("-m", "pkg.module", "-x"), ("-c", "CODE", "3")]
)
def test_a_program_sees_what_it_would_see_without_us(tmp_path: Path, words: tuple[str]) -> None:
    """Arguments, `__main__`, paths, standard input, signals and process group are the same."""
    write_program(tmp_path, SELF_PORTRAIT)
    write_program(tmp_path, "", "pkg/__init__.py")
    write_program(tmp_path, SELF_PORTRAIT, "pkg/module.py")
    command = python(*(SELF_PORTRAIT if word == "CODE" else word for word in words))
    plain = portrait(command, tmp_path)
    assert '"group": true' in plain
    assert portrait(recorded(tmp_path / "traces", *command), tmp_path) == plain
    quiet = [OTEL_EXT, "run", "--quiet", "--", *command]
    assert portrait(quiet, tmp_path) == plain


def test_a_span_becomes_a_start_and_an_end(tmp_path: Path) -> None:
    """A program that uses only the API leaves both records of its span, with its call site."""
    record(tmp_path, write_program(tmp_path, ONE_SPAN))
    spans = spans_in(tmp_path / "traces")
    assert [record.phase for record in spans] == ["start", "end"]
    assert ids(spans, "start") == ids(spans, "end")
    assert {(record.call_site.file, record.call_site.line) for record in spans} == {
        ("program.py", 2)
    }
    assert records_in(tmp_path / "traces")[0].name == "process.start"


@pytest.mark.parametrize("form", ["script", "module", "executable", "folder", "double-dash"])
def test_forms_of_a_command(tmp_path: Path, form: str) -> None:
    """Scripts, modules, executables and folders run, with and without the double dash."""
    program = write_program(tmp_path, f"#!{sys.executable}\n{ONE_SPAN}print('ran')\n")
    write_program(tmp_path, program.read_text(), "folder/__main__.py")
    words = {
        "script": ["program.py"],
        "module": ["-m", "program"],
        "executable": ["./program.py"],
        "folder": ["folder"],
        "double-dash": ["--", sys.executable, "program.py", "--", "--quiet"],
    }[form]
    if form == "executable":
        program.chmod(0o755)
    done = execute([OTEL_EXT, "run", "--output", "out", *words], cwd=tmp_path)
    assert (done.code, done.out) == (0, "ran\n"), done.err
    assert len(spans_in(tmp_path / "out", "work")) == 2


@pytest.mark.parametrize(
    ("code", "expected"),
    [("raise SystemExit(3)", 3), ("raise SystemExit('said')", 1), ("1/0", 1), ("", 0)],
)
def test_the_exit_code_and_the_error_are_the_programs(
    tmp_path: Path, code: str, expected: int
) -> None:
    """The exit code and the error output of the program are passed on unchanged."""
    plain = execute(python("-c", code), cwd=tmp_path)
    done = execute(recorded(tmp_path / "traces", *python("-c", code)), cwd=tmp_path)
    assert done.code == plain.code == expected
    assert done.err.startswith(plain.err)


@pytest.mark.measured
def test_quiet_takes_the_place_of_the_process(tmp_path: Path) -> None:
    """With --quiet the program has our process id, and nothing is added to its output."""
    code = "import os; print(os.getpid())\n" + ONE_SPAN
    words = [OTEL_EXT, "run", "--quiet", "--output", "out", "--", *python("-c", code)]
    with started(words, cwd=tmp_path) as process:
        process.wait(50)
    assert (tmp_path / "output.txt").read_text() == f"{process.pid}\n"
    assert len(spans_in(tmp_path / "out", "work")) == 2


def test_settings_of_the_command_line_reach_children_in_any_folder(tmp_path: Path) -> None:
    """--output, --compat-mode and --config apply to a child process in another folder."""
    (tmp_path / "elsewhere").mkdir()
    settings = tmp_path / "settings.toml"
    settings.write_text("record-only = true\n")
    code = textwrap.dedent(f"""\
        import os, subprocess, sys
        os.chdir("elsewhere")
        subprocess.run([sys.executable, "-c", {ONE_SPAN!r}], check=True)
        print(os.environ["OTEL_EXT_CONFIG"])
        """)
    options = ["--output", "out", "--compat-mode", "--config", "settings.toml"]
    done = execute([OTEL_EXT, "run", *options, "--", *python("-c", code)], cwd=tmp_path)
    assert (done.code, done.out) == (0, f"{settings}\n"), done.err
    lines = [line for file in (tmp_path / "out").iterdir() for line in file.read_text().split("\n")]
    assert all(line.startswith('{"timestamp":') for line in lines if '"work' in line)
    assert len(spans_in(tmp_path / "out", "work")) == 2


def test_records_appear_on_the_terminal_when_asked_for(tmp_path: Path) -> None:
    """With the console on, start and end are printed to stderr; stdout is the program's."""
    code = ONE_SPAN + "print('result')\n"
    done = record(tmp_path, "-c", code, OTEL_EXT_CONSOLE="json")
    assert done.out == "result\n"
    assert done.err.count('"event":"work.') == 2
    done = record(tmp_path, "-c", code, OTEL_EXT_CONSOLE="on")
    assert done.out == "result\n"
    assert "work" in done.err
    assert '"event":' not in done.err


@pytest.mark.measured
def test_console_scripts_are_found_beside_the_interpreter(tmp_path: Path) -> None:
    """A console script of our environment runs even if it is not on PATH."""
    done = succeed([OTEL_EXT, "run", "--", "uvicorn", "--version"], tmp_path, PATH="/usr/bin:/bin")
    assert "uvicorn" in done.out.lower()
    assert (SCRIPTS / "uvicorn").exists()


def test_a_nested_run_records_once(tmp_path: Path) -> None:
    """`otel-ext run` under `otel-ext run` writes each record once."""
    inner = [OTEL_EXT, "run", "--", *python("-c", ONE_SPAN)]
    succeed(recorded(tmp_path / "traces", *inner), tmp_path)
    assert len(spans_in(tmp_path / "traces", "work")) == 2


def test_recording_can_be_switched_off(tmp_path: Path) -> None:
    """With OTEL_SDK_DISABLED or OTEL_EXT_ENABLED=false nothing is written."""
    for name, value in (("OTEL_SDK_DISABLED", "true"), ("OTEL_EXT_ENABLED", "false")):
        record(tmp_path, "-c", ONE_SPAN, **{name: value})
        assert not (tmp_path / "traces").exists()
