"""The `sitecustomize` of `otel-ext run` does not change the rest of Python's start-up."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from otel_ext.zero_code import BOOTSTRAP_DIR
from tests.programs import (
    ONE_SPAN,
    environment,
    execute,
    python,
    record,
    spans_in,
    succeed,
    write_program,
)


def test_the_bootstrap_is_part_of_the_installation() -> None:
    """The folder for PYTHONPATH exists and contains only a sitecustomize."""
    assert [path.name for path in Path(BOOTSTRAP_DIR).glob("*.py")] == ["sitecustomize.py"]


def test_the_sitecustomize_it_hides_runs_too(tmp_path: Path) -> None:
    """A user's own sitecustomize runs once, and `import sitecustomize` imports that."""
    write_program(tmp_path, "print('mine ran', flush=True)\nMINE = 1\n", "lib/sitecustomize.py")
    code = "import sitecustomize; print(sitecustomize.MINE)\n" + ONE_SPAN
    done = record(tmp_path, "-c", code, PYTHONPATH=str(tmp_path / "lib"))
    # The first one runs in otel-ext itself.
    assert done.out == "mine ran\nmine ran\n1\n", done.err
    assert len(spans_in(tmp_path / "traces", "work")) == 2


@pytest.mark.parametrize("text", ["1/0", "import no_such_module"])
def test_a_sitecustomize_that_fails_is_reported_as_always(tmp_path: Path, text: str) -> None:
    """The interpreter prints the same error as without otel-ext, and spans are recorded."""
    write_program(tmp_path, text, "lib/sitecustomize.py")
    path = str(tmp_path / "lib")
    plain = succeed(python("-c", ONE_SPAN), tmp_path, PYTHONPATH=path)
    assert "Error in sitecustomize" in plain.err
    done = record(tmp_path, "-c", ONE_SPAN, PYTHONPATH=path)
    # Once for otel-ext's own process, once for the program's.
    assert done.err.startswith(plain.err * 2)
    assert len(spans_in(tmp_path / "traces", "work")) == 2


def test_the_path_of_modules_is_unchanged(tmp_path: Path) -> None:
    """The bootstrap removes its folder from `sys.path`; it stays in PYTHONPATH for children."""
    code = "import os, sys; print(sys.path); print(os.environ['PYTHONPATH'])"
    plain = succeed(python("-c", code), tmp_path, PYTHONPATH="lib").out.splitlines()
    path, variable = record(tmp_path, "-c", code, PYTHONPATH="lib").out.splitlines()
    assert path == plain[0]
    assert variable == f"{BOOTSTRAP_DIR}{os.pathsep}lib"


def test_a_broken_start_never_stops_the_program(tmp_path: Path) -> None:
    """If our package is broken, the program runs, and the error is printed once."""
    fake = "raise RuntimeError('half an installation')\n"
    write_program(tmp_path, fake, "lib/otel_ext/__init__.py")
    variables = {
        "PYTHONPATH": os.pathsep.join([BOOTSTRAP_DIR, str(tmp_path / "lib")]),
        "OTEL_EXT_AUTO": "true",
        "OTEL_EXT_RUN_PID": str(os.getpid()),
    }
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1)'])"
    done = succeed(python("-c", code), tmp_path, **variables)
    assert done.out == "1\n"
    assert done.err.count("half an installation") == 1


def test_switched_off_it_imports_nothing(tmp_path: Path) -> None:
    """With OTEL_EXT_AUTO unset or false the SDK is not imported."""
    code = "import sys; print('opentelemetry' in sys.modules)"
    for value in ("", "false", "0", "no"):
        variables = {"PYTHONPATH": BOOTSTRAP_DIR, "OTEL_EXT_AUTO": value}
        assert succeed(python("-c", code), tmp_path, **variables) == (0, "False\n", "")


UNUSED = (
    "otel_ext.exporters.console.exporter",
    "otel_ext.exporters.otlp.exporter",
    "decimal",
    "structlog",
    "yaml",
)


def test_the_start_imports_what_it_uses(tmp_path: Path) -> None:
    """Parts that no setting needs are not imported, so that a process starts quickly."""
    code = f"import sys; print([name for name in {UNUSED} if name in sys.modules])"
    variables = {
        "PYTHONPATH": BOOTSTRAP_DIR,
        "OTEL_EXT_AUTO": "true",
        "OTEL_EXT_CONSOLE": "auto",
        "OTEL_EXT_OUTPUT": str(tmp_path),
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*",
    }
    assert succeed(python("-c", code), tmp_path, **variables).out == "[]\n"


@pytest.mark.parametrize("version", ["python2.7", "python3.6", "python3.7"])
def test_interpreters_too_old_for_us_run_unharmed(tmp_path: Path, version: str) -> None:
    """The bootstrap starts on any Python: an old one runs its program without a message."""
    found = shutil.which(version)
    # Without an old interpreter, search the source for syntax that it would reject.
    if found is None or execute([found, "-c", "print(1)"], cwd=tmp_path).code:
        source = Path(BOOTSTRAP_DIR, "sitecustomize.py").read_text(encoding="ascii")
        code = "\n".join(line.partition("#")[0] for line in source.splitlines())
        assert "def " in code
        assert [new for new in ("->", 'f"', ":=", "import ann", "nonlocal") if new in code] == []
        return
    env = environment(PYTHONPATH=BOOTSTRAP_DIR, OTEL_EXT_AUTO="true")
    done = execute([found, "-c", "print(1)"], cwd=tmp_path, env=env)
    assert (done.code, done.out, done.err) == (0, "1\n", "")
