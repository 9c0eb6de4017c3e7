"""Defines the exceptions of otel-ext.

::

    OtelExtError
    ├── ConfigError          a setting, a configuration file or an option is wrong
    ├── RecordError          a line or value is not a record of this format
    ├── JournalError         a folder or file cannot be used for records
    ├── StoreError           the store cannot be read or written
    ├── MissingExtraError    an optional dependency is not installed
    └── UsageError           a command was called in a way that cannot work

Every error has a `code` for programs, a `hint` with the way out, and a `context` with
the names and values it is about. Only direct calls raise them: no hook of the SDK
raises into a program.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ConfigError",
    "JournalError",
    "MissingExtraError",
    "OtelExtError",
    "RecordError",
    "StoreError",
    "UsageError",
]


class OtelExtError(Exception):
    """Base class of the errors of otel-ext.

    Args:
        message: What is wrong, with the name and the value.
        hint: The way out, as an imperative sentence; may be empty.
        context: The names and values that the error is about, for programs.

    >>> error = OtelExtError("port 99999 is out of range", hint="Use 1 to 65535.")
    >>> str(error)
    'port 99999 is out of range. Use 1 to 65535.'
    >>> error.code
    'error'
    """

    code = "error"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        context: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.context: Mapping[str, object] = MappingProxyType(dict(context or {}))

    def __str__(self) -> str:
        return f"{self.message.rstrip('.')}. {self.hint}" if self.hint else self.message


class ConfigError(OtelExtError, ValueError):
    """A setting is wrong; the message names the key, the value, its source and what is allowed."""

    code = "config"


class RecordError(OtelExtError, ValueError):
    """A line is not a record, or a record does not follow the format."""

    code = "record"


class JournalError(OtelExtError, OSError):
    """A folder or file cannot be used for records."""

    code = "journal"


class StoreError(OtelExtError):
    """The store cannot be read or written; nothing is lost, since it is made of the records.

    Args:
        message: What is wrong.
        hint: The way out.
        is_temporary: Whether it may work later, as when the disk is full.
    """

    code = "store"

    def __init__(self, message: str, *, hint: str = "", is_temporary: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.is_temporary = is_temporary


class MissingExtraError(OtelExtError, ImportError):
    """An optional dependency is missing; the hint is the command that installs it.

    Args:
        package: The missing distribution.
        extra: The extra of otel-ext that requires it.
        whole: Whether the extra has other packages, too, so that all of it is to be installed.

    >>> print(MissingExtraError("pyyaml", "yaml"))
    pyyaml is not installed. Run: pip install pyyaml
    """

    code = "missing-extra"

    def __init__(self, package: str, extra: str, *, whole: bool = False) -> None:
        wanted = f"'otel-ext[{extra}]'" if whole else package
        super().__init__(
            f"{package} is not installed",
            hint=f"Run: pip install {wanted}",
            context={"package": package, "extra": extra},
        )


class UsageError(OtelExtError):
    """A command was called in a way that cannot work."""

    code = "usage"
