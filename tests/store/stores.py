"""The stores that the contract tests are run with."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.store.sqlite.store import SqliteStore
from otel_ext.store.sqlite.writer import SqliteWriter
from tests.store.records import entries_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from otel_ext.store.protocol import Store, StoreWriter


class Pair(NamedTuple):
    """A writer, and a reader of what it writes."""

    writer: StoreWriter
    store: Store

    def write(self, *lines: bytes) -> int:
        """Store some lines; return the number of the change."""
        return self.writer.write(entries_of(lines))


# Random tests make hundreds of stores, each of which waits for the disk.
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the folder in it has a name of its own


@contextmanager
def sqlite_pair() -> Generator[Pair]:
    """Open a SQLite store in a folder of its own."""
    with TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        writer = SqliteWriter(Path(folder))
        with closing(writer), closing(SqliteStore(Path(folder))) as store:
            yield Pair(writer, store)


PAIRS: Final[dict[str, Callable[[], AbstractContextManager[Pair]]]] = {"sqlite": sqlite_pair}
