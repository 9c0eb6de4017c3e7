"""Distinguishes the user's own source files from those of libraries, by their paths.

A file is the user's own if it is neither in the standard library nor in a folder that
installers fill; so is the package that is run as the program, wherever it is. Each file
is judged once, by the path in its code objects.
"""

from __future__ import annotations

import os
import re
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType

__all__ = [
    "CARRIER",
    "FOREIGN",
    "INSTRUMENTING",
    "JUDGED",
    "LOOP",
    "OURS",
    "OWN",
    "first_own_index",
    "is_own",
    "judge",
    "judge_carriers",
]

# The compiled form has the same numbers: otel_ext/native/call_site.c.
OWN: Final = 0
"""The user's own code."""
CARRIER: Final = 1
"""Only passes a call on: OpenTelemetry, this package, the standard library."""
FOREIGN: Final = 2
"""Installed, so by its path not the user's."""
INSTRUMENTING: Final = 3
"""Opens spans for others: its callers did not open them."""
LOOP: Final = 4
"""The event loop of asyncio: what it runs, its callers did not call."""

JUDGED: Final[dict[str, int]] = {}
"""The result of `judge` for each file name."""

_MAX_CACHED: Final = 16_384
_SEPARATOR: Final = os.sep
_PACKAGE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
OURS: Final = (
    _PACKAGE + _SEPARATOR,
    *(
        os.path.realpath(os.path.join(_PACKAGE, name)) + _SEPARATOR  # noqa: PTH118
        for name in ("", "processors", "exporters")
    ),
)
"""The folders of this package, as imported and with links resolved: in a checkout two of
them are links to top-level folders."""
# Packages that may stand between the user's line and the SDK, wherever they are installed.
_CARRIERS: Final = (
    "opentelemetry",
    "wrapt",
    "structlog",
    "logfire",
    "langfuse",
    "sentry_sdk",
    "openinference",
)
_ON_EVERY_STACK: Final = (
    "opentelemetry.sdk.trace",
    "opentelemetry.util._decorator",
    "otel_ext.processors.lifecycle",
)
_INSTALLED: Final = re.compile(r"[/\\](site-packages|dist-packages|__pypackages__)[/\\]")
_INSTRUMENTING: Final = re.compile(r"[/\\]instrumentation[/\\]")
# The standard library of any process, by path alone; and code without a file.
_LIBRARY: Final = re.compile(r"(^|[/\\])(lib|Lib)[/\\]python3?[0-9.]*[a-z]?[/\\]|^<")
# Its `Handle._run` calls whatever a task or a callback does next.
_LOOP: Final = f"{_SEPARATOR}asyncio{_SEPARATOR}events.py"
_IMPORT: Final = re.compile(rb"^from ([A-Za-z0-9_.]+) import ", re.MULTILINE)
_SCRIPT_BYTES: Final = 2_048
# Programs that run other people's code.
_LAUNCHERS: Final = frozenset(
    (
        *("airflow", "arq", "celery", "coverage", "daphne", "debugpy", "django", "dramatiq"),
        *("fastapi_cli", "flask", "granian", "gunicorn", "huey", "hypercorn", "ipykernel"),
        *("ipykernel_launcher", "IPython", "jupyter_core", "nbclient", "notebook", "pytest"),
        *("_pytest", "py", "rq", "scrapy", "streamlit", "twisted", "uvicorn", "waitress"),
        "werkzeug",
    )
)


def judge(filename: str) -> int:
    """Return whose file it is: `OWN`, `CARRIER`, `FOREIGN`, `INSTRUMENTING` or `LOOP`.

    Args:
        filename: The path as a code object has it. Code without a file (`<string>`,
            `<stdin>` and the like) is the user's own.

    >>> judge("/srv/shop/orders.py") == OWN, judge(os.__file__) == CARRIER
    (True, True)
    >>> judge("/srv/venv/lib/python3.12/site-packages/requests/api.py") == FOREIGN
    True
    """
    found = _judge(filename)
    if len(JUDGED) >= _MAX_CACHED:
        JUDGED.clear()
    JUDGED[filename] = found
    return found


def is_own(filename: str) -> bool:
    """Whether a file is the user's own.

    >>> is_own("/srv/shop/orders.py"), is_own(__file__)
    (True, False)
    """
    verdict = JUDGED.get(filename)
    return (judge(filename) if verdict is None else verdict) == OWN


def judge_carriers() -> None:
    """Judge the files that are on the stack of every span, before the first span.

    The user's own files are judged later, while the program runs.
    """
    _standard_library()
    for name in _ON_EVERY_STACK:
        file: object = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(file, str):
            is_own(file)


def _judge(filename: str) -> int:
    if filename.startswith((*OURS, "<frozen ")):
        return CARRIER
    # By the loaded modules: a user's own folder may be called `opentelemetry`.
    carriers = _folders_of(map(sys.modules.get, _CARRIERS))
    installed = _INSTALLED.search(filename) is not None
    if filename.startswith(carriers) or (installed and _INSTRUMENTING.search(filename)):
        return INSTRUMENTING if _INSTRUMENTING.search(filename) else CARRIER
    if installed:
        program = _folders_of([sys.modules.get(_program())])
        return OWN if filename.startswith(program) else FOREIGN
    if not filename.startswith(_standard_library()):
        return OWN
    return LOOP if filename.endswith(_LOOP) else CARRIER


def _folders_of(modules: Iterable[ModuleType | None]) -> tuple[str, ...]:
    """Return the folders of packages, and the files of modules."""
    found: list[str] = []
    for module in modules:
        folders: Iterable[str] | None = getattr(module, "__path__", None)
        file: object = getattr(module, "__file__", None)
        if folders is not None:
            found += [f"{folder}{_SEPARATOR}" for folder in folders]
        elif isinstance(file, str):
            found.append(file)
    return tuple(found)


@lru_cache(maxsize=1)
def _standard_library() -> tuple[str, ...]:
    file: object = getattr(os, "__file__", None)
    if not isinstance(file, str):
        return ()
    folder = os.path.dirname(file)  # noqa: PTH120 - on the user's path, kept light
    return folder + _SEPARATOR, os.path.realpath(folder) + _SEPARATOR


def _program() -> str:
    """Return the top-level package that is run as the program; empty if it is not one."""
    main = sys.modules.get("__main__")
    name: object = getattr(getattr(main, "__spec__", None), "name", None)
    if not isinstance(name, str):
        name = _entry_point(getattr(main, "__file__", None))
    top = name.partition(".")[0]
    return "" if top in _LAUNCHERS else top


@lru_cache(maxsize=8)
def _entry_point(script: object) -> str:
    """Return the module that the script of an installed command calls; empty for others."""
    if not isinstance(script, str) or script.endswith(".py"):
        return ""
    try:
        with open(script, "rb") as file:  # noqa: PTH123 - on the user's path, kept light
            text = file.read(_SCRIPT_BYTES)
    except (OSError, ValueError):
        return ""
    # Every installer writes the same few lines, including these two.
    found = _IMPORT.search(text) if b"sys.argv[0] = " in text else None
    return "" if found is None else found[1].decode()


def first_own_index(files: Sequence[str]) -> int:
    """Return the index of the first file of a stack, innermost first, that is the user's own.

    Uses only the paths, which may come from another process or machine. If none is the
    user's, it is the first outside the standard library, else the first of all.

    >>> first_own_index(["/usr/lib/python3.12/socket.py", "app.py", "main.py"])
    1
    >>> first_own_index(["/usr/lib/python3.12/socket.py"])
    0
    """
    libraries = [_LIBRARY.search(file) is not None for file in files]
    installed = [_INSTALLED.search(file) is not None for file in files]
    for at, is_library in enumerate(libraries):
        if not is_library and not installed[at]:
            return at
    return next((at for at, is_installed in enumerate(installed) if is_installed), 0)
