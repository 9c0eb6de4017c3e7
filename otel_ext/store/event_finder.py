"""`EventFinder`: finds events wherever they are: in files, ring buffers and stores."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from otel_ext.errors import StoreError
from otel_ext.observe.event_files import EventFiles
from otel_ext.store.sqlite.schema import COMMON_FILE, STORE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_ext.observe.event_query import EventQuery, RecordedEvent

__all__ = ["EventFinder", "is_store"]


class EventFinder:
    """Finds events in folders of records with their stores, in single files, and in stores.

    A folder's files and ring buffers have what was recorded just now. Its store, if `otel-ext
    serve` or `otel-ext rebuild` has made one, also has events whose files were deleted.

    Args:
        paths: Folders of records, files, and folders of stores. What does not exist has none.
        with_stores: Whether to ask the stores of folders of records, too.

    Attributes:
        files: The folders of records and the files among them.
        stores: Those that are stores.
        stores_beside: The stores of the folders of records.
        problems: What the last question could not read, one text for each.

    >>> import tempfile
    >>> from otel_ext.store import EventQuery
    >>> EventFinder([tempfile.mkdtemp()]).events(EventQuery(name="cache.*"))
    []
    """

    def __init__(
        self, paths: Iterable[str | os.PathLike[str]], *, with_stores: bool = True
    ) -> None:
        found = [Path(path) for path in paths]
        self.stores = [path for path in found if is_store(path)]
        self.files = [path for path in found if path not in self.stores]
        named = {path.resolve() for path in self.stores}
        beside = [path / STORE_FOLDER for path in self.files if with_stores]
        self.stores_beside = [
            path for path in beside if is_store(path) and path.resolve() not in named
        ]
        self.problems: list[str] = []

    def events(self, query: EventQuery) -> list[RecordedEvent]:
        """Return the events that are wanted, each once, the newest first.

        Args:
            query: Which events are wanted.

        Raises:
            StoreError: A store that was named cannot be read. A file or a folder's store that
                cannot be read is left out, and in `problems`.
        """
        files = EventFiles(self.files)
        # Before the stores: what is deleted meanwhile is in its store.
        found = list(files.events(query))
        self.problems = list(files.problems)
        for path in self.stores:
            found += _events_in(path, query)
        for path in self.stores_beside:
            try:
                found += _events_in(path, query)
            except StoreError as error:
                self.problems.append(f"the store of the folder is left out: {error}")
        found.sort(key=lambda event: event.place, reverse=True)
        once: dict[tuple[str, int], RecordedEvent] = {}
        for event in found:  # those that agree in both are copies
            once.setdefault((event.place.process, event.place.seq), event)
        return list(once.values())[: max(query.limit, 0)]


def is_store(path: Path) -> bool:
    """Whether a folder is that of a store.

    >>> is_store(Path("nowhere"))
    False
    """
    return os.path.isfile(path / COMMON_FILE)  # noqa: PTH113 - Path may raise PermissionError


def _events_in(path: Path, query: EventQuery) -> list[RecordedEvent]:
    from otel_ext.store.sqlite.store import SqliteStore  # noqa: PLC0415 - few need it

    with closing(SqliteStore(path)) as store:
        return list(store.events(query))
