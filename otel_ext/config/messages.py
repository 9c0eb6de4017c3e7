"""Where a setting's value came from, and the messages about wrong ones."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from otel_ext.errors import ConfigError, OtelExtError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

__all__ = ["DEFAULT", "Entry", "Layer", "Problems", "Source", "did_you_mean"]

Layer = Literal["code", "environment", "file", "default"]


class Source(NamedTuple):
    """Where a value came from.

    Args:
        layer: Which of the four layers.
        where: The argument, the variable, or file and line; empty for a default.

    >>> str(Source("environment", "environment variable OTEL_EXT_SYNC"))
    'environment variable OTEL_EXT_SYNC'
    """

    layer: Layer
    where: str = ""

    def __str__(self) -> str:
        return self.where or self.layer


DEFAULT: Final = Source("default")


class Entry(NamedTuple):
    """A key of a configuration file with its value and its line (from 1; None if not known)."""

    key: str
    value: object
    line: int | None


class Problems:
    """Collects configuration errors, so that one run reports all of them.

    >>> problems = Problems()
    >>> problems.add("sync: 'often' is not allowed", hint="Use one of: always, never")
    >>> problems.raise_all()
    Traceback (most recent call last):
    ...
    otel_ext.errors.ConfigError: sync: 'often' is not allowed. Use one of: always, never
    """

    def __init__(self) -> None:
        self._errors: list[OtelExtError] = []
        self.only_outside = True
        """Whether all errors have their cause outside of code."""

    def add(self, message: str, *, hint: str = "", key: str = "", outside: bool = False) -> None:
        """Add an error with its hint and the setting it is about; see `collecting`."""
        context = {"key": key} if key else {}
        with self.collecting(outside=outside):
            raise ConfigError(message, hint=hint, context=context)

    @contextmanager
    def collecting(self, *, outside: bool = False) -> Generator[None, None, None]:
        """Collect an error of the block instead of raising it.

        Args:
            outside: Whether its cause is in the environment or in a file, not in code.
        """
        try:
            yield
        except OtelExtError as error:
            self._errors.append(error)
            self.only_outside &= outside

    def sentences(self) -> tuple[str, ...]:
        """Return the collected errors as text, one sentence each."""
        return tuple(str(error) for error in self._errors)

    def raise_all(self) -> None:
        """Raise one error that lists all collected ones, if there are any.

        Raises:
            ConfigError: Its context holds each message under "problems".
            MissingExtraError: It is the only problem.
        """
        if not self._errors:
            return
        if len(self._errors) == 1:
            raise self._errors[0]
        lines = self.sentences()
        message = f"{len(lines)} problems in the configuration:\n- " + "\n- ".join(lines)
        raise ConfigError(message, context={"problems": lines})


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Return "Did you mean X?" with the nearest name in `known`; empty if none is near.

    >>> did_you_mean("compat_mod", ["output", "compat-mode"])
    "Did you mean 'compat-mode'?"
    """
    import difflib  # noqa: PLC0415 - only a mistake needs it

    plain = {_plain(candidate): candidate for candidate in known}
    nearest = difflib.get_close_matches(_plain(name[:80]), plain, n=1, cutoff=0.6)
    return f"Did you mean {prefix + plain[nearest[0]]!r}?" if nearest else ""


def _plain(name: str) -> str:
    """Return `name` in lower case without hyphens and underscores."""
    return name.lower().replace("_", "").replace("-", "")
