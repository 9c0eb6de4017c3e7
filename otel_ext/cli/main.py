"""The command `otel-ext`: finds the subcommand, runs it, and reports errors.

Exit codes: 0 success, 1 a negative result (a bad record, an unhealthy part), 2 wrong
use, 130 interrupted, 141 the reader of the output went away. `run` has the exit code
of the program it ran.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NoReturn

from otel_ext.cli.registry import COMMANDS, find, help_page, load
from otel_ext.cli.standard_streams import drop_full_streams, fill_closed_streams
from otel_ext.errors import OtelExtError, UsageError
from otel_ext.terminal.output import warn, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import SupportsWrite

__all__ = ["main"]

_WRONG_USE: Final = 2
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count
_READER_GONE: Final = 141  # 128 + SIGPIPE


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line with a hint, and its help fits any encoding."""

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        if file is not None:
            super().print_help(file)
            return
        write_text(sys.stdout, self.format_help())

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"See {self.prog} --help")

    def refuse(self, word: str) -> NoReturn:
        """Refuse an option that there is not, or a word too many."""
        command = self.prog.rpartition(" ")[2]
        hint = f"See {self.prog} --help"
        message = f"{command}: there is no option {word!r}"
        if not word.startswith("-"):
            message = f"{command}: unexpected argument {word!r}"
            hint = f"Put options before or after all names. {hint}"
        elif self.get_default("takes_search") and not word.startswith("--"):
            hint = f"To search for what is not so, write {f'not {word[1:]}'!r}, or -- before it"
        raise UsageError(message, hint=hint)


def _unknown(name: str) -> UsageError:
    names = [command.name for command in COMMANDS]
    near = get_close_matches(name, names, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(names)}"
    what = "option" if name.startswith("-") else "command"
    return UsageError(f"there is no {what} {name!r}", hint=hint, context={"name": name})


def _dispatch(argv: Sequence[str]) -> int:
    if not argv or argv[0] in {"-h", "--help", "help"}:
        stream = sys.stdout if argv else sys.stderr
        stream.write(help_page(stream))
        return 0 if argv else _WRONG_USE
    if argv[0] in {"-V", "--version"}:
        from importlib.metadata import version  # noqa: PLC0415 - slow, and only for --version

        sys.stdout.write(f"otel-ext {version('otel-ext')}\n")
        return 0
    command = find(argv[0])
    if command is None:
        raise _unknown(argv[0])
    module = load(command)
    parser = _Parser(
        prog=f"otel-ext {command.name}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.set_up(parser)
    args, unknown = parser.parse_known_args(argv[1:])
    if unknown:
        parser.refuse(unknown[0])
    return module.run(args)


def _reader_gone() -> int:
    # The interpreter flushes stdout at exit and would print the error again.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _READER_GONE


def _describe(error: OSError) -> str:
    name = error.filename if error.filename is not None else ""
    return f"{os.fsdecode(name)}: {error.strerror}" if name else str(error)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, by default that of this process, and return its exit code.

    >>> main(["--version"])  # doctest: +ELLIPSIS
    otel-ext ...
    0
    """
    fill_closed_streams()
    before = gc.get_threshold()
    # A command keeps nearly all that it reads: looking for garbage takes a third of its time.
    gc.set_threshold(100_000)
    try:
        code = _run_and_report(argv)
    finally:
        gc.set_threshold(*before)
    drop_full_streams()
    return code


def _run_and_report(argv: Sequence[str] | None) -> int:
    """Run the command line and return its exit code; an error is printed as one line."""
    try:
        code = _dispatch(sys.argv[1:] if argv is None else list(argv))
        sys.stdout.flush()
    except OtelExtError as error:
        warn(str(error))
        return _WRONG_USE
    except BrokenPipeError:
        return _reader_gone()
    except OSError as error:
        warn(_describe(error))
        return _WRONG_USE
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
