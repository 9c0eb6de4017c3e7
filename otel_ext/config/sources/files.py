"""Finds the configuration file and reads it, with a clear error if it cannot be read."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from otel_ext.config.messages import Entry

__all__ = ["FILE_NAMES", "MAX_FILE_BYTES", "FileSettings", "find_file", "read_file"]

FILE_NAMES: Final = ("otel-ext.toml", "otel-ext.yaml", "otel-ext.yml", "pyproject.toml")
"""The names of configuration files; the first that exists in a folder is used."""

MAX_FILE_BYTES: Final = 1024 * 1024
_REPOSITORY_MARKS: Final = (".git", ".hg")
# The forms in which a table that can contain `tool.otel-ext` starts.
_TOOL_TABLE: Final = (
    rb"""(?m)^(?:\xef\xbb\xbf)?\s*\[?\s*["']?tool["']?\s*(?:[]=]|\.\s*["']?otel-ext)"""
)
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES})


class FileSettings(NamedTuple):
    """A file's path (None without a file), its entries, and warnings."""

    path: Path | None = None
    entries: tuple[Entry, ...] = ()
    warnings: tuple[str, ...] = ()


def find_file(
    start: str | os.PathLike[str] | None = None, *, owners: Collection[int] | None = None
) -> FileSettings:
    """Find and read the configuration file for a program that runs in the folder `start`.

    Searches the folder and its parents, up to the root of the repository, the home
    folder or the root. A `pyproject.toml` is used only if it has a table
    `[tool.otel-ext]`. In a parent folder, files of other users are ignored.

    Args:
        start: The folder to search first, instead of the working directory.
        owners: Ids of the users whose files are used in parent folders, instead of
            this user, root and the owner of the folder.

    Returns:
        The settings of the file; no path and no entries without a file.

    Raises:
        ConfigError: The file is not valid, or cannot be read.
        MissingExtraError: It is YAML, and PyYAML is not installed.
    """
    try:
        folder = Path(os.path.abspath(start or os.getcwd()))  # noqa: PTH100, PTH109 - keeps links
    except FileNotFoundError:
        return FileSettings()  # the working directory was deleted
    warnings: list[str] = []
    trusted = _trusted_owners(folder) if owners is None else owners
    for searched in _folders_to_search(folder):
        candidates = [searched / name for name in FILE_NAMES if _exists(searched / name)]
        for path in candidates:
            if searched != folder and not _is_trusted(path, trusted):
                warnings.append(f"{path} is ignored: it belongs to another user")
                continue
            entries = _entries(path, explicit=False)
            if entries is not None:
                warnings += [
                    f"{other} is ignored: {path.name} in the same folder is used"
                    for other in candidates[candidates.index(path) + 1 :]
                    if other.name != "pyproject.toml"
                ]
                return FileSettings(path, entries, tuple(warnings))
    return FileSettings(warnings=tuple(warnings))


def read_file(path: Path) -> FileSettings:
    """Read the configuration file `path`, which must exist.

    Raises:
        ConfigError: It is missing, not valid, or cannot be read.
        MissingExtraError: It is YAML, and PyYAML is not installed.
    """
    entries = _entries(path, explicit=True)
    if entries is None:
        raise ConfigError(
            f"{path} has no table [tool.otel-ext]", hint="Add it, or name another file"
        )
    return FileSettings(path, entries)


def _folders_to_search(folder: Path) -> Iterator[Path]:
    """Yield `folder` and its parents, up to the last one to search."""
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home raises without a home
    for searched in (folder, *folder.parents):
        yield searched
        if str(searched) == home or any(_exists(searched / mark) for mark in _REPOSITORY_MARKS):
            return


def _exists(path: Path) -> bool:
    """Return whether `path` exists; one in a folder without permission counts as absent."""
    try:
        path.stat()
    except OSError as error:
        return error.errno not in _ABSENT
    return True


def _trusted_owners(folder: Path) -> frozenset[int]:
    """Return the users whose files in parent folders are used: this one, root, the folder's."""
    if not hasattr(os, "geteuid"):
        return frozenset()
    try:
        return frozenset({0, os.geteuid(), folder.stat().st_uid})
    except OSError:
        return frozenset({0, os.geteuid()})


def _is_trusted(path: Path, trusted: Collection[int]) -> bool:
    """Return whether one of the `trusted` users owns `path`; True on systems without owners."""
    try:
        return not trusted or path.stat().st_uid in trusted
    except OSError:
        return True  # reading it raises the error


def _entries(path: Path, *, explicit: bool) -> tuple[Entry, ...] | None:
    """Return the entries of `path`; None for a `pyproject.toml` without our table."""
    ours = path.name != "pyproject.toml"
    try:
        data = _read_bytes(path)
    except ConfigError:
        if ours or explicit:
            raise
        return None
    if not ours and not explicit and not re.search(_TOOL_TABLE, data):
        return None  # without our table, so it need not be parsed
    suffix = path.suffix.lower()
    if suffix not in {".toml", ".yaml", ".yml"}:
        raise ConfigError(f"{path} has an unknown suffix", hint="Use .toml, .yaml or .yml")
    text = _decode(path, data)
    if suffix == ".toml":
        try:
            from otel_ext.config.sources import toml  # noqa: PLC0415 - slow to import
        except ImportError as error:  # pragma: no cover - only a broken installation on Python 3.10
            hint = "Run: pip install tomli"
            raise ConfigError(f"{path} needs tomli on this Python", hint=hint) from error
        if ours:
            return toml.parse_toml(path, text)
        return toml.parse_pyproject(path, text, explicit=explicit)
    try:
        from otel_ext.config.sources import yaml  # noqa: PLC0415 - optional, and slow to import
    except ImportError as error:
        if error.name != "yaml":
            raise
        raise MissingExtraError("pyyaml", "yaml") from None
    return yaml.parse_yaml(path, text)


def _read_bytes(path: Path) -> bytes:
    """Return the bytes of a regular file of limited size; never blocks on a pipe or device."""
    if "\0" in str(path):
        raise ConfigError(f"{str(path)!r} is not a path", hint="Pass the path of a file")
    try:
        _require_file(path, path.stat())
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            _require_file(path, os.fstat(file.fileno()))
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise ConfigError(
                f"{path} does not exist", hint="Pass the path of an existing file"
            ) from None
        raise ConfigError(
            f"{path} cannot be read: {error.strerror or type(error).__name__}",
            hint="Make it readable, or name another file",
        ) from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(
            f"{path} is too large for a configuration", hint="Use a file of at most 1 MiB"
        )
    return data


def _require_file(path: Path, status: os.stat_result) -> None:
    """Raise ConfigError unless `status` is that of a regular file."""
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return
    kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or socket"
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        kind = "a device"
    raise ConfigError(f"{path} is {kind}, not a file", hint="Pass the path of a TOML or YAML file")


def _decode(path: Path, data: bytes) -> str:
    """Return `data` as text, without a byte order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Offsets count from after a byte order mark.
        before = data[len(data) - len(error.object) :][: error.start]
        line = before.count(b"\n") + 1
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        byte = error.object[error.start]
        raise ConfigError(
            f"{path}:{line}:{column}: byte 0x{byte:02x} is not UTF-8 text",
            hint="Save the file as UTF-8",
        ) from None
