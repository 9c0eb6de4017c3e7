"""An application that embeds Python, and ends one interpreter and starts another."""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.programs import environment, execute, records_in

# Arguments: code, and how often to run it in a main interpreter, each of which ends before the
# next one starts. Before these it runs in a sub-interpreter.
APPLICATION = """\
#include <Python.h>
int main(int count, char **words) {
    Py_Initialize();
    PyThreadState *first = PyThreadState_Get(), *other = Py_NewInterpreter();
    if (other == NULL || PyRun_SimpleString(words[1]) < 0) return 2;
    Py_EndInterpreter(other);
    PyThreadState_Swap(first);
    for (int left = atoi(words[2]); left > 0; left--) {
        if (PyRun_SimpleString(words[1]) < 0 || Py_FinalizeEx() < 0) return 3;
        Py_Initialize();
    }
    return Py_FinalizeEx() < 0 ? 4 : 0;
}
"""
# From Python 3.12 on a second main interpreter crashes if it just imports `ctypes` or orjson
# (seen with 3.12.1 and 3.13.0).
STARTS = 2 if sys.version_info < (3, 12) else 0
SPANS = """
from opentelemetry.sdk.trace import TracerProvider
from otel_ext.exporters import JsonlExporter
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.runtime.worker import shared_worker
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(LifecycleSpanProcessor(JsonlExporter("traces")))
for _ in range(500):
    provider.get_tracer("t").start_span("work").end()
assert provider.force_flush() and shared_worker().is_alive
"""
VARIABLES = sysconfig.get_config_vars()
LIBRARY = Path(str(VARIABLES["LIBDIR"]), str(VARIABLES["LDLIBRARY"]))


def compiled_application(folder: Path) -> Path:
    """Compile the application against the library of this Python."""
    source, program = folder / "application.c", folder / "application"
    source.write_text(APPLICATION, encoding="utf-8")
    linking = " ".join(str(VARIABLES[name] or "") for name in ("LIBS", "SYSLIBS", "LINKFORSHARED"))
    argv: list[str | Path] = ["cc", "-o", program, source, f"-I{sysconfig.get_path('include')}"]
    argv += [LIBRARY, f"-Wl,-rpath,{LIBRARY.parent}", *shlex.split(linking)]
    done = execute(argv, cwd=folder)
    assert done.code == 0, done.err
    return program


@pytest.mark.needs("cc")
@pytest.mark.skipif(not LIBRARY.exists(), reason="this Python came without its library")
@pytest.mark.parametrize("pure", ["", "1"], ids=["compiled", "plain"])
def test_an_interpreter_ends_without_a_thread_of_ours(tmp_path: Path, pure: str) -> None:
    """A sub-interpreter and a main one end without a crash, and each one records its spans."""
    path = os.pathsep.join(sys.path)
    env = environment(PYTHONPATH=path, PYTHONHOME=sys.base_prefix, OTEL_EXT_PURE_PYTHON=pure)
    program = compiled_application(tmp_path)
    done = execute([program, SPANS, str(STARTS)], cwd=tmp_path, env=env)
    assert (done.code, done.err) == (0, "")
    found = records_in(tmp_path / "traces")
    assert sum(one.phase == "end" for one in found) == (1 + STARTS) * 500
    assert sum(one.event == "process.end" for one in found) == 1 + STARTS
