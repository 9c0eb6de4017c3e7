"""A span's call site is the user's line, wherever the library that opened it is installed."""

from __future__ import annotations

import asyncio
import os
import sys
import sysconfig
import threading
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, cast

import opentelemetry.sdk.trace as sdk
import pytest
from opentelemetry.instrumentation import requests as instrumentation
from opentelemetry.trace import SpanKind

from otel_ext.record import own_code
from otel_ext.record.call_site import find_call_site
from otel_ext.record.capture import here, here_python
from otel_ext.record.model import UNKNOWN_CALL_SITE
from otel_ext.record.own_code import (
    CARRIER,
    FOREIGN,
    INSTRUMENTING,
    OWN,
    first_own_index,
    is_own,
    judge,
)
from tests.processors.spans import recording

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from otel_ext.record.model import CallSite

    Work = Callable[[Callable[[], CallSite]], Coroutine[None, None, CallSite]]

SITE = "/srv/venv/lib/python3.12/site-packages"


@pytest.fixture(autouse=True)
def _judge_again() -> Iterator[None]:
    """Clear cached judgements of made-up files after each test."""
    before = dict(own_code.JUDGED)
    yield
    own_code.JUDGED.clear()
    own_code.JUDGED.update(before)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("/srv/shop/orders.py", OWN),
        ("shop/orders.py", OWN),
        ("/srv/app.pyz/shop/orders.py", OWN),
        ("/srv/shop/.venv/lib/python3.12/site-packages/requests/api.py", FOREIGN),
        ("/usr/lib/python3/dist-packages/requests/api.py", FOREIGN),
        ("C:\\venv\\Lib\\site-packages\\requests\\api.py", FOREIGN),
        (f"{SITE}/openinference/instrumentation/openai/_wrapper.py", INSTRUMENTING),
        (os.__file__, CARRIER),
        (str(Path(sysconfig.get_path("stdlib"), "asyncio", "runners.py")), CARRIER),
        ("<frozen runpy>", CARRIER),
        ("<string>", OWN),
        ("<stdin>", OWN),
        ("<ipython-input-3-5f2c>", OWN),
        ("/tmp/ipykernel_4711/3372.py", OWN),  # noqa: S108 - as notebooks name their cells
        (own_code.__file__, CARRIER),
        (sysconfig.get_path("purelib") + "/shop/orders.py", FOREIGN),
    ],
)
def test_whose_file_it_is(file: str, expected: int) -> None:
    """Neither the standard library nor installed code is the user's own; all else is."""
    assert judge(file) == expected
    assert is_own(file) is (expected == OWN)


def test_opentelemetry_is_recognized_by_where_it_is_loaded_from() -> None:
    """Its API and SDK pass calls on; its instrumentations open spans for others."""
    assert judge(str(sdk.__file__)) == CARRIER
    assert judge(str(instrumentation.__file__)) == INSTRUMENTING


def module(name: str, file: str, **fields: object) -> ModuleType:
    """Return a module that seems loaded from `file`."""
    made = ModuleType(name)
    made.__file__ = file
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def command(folder: Path, name: str) -> str:
    """Return the path of a script as installers write it for a command."""
    script = folder / name.partition(".")[0]
    script.write_text(
        f"""#!/srv/venv/bin/python
import sys
from {name} import main
if __name__ == '__main__':
    sys.argv[0] = sys.argv[0].removesuffix('.exe')
    sys.exit(main())
"""
    )
    return str(script)


@pytest.mark.parametrize("how", ["python -m", "command"])
def test_an_installed_package_that_is_the_program_is_the_users(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `python -m shop`, or its command `shop`: the files of the package are the user's."""
    monkeypatch.setitem(
        sys.modules, "shop", module("shop", f"{SITE}/shop/__init__.py", __path__=[f"{SITE}/shop"])
    )
    if how == "python -m":
        main = module(
            "__main__", f"{SITE}/shop/__main__.py", __spec__=SimpleNamespace(name="shop.__main__")
        )
    else:
        main = module("__main__", command(tmp_path, "shop.cli"), __spec__=None)
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert judge(f"{SITE}/shop/orders.py") == OWN
    assert judge(f"{SITE}/shopkeeper/orders.py") == FOREIGN
    assert judge(f"{SITE}/requests/api.py") == FOREIGN


@pytest.mark.parametrize("how", ["python -m", "command"])
@pytest.mark.parametrize("name", ["gunicorn", "uvicorn", "celery", "pytest", "ipykernel_launcher"])
def test_programs_that_run_other_code_are_not_the_users(
    name: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server's own frames are around every request, so they are never a call site."""
    path = [f"{SITE}/{name}"]
    monkeypatch.setitem(sys.modules, name, module(name, f"{path[0]}/__init__.py", __path__=path))
    spec = SimpleNamespace(name=f"{name}.__main__") if how == "python -m" else None
    file = f"{path[0]}/__main__.py" if spec else command(tmp_path, f"{name}.app")
    main = module("__main__", file, __spec__=spec)
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert judge(f"{path[0]}/worker.py") == FOREIGN


@pytest.mark.parametrize("name", ["run.py", "run", "gone"])
def test_a_script_of_the_users_names_no_package(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script's imports do not become the user's own; a missing script does no harm."""
    if name != "gone":
        (tmp_path / name).write_text("from requests import get\nget('http://localhost')\n")
    main = module("__main__", str(tmp_path / name), __spec__=None)
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert judge(f"{SITE}/requests/api.py") == FOREIGN


def through(*files: str) -> Callable[[Callable[[], object]], object]:
    """Return a function that calls its argument through one frame in each file."""
    found = None
    for file in files:
        call = "call()" if found is None else "inner(call)"
        space: dict[str, object] = {"inner": found}
        code = compile(f"def outer(call):\n    return {call}\n", file, "exec")
        exec(code, space)  # noqa: S102 - files that need not exist
        found = cast("Callable[[Callable[[], object]], object]", space["outer"])
    return cast("Callable[[Callable[[], object]], object]", found)


LIBRARY = f"{SITE}/requests/sessions.py"
INSTRUMENTATION = f"{SITE}/opentelemetry/instrumentation/requests/__init__.py"


def site_now() -> CallSite:
    """Return the call site by the Python code, and by the compiled one twice; all must agree."""
    plain = here_python(2)[0]
    assert here(2)[0] == here(2)[0] == plain
    return plain


def in_thread(work: Callable[[], object]) -> CallSite:
    """Return the result of `work` in a thread, without this test's frames around it."""
    found: list[object] = []

    def run() -> None:
        found.append(work())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return cast("CallSite", found[0])


@pytest.fixture
def _no_frames_of_the_tests() -> None:
    """Treat the files of the tests, and of their runner, as carriers."""
    own_code.JUDGED[__file__] = CARRIER
    for frame in sys._current_frames().values():  # noqa: SLF001 - documented
        at = frame
        while at is not None:
            if judge(at.f_code.co_filename) == OWN:
                own_code.JUDGED[at.f_code.co_filename] = CARRIER
            at = at.f_back  # type: ignore[assignment]


def test_the_users_line_is_found_through_a_library() -> None:
    """A client span has the line that called the library, not one inside it."""
    assert Path(through(INSTRUMENTATION, LIBRARY)(site_now).file).samefile(__file__)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("_no_frames_of_the_tests")
def test_an_instrumentation_without_the_users_code_has_no_call_site() -> None:
    """A server span that middleware opens in a thread of the server has none."""
    assert in_thread(lambda: through(INSTRUMENTATION, LIBRARY)(find_call_site)) is UNKNOWN_CALL_SITE
    assert in_thread(lambda: find_call_site()) is UNKNOWN_CALL_SITE  # noqa: PLW0108 - a frame of its own


@pytest.mark.usefixtures("_no_frames_of_the_tests")
def test_installed_code_that_opens_a_span_itself_is_its_call_site() -> None:
    """An installed application that a server runs has the lines that open its spans."""
    server = f"{SITE}/gunicorn/workers/sync.py"
    opened = in_thread(lambda: through(f"{SITE}/shop/orders.py", server)(find_call_site))
    assert (opened.file, opened.line) == (f"{SITE}/shop/orders.py", 2)


@pytest.mark.parametrize(("file", "found"), [(LIBRARY, LIBRARY), (INSTRUMENTATION, "<unknown>")])
def test_the_event_loop_ends_the_search(file: str, found: str) -> None:
    """Who started the loop did not call what its tasks do."""
    space: dict[str, object] = {}
    code = compile("async def work(call):\n    return call()\n", file, "exec")
    exec(code, space)  # noqa: S102 - a file that need not exist
    work = cast("Work", space["work"])
    assert asyncio.run(work(site_now)).file == found


@pytest.mark.parametrize("file", [LIBRARY, INSTRUMENTATION])
def test_the_caller_of_a_server_is_no_call_site(file: str) -> None:
    """A server span has a call site only if the code that opens it is the user's or installed."""
    tracer, recorder = recording()
    for kind in (SpanKind.SERVER, SpanKind.CLIENT):
        through(file)(partial(tracer.start_span, kind.name, kind=kind)).end()  # type: ignore[attr-defined]
    served = recorder.of("SERVER")[0].call_site
    assert served == through(file)(partial(find_call_site, 1, is_served=True))
    assert served.file == (LIBRARY if file == LIBRARY else "<unknown>")
    assert Path(recorder.of("CLIENT")[0].call_site.file).samefile(__file__)
    tracer.start_span("own", kind=SpanKind.SERVER).end()
    assert Path(recorder.of("own")[0].call_site.file).samefile(__file__)


def test_the_search_is_bounded() -> None:
    """A stack of libraries is walked for at most 250 frames."""
    assert through(*[LIBRARY] * 300)(find_call_site).file == LIBRARY  # type: ignore[attr-defined]
    assert through(*[INSTRUMENTATION] * 300)(find_call_site) is UNKNOWN_CALL_SITE


def test_first_own_frame_of_a_stack() -> None:
    """In another process's stack: the user's code, else installed code, else the first."""
    library = "/usr/lib/python3.12/socket.py"
    assert first_own_index([library, LIBRARY, "app.py"]) == 2
    assert first_own_index([library, LIBRARY]) == 1
    assert first_own_index([library, "<frozen runpy>"]) == 0
