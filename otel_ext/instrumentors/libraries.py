"""The libraries that OpenTelemetry has instrumentations for, and which of them a program lacks."""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Final, NamedTuple

import wrapt

from otel_ext.runtime.process.run_notes import are_wanted, note

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

__all__ = [
    "DISABLED_VARIABLE",
    "Missing",
    "disabled_instrumentations",
    "install_command",
    "missing_instrumentations",
    "names_and_verb",
    "note_disabled",
    "note_missing",
    "why_disabled",
]

DISABLED_VARIABLE: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
"""The environment variable of OpenTelemetry that leaves instrumentations out."""

_PREFIX: Final = "opentelemetry-instrumentation-"
# Modules whose use makes spans, the most telling first, with their instrumentation's name
# where that is not the module's own.
_FRAMEWORKS: Final = {
    "fastapi": "",
    "flask": "",
    "django": "",
    "starlette": "",
    "aiohttp.web": "aiohttp-server",
    "tornado": "",
    "falcon": "",
    "pyramid": "",
    "celery": "",
}
_LIBRARIES: Final = {
    **_FRAMEWORKS,
    "grpc": "",
    "sqlalchemy": "",
    "psycopg": "",
    "psycopg2": "",
    "asyncpg": "",
    "pymysql": "",
    "MySQLdb": "mysqlclient",
    "mysql.connector": "mysql",
    "pymongo": "",
    "cassandra": "",
    "redis": "",
    "pymemcache": "",
    "elasticsearch": "",
    "pika": "",
    "aio_pika": "aio-pika",
    "kafka": "kafka-python",
    "aiokafka": "",
    "confluent_kafka": "confluent-kafka",
    "botocore": "",
    "httpx": "",
    "requests": "",
    "aiohttp": "aiohttp-client",
    "urllib3": "",
    "sqlite3": "",
}
# What others use underneath: their own instrumentation comes first.
_BENEATH: Final = {
    "starlette": frozenset({"fastapi"}),
    "urllib3": frozenset({"requests", "botocore", "elasticsearch"}),
    "aiohttp": frozenset({"aiohttp.web"}),
}
_MOST: Final = 4


class Missing(NamedTuple):
    """Imported libraries that are not instrumented.

    Attributes:
        to_install: Modules whose instrumentation is not installed.
        to_switch_on: Modules whose instrumentation is installed, and not switched on.
        disabled: Modules whose instrumentation the environment switches off.
    """

    to_install: tuple[str, ...] = ()
    to_switch_on: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()


def disabled_instrumentations(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the entry points that the environment switches off; `*` is all.

    >>> sorted(disabled_instrumentations({DISABLED_VARIABLE: "flask, redis"}))
    ['flask', 'redis']
    """
    names = (name.strip() for name in environ.get(DISABLED_VARIABLE, "").split(","))
    return frozenset(filter(None, names))


def why_disabled(names: Iterable[str]) -> str:
    """Return the reason why `names` made no span, and the way out, in a sentence.

    >>> why_disabled(["flask"])
    'OTEL_PYTHON_DISABLED_INSTRUMENTATIONS leaves out flask: take it out of the list'
    """
    listed = list(names)
    them = "it" if len(listed) == 1 else "them"
    return f"{DISABLED_VARIABLE} leaves out {', '.join(listed)}: take {them} out of the list"


def _most_telling(modules: Iterable[str]) -> list[str]:
    """Return the modules to speak of, the most telling first, four at most."""
    known = set(modules)
    wanted = [m for m in _LIBRARIES if m in known and not _BENEATH.get(m, frozenset()) & known]
    return wanted[:_MOST]


def install_command(modules: Iterable[str]) -> str:
    """Return the command that installs the instrumentations of `modules`, of four at most.

    >>> install_command(["flask", "MySQLdb"])
    'pip install opentelemetry-instrumentation-flask opentelemetry-instrumentation-mysqlclient'
    """
    return " ".join(["pip install", *map(_package_of, _most_telling(modules))])


def names_and_verb(modules: Iterable[str]) -> str:
    """Return the subject and the verb of a sentence about `modules`, of four at most.

    >>> names_and_verb(["flask"]), names_and_verb(["redis", "flask"])
    ('flask is', 'flask, redis are')
    """
    names = _most_telling(modules)
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def missing_instrumentations(*, frameworks_only: bool = False) -> Missing:
    """Return which of the imported libraries are not instrumented.

    Args:
        frameworks_only: Whether to look for what serves requests or tasks alone.
    """
    to_install: list[str] = []
    to_switch_on: list[str] = []
    disabled: list[str] = []
    left_out = disabled_instrumentations(os.environ)
    for module in _FRAMEWORKS if frameworks_only else _LIBRARIES:
        package = _package_of(module)
        name = package[len(_PREFIX) :]
        instrumentation = f"opentelemetry.instrumentation.{name}".replace("-", "_")
        if module not in sys.modules or instrumentation in sys.modules:
            continue
        if not _is_installed(package):
            to_install.append(module)
        else:
            (disabled if left_out & {name, "*"} else to_switch_on).append(module)
    return Missing(tuple(to_install), tuple(to_switch_on), tuple(disabled))


def note_disabled(name: str, modules: Iterable[str]) -> None:
    """Leave a note for `otel-ext run` when a library is imported whose instrumentation is off.

    Args:
        name: The instrumentation's entry point.
        modules: The modules that it waits for.
    """
    if are_wanted():
        for module in modules:
            if module not in sys.modules:
                wrapt.register_post_import_hook(lambda _: note("disabled", name), module)


def note_missing(covered: Collection[str]) -> None:
    """Leave a note for `otel-ext run` when a library without instrumentation is imported.

    Args:
        covered: The modules that an installed instrumentation waits for.
    """
    if not are_wanted():
        return
    for module in _LIBRARIES:
        # What is there already was imported by us or for us.
        if module not in covered and module not in sys.modules:
            wrapt.register_post_import_hook(partial(_note_library, module), module)


def _note_library(name: str, _module: object) -> None:
    note("library", name)


def _package_of(module: str) -> str:
    return _PREFIX + (_LIBRARIES.get(module) or module)


def _is_installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
