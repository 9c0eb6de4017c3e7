"""Call sites: the first frame in the user's own code."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from otel_ext.record import call_site, own_code
from otel_ext.record.call_site import call_site_from_attributes, describe_frame, find_call_site
from otel_ext.record.model import UNKNOWN_CALL_SITE, CallSite
from tests.processors.spans import recording
from tests.programs import environment, execute, write_program

if TYPE_CHECKING:
    from types import FrameType


def here() -> FrameType:
    """Return the caller's frame."""
    frame = inspect.currentframe()
    return cast("FrameType", cast("FrameType", frame).f_back)


def test_own_line_is_found() -> None:
    """The caller's file, line and qualified function."""
    call_site = find_call_site()
    assert call_site.line == here().f_lineno - 1
    assert Path(call_site.file).samefile(__file__)
    assert call_site.function.endswith("test_own_line_is_found")


def test_a_call_site_is_described_once() -> None:
    """A call site is one object; two calls on one line are two call sites of that line."""
    seen = [find_call_site() for _ in range(3)]
    assert seen[0] is seen[1] is seen[2]
    two = (find_call_site(), find_call_site())
    assert two[0].line == two[1].line


def test_lines_of_one_function_are_distinguished() -> None:
    """Two lines of one function are two call sites."""
    first = find_call_site()
    second = find_call_site()
    assert second.line - first.line == 1


def test_path_is_relative_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path is relative below the working directory; elsewhere, and below `/`, absolute."""
    code = compile("frame = here()", str(tmp_path / "app" / "jobs.py"), "exec")
    space: dict[str, object] = {"here": here}
    exec(code, space)  # noqa: S102 - a file that need not exist
    frame = cast("FrameType", space["frame"])
    monkeypatch.chdir(tmp_path)
    assert describe_frame(frame).file == os.path.join("app", "jobs.py")  # noqa: PTH118
    monkeypatch.chdir("/")
    assert describe_frame(frame).file == str(tmp_path / "app" / "jobs.py")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert describe_frame(frame).file == str(tmp_path / "app" / "jobs.py")


def test_wrappers_of_the_standard_library_are_passed() -> None:
    """`contextlib` and `functools` between the user's line and the hook are skipped."""

    @contextlib.contextmanager
    def opened():  # type: ignore[no-untyped-def] # noqa: ANN202
        yield functools.partial(find_call_site, 2)()

    with opened() as call_site:
        assert call_site.line == here().f_lineno - 1


def test_decorator_and_with_statement_name_the_users_line() -> None:
    """Both of the SDK's ways to start a current span give the user's own line."""
    tracer, recorder = recording()

    @tracer.start_as_current_span("decorated")
    def work() -> int:
        return here().f_lineno

    work()
    with tracer.start_as_current_span("with"):
        line = here().f_lineno - 1
    assert recorder.of("with")[0].call_site.line == line
    assert Path(recorder.of("decorated")[0].call_site.file).samefile(__file__)


def test_call_site_in_a_thread_without_user_code_is_unknown() -> None:
    """A pool's thread that runs a hook directly has no call site; a user's function has one."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(find_call_site, 1).result() is UNKNOWN_CALL_SITE
        assert pool.submit(lambda: find_call_site()).result().function.endswith("<lambda>")  # noqa: PLW0108
    found: list[CallSite] = []
    thread = threading.Thread(target=lambda: found.append(find_call_site()))
    thread.start()
    thread.join()
    assert Path(found[0].file).samefile(__file__)


def test_code_attributes_come_first() -> None:
    """`code.*` attributes set the call site, by their stable and by their older names."""
    tracer, recorder = recording()
    stable = {"code.file.path": "/srv/a.py", "code.line.number": 3, "code.function.name": "A.b"}
    older = {"code.filepath": "/srv/a.py", "code.lineno": 3, "code.function": "A.b"}
    tracer.start_span("stable", attributes=cast("dict[str, str]", stable)).end()
    tracer.start_span("older", attributes=cast("dict[str, str]", older)).end()
    expected = CallSite("/srv/a.py", 3, "A.b")
    assert [recorder.of(name)[0].call_site for name in ("stable", "older")] == [expected] * 2


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, None),
        ({"code.file.path": 7}, None),
        ({"code.line.number": 7}, None),
        ({"code.file.path": "a.py"}, CallSite("a.py", 0, "<unknown>")),
        ({"code.file.path": "a.py", "code.line.number": "7"}, CallSite("a.py", 0, "<unknown>")),
        ({"code.file.path": "a.py", "code.line.number": True}, CallSite("a.py", 0, "<unknown>")),
        ({"code.file.path": "a.py", "code.line.number": 2**63}, CallSite("a.py", 0, "<unknown>")),
        (
            {"code.file.path": "a.py", "code.line.number": 2**63 - 1},
            CallSite("a.py", 2**63 - 1, "<unknown>"),
        ),
        (
            {
                "code.file.path": 1,
                "code.filepath": "a.py",
                "code.line.number": -1,
                "code.lineno": 4,
            },
            CallSite("a.py", 4, "<unknown>"),
        ),
        ({"code.file.path": "a.py", "code.line.number": -7}, CallSite("a.py", 0, "<unknown>")),
        ({"code.file.path": "a.py", "code.function.name": 7}, CallSite("a.py", 0, "<unknown>")),
    ],
)
def test_incomplete_code_attributes(
    attributes: dict[str, object], expected: CallSite | None
) -> None:
    """What is missing or wrong is unknown; without a file the stack is used."""
    assert call_site_from_attributes(attributes) == expected


def test_freed_code_does_not_confuse_the_cache() -> None:
    """Code objects at the same address, one after the other, each get their own call site."""
    for number in range(2_000):
        code = compile("site = find()", f"made-{number}.py", "exec")
        space: dict[str, object] = {"find": find_call_site}
        exec(code, space)  # noqa: S102
        assert cast("CallSite", space["site"]).file == f"made-{number}.py"


def test_caches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that keeps compiling code does not fill memory."""
    monkeypatch.setattr(call_site, "_MAX_CACHED", 100)
    monkeypatch.setattr(own_code, "_MAX_CACHED", 100)
    for number in range(1_000):
        code = compile("find()", f"endless-{number}.py", "exec")
        exec(code, {"find": find_call_site})  # noqa: S102
    assert len(own_code.JUDGED) <= 101
    assert len(call_site._call_sites) <= 101  # noqa: SLF001 - its size is what is tested


def test_users_folder_may_be_called_like_a_library(tmp_path: Path) -> None:
    """A user's folder named `logging` or `opentelemetry` is the user's own."""
    program = write_program(
        tmp_path,
        """
from tests.processors.spans import recording
tracer, recorder = recording()
tracer.start_span("job").end()
print(recorder.spans[0].call_site.file)
""",
        name="opentelemetry/logging/structlog/contextlib.py",
    )
    # Not run as a script: its folder, with that name, would come first on the path.
    start = f"exec(compile(open({str(program)!r}).read(), {str(program)!r}, 'exec'))"
    env = environment(PYTHONPATH=str(Path(__file__).parents[2]))
    done = execute([sys.executable, "-c", start], cwd=Path("/"), env=env)
    assert done.out.strip().endswith("opentelemetry/logging/structlog/contextlib.py"), done.err


def test_package_that_is_reached_through_a_link(tmp_path: Path) -> None:
    """Our own frames are recognized if the package was imported through a symbolic link."""
    (tmp_path / "link").symlink_to(Path(__file__).parents[2])
    program = write_program(
        tmp_path,
        f"""
import sys
sys.path.insert(0, {str(tmp_path / "link")!r})
from tests.processors.spans import recording
tracer, recorder = recording()
tracer.start_span("job").end()
print(recorder.spans[0].call_site.file)
""",
    )
    done = execute([sys.executable, program], cwd=tmp_path)
    assert done.out.strip() == "program.py", done.err
