"""`PersistentQueue`: keeps requests on disk until they can be sent, and dead letters for people.

`DIR/.queue/` holds files of requests, about a megabyte each, named by destination, age
and owner. The oldest file is read first and deleted when all of it has been sent. A
process takes over the files of a dead one by renaming them, which only one process can
do. `DIR/.queue/dead-letter/` holds the records that a destination refuses.
"""

from __future__ import annotations

from collections import deque
from time import monotonic, time
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.exporters.delivery.persistent.entries import (
    count_records,
    encode_entry,
    encode_letter,
    entries_in,
)
from otel_ext.exporters.delivery.persistent.files import (
    LETTERS,
    REQUESTS,
    delete_file,
    list_files,
    read_data,
    rename_file,
)
from otel_ext.exporters.delivery.persistent.own_files import OwnFiles, QueueFile, is_owned_here
from otel_ext.exporters.delivery.settings import RemoteSettings
from otel_ext.exporters.delivery.splitting import Refused, split_until
from otel_ext.journal.liveness import LONGEST_SILENCE, identity_from_id, is_alive
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.health import HealthCell
from otel_ext.runtime.process.incarnation import current

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from otel_ext.exporters.delivery.persistent.entries import Entry
    from otel_ext.exporters.delivery.persistent.files import FoundFile
    from otel_ext.exporters.delivery.splitting import Delivery
    from otel_ext.protocols import Request, RequestSender

__all__ = ["PersistentQueue", "WaitingRequest"]

_QUEUE_FOLDER: Final = ".queue"
_DEAD_LETTER_FOLDER: Final = "dead-letter"

_MAX_LETTERS: Final = 16 * 1024 * 1024
_ADOPT_SECONDS: Final = 30.0
# Into how many parts a request is split that fails while others are accepted, and how
# often a single record of it may fail.
_PARTS: Final = 8
_MAX_TRIES: Final = 3
# How large a request may become by joining.
_MAX_RECORDS: Final = 512
_MAX_JOINED: Final = 1024 * 1024


class WaitingRequest(NamedTuple):
    """A request on disk, its file, and the offset behind it."""

    request: Request
    is_final: bool
    file: QueueFile
    end: int


class PersistentQueue(OwnFiles):
    """Keeps requests of one signal of a destination on disk, up to a size.

    Args:
        sender: Splits requests, and makes dead letters readable.
        name: The destination; `health()` lists the queue as `NAME persistent queue`.
        folder: The folder of records, in which `.queue` is created when needed.
        max_bytes: The maximum of bytes that wait, of all destinations of the folder.
    """

    _next_adoption: float
    # The file that is sent now, as it was read.
    _content: bytes
    _content_file: QueueFile | None

    def __init__(
        self,
        sender: RequestSender,
        name: str,
        folder: Path,
        max_bytes: int = RemoteSettings.persistent_queue_size,
    ) -> None:
        self._sender = sender
        self._name = name
        self._largest = max_bytes // 4
        self._health = HealthCell(f"{name} persistent queue", "nothing waits")
        path = folder / _QUEUE_FOLDER
        super().__init__(path, name, max_bytes, REQUESTS, count_records)
        self._letters = OwnFiles(
            path / _DEAD_LETTER_FOLDER,
            name,
            min(_MAX_LETTERS, max_bytes),
            LETTERS,
            lambda data: data.count(b"\n"),
        )

    @property
    def waiting(self) -> int:
        """How many records wait; a file that was sent in part counts as a whole.

        Any thread may ask, so it reads a copy.
        """
        return sum(file.records for file in self.files.copy())

    def append(
        self, requests: Sequence[Request], *, is_final: bool, is_suspect: bool = False
    ) -> bool:
        """Write requests; return whether all of them are on disk.

        Args:
            requests: The parts of one batch.
            is_final: As in `Entry`.
            is_suspect: Likewise.
        """
        data, records = b"", 0
        for request in requests:
            for part in split_until(self._sender, request, self._fits):
                entry = encode_entry(part, is_final=is_final, is_suspect=is_suspect)
                if data and len(data) + len(entry) > self._largest:
                    if not self.append_data(data, records):
                        return False
                    data, records = b"", 0
                data += entry
                records += part.records
        is_stored = self.append_data(data, records)
        self._report_health()
        return is_stored

    def _fits(self, request: Request) -> bool:
        return len(request.body) <= self._largest

    def maintain(self) -> None:
        """Sync what was written, and every 30 seconds take over files of dead processes."""
        self.sync()
        now = monotonic()
        if now >= self._next_adoption:
            self._next_adoption = now + _ADOPT_SECONDS
            self.adopt()

    def adopt(self) -> int:
        """Take over the files of dead processes for this destination; return how many."""
        incarnation, number = self.owner
        taken: list[QueueFile] = []
        for one in list_files(self.folder, REQUESTS):
            if one.name.slug != self._slug or not self._is_abandoned(one):
                continue
            name = one.name._replace(incarnation=incarnation, exporter_number=number)
            if not rename_file(self.folder, one.name, name):
                continue
            records = self.records_in(name)
            taken.append(QueueFile(name, records, one.size))
            COUNTERS.add("remote.persisted_adopted", records)
            if name.begun:
                COUNTERS.add("remote.maybe_twice", records)
        if taken:
            self.files = deque(sorted([*self.files, *taken], key=lambda file: file.name.number))
            self._report_health()
        return len(taken)

    def _is_abandoned(self, one: FoundFile) -> bool:
        """Whether the owner of the file is gone, so that it will not send the file."""
        name = one.name
        if name.incarnation == current().id:
            return not is_owned_here(name)
        identity = identity_from_id(name.incarnation)
        alive = "unknown" if identity is None else is_alive(identity)
        return alive == "dead" or (alive == "unknown" and time() - one.modified > LONGEST_SILENCE)

    def next(self) -> WaitingRequest | None:
        """Return the next request, None if none waits; the same one until `done`."""
        unreadable = 0
        while len(self.files) > unreadable:
            file = self.files[0]
            try:
                data = self._content_of(file)
            except FileNotFoundError:  # deleted to free space, or taken over
                self.forget(file)
                continue
            except OSError as error:
                report_problem(f"{self._where}: records cannot be read", error)
                self._move_to_end(file)  # the others do not wait for it
                unreadable += 1
                continue
            entries = entries_in(data, file.offset)
            entry = next(entries, None)
            whole_from = len(data) if entry is None else entry.start
            if whole_from > file.offset:
                COUNTERS.add("remote.persisted_damaged")
                file.offset = whole_from
            if entry is not None:
                return self._joined(file, entry, entries)
            self._delete(file)
        self._content, self._content_file = b"", None
        self._report_health()
        return None

    def _content_of(self, file: QueueFile) -> bytes:
        """Return the content of a file, of which some may be sent from now on; mark it so."""
        if file is self._content_file:
            return self._content
        if file is self._current:
            self.close_current()
        if not file.name.begun:
            begun = file.name._replace(begun=True)
            if rename_file(self.folder, file.name, begun):
                file.name = begun
        # Kept until another file is the first: it may have a thousand small requests.
        self._content = read_data(self.folder, file.name.file)
        self._content_file = file
        return self._content

    def _joined(self, file: QueueFile, first: Entry, others: Iterable[Entry]) -> WaitingRequest:
        """Join small requests that follow each other: an outage may leave many."""
        requests, end = [first.request], first.end
        records, size = first.request.records, len(first.request.body)
        kind = first.request.signal, first.is_final, False
        for entry in others:
            request = entry.request
            records, size = records + request.records, size + len(request.body)
            is_suspect = first.is_suspect or entry.is_suspect
            if entry.start != end or (request.signal, entry.is_final, is_suspect) != kind:
                break
            if records > _MAX_RECORDS or size > _MAX_JOINED:
                break
            requests.append(request)
            end = entry.end
        if len(requests) > 1:
            try:
                joined = self._sender.join(requests)
                return WaitingRequest(joined, first.is_final, file, end)
            except Exception as error:  # noqa: BLE001 - the sender may be the user's
                report_problem(f"{self._name}: requests cannot be joined", error)
        return WaitingRequest(first.request, first.is_final, file, first.end)

    def finish(self, waiting: WaitingRequest, delivery: Delivery, accepted: int) -> list[Refused]:
        """Process the outcome of a request from disk; return what is given up.

        While the destination accepts other records, the cause of a temporary failure may
        be in these. So fewer are tried at once, down to one, which is given up in the end.

        Args:
            waiting: A request that `next` returned.
            delivery: The outcome.
            accepted: How many records of its kind the destination has accepted so far.
        """
        file, request = waiting.file, waiting.request
        if delivery.maybe_sent:
            COUNTERS.add("remote.maybe_twice", delivery.unsent_records)
        if not delivery.unsent:
            self._done(waiting)
        elif delivery.unsent_records < request.records:
            self._replace(waiting, delivery.unsent)
        elif delivery.refuses_all:
            file.accepted_when_refused = accepted
            self._move_to_end(file)
        else:
            accepts_others = 0 <= file.accepted_when_failed < accepted
            file.accepted_when_failed = accepted
            self._move_to_end(file)
            if accepts_others and self._make_smaller(waiting):
                given_up = [Refused(request, delivery.result.message)]
                self.set_aside(given_up)
                self._done(waiting)
                return given_up
        return []

    def _make_smaller(self, waiting: WaitingRequest) -> bool:
        """Split a suspected request; return whether it is a single one that failed too often."""
        few = max(waiting.request.records // _PARTS, 1)
        parts = split_until(self._sender, waiting.request, lambda one: one.records <= few)
        if len(parts) > 1:
            self._replace(waiting, parts, is_suspect=True)
            return False
        waiting.file.failures += 1
        return waiting.file.failures >= _MAX_TRIES

    def _replace(
        self, waiting: WaitingRequest, requests: Sequence[Request], *, is_suspect: bool = False
    ) -> None:
        """Store parts of a request instead of it; if that fails, it is sent again."""
        if self.append(requests, is_final=waiting.is_final, is_suspect=is_suspect):
            self._done(waiting)

    def _done(self, waiting: WaitingRequest) -> None:
        file = waiting.file
        file.advance(waiting.end)
        if file.offset >= file.size:
            self._delete(file)
        self._report_health()

    def set_aside(self, refused: Sequence[Refused]) -> None:
        """Write dead letters: records that the destination refuses, each with the reason."""
        if not refused:
            return
        COUNTERS.add("remote.dead_letters", sum(one.request.records for one in refused))
        lines = [encode_letter(one.request, one.reason, self._sender) for one in refused]
        is_stored = self._letters.append_data(b"".join(lines), len(lines))
        where = str(self._letters.folder) if is_stored else "nowhere: they are lost"
        report_problem(
            f"{self._name}: records that are refused for good are set aside in {where}",
            refused[0].reason,
        )

    def close(self) -> None:
        """Leave the files to the next program. Idempotent."""
        super().close()
        self._letters.close()

    def _move_to_end(self, file: QueueFile) -> None:
        if file in self.files:
            self.files.remove(file)
            self.files.append(file)

    def _delete(self, file: QueueFile) -> None:
        delete_file(self.folder, file.name.file)
        self.forget(file)

    def _report_health(self) -> None:
        waiting = self.waiting
        if waiting:
            self._health.degraded(f"{waiting} records wait on disk for their destination")
        else:
            self._health.healthy("nothing waits")

    def _reset(self) -> None:
        super()._reset()
        self._next_adoption = 0.0
        self._content = b""
        self._content_file = None
