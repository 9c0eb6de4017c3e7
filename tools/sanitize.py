"""Runs the tests of the compiled part with tools that find memory faults.

Builds the extension with the address and undefined behaviour sanitizers and, if Debian's
debug interpreter is installed, for that one too, whose assertions find faults that a release
build ignores. Run: python tools/sanitize.py PYTHON [PATHS AND OPTIONS FOR PYTEST]

A debug build of CPython 3.11 aborts, in a program without any extension, in two cases of
memory running out (`_testcapi.set_nomemory`): a call of a function whose variable an inner
function uses fails the assertion `STACK_LEVEL() == 0` in `ceval.c`, and `frame.f_back`
returns None with a `MemoryError` set, so the next call fails `!_PyErr_Occurred()`. Release
builds survive both. So tests that make allocations fail call the compiled part only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[1]
_BUILD: Final = _ROOT / "build" / "sanitize"
_TESTS: Final = (
    "tests/native",
    "tests/processors/test_compiled_details.py",
    "tests/processors/test_compiled_path.py",
    "tests/record/test_speed.py",
    "tests/journal/test_cursor.py",
    "tests/redaction/test_prefilter.py",
)
_BUILDERS: Final = _BUILD / "builders"
_FLAGS: Final = "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined"


def main(arguments: list[str]) -> int:
    """Run both builds' tests; return 1 if one fails."""
    python, more = os.path.abspath(arguments[0]), arguments[1:]  # noqa: PTH100 - of a venv: no link is followed
    packages = _ask(python, "import sys; print(*(p for p in sys.path if 'site-' in p), sep='\\n')")
    _install_builders(python)
    _print_step("address and undefined behaviour sanitizers")
    flags = {"CFLAGS": _FLAGS, "LDFLAGS": _FLAGS}
    failed = _run(python, packages, flags, _sanitizers(), more)
    debug = f"python{_ask(python, 'import sys; print(*sys.version_info[:2], sep=chr(46))')}-dbg"
    if shutil.which(debug) is None:
        _print_step(f"not run: {debug} is missing (Debian: apt install python3-dbg python3-venv)")
        return failed
    _print_step(debug)
    return _run(debug, packages, {}, {}, more) or failed


def _print_step(text: str) -> None:
    sys.stdout.write(f"==> {text}\n")
    sys.stdout.flush()


def _install_builders(python: str) -> None:
    """Install the build requirements of pyproject.toml, which a new environment may lack."""
    project = (_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (requires,) = re.findall(r"^requires = (\[.*\])$", project, re.MULTILINE)
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    shutil.rmtree(_BUILDERS, ignore_errors=True)
    _call([*pip, "install", "--target", _BUILDERS, *json.loads(requires)], {})


def _sanitizers() -> dict[str, str]:
    """Return the environment in which a normal interpreter can load a sanitized extension."""
    libraries = [
        subprocess.run(  # noqa: S603 - the compiler's own output
            ["gcc", f"-print-file-name={name}"],  # noqa: S607 - the one that builds
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    return {
        "LD_PRELOAD": " ".join(libraries),
        "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "halt_on_error=1",
    }


def _run(
    python: str, packages: str, building: dict[str, str], running: dict[str, str], more: list[str]
) -> int:
    """Build a copy of the package in the build folder, and run its tests there.

    The environment uses the packages of another interpreter, `packages`.
    """
    name = Path(python).name
    tree, venv = _BUILD / name / "tree", _BUILD / name / "venv"
    shutil.rmtree(tree, ignore_errors=True)
    without = shutil.ignore_patterns("build", ".*", "*.so", "__pycache__")
    shutil.copytree(_ROOT, tree, symlinks=True, ignore=without)
    _call([python, "-m", "venv", "--clear", "--without-pip", venv], {})
    own = str(venv / "bin" / "python")
    (next((venv / "lib").glob("python*")) / "site-packages" / "all.pth").write_text(
        f"{tree}\n{_BUILDERS}\n{packages}\n", encoding="utf-8"
    )
    build = "from setuptools import setup; setup()"
    _call([own, "-c", build, "--quiet", "build_ext", "--inplace"], building, tree)
    tests = [own, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=300"]
    env = {**os.environ, **running}
    return subprocess.run([*tests, *(more or _TESTS)], cwd=tree, env=env, check=False).returncode  # noqa: S603


def _call(command: list[str | Path], changes: dict[str, str], cwd: Path = _ROOT) -> None:
    subprocess.run(command, cwd=cwd, env={**os.environ, **changes}, check=True)  # noqa: S603


def _ask(python: str, program: str) -> str:
    return subprocess.run(  # noqa: S603
        [python, "-c", program], check=True, capture_output=True, text=True
    ).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
