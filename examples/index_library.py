"""Indexes the source of this machine's Python standard library, and searches it.

Several threads parse the files with `ast` and put their text into a full-text
index of SQLite. At the end it prints which names are defined most often and what
a search finds. The only telemetry in here is the OpenTelemetry API; without an
SDK that does nothing::

    python examples/index_library.py --files 200 --search "context manager"
    otel-ext run -- python examples/index_library.py

Under `otel-ext run`, with `opentelemetry-instrumentation-sqlite3` installed, each
statement sent to SQLite is a span as well, a child of the file's span.
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

import argparse
import ast
import contextlib
import os
import sqlite3
import sys
import sysconfig
import tempfile
import threading
import tokenize
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry import context, trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.context import Context
    from opentelemetry.util.types import AnyValue

tracer = trace.get_tracer("examples.index_library")

SKIPPED_FOLDERS = frozenset({"__pycache__", "idlelib", "lib2to3", "site-packages", "test", "tests"})
SCHEMA = """
CREATE VIRTUAL TABLE source USING fts5(path UNINDEXED, content);
CREATE TABLE definition (name TEXT, kind TEXT, path TEXT, line INTEGER);
"""
MOST_DEFINED = """
SELECT name, count(*) AS times, count(DISTINCT path) AS files
FROM definition WHERE name NOT GLOB '__*' GROUP BY name ORDER BY times DESC, name LIMIT ?
"""
SEARCH = """
SELECT path, snippet(source, 1, '[', ']', '...', 12)
FROM source WHERE source MATCH ? ORDER BY rank LIMIT ?
"""


class Definition(NamedTuple):
    """A function or class in a source file."""

    name: str
    kind: str
    path: str
    line: int


class Tally:
    """Counts the work of all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.files = 0
        self.definitions = 0
        self.skipped: list[str] = []

    def indexed(self, definitions: int) -> None:
        """Count a file that is in the index now."""
        with self._lock:
            self.files += 1
            self.definitions += definitions

    def skip(self, path: str) -> None:
        """Note a file that Python itself cannot parse."""
        with self._lock:
            self.skipped.append(path)


class Index:
    """A full-text index in a SQLite file, with a connection for each thread.

    Args:
        path: The database file; it is created.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        with self.connection() as connection:
            connection.executescript(SCHEMA)

    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection, opened when it is first asked for."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self._path, timeout=60.0, check_same_thread=False)
            # The index is thrown away at the end, so a crash may lose it.
            found.execute("PRAGMA synchronous = OFF")
            self._local.connection = found
            self._opened.append(found)
        return found

    def add(self, path: str, text: str, definitions: Sequence[Definition]) -> None:
        """Put one file into the index."""
        with self.connection() as connection:
            cursor = connection.cursor()
            cursor.execute("INSERT INTO source VALUES (?, ?)", (path, text))
            cursor.executemany("INSERT INTO definition VALUES (?, ?, ?, ?)", definitions)

    def rows(self, query: str, parameters: Sequence[object]) -> list[tuple[object, ...]]:
        """Return the rows of a query."""
        cursor = self.connection().cursor()
        cursor.execute(query, parameters)
        return cursor.fetchall()

    def close(self) -> None:
        """Close all connections."""
        for connection in self._opened:
            connection.close()


def source_files(root: Path) -> Iterator[Path]:
    """Yield the source files under `root` in a fixed order, tests left out."""
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(set(subfolders) - SKIPPED_FOLDERS)
        for name in sorted(names):
            if name.endswith(".py"):
                yield Path(folder, name)


def parse(path: str, text: str) -> list[Definition]:
    """Return the functions and classes that a source text defines."""
    with tracer.start_as_current_span("parse", attributes={"source.characters": len(text)}) as span:
        found: list[Definition] = []
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                kind = "class" if isinstance(node, ast.ClassDef) else "function"
                found.append(Definition(node.name, kind, path, node.lineno))
        span.set_attribute("source.definitions", len(found))
        return found


def index_file(index: Index, tally: Tally, root: Path, file: Path, parent: Context) -> None:
    """Parse one file and put it into the index, as part of the trace of `parent`."""
    # A thread of a pool does not see the context of the one that gave it work.
    token = context.attach(parent)
    try:
        path = file.relative_to(root).as_posix()
        with tracer.start_as_current_span("index file", attributes={"file.path": path}) as span:
            try:
                with tokenize.open(file) as stream:
                    text = stream.read()
                definitions = parse(path, text)
            except (SyntaxError, UnicodeDecodeError, OSError) as error:
                span.record_exception(error)
                tally.skip(path)
                return
            index.add(path, text, definitions)
            tally.indexed(len(definitions))
    finally:
        context.detach(token)


def build(index: Index, root: Path, files: Sequence[Path], threads: int) -> Tally:
    """Put all files into the index, several at a time."""
    tally = Tally()
    parent = context.get_current()
    with ThreadPoolExecutor(threads, thread_name_prefix="indexer") as pool:
        jobs = [pool.submit(index_file, index, tally, root, file, parent) for file in files]
    for job in jobs:
        job.result()
    return tally


def report(index: Index, tally: Tally, words: str, seconds: float) -> None:
    """Print the totals, the names defined most often, and the files found."""
    phrase = '"' + words.replace('"', '""') + '"'
    with tracer.start_as_current_span("report"):
        names = index.rows(MOST_DEFINED, (8,))
        found = index.rows(SEARCH, (phrase, 5))
    print(f"{tally.files} files, {tally.definitions} definitions, {seconds:.1f} s")
    if tally.skipped:
        print(f"left out, not parsable: {', '.join(sorted(tally.skipped))}")
    print("\nNames defined most often:")
    for name, times, files in names:
        print(f"  {name:<20} {times:>5} times in {files} files")
    print(f"\nFiles that contain {words!r}:")
    for path, snippet in found or [("none", "")]:
        print(f"  {path:<28} {' '.join(str(snippet).split())}".rstrip())


def index_and_report(root: Path, files: Sequence[Path], threads: int, words: str) -> None:
    """Index the files into a temporary database, search it, and print the result."""
    began = perf_counter()
    attributes: dict[str, AnyValue] = {"source.root": str(root), "source.files": len(files)}
    with (
        tracer.start_as_current_span("index library", attributes=attributes),
        tempfile.TemporaryDirectory(prefix="index-library-") as folder,
    ):
        index = Index(Path(folder, "index.db"))
        try:
            tally = build(index, root, files, threads)
            report(index, tally, words, perf_counter() - began)
        finally:
            index.close()


def positive(text: str) -> int:
    """Return a whole number above zero, for an option."""
    with contextlib.suppress(ValueError):
        if (number := int(text)) > 0:
            return number
    message = f"{text!r} is not a whole number above zero"
    raise argparse.ArgumentTypeError(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program as its arguments say; return its exit code."""
    parser = argparse.ArgumentParser(
        description="Index the Python standard library, and search it."
    )
    parser.add_argument("--files", type=positive, default=500, help="files to index at most")
    parser.add_argument("--threads", type=positive, default=4, help="threads that parse")
    parser.add_argument("--rounds", type=positive, default=1, help="how often to repeat it all")
    parser.add_argument("--search", default="context manager", help="words to look for")
    arguments = parser.parse_args(argv)
    root = Path(sysconfig.get_path("stdlib"))
    files = list(source_files(root))[: arguments.files]
    if not files:
        print(f"{root} holds no source files; this Python came without them", file=sys.stderr)
        return 1
    for _ in range(arguments.rounds):
        index_and_report(root, files, arguments.threads, arguments.search)
    return 0


if __name__ == "__main__":
    sys.exit(main())
