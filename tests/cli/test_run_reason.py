"""A run without spans ends with the right reason, once, and with a command that works."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.programs import (
    EVERYTHING,
    ONE_SPAN,
    execute,
    python,
    record,
    recorded,
    succeed,
    write_program,
)

if TYPE_CHECKING:
    from pathlib import Path

# A tracer provider without span processors.
OWN_PROVIDER = """\
from opentelemetry import trace
class Own(trace.NoOpTracerProvider): pass
trace._TRACER_PROVIDER = Own()
"""


def summary_line(folder: Path, *words: str, **variables: str) -> str:
    """Run a command and return the line of the summary with the reason."""
    done = succeed(recorded(folder / "traces", *words), folder, **variables)
    (last,) = [line for line in done.err.splitlines() if "no records" in line or "no spans" in line]
    return last


@pytest.mark.parametrize("option", ["-I", "-E", "-S", "-uI"])
def test_an_option_by_which_python_ignores_the_environment(tmp_path: Path, option: str) -> None:
    """The option is named, and how to record such a program."""
    line = summary_line(tmp_path, *python(option, "-c", "print(1)"))
    assert "otel-ext was never started in the program: the option -" in line
    assert f"-{option[-1]} makes Python ignore the environment" in line
    assert "otel_ext.configure()" in line


def test_a_script_whose_first_line_has_the_option(tmp_path: Path) -> None:
    """The `#!` line of a script is read too."""
    script = write_program(tmp_path, f"#!{sys.executable} -I\nprint(1)\n", "isolated")
    script.chmod(0o755)
    assert "the option -I makes Python ignore" in summary_line(tmp_path, str(script))


@pytest.mark.parametrize("words", [["env", "-i", sys.executable, "-c", "pass"], ["true"]])
def test_no_python_with_otel_ext(tmp_path: Path, words: list[str]) -> None:
    """A program in another language and an empty environment are both named as causes."""
    line = summary_line(tmp_path, *words)
    assert f"No Python process started otel-ext: {words[0]} is not a Python program" in line
    assert "(env -i, sudo)" in line
    assert "install" not in line


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OTEL_TRACES_SAMPLER": "always_off"}, "OTEL_TRACES_SAMPLER=always_off leaves every span"),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"},
            "OTEL_TRACES_SAMPLER=traceidratio with OTEL_TRACES_SAMPLER_ARG=0 leaves out",
        ),
        ({"OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED is true"),
    ],
)
def test_a_variable_of_opentelemetry(
    tmp_path: Path, variables: dict[str, str], expected: str
) -> None:
    """A sampler that drops all spans is named, and so is OTEL_SDK_DISABLED."""
    assert expected in summary_line(tmp_path, *python("-c", ONE_SPAN), **variables)


@pytest.mark.measured
def test_a_library_that_is_not_instrumented(tmp_path: Path) -> None:
    """The imported libraries are named, with the packages to install for them."""
    write_program(tmp_path, "", "falcon.py")  # stands for a library without instrumentation
    code = "import falcon, flask, celery"
    line = summary_line(tmp_path, *python("-c", code), **EVERYTHING)
    assert (
        "falcon is not instrumented. Run: pip install opentelemetry-instrumentation-falcon" in line
    )
    assert line.endswith("opentelemetry-instrumentation-falcon")


def test_a_killed_program_has_noted_what_it_imported(tmp_path: Path) -> None:
    """The reason is also printed if the program was killed."""
    write_program(tmp_path, "", "falcon.py")
    code = "import falcon, os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    done = execute(recorded(tmp_path / "traces", *python("-c", code)), cwd=tmp_path)
    assert "falcon is not instrumented. Run: pip install" in done.err


def test_a_provider_that_takes_no_processors(tmp_path: Path) -> None:
    """A provider of the program that takes no span processors is named by its class."""
    line = summary_line(tmp_path, *python("-c", OWN_PROVIDER))
    assert "uses a tracer provider of its own, __main__.Own" in line


def test_instrumentations_that_are_switched_off(tmp_path: Path) -> None:
    """The variable that switches all of them off is named."""
    variables = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"}
    line = summary_line(tmp_path, *python("-c", "import flask"), **variables)
    assert "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=* switches all" in line


@pytest.mark.measured
def test_one_instrumentation_that_is_switched_off(tmp_path: Path) -> None:
    """An imported library whose instrumentation the variable leaves out is named alone."""
    variables = {**EVERYTHING, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask,celery"}
    line = summary_line(tmp_path, *python("-c", "import flask"), **variables)
    assert "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS disables flask: remove it" in line
    assert "celery" not in line


def test_the_setting_that_switches_instrumentations_off(tmp_path: Path) -> None:
    """`instrument` is named with its source."""
    line = summary_line(tmp_path, *python("-c", "import flask"), OTEL_EXT_INSTRUMENT="false")
    assert "The setting instrument is off (" in line
    assert "OTEL_EXT_INSTRUMENT" in line


def test_no_other_reason(tmp_path: Path) -> None:
    """If the program simply opened no span, the reason says how to open one."""
    line = summary_line(tmp_path, *python("-c", "pass"))
    assert "The program opened no span. Open some with the OpenTelemetry API" in line
    assert "pip" not in line


def test_no_reason_with_spans(tmp_path: Path) -> None:
    """With spans, libraries that could be instrumented are not named."""
    write_program(tmp_path, "", "falcon.py")
    code = "import falcon\n" + ONE_SPAN
    assert "instrument" not in record(tmp_path, "-c", code).err


IN_CODE = "import otel_ext\nhandle = otel_ext.configure(console='off')\n"


@pytest.mark.parametrize(
    ("code", "variables", "expected"),
    [
        (
            "import flask",
            EVERYTHING,
            "flask is not instrumented, though it could be: call otel_ext.configure(instrument=",
        ),
        (ONE_SPAN, {"OTEL_TRACES_SAMPLER": "always_off"}, "OTEL_TRACES_SAMPLER=always_off"),
        (
            "import flask",
            {"OTEL_EXT_INSTRUMENT": "true", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask"},
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS disables flask: remove it from the list",
        ),
        ("import httpx", {}, ""),
        ("import flask\n" + ONE_SPAN, {}, ""),
        ("import flask\nhandle.shutdown()", {}, ""),
    ],
)
def test_in_code(tmp_path: Path, code: str, variables: dict[str, str], expected: str) -> None:
    """After `configure()` a program without spans prints why at exit; others print nothing."""
    done = succeed(python("-c", IN_CODE + code), tmp_path, **variables)
    assert expected in done.err
    assert len(done.err.splitlines()) == bool(expected)
