"""Celery's transport over files, with messages that appear in the queue as a whole.

Celery's own creates a file and then writes it. A worker that takes it in between finds no
message, and ends.
"""
# pyright: basic

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from kombu.transport import filesystem


class Channel(filesystem.Channel):
    """Writes a message elsewhere first."""

    def _put(self, queue: str, payload: object, **kwargs: object) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_in)
        with TemporaryDirectory(dir=folder.absolute().parent) as written:
            self.data_folder_out = written
            super()._put(queue, payload, **kwargs)  # type: ignore[no-untyped-call]
            for file in Path(written).iterdir():
                file.replace(folder / file.name)


class Transport(filesystem.Transport):
    """Has such channels."""

    Channel = Channel
