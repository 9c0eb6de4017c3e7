"""Finds the modules whose import switches an instrumentation on, without importing it.

An instrumentation lists its libraries in the metadata of its distribution, as
requirements of the extras `instruments` (all are needed) and `instruments-any` (one
is enough). Most distributions have the name of their module; the tables below contain
the others, and the instrumentations of the standard library.
"""

from __future__ import annotations

import re
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["instrumented", "trigger_modules"]

# Entry points without these extras, and those that patch another module than the first
# of their library.
_BY_ENTRY_POINT: Final = {
    "aiohttp-server": ("aiohttp.web",),
    "asyncio": ("asyncio",),
    "logging": ("logging",),
    "sqlite3": ("sqlite3",),
    "system_metrics": (),  # measures the process, whatever is imported
    "threading": ("threading",),
    "urllib": ("urllib.request",),
}
# Distributions whose name is not that of their module.
_BY_DISTRIBUTION: Final = {
    "cassandra-driver": ("cassandra",),
    "google-cloud-aiplatform": ("vertexai",),
    "google-genai": ("google.genai",),
    "grpcio": ("grpc",),
    "kafka-python": ("kafka",),
    "kafka-python-ng": ("kafka",),
    "mysql-connector-python": ("mysql.connector",),
    "mysqlclient": ("MySQLdb",),
    "psycopg2-binary": ("psycopg2",),
    "scylla-driver": ("cassandra",),
    "tortoise-orm": ("tortoise",),
}
_INSTRUMENTS: Final = re.compile(
    r"""([A-Za-z0-9][\w.-]*) [^;]* ; .* \bextra \s* == \s* (["']) instruments(-any)? \2""",
    re.VERBOSE,
)


def trigger_modules(entry: EntryPoint) -> tuple[str, ...]:
    """Return the modules that switch an instrumentation on when the first of them is imported.

    Returns:
        Names of modules; if none are known, the instrumentation is switched on at once.
    """
    found = _BY_ENTRY_POINT.get(entry.name)
    if found is not None:
        return found
    needed, any_of = instrumented(entry.dist)
    # If several are needed together, the first is the instrumented one.
    names = [*needed[:1], *any_of]
    return tuple(dict.fromkeys(module for name in names for module in _modules_of(name)))


def instrumented(dist: Distribution | None) -> tuple[list[str], list[str]]:
    """Return the distributions that `dist` instruments.

    Returns:
        Those that are all needed, and those of which one is enough.
    """
    needed: list[str] = []
    any_of: list[str] = []
    for requirement in (dist.requires if dist is not None else None) or ():
        match = _INSTRUMENTS.match(requirement)
        if match is not None:
            (any_of if match[3] else needed).append(match[1])
    return needed, any_of


def _modules_of(name: str) -> tuple[str, ...]:
    """Return the top-level modules of the distribution `name`."""
    normal = re.sub(r"[-_.]+", "-", name).lower()
    named = _BY_DISTRIBUTION.get(normal)
    if named is not None:
        return named
    same_name = normal.replace("-", "_")
    if PathFinder.find_spec(same_name) is not None:
        return (same_name,)
    # A program can extend its path later, so the module may still appear.
    return _top_level(name) or (same_name,)


def _top_level(name: str) -> tuple[str, ...]:
    """Return the importable names that the metadata of an installed distribution lists."""
    try:
        dist = distribution(name)
    except PackageNotFoundError:
        return ()
    listed = dist.read_text("top_level.txt")
    if listed:
        return tuple(sorted(set(listed.split())))
    tops: set[str] = set()
    for file in dist.files or ():
        top, *below = file.as_posix().split("/")
        if file.suffix == ".py" and len(below) <= 1:
            tops.add(top.removesuffix(".py"))
    return tuple(sorted(top for top in tops if top.isidentifier()))
