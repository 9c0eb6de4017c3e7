"""Finds imported libraries for which an OpenTelemetry instrumentation exists but is not active."""

from __future__ import annotations

import os
import sys
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
"""OpenTelemetry's environment variable that disables instrumentations."""

_PREFIX: Final = "opentelemetry-instrumentation-"
# Modules with an instrumentation, the most important first.
_FRAMEWORKS: Final[tuple[str, ...]] = (
    *("fastapi", "flask", "django", "starlette", "aiohttp.web", "tornado", "falcon", "pyramid"),
    "celery",
)
_LIBRARIES: Final[tuple[str, ...]] = (
    *_FRAMEWORKS,
    *("grpc", "sqlalchemy", "psycopg", "psycopg2", "asyncpg", "pymysql", "MySQLdb"),
    *("mysql.connector", "pymongo", "cassandra", "redis", "pymemcache", "elasticsearch", "pika"),
    *("aio_pika", "kafka", "aiokafka", "confluent_kafka", "botocore", "httpx", "requests"),
    *("aiohttp", "urllib3", "sqlite3"),
)
# The names of instrumentations where they are not the module's.
_NAMES: Final = {
    "aio_pika": "aio-pika",
    "aiohttp": "aiohttp-client",
    "aiohttp.web": "aiohttp-server",
    "confluent_kafka": "confluent-kafka",
    "kafka": "kafka-python",
    "mysql.connector": "mysql",
    "MySQLdb": "mysqlclient",
}
# Libraries that others are built on; the instrumentation of those others is preferred.
_USED_BY: Final = {
    "starlette": frozenset({"fastapi"}),
    "urllib3": frozenset({"requests", "botocore", "elasticsearch"}),
    "aiohttp": frozenset({"aiohttp.web"}),
}
_MAX_NAMES: Final = 4


class Missing(NamedTuple):
    """Imported libraries that are not instrumented.

    Attributes:
        to_install: Modules whose instrumentation is not installed.
        to_switch_on: Modules whose instrumentation is installed but not switched on.
        disabled: Modules whose instrumentation the environment disables.
    """

    to_install: tuple[str, ...] = ()
    to_switch_on: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()


def disabled_instrumentations(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the instrumentations that the environment disables; `*` means all.

    >>> sorted(disabled_instrumentations({DISABLED_VARIABLE: "flask, redis"}))
    ['flask', 'redis']
    """
    names = (name.strip() for name in environ.get(DISABLED_VARIABLE, "").split(","))
    return frozenset(filter(None, names))


def why_disabled(names: Iterable[str]) -> str:
    """Return why the disabled instrumentations `names` made no spans, and how to enable them.

    >>> why_disabled(["flask"])
    'OTEL_PYTHON_DISABLED_INSTRUMENTATIONS disables flask: remove it from the list'
    """
    listed = list(names)
    them = "it" if len(listed) == 1 else "them"
    return f"{DISABLED_VARIABLE} disables {', '.join(listed)}: remove {them} from the list"


def _most_important(modules: Iterable[str]) -> list[str]:
    """Return the modules that a message names, the most important first, at most four."""
    names = set(modules)
    chosen = [m for m in _LIBRARIES if m in names and not _USED_BY.get(m, frozenset()) & names]
    return chosen[:_MAX_NAMES]


def install_command(modules: Iterable[str]) -> str:
    """Return the command that installs the instrumentations of `modules`, at most four.

    >>> install_command(["flask", "MySQLdb"])
    'pip install opentelemetry-instrumentation-flask opentelemetry-instrumentation-mysqlclient'
    """
    return " ".join(["pip install", *map(_package_of, _most_important(modules))])


def names_and_verb(modules: Iterable[str]) -> str:
    """Return the subject and verb of a sentence about `modules`, at most four.

    >>> names_and_verb(["flask"]), names_and_verb(["redis", "flask"])
    ('flask is', 'flask, redis are')
    """
    names = _most_important(modules)
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def missing_instrumentations(*, frameworks_only: bool = False) -> Missing:
    """Return which of the imported libraries, or of those that serve, are not instrumented."""
    to_install: list[str] = []
    to_switch_on: list[str] = []
    disabled: list[str] = []
    disabled_names = disabled_instrumentations(os.environ)
    for module in _FRAMEWORKS if frameworks_only else _LIBRARIES:
        package = _package_of(module)
        name = package[len(_PREFIX) :]
        instrumentation = f"opentelemetry.instrumentation.{name}".replace("-", "_")
        if module not in sys.modules or instrumentation in sys.modules:
            continue
        if not _is_installed(package):
            to_install.append(module)
        else:
            (disabled if disabled_names & {name, "*"} else to_switch_on).append(module)
    return Missing(tuple(to_install), tuple(to_switch_on), tuple(disabled))


def note_disabled(name: str, modules: Iterable[str]) -> None:
    """Note for `otel-ext run` when a library of the disabled instrumentation is imported."""
    if are_wanted():
        for module in modules:
            _note_on_import(module, "disabled", name)


def note_missing(covered: Collection[str]) -> None:
    """Note for `otel-ext run` when a library is imported that no instrumentation covers."""
    if are_wanted():
        for module in _LIBRARIES:
            if module not in covered:
                _note_on_import(module, "library", module)


def _note_on_import(module: str, key: str, text: str) -> None:
    # A module that is already imported was imported by us or by OpenTelemetry.
    if module not in sys.modules:
        wrapt.register_post_import_hook(lambda _: note(key, text), module)


def _package_of(module: str) -> str:
    return _PREFIX + _NAMES.get(module, module)


def _is_installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
