"""The compiled part where memory runs out: it goes on, or raises `MemoryError`."""

from __future__ import annotations

import ast
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from otel_ext._accel import load_speed
from tests.programs import execute, write_program

if TYPE_CHECKING:
    from pathlib import Path

# The calling frame looks like one of the standard library, so the search goes on to its callers.
# Each round has new code, so no call site is cached, and another allocation fails.
PROGRAM = """\
import _testcapi, collections, json
import otel_ext.processors
from otel_ext._accel import load_speed
here = load_speed().here
CODE = '''
def ask(number):
    try:
        _testcapi.set_nomemory(number, number + 1)
        return here(0)
    finally:
        _testcapi.remove_mem_hooks()
'''
def deep(left, number):
    return ask(number) if left == 0 else deep(left - 1, number)
seen = collections.Counter()
for number in range(60):
    exec(compile(CODE, json.__file__.replace("__init__", f"no_memory_{number}"), "exec"))
    try:
        seen[type(deep(5, number)).__name__] += 1
    except Exception as error:
        seen[repr(error)] += 1
seen[type(here(0)).__name__] += 1
print(dict(seen))
"""


@pytest.mark.skipif(load_speed() is None, reason="the compiled part was not built")
@pytest.mark.skipif(find_spec("_testcapi") is None, reason="this Python came without its tests")
def test_a_failed_allocation_is_a_memory_error_or_does_no_harm(tmp_path: Path) -> None:
    """No other exception appears, and none is left set; the compiled part tries nothing again."""
    done = execute([sys.executable, write_program(tmp_path, PROGRAM)], cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert set(ast.literal_eval(done.out)) == {"tuple", "MemoryError()"}
