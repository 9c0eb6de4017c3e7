"""Folders that are not what they should be are refused, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.errors import JournalError
from otel_ext.journal.files import open_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", ["link", "link to nothing", "file"])
def test_what_is_no_folder_is_refused(tmp_path: Path, kind: str) -> None:
    """The message fits a link and a file, which the system does not always tell apart."""
    path = tmp_path / "x"
    if kind == "file":
        path.touch()
    else:
        path.symlink_to(tmp_path if kind == "link" else "gone")
    with pytest.raises(JournalError, match=r"x' cannot be used: is a link or not a folder\."):
        open_folder(path, create=True)
