"""The compiled part is configured completely, for the main interpreter, unless turned off."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from otel_ext._accel import load_speed
from tests.programs import environment, execute, write_program

if TYPE_CHECKING:
    from pathlib import Path

speed = load_speed()
is_built = pytest.mark.skipif(speed is None, reason="the compiled part was not built")

CALLS = (
    "encode_line(1)",
    "identify(1, True)",
    "capture_start(1, 2, 3)",
    "capture_end(1, 2, 3, 4)",
    "here(1)",
    "begin_span(object(), 1)",
    "end_span(object(), 1)",
)
BEFORE = """\
from otel_ext import _speed
for call in {calls!r}:
    try:
        eval(f"_speed.{{call}}")
    except RuntimeError as error:
        print(error)
"""


@is_built
def test_functions_raise_before_the_part_is_configured(tmp_path: Path) -> None:
    """Each function raises `RuntimeError`; none reads configuration that is not there."""
    program = write_program(tmp_path, BEFORE.format(calls=CALLS))
    done = execute([sys.executable, program], cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == ["otel_ext._speed is not configured"] * len(CALLS)


HALF = """\
from opentelemetry.sdk.trace import TracerProvider
from otel_ext import _accel
known, configure = {}, _accel.configure
def keep(name, *values, **options):
    known.update(options if name == "configure_capture" else {})
    configure(name, *values, **options)
_accel.configure = keep
import otel_ext.processors
from otel_ext.record import capture
speed = _accel.load_speed()
span = TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("x")
wrong = {name: object() for name in known}
for changes in ({"names": ()}, {"record_type": int}, {"kinds": (1,)}, {"code_keys": []}, wrong):
    try:
        speed.configure_capture(**{**known, **changes})
    except (TypeError, ValueError) as error:
        print("refused")
for configure in (speed.configure_hooks, speed.configure):
    try:
        configure(**dict.fromkeys(("begin", "record_type"), object()))
    except TypeError:
        print("refused")
del wrong
others = [object() for _ in range(1000)]
print(capture.capture_start(span, 1, 2).name)
"""


@is_built
def test_a_configuration_that_is_refused_leaves_the_one_before(tmp_path: Path) -> None:
    """No part of it takes effect, and the next span is recorded."""
    done = execute([sys.executable, write_program(tmp_path, HALF)], cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out.split() == ["refused"] * 7 + ["x"]


CHECK: dict[str, object] = {
    "processes": None,
    "keys": {},
    "clean_key": 1,
    "texts": (),
    "is_suspicious": None,
    "search": None,
}
LIMITS = {"shortest": 0, "longest": 9, "most": 9}
HOOK_PARTS = (
    *("resource", "process", "next_seq", "record_only", "export", "check", "make_safe", "table"),
    *("opened", "max_spans", "note_collected", "owners", "local", "note_gone"),
)
REFUSED: tuple[tuple[str, dict[str, object], str], ...] = (
    ("hook_parts", {**dict.fromkeys(HOOK_PARTS)}, "opened: a dict"),
    ("bind_choice", {"ask": bool, "no": print}, "yes is missing"),
    ("bind_choice", {"ask": bool, "no": print, "yes": print, "more": 1}, "other arguments"),
    ("bind_choice", {"ask": bool, "no": print, "yes": 1}, "yes: a callable"),
    ("export_parts", {"introduced": [], "accept": int, "journal": None}, "introduced: a dict"),
    ("bind_check", {**CHECK, **LIMITS, "keys": (), "is_safe": bool}, "keys, processes: dicts"),
    ("bind_check", {**CHECK, **LIMITS, "processes": {}, "is_safe": bool}, "texts: a set"),
    ("bind_check", {**CHECK, **LIMITS, "most": "9", "is_safe": bool}, "most: whole numbers"),
)


@is_built
@pytest.mark.parametrize(("function", "arguments", "reason"), REFUSED)
def test_a_wrong_part_is_refused_by_name(
    function: str, arguments: dict[str, object], reason: str
) -> None:
    """What the compiled steps read later without a check has the right type, or `TypeError`."""
    with pytest.raises(TypeError, match=reason):
        getattr(speed, function)(**arguments)
    with pytest.raises(TypeError):
        getattr(speed, function)(*arguments.values())


INTERPRETERS = """\
import pathlib, sys
made = []  # an interpreter ends when its object is freed
if sys.version_info >= (3, 13):
    import _interpreters
    def run(code):
        made.append(_interpreters.create("legacy"))
        failed = _interpreters.exec(made[-1], code)
        assert failed is None, failed
else:
    import _xxsubinterpreters as _interpreters
    def run(code):
        made.append(_interpreters.create(isolated=False))
        _interpreters.run_string(made[-1], code)
SPANS = '''
import pathlib
from opentelemetry.sdk.trace import TracerProvider
from otel_ext.exporters import JsonlExporter
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext._accel import load_speed
folder = pathlib.Path("{folder}")
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(LifecycleSpanProcessor(JsonlExporter(folder)))
def ten():
    for _ in range(10):
        provider.get_tracer("t").start_span("work").end()
    provider.force_flush()
    lines = [line for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]
    kind = "compiled" if load_speed() else "plain"
    print("{folder}", kind, sum('"kind":"span"' in line for line in lines), flush=True)
ten()
'''
other = f"import sys; sys.path[:] = {sys.path!r}\\n" + SPANS.replace("{folder}", "other")
"""
FIRST = 'exec(SPANS.replace("{folder}", "main"))\n'
ENDS = "import os; sys.stdout.flush(); os._exit(0)\n"  # the interpreter's end is not tested here


@is_built
@pytest.mark.parametrize("order", ["main first", "other first"])
def test_a_second_interpreter_of_a_process_has_the_python_code(order: str, tmp_path: Path) -> None:
    """Only the main interpreter uses the compiled part, also if another one imports it first."""
    steps = (FIRST, "run(other)\n") if order == "main first" else ("run(other)\n", FIRST)
    program = write_program(tmp_path, INTERPRETERS + "".join(steps) + "ten()\n" + ENDS)
    done = execute([sys.executable, program], cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert sorted(lines) == ["main compiled 20", "main compiled 40", "other plain 20"]


OFF = "from otel_ext._accel import load_speed; print(load_speed())"


@pytest.mark.parametrize("value", ["1", "true"])
def test_a_variable_turns_the_compiled_part_off(value: str, tmp_path: Path) -> None:
    """`OTEL_EXT_PURE_PYTHON=1` works with the compiled wheel, and is a known setting."""
    env = environment(OTEL_EXT_PURE_PYTHON=value)
    assert execute([sys.executable, "-c", OFF], cwd=tmp_path, env=env).out == "None\n"
    program = "from otel_ext.config import load_config; load_config()"
    assert execute([sys.executable, "-W", "error", "-c", program], cwd=tmp_path, env=env).code == 0


FREE_THREADED = """\
import sys
sys.version += " (free-threading build)"
from otel_ext._accel import load_speed, why_pure
print(load_speed(), why_pure()[0])
"""


def test_a_free_threaded_python_is_refused_by_name(tmp_path: Path) -> None:
    """The plain code serves there, with the lock on or off, and the reason is named."""
    done = execute([sys.executable, "-c", FREE_THREADED], cwd=tmp_path)
    assert done.out == "None the compiled one does not serve free-threaded Python\n"


def test_doctor_shows_that_the_compiled_part_is_turned_off(tmp_path: Path) -> None:
    """`otel-ext doctor` names the variable, as a reason why records cost more."""
    env = environment(OTEL_EXT_PURE_PYTHON="1")
    command = "from otel_ext.cli.main import main; main()"
    done = execute([sys.executable, "-c", command, "doctor"], cwd=tmp_path, env=env)
    assert "OTEL_EXT_PURE_PYTHON" in " ".join(done.out.split())


@is_built
def test_importing_it_again_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second import in the main interpreter gives the same part, as it was configured."""
    from otel_ext.record import capture, codec  # noqa: PLC0415 - they configure it
    from otel_ext.record.model import Process, Record  # noqa: PLC0415

    assert capture.capture_start is not capture.capture_start_python
    monkeypatch.delitem(sys.modules, "otel_ext._speed")
    again = __import__("otel_ext._speed", fromlist=["encode_line"])
    record = Record("log", None, "x", 0, 1, Process("p"))
    assert again.encode_line(record) == codec.encode_line(record)
