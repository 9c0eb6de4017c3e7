"""The folders or files that the exporters of this process write records to."""

from __future__ import annotations

import os
import weakref
from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Output", "newest_output"]

_FILES: Final = (".jsonl", ".json")


class Output:
    """Where one exporter writes; known for as long as the exporter keeps this object.

    Args:
        path: A folder of records, or a single file.

    Attributes:
        path: The same.
        folder: The folder, or that of the single file.
        file: The single file; None for a folder.

    >>> from pathlib import Path
    >>> Output(Path("/tmp/traces")).folder, Output(Path("/tmp/a.jsonl")).folder
    (PosixPath('/tmp/traces'), PosixPath('/tmp'))
    """

    __slots__ = ("__weakref__", "file", "folder", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        # These two answer no, and do not raise, where nothing may be looked at.
        is_file = path.suffix in _FILES or os.path.isfile(path)  # noqa: PTH113
        self.file = path if is_file and not os.path.isdir(path) else None  # noqa: PTH112
        self.folder = path if self.file is None else path.parent

    @classmethod
    def declared(cls, path: Path) -> Output:
        """Return the output at `path`, which `newest_output` finds from now on."""
        made = cls(path)
        _outputs[next(_numbers)] = made
        return made


_numbers: Final = count()
_outputs: Final[weakref.WeakValueDictionary[int, Output]] = weakref.WeakValueDictionary()


def newest_output() -> Output | None:
    """Return where the exporter that was made last writes; None if there is no exporter.

    >>> import pathlib, tempfile
    >>> from otel_ext.exporters import JsonlExporter
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> exporter = JsonlExporter(folder)
    >>> newest_output().folder == folder
    True
    """
    # `valuerefs` copies the references in one step: other threads may add outputs.
    found = [reference() for reference in _outputs.valuerefs()]
    return next((one for one in reversed(found) if one is not None), None)
