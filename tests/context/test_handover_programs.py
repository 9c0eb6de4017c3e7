"""Handing the context over between real processes, and between the greenlets of gevent."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from tests.programs import ROOT, python, spans_in, succeed, write_program

PROGRAMS = Path(__file__).parent / "programs"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_other_processes_join_the_trace(method: str, tmp_path: Path) -> None:
    """Spans of pooled and of single processes have the parent's trace, and nothing leaks."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system does not start processes by {method}")
    folder = tmp_path / "traces"
    found = succeed(
        python(PROGRAMS / "other_processes.py", method, folder), tmp_path, PYTHONPATH=str(ROOT)
    ).document
    expected = {"order": 7, "tenant": "blue", "span": True}
    assert found == {
        "submitted": expected,
        "mapped": [expected] * 4,
        # A process that was forked has the context of the fork; another one has none.
        "next": {"order": 7, "tenant": "blue", "span": True}
        if method == "fork"
        else {"span": False},
        "exit codes": [0, 0],
    }
    (submitter, _), (starter, _) = spans_in(folder, "submitter"), spans_in(folder, "starter")
    for parent, names in (
        (submitter, ["submitted", *(f"mapped {number}" for number in range(4))]),
        (starter, ["target", "unpickled"]),
    ):
        for name in names:
            records = spans_in(folder, name)
            assert [record.phase for record in records] == ["start", "end"]
            for record in records:
                assert record.trace_id == parent.trace_id
                assert record.parent_span_id == parent.span_id
                assert record.process != parent.process


ANNOTATED = """
import pickle
from otel_ext.context import carried

def job(x: int, y: "Unknown" = 1) -> int:
    return x + y

print(pickle.loads(pickle.dumps(carried(job)))(2))
"""


def test_an_annotated_function_can_be_pickled(tmp_path: Path) -> None:
    """Also where annotations are made on demand, as since Python 3.14."""
    program = write_program(tmp_path, ANNOTATED)
    assert succeed(python(program), tmp_path).out == "3\n"


@pytest.mark.since(3, 14)
def test_interpreters_get_no_context(tmp_path: Path) -> None:
    """Jobs of an `InterpreterPoolExecutor` run as before, and that is reported."""
    text = """
from concurrent.futures import InterpreterPoolExecutor
from otel_ext.context import traced_executor, with_context

if __name__ == "__main__":
    with traced_executor(InterpreterPoolExecutor(1)) as executor, with_context(order=7):
        print(executor.submit(abs, -3).result(), list(executor.map(abs, [-1])))
"""
    done = succeed(python(write_program(tmp_path, text)), tmp_path)
    assert done.out == "3 [1]\n"
    assert "traced_executor: jobs of an InterpreterPoolExecutor get no context" in done.err


def test_greenlets_take_the_context(tmp_path: Path) -> None:
    """Pools, threads and greenlets have the right parent and fields when gevent runs them."""
    pytest.importorskip("gevent")
    command = python("-X", "faulthandler", PROGRAMS / "with_greenlets.py")
    found = succeed(command, tmp_path, PYTHONPATH=str(ROOT)).document
    recorded = found.pop("recorded")
    assert found == {
        "is gevent": True,
        "jobs": [{"order": 1}] * 4,
        "native": {},
        "greenlets": [{"order": 2}, {}],
        "traces": [
            [f"{name}.start", f"{name} child.start", f"{name} child.end", f"{name}.end"]
            for name in "ab"
        ],
        "parents": {
            **{f"job {number}": "pool" for number in range(4)},
            "native job": "native pool",
            "thread": "starter",
            "greenlet": "starter",
            "a child": "a",
            "b child": "b",
            **dict.fromkeys(["alone", "pool", "native pool", "starter", "a", "b"], ""),
            **{
                f"{name} {kind}": ""
                for name in "cd"
                for kind in ("by hand", "pipeline", "structured")
            },
            **{f"{name} decorated": f"{name} by hand" for name in "cd"},
            **{f"{name} stage": f"{name} pipeline" for name in "cd"},
            "killed": "",
        },
        "kinds": [["success"] * 2] * 2,
        "killed": ["unset", "GreenletExit"],
        "heard": [recorded // 2, recorded // 2, 1],
    }
