"""Checks the commands of `sh` blocks in the documentation, without running them.

A command that needs a collector, a network or hours cannot be run like those of a
`console` block. Instead, this looks up its options, extras, targets and files.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import shlex
import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext import environment_variables
from otel_ext.cli.commands.serve import TOKEN_VARIABLE
from otel_ext.cli.registry import find, load
from tests.programs import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

_ASSIGNMENT: Final = re.compile(r"([A-Z_]+)=(.*)", re.DOTALL)
_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9._-]+)(?:\[([a-z,]+)\])?")
# Names that stand for a reader's program and module.
_THEIRS: Final = frozenset({"app.py", "package.module"})
# Programs outside of our installation, whose options cannot be checked.
_OTHERS: Final = frozenset({"docker", "otelcol"})


class Typed(NamedTuple):
    """A command: the names of the variables set before it, and its words."""

    variables: tuple[str, ...]
    words: tuple[str, ...]


def commands(text: str) -> list[Typed]:
    r"""Return the commands of a block.

    >>> commands("A=1 make \\\n  test   # all\nexport B=2\n")
    [Typed(variables=('A',), words=('make', 'test')), Typed(variables=('B',), words=())]
    """
    found: list[Typed] = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["export"]:
            del words[0]
        variables: list[str] = []
        while words and (assignment := _ASSIGNMENT.fullmatch(words[0])):
            variables.append(assignment[1])
            del words[0]
        if words or variables:
            found.append(Typed(tuple(variables), tuple(words)))
    return found


def problem_of(typed: Typed, page: Path) -> str:
    """Return a sentence about a name in a command that does not exist; empty if all do."""
    unknown = [
        name
        for name in typed.variables
        if name.startswith("OTEL_EXT_")
        and name not in {*dir(environment_variables), TOKEN_VARIABLE}
    ]
    if unknown:
        return f"there is no variable {unknown[0]}"
    return _problem_of_words(typed.words, page) if typed.words else ""


def _problem_of_words(words: tuple[str, ...], page: Path) -> str:
    name, *rest = Path(words[0]).name, *words[1:]
    check = _CHECKS.get(name)
    if check is not None:
        return check(rest, page)
    if name in _THEIRS or name in _OTHERS or _which(name):
        return ""
    return f"there is no program {name}"


def _which(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=sysconfig.get_path("scripts"))


def _otel_ext(words: list[str], page: Path) -> str:
    command = find(words[0]) if words else None
    if command is None:
        return f"otel-ext has no command {words[:1]}"
    parser = argparse.ArgumentParser(exit_on_error=False)
    module = load(command)
    module.set_up(parser)
    try:
        args, unknown = parser.parse_known_args(words[1:])
    except (argparse.ArgumentError, SystemExit) as error:
        return f"{words}: {error}"
    if unknown:
        return f"otel-ext {command.name} has no {unknown}"
    if command.name != "run" or args.module is not None:
        return ""
    started: list[str] = args.command
    return _problem_of_words(tuple(started[started[:1] == ["--"] :]), page)


def _instrument(words: list[str], page: Path) -> str:
    options = {f"--{n.removeprefix('OTEL_').lower()}" for n in dir(environment_variables)}
    rest = list(words)
    while rest and rest[0].startswith("--"):
        if rest[0] not in options:
            return f"opentelemetry-instrument has no {rest[0]}"
        del rest[:2]
    return _problem_of_words(tuple(rest), page) if rest else "there is no program"


def _pip(words: list[str], page: Path) -> str:
    if words[:1] != ["install"]:
        return f"pip {words}"
    extras = importlib.metadata.metadata("otel-ext").get_all("Provides-Extra") or []
    rest = words[1:]
    while rest:
        word = rest.pop(0)
        if word == "-c" and not (page.parent / rest.pop(0)).is_file():
            return "there is no such file of constraints"
        match = _REQUIREMENT.fullmatch(word)
        if word.startswith("-") or match is None:
            continue
        wanted = match[2].split(",") if match[2] else []
        if match[1] == "otel-ext":
            return "otel-ext is on no index: name the checkout"
        if match[1] == "." and not set(wanted) <= set(extras):
            return f"there is no extra {wanted}"
        if match[1] != "." and not _is_installed(match[1]):
            return f"there is no package {match[1]} in what the tests run with"
    return ""


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _make(words: list[str], _page: Path) -> str:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = [word for word in words if "=" not in word]
    missing = [
        one for one in targets if not re.search(rf"^{re.escape(one)}:", makefile, re.MULTILINE)
    ]
    return f"there is no target {missing[0]}" if missing else ""


def _python(words: list[str], page: Path) -> str:
    if words[:1] != ["-m"]:
        is_there = words[0] in _THEIRS or (page.parent / words[0]).is_file()
        return "" if is_there else f"there is no {words[0]}"
    if words[1] not in _THEIRS and find_spec(words[1]) is None:
        return f"there is no module {words[1]}"
    paths = [word for word in words[2:] if "/" in word and not word.startswith(".")]
    missing = [path for path in paths if not (page.parent / path).exists()]
    return f"there is no {missing[0]}" if missing else ""


_CHECKS: Final[dict[str, Callable[[list[str], Path], str]]] = {
    "otel-ext": _otel_ext,
    "opentelemetry-instrument": _instrument,
    "pip": _pip,
    "make": _make,
    "python": _python,
    "python3": _python,
}
