"""Libraries are instrumented when they are imported, not before, and no import fails."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.distributions import install
from tests.programs import EVERYTHING, python, record, spans_in, succeed, write_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.programs import Done

INSTRUMENTOR = """\
import sys
import {library}
EVENTS = []
class Instrumentor:
    def instrument(self, **kwargs):
        {body}
        {library}.Thing = type("Instrumented", ({library}.Thing,), {{}})
        print("instrumented {library}", flush=True)
"""


def add_library(folder: Path, name: str, text: str = "class Thing: pass\n") -> None:
    """Install a library: a package with its metadata."""
    install(folder / "lib", name, text, version="1.5", path=f"{name}/__init__.py")


def add_instrumentor(
    folder: Path, name: str, *, requirement: str = "", any_of: bool = False, body: str = "pass"
) -> None:
    """Install an instrumentation of the library `name`."""
    extra = "instruments-any" if any_of else "instruments"
    install(
        folder / "lib",
        f"inst_{name}",
        INSTRUMENTOR.format(library=name, body=body),
        requires=f"Requires-Dist: {requirement or name + '>=1'}; extra == '{extra}'\n",
        entry_points=f"[opentelemetry_instrumentor]\n{name} = inst_{name}:Instrumentor\n",
    )


def add(folder: Path, name: str = "used", text: str = "class Thing: pass\n") -> None:
    """Install a library and an instrumentation of it."""
    add_library(folder, name, text)
    add_instrumentor(folder, name)


def run(folder: Path, code: str, **variables: str) -> Done:
    """Run a program under `otel-ext run`, with the libraries of `folder/lib`."""
    off = "asyncio,celery,django,fastapi,flask,logging,requests,sqlite3,structlog,threading"
    settings = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": off, **variables}
    return record(folder, "-c", textwrap.dedent(code), PYTHONPATH=str(folder / "lib"), **settings)


THING = "from used import Thing; print(Thing.__name__)"


def assert_instrumented(done: Done) -> None:
    """Check that the program has instrumented the library `used` once, and uses that."""
    assert done.out.splitlines() == ["instrumented used", "Instrumented"], done.err


def test_an_instrumentation_is_imported_with_its_library_and_not_before(tmp_path: Path) -> None:
    """Instrumentations of unused libraries are not imported; those of used ones are, before use."""
    for name in ("used", "unused"):
        add(tmp_path, name)
    code = """\
        import sys
        print("inst_used" in sys.modules)
        from used import Thing
        print(Thing.__name__)
        print("inst_unused" in sys.modules)
    """
    done = run(tmp_path, code)
    assert done.out.splitlines() == ["False", "instrumented used", "Instrumented", "False"], (
        done.err
    )


@pytest.mark.parametrize(
    "code",
    [
        "import used.sub; print(used.Thing.__name__)",
        "from used.sub import Thing; print(Thing.__name__)",
        "import other; print(other.Thing.__name__)",
        "import importlib; print(importlib.import_module('used').Thing.__name__)",
        "import runpy; runpy.run_module('used.sub'); import used; print(used.Thing.__name__)",
    ],
)
def test_ways_to_import(tmp_path: Path, code: str) -> None:
    """Imported by a submodule, by another library or by name, the class is instrumented."""
    add(tmp_path)
    write_program(tmp_path, "from used import Thing\n", "lib/used/sub.py")
    write_program(tmp_path, "from used import Thing\n", "lib/other.py")
    assert_instrumented(run(tmp_path, code))


def test_circular_imports(tmp_path: Path) -> None:
    """A library in a circle of imports is instrumented once, when its import is complete."""
    add(tmp_path, text="import middle\nclass Thing: pass\n")
    write_program(tmp_path, "import used\n", "lib/middle.py")
    assert_instrumented(run(tmp_path, "import middle, used; print(used.Thing.__name__)"))


def test_threads_that_import_at_once(tmp_path: Path) -> None:
    """Each library is instrumented once, and no thread waits for another forever."""
    names = [f"used{number}" for number in range(6)]
    for name in names:
        add_library(tmp_path, name, "import time; time.sleep(0.01)\nclass Thing: pass\n")
        # Each instrumentation imports the next library too, the last one the first.
        following = names[(names.index(name) + 1) % len(names)]
        add_instrumentor(tmp_path, name, body=f"__import__('{following}')")
    code = f"""\
        import importlib, threading
        threads = [
            threading.Thread(target=importlib.import_module, args=(name,))
            for name in {names!r} * 3
        ]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print("done")
    """
    done = run(tmp_path, code)
    assert sorted(done.out.splitlines()) == sorted(["done", *(f"instrumented {n}" for n in names)])


@pytest.mark.parametrize("body", ["raise ValueError('broken')", "import no_such_module"])
def test_a_failing_instrumentation_breaks_no_import(tmp_path: Path, body: str) -> None:
    """It is reported once; its library is imported, and others are instrumented."""
    add_library(tmp_path, "broken")
    add_instrumentor(tmp_path, "broken", body=body)
    add(tmp_path)
    done = run(tmp_path, "import broken, used, broken; print(broken.Thing.__name__)")
    assert done.out.splitlines() == ["instrumented used", "Thing"]
    assert done.err.count("instrumentation broken was left out") == 1


@pytest.mark.parametrize(
    "error", ["ModuleNotFoundError('other must be installed')", "ModuleNotFoundError(name='other')"]
)
def test_one_distribution_for_two_libraries(tmp_path: Path, error: str) -> None:
    """An instrumentation like that of httpx2, which is installed with httpx's, is skipped."""
    lib = tmp_path / "lib"
    add_library(tmp_path, "used")
    requirement = "used>=1; extra == 'instruments-any'\nRequires-Dist: other>=1"
    add_instrumentor(tmp_path, "used", requirement=requirement, any_of=True)
    entry = "[opentelemetry_instrumentor]\nused = inst_used:Instrumentor\nother = inst_used:Other\n"
    write_program(lib, entry, "inst_used-1.0.dist-info/entry_points.txt")
    other = f"class Other:\n    def instrument(self, **kwargs):\n        raise {error}\n"
    with (lib / "inst_used.py").open("a") as file:
        file.write(other)
    done = run(tmp_path, THING)
    assert_instrumented(done)
    assert "left out" not in done.err


def test_an_unsupported_version_is_reported(tmp_path: Path) -> None:
    """A library whose version does not fit is not instrumented; one line names both.

    The instrumentation of a library that is not installed is skipped silently.
    """
    add_library(tmp_path, "used")
    add_instrumentor(tmp_path, "used", requirement="used>=2")
    add_instrumentor(tmp_path, "absent", requirement="no-such-library")
    done = run(tmp_path, THING)
    assert "absent" not in done.err
    assert done.out == "Thing\n"
    assert done.err.count("instrumentation used was left out") == 1
    assert "used 1.5" in done.err


def test_a_library_whose_distribution_has_another_name(tmp_path: Path) -> None:
    """The modules are found in the distribution's metadata, also among alternatives."""
    lib = tmp_path / "lib"
    install(lib, "python-used-kit", "class Thing: pass\n", version="1.5", path="used/__init__.py")
    record = "used/__init__.py,,\npython_used_kit-1.5.dist-info/METADATA,,\n"
    write_program(lib, record, "python_used_kit-1.5.dist-info/RECORD")
    add_instrumentor(tmp_path, "used", requirement="python-used-kit>=1", any_of=True)
    assert_instrumented(run(tmp_path, THING))


def test_the_setting_switches_it_off(tmp_path: Path) -> None:
    """With `OTEL_EXT_INSTRUMENT=false`, `otel-ext run` instruments no library."""
    add(tmp_path)
    assert run(tmp_path, THING, OTEL_EXT_INSTRUMENT="false").out == "Thing\n"


def test_with_exporters_of_the_environment_too(tmp_path: Path) -> None:
    """If OpenTelemetry's own start-up sets up the SDK, instrumentations wait for imports too."""
    add(tmp_path)
    code = """\
        import os, sys
        disabled = os.environ["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"].split(",")
        print("inst_used" in sys.modules, "used" in disabled or "*" in disabled)
        from used import Thing
        print(Thing.__name__)
    """
    done = run(tmp_path, code, OTEL_TRACES_EXPORTER="console", OTEL_METRICS_EXPORTER="none")
    lines = done.out.splitlines()
    assert lines[:3] == ["False False", "instrumented used", "Instrumented"], done.err


IN_CODE = """\
import json, sys
import otel_ext
{before}
otel_ext.configure(instrument=True, console="off")
import fastapi
from fastapi import FastAPI
from flask import Flask
from fastapi.testclient import TestClient

app = Flask("shop")
app.add_url_rule("/x", view_func=lambda: "fine")
assert app.test_client().get("/x").status_code == 200
other = FastAPI()
other.add_api_route("/y", lambda: 1)
assert TestClient(other).get("/y").status_code == 200
print(json.dumps([Flask.__name__, FastAPI.__name__, "celery" in sys.modules]))
"""


@pytest.mark.parametrize("before", ["", "from flask import Flask as Early; import flask"])
def test_in_code(tmp_path: Path, before: str) -> None:
    """`configure(instrument=True)` instruments too, also libraries that are already imported."""
    done = succeed(python("-c", IN_CODE.format(before=before)), tmp_path, **EVERYTHING)
    assert done.document == ["_InstrumentedFlask", "_InstrumentedFastAPI", False]
    names = {record.name for record in spans_in(tmp_path / "traces")}
    assert {"GET /x", "GET /y"} <= names
