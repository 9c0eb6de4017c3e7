"""mypy and pyright know the types of what the helpers return, and refuse wrong calls.

`make lint` runs both over the whole tree, so `.ci/run` always checks `decorated.py` and
`helpers.py`. This runs them where they are installed, as `make lint` does that, and shows
that they would find a type that is lost.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

import pytest

from tests.programs import ROOT, environment, execute, python
from tests.typing import decorated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FOLDER: Final = Path(__file__).parent
RIGHT: Final = (FOLDER / "decorated.py", FOLDER / "helpers.py")
WRONG: Final = """\
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
from __future__ import annotations
from collections.abc import Iterator
from concurrent.futures import Executor
from typing_extensions import assert_type
from otel_ext import StructuredTrace, auto_span, traced_executor, with_span
from otel_ext.context import carried

@auto_span
def plain(order: int) -> str:
    return str(order)

@with_span("iterator")
def iterator(order: int) -> Iterator[int]:
    yield order

@auto_span
class Shop:
    def charge(self, order: int) -> str:
        return str(order)

async def wrong(executor: Executor) -> None:
    plain("7")  # error
    plain(7, 7)  # error
    assert_type(plain(7), object)  # error
    assert_type(iterator(7), Iterator[str])  # error
    assert_type(Shop().charge(7), object)  # error
    Shop().charge("7")  # error
    carried(plain)("7")  # error
    traced_executor(executor).submit(plain, "7")  # error
    assert_type(traced_executor(executor).map(plain, [7]), Iterator[int])  # error
    assert_type(StructuredTrace().with_span("x", lambda: 7), str)  # error
    plain(7)  # type: ignore[arg-type]  # error
"""

Mistakes: TypeAlias = "set[tuple[str, int]]"
"""Names of files, each with a line, from 1."""


def mypy(files: Sequence[Path]) -> Mistakes:
    """Return where `mypy --strict`, with the settings of this project, reports errors."""
    settings, cache = ROOT / "pyproject.toml", files[-1].with_name("cache")
    done = execute(
        python("-m", "mypy", "--config-file", settings, "--cache-dir", cache, *files),
        cwd=ROOT,
        env=environment(),
        timeout=200.0,
    )
    assert done.err == ""
    found = re.findall(r"^(?:.*/)?(\w+\.py):(\d+): error: ", done.out, re.MULTILINE)
    return {(name, int(line)) for name, line in found}


def pyright(files: Sequence[Path]) -> Mistakes:
    """Return where pyright, which is strict in these files, reports errors."""
    options = ("--outputjson", "--pythonpath", sys.executable)
    done = execute(
        python("-m", "pyright", *options, *files),
        cwd=ROOT,
        env=environment(PYRIGHT_PYTHON_IGNORE_WARNINGS="1"),
        timeout=200.0,
    )
    found = cast("list[dict[str, Any]]", json.loads(done.out)["generalDiagnostics"])
    return {(Path(one["file"]).name, one["range"]["start"]["line"] + 1) for one in found}


@pytest.mark.slow
@pytest.mark.timeout(220)
@pytest.mark.parametrize(
    "checker",
    [
        pytest.param(
            checker,
            marks=pytest.mark.skipif(
                find_spec(checker.__name__) is None,
                reason=f"needs {checker.__name__}, which `make lint` installs",
            ),
        )
        for checker in (mypy, pyright)
    ],
)
def test_types_are_kept(checker: Callable[[Sequence[Path]], Mistakes], tmp_path: Path) -> None:
    """A checker accepts every asserted type, and finds each wrong call and each wrong type."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG, "utf-8")
    lines = [n for n, line in enumerate(WRONG.splitlines(), 1) if line.endswith("# error")]
    assert len(lines) == 11
    files = [*RIGHT, wrong]
    names = {file.name for file in files}  # errors elsewhere are for `make lint` to report
    found = {mistake for mistake in checker(files) if mistake[0] in names}
    assert found == {("wrong.py", line) for line in lines}


class Kind(NamedTuple):
    """What `inspect` says about a function."""

    is_coroutine: bool = False
    is_generator: bool = False
    is_async_generator: bool = False


@pytest.mark.parametrize(
    ("function", "kind", "signature"),
    [
        (decorated.plain, Kind(), "order card retries"),
        (decorated.coroutine, Kind(is_coroutine=True), "order"),
        (decorated.generator, Kind(is_generator=True), "path"),
        (decorated.iterator, Kind(is_generator=True), "path"),
        (decorated.async_generator, Kind(is_async_generator=True), "path"),
        (decorated.Shop.method, Kind(), "self order"),
        (decorated.Shop.async_method, Kind(is_coroutine=True), "self order"),
        (decorated.Shop.below_classmethod, Kind(), "order"),
        (decorated.Shop.above_classmethod, Kind(), "order"),
        (decorated.Shop.below_staticmethod, Kind(), "order"),
        (decorated.Shop.above_staticmethod, Kind(), "order"),
        (decorated.Box[int].get, Kind(), "self"),
        (decorated.Chosen.charge, Kind(), "self order"),
        (decorated.plain_in_with_span, Kind(), "order card retries"),
        (decorated.coroutine_in_with_span, Kind(is_coroutine=True), "order"),
        (decorated.generator_in_with_span, Kind(is_generator=True), "path"),
        (decorated.async_generator_in_with_span, Kind(is_async_generator=True), "path"),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_kind_and_signature_are_kept(
    function: Callable[..., object], kind: Kind, signature: str
) -> None:
    """At run time a decorated function is of the same kind and has the same parameters."""
    assert kind == Kind(
        inspect.iscoroutinefunction(function),
        inspect.isgeneratorfunction(function),
        inspect.isasyncgenfunction(function),
    )
    assert list(inspect.signature(function).parameters) == signature.split()
    assert function.__module__ == "tests.typing.decorated"


def test_decorated_classes_stay_classes() -> None:
    """A decorated class is the class itself: it can be derived from, and its attributes stay."""
    assert isinstance(decorated.Derived(), decorated.Chosen)
    assert decorated.Derived().charge(7) == "7"
    assert decorated.Box.size == 0
    assert decorated.Box("lamp").get() == "lamp"
    assert decorated.Shop.above_classmethod(7).total == 12
