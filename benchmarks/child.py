"""Runs each measure in a fresh process, so that no measure affects the next.

As a program: `python -m benchmarks.child MEASURE EFFORT` prints the result as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, cast

from benchmarks.harness import Effort
from benchmarks.result import Result, from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["python", "run_measure"]

_ROOT = Path(__file__).resolve().parent.parent
_MARK = "RESULT "
# The longest measure needs ten minutes on a slow machine.
_LONGEST_SECONDS = 1_800.0


def environment() -> dict[str, str]:
    """Return this process's environment for a child, without `OTEL_` variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    path = [str(_ROOT), kept.get("PYTHONPATH", "")]
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, path)), "PYTHONHASHSEED": "0"}


def python(*arguments: str, timeout: float = 600.0, extra: Mapping[str, str] | None = None) -> str:
    """Run this Python with `arguments` and return what it printed.

    Raises:
        RuntimeError: It failed; the message has the end of its standard error.
    """
    done = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, *arguments],
        env={**environment(), **(extra or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr[-2_000:]}")
    return done.stdout


def run_measure(name: str, effort: Effort) -> Result:
    """Run the measure `name` in a child process and return its result.

    Args:
        name: A module in `benchmarks/measures/`.
        effort: How much to measure.

    Raises:
        RuntimeError: The measure failed.
    """
    begin = monotonic()
    printed = python("-m", "benchmarks.child", name, effort.name, timeout=_LONGEST_SECONDS)
    lines = [line for line in printed.splitlines() if line.startswith(_MARK)]
    if not lines:
        raise RuntimeError(f"the measure {name} has no result")
    result = from_json(json.loads(lines[-1].removeprefix(_MARK)))
    result.seconds = monotonic() - begin
    return result


def main() -> int:
    """Run the measure named on the command line, in this process."""
    name, effort = sys.argv[1:]
    module = import_module(f"benchmarks.measures.{name}")
    measure = cast("Callable[[Effort], Result]", module.measure)
    result = measure(Effort(effort))
    sys.stdout.write(f"{_MARK}{json.dumps(to_json(result))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
