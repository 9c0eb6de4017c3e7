"""Installs distributions into a folder, for programs that have it in PYTHONPATH."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.programs import write_program

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["install"]


def install(
    lib: Path,
    name: str,
    text: str | None = None,
    *,
    entry_points: str = "",
    version: str = "1.0",
    requires: str = "",
    path: str = "",
) -> None:
    """Install a distribution with one module.

    Args:
        lib: The folder.
        name: The distribution's name, and its module's.
        text: The module; None for a distribution without one.
        entry_points: The lines of `entry_points.txt`.
        version: Its version.
        requires: More lines of the metadata, such as requirements.
        path: The module's path, if it is not `NAME.py`.
    """
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
    write_program(lib, metadata, f"{info}/METADATA")
    if entry_points:
        write_program(lib, entry_points, f"{info}/entry_points.txt")
    if text is not None:
        write_program(lib, text, path or f"{name}.py")
