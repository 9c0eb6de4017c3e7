"""Where a value came from, and how a wrong one is told to the person who set it."""

from __future__ import annotations

import reprlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from otel_ext.errors import ConfigError, OtelExtError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

__all__ = ["DEFAULT", "Layer", "Problems", "Source", "did_you_mean", "show"]

Layer = Literal["code", "environment", "file", "default"]


@dataclass(frozen=True)
class Source:
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


class Problems:
    """Collects everything that is wrong, so that one run tells it all.

    >>> problems = Problems()
    >>> problems.add("sync: 'often' is not allowed", hint="Use one of: always, never")
    >>> problems.raise_all()
    Traceback (most recent call last):
    ...
    otel_ext.errors.ConfigError: sync: 'often' is not allowed. Use one of: always, never
    """

    def __init__(self) -> None:
        self._errors: list[OtelExtError] = []
        self._outside: list[OtelExtError] = []

    def add(self, message: str, *, hint: str = "", key: str = "", outside: bool = False) -> None:
        """Note what is wrong, the way out, and the setting it is about; see `collecting`."""
        context = {"key": key} if key else {}
        with self.collecting(outside=outside):
            raise ConfigError(message, hint=hint, context=context)

    @contextmanager
    def collecting(self, *, outside: bool = False) -> Generator[None, None, None]:
        """Note an error of the block instead of raising it.

        Args:
            outside: Whether it lies in the environment or in a file, not in code.
        """
        try:
            yield
        except OtelExtError as error:
            self._errors.append(error)
            if outside:
                self._outside.append(error)

    @property
    def only_outside(self) -> bool:
        """Whether nothing is wrong in code."""
        return len(self._outside) == len(self._errors)

    def sentences(self) -> tuple[str, ...]:
        """Return what was noted, one problem each."""
        return tuple(str(error) for error in self._errors)

    def raise_all(self) -> None:
        """Raise one error that tells all that was noted; nothing if nothing was.

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


class _Short(reprlib.Repr):
    """Bounded in depth, width and length, whatever the value."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxdict = self.maxlist = self.maxtuple = 4
        self.maxstring = self.maxother = self.maxlong = 80


def show(value: object) -> str:
    r"""Return `value` as one short, printable line; never raises.

    >>> show("two\nlines"), show(["x"] * 9)
    ("'two\\nlines'", "['x', 'x', 'x', 'x', ...]")
    """
    try:
        # A repr of user code may hold anything, so its own line breaks go too.
        return " ".join(_Short().repr(value).split())
    except Exception:  # noqa: BLE001 - a value of user code that cannot be shown
        return f"<{type(value).__name__}>"


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Return "Did you mean X?" for the nearest of `known`, or an empty string.

    Args:
        name: What was written.
        known: What there is.
        prefix: What goes before the suggestion.

    >>> did_you_mean("compat_mod", ["output", "compat-mode"])
    "Did you mean 'compat-mode'?"
    """
    import difflib  # noqa: PLC0415 - only a mistake needs it

    plain = {_plain(candidate): candidate for candidate in known}
    nearest = difflib.get_close_matches(_plain(name[:80]), plain, n=1, cutoff=0.6)
    return f"Did you mean {prefix + plain[nearest[0]]!r}?" if nearest else ""


def _plain(name: str) -> str:
    """Return `name` without what people mix up: case, hyphen, underscore."""
    return name.lower().replace("_", "").replace("-", "")
