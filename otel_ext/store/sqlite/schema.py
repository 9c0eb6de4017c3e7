"""The tables of the SQLite store, and how its files are opened.

One file holds the traces of one day, another what belongs to all days. Numbers of traces order
them by time, and the number of a span contains that of its trace, so that the spans of a trace
lie beside each other and need no index to be found::

    number of a trace = microseconds from the beginning of the day to its first known start
    number of a span  = number of its trace << PLACE_BITS | its place in the trace

The target of a link, in any trace of any day, is the bytes of its trace id and of its span id; the
link lies in the file of the span that has it.
"""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from otel_ext.errors import StoreError
from otel_ext.store.sqlite.failures import not_writable, store_errors

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = [
    "COMMON_FILE",
    "DAY_SUFFIX",
    "PLACE_BITS",
    "STORE_FOLDER",
    "closed_on_failure",
    "has_text_search",
    "has_texts",
    "mark_of",
    "open_common",
    "open_day",
    "open_private",
    "open_to_read",
    "sequence_of",
]

PLACE_BITS: Final = 26
"""The number of a trace stands above so many bits of the number of a span."""

DAY_SUFFIX: Final = ".day.sqlite"
STORE_FOLDER: Final = ".store"
"""The folder in a folder of records in which the store of its records is."""

COMMON_FILE: Final = "common.sqlite"

_VERSION: Final = 3
_BUSY_SECONDS: Final = 5.0
# Of the writer: in KiB, and in pages of 4 KiB before it moves them from the log to the file.
_CACHE_KIB: Final = 32_768
_CHECKPOINT_PAGES: Final = 4_000

_COMMON: Final = """
create table fact (name text primary key, value integer not null) without rowid;
create table position (
    file blob primary key, inode integer not null, offset integer not null
) without rowid;
create table process (
    number integer primary key,
    id text not null unique,
    start_ns integer not null,
    seen_ns integer not null,
    has_ended integer not null,
    dropped integer not null,
    heartbeat_ms integer not null,
    start blob,
    start_seq integer not null,
    latest blob,
    latest_seq integer not null,
    change integer not null
);
create table entity (
    number integer primary key,
    process integer not null,
    type text not null,
    id text not null,
    seq integer not null,
    deleted integer not null,
    time_ns integer not null,
    line blob not null,
    change integer not null,
    unique (process, type, id)
);
"""

_DAY: Final = f"""
create table trace (
    number integer primary key,
    id blob not null unique,
    start_ns integer not null,
    end_ns integer not null,
    lead_has_parent integer not null,
    lead_start_ns integer not null,
    lead_operation integer not null,
    lead_process integer not null,
    processes text not null,
    places integer not null,
    spans integer not null,
    open integer not null,
    stalled integer not null,
    errors integer not null,
    abandoned integer not null,
    cancelled integer not null,
    repeats integer not null,
    is_agent integer not null,
    change integer not null
);
create index trace_change on trace (change);
create index trace_open on trace (number) where open > 0 or repeats > 0;
create table span (
    number integer primary key,
    id blob not null,
    parent blob,
    process integer not null,
    operation integer not null,
    state integer not null,
    is_opener integer not null,
    start_ns integer not null,
    end_ns integer,
    seen_ns integer not null,
    seq integer not null,
    thread integer not null,
    task integer not null,
    task_name text,
    error text,
    change integer not null
);
create unique index span_key on span (number >> {PLACE_BITS}, id, process);
create index span_open on span (start_ns) where end_ns is null;
create index span_error on span (number) where error is not null;
create table sum (
    minute integer not null,
    operation integer not null,
    process integer not null,
    state integer not null,
    bucket integer not null,
    spans integer not null,
    total_ns integer not null,
    longest_ns integer not null,
    latest integer not null,
    primary key (minute, operation, process, state, bucket)
) without rowid;
create table record (number integer primary key, line blob not null);
create table link (
    target blob not null,
    trace integer not null,
    span blob not null,
    primary key (target, trace, span)
) without rowid;
create table operation (
    number integer primary key,
    name text not null,
    kind text not null,
    file text not null,
    line integer not null,
    function text not null,
    unique (name, kind, file, line, function)
);
create table log (
    number integer primary key,
    trace integer,
    span blob,
    time_ns integer not null,
    process integer not null,
    seq integer not null,
    kind text not null,
    level text not null,
    text text not null,
    correlation text,
    line blob not null,
    change integer not null
);
create unique index log_key on log (process, seq);
create index log_trace on log (trace) where trace is not null;
create index log_time on log (time_ns);
create index log_event on log (time_ns) where kind = 'event';
create index log_correlation on log (correlation) where correlation is not null;
create table attribute (key text primary key) without rowid;
"""

# Without the texts themselves and their places in them: these are read again in the records.
_TEXT_SEARCH: Final = """
create virtual table span_text using fts5(
    text, content='', columnsize=0, detail=none, tokenize='trigram case_sensitive 1'
);
create virtual table log_text using fts5(
    text, content='', columnsize=0, detail=none, tokenize='trigram case_sensitive 1'
);
"""


def open_common(folder: Path) -> sqlite3.Connection:
    """Open the file of what belongs to all days, to write to it; create it if need be."""
    return _open_to_write(folder / COMMON_FILE, _COMMON)


def open_day(path: Path) -> sqlite3.Connection:
    """Open the file of a day, to write to it; create it if need be."""
    return _open_to_write(path, _DAY)


def open_to_read(path: Path) -> sqlite3.Connection | None:
    """Open a file of the store only to read it; None if its writer has only begun to make it.

    Raises:
        StoreError: It is not one, or it was made by another version.
    """
    address = f"file:{quote(os.fsencode(path))}?mode=ro"
    with _connected(path, address, is_uri=True) as connection:
        if not _version_of(connection):
            connection.close()
            return None
        _check_version(connection, path)
        return connection


def _open_to_write(path: Path, tables: str) -> sqlite3.Connection:
    os.close(open_private(path))  # SQLite itself would let all users read it
    with _connected(path, path) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")
        connection.execute(f"pragma cache_size = -{_CACHE_KIB}")
        connection.execute(f"pragma wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        if not _version_of(connection):
            if tables is _DAY and has_text_search():
                tables += _TEXT_SEARCH
            mark = random.randrange(1, 1 << 31)  # noqa: S311 - only another one each time
            connection.executescript(
                f"begin; {tables} pragma application_id = {mark};"
                f" pragma user_version = {_VERSION}; commit;"
            )
        _check_version(connection, path)
        return connection


@contextmanager
def _connected(
    path: Path, address: Path | str, *, is_uri: bool = False
) -> Generator[sqlite3.Connection]:
    """Connect to a file; the connection is closed if the block fails."""
    with store_errors(path):
        connection = sqlite3.connect(
            address,
            uri=is_uri,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        with closed_on_failure(connection):
            yield connection


@contextmanager
def closed_on_failure(connection: sqlite3.Connection) -> Generator[None]:
    """Close a connection if the block fails, and only then."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def open_private(path: Path) -> int:
    """Open a file that only this user can read, and return its descriptor; create it if need be.

    Raises:
        StoreError: It cannot be opened, or it is a link.
    """
    flags = os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        raise not_writable(path, error) from error


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = _version_of(connection)
    if version != _VERSION:
        raise StoreError(
            f"{path} has version {version}, this program reads version {_VERSION}",
            hint="Make it anew from the records: otel-ext rebuild DIR.",
        )


def _version_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("pragma user_version").fetchone()[0])


def mark_of(connection: sqlite3.Connection) -> int:
    """Return a number that tells a file from a later one of the same name."""
    return int(connection.execute("pragma application_id").fetchone()[0])


def sequence_of(connection: sqlite3.Connection) -> int:
    """Return the number of the last change that is noted in the file common to all days."""
    row = connection.execute("select value from fact where name = 'sequence'").fetchone()
    return 0 if row is None else int(row[0])


def has_texts(connection: sqlite3.Connection) -> bool:
    """Whether the file of a day has indexes of texts."""
    found = connection.execute("select 1 from sqlite_master where name = 'span_text'")
    return found.fetchone() is not None


def has_text_search() -> bool:
    """Whether this SQLite can make and read indexes of texts (FTS5 with trigrams, from 3.34)."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.executescript(_TEXT_SEARCH)
        except sqlite3.Error:
            return False
    return True
