"""Parses the modules of the installed package, for tests about its source."""

from __future__ import annotations

import ast
import gc
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import otel_ext

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(otel_ext.__file__).parent
# Not imported by us: the interpreter of a child process imports it as `sitecustomize`.
# It must start on any Python, and it is there for its side effects.
BOOTSTRAP = "otel_ext.cli.runner._site.sitecustomize"

# The compiled module.
COMPILED = "otel_ext._speed"


class Import(NamedTuple):
    """An imported module, and the line of the import."""

    module: str
    line: int


class Module(NamedTuple):
    """One module of the package.

    Attributes:
        name: Dotted, with `.__init__` for a package.
        path: Relative to the folder that holds `otel_ext`, for messages.
    """

    name: str
    path: str
    text: str
    tree: ast.Module

    @property
    def part(self) -> str:
        """Its key in the table of layers: a package, or a top-level module."""
        return self.name.split(".")[1]

    def location(self, line: int) -> str:
        """Return `path:line`, which editors turn into a link."""
        return f"{self.path}:{line}"


def checkout() -> Path:
    """Return the checkout that the package was built from.

    Raises:
        AssertionError: It is not found: the tests run in a copy.
    """
    root = Path(os.environ.get("OTEL_EXT_TEST_CHECKOUT") or Path(__file__).parents[1])
    assert (root / "otel_ext").is_dir(), f"no checkout at {root}: set OTEL_EXT_TEST_CHECKOUT"
    return root


def python_files(folder: Path) -> list[Path]:
    """Return every Python file below `folder`, links to folders followed, sorted."""
    found: list[Path] = []
    for base, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        found += [Path(base, name) for name in names if name.endswith(".py")]
    return sorted(found)


def freeze() -> None:
    """Keep the large trees that stay in memory out of the collections of later tests."""
    gc.collect()
    gc.freeze()


@cache
def modules() -> tuple[Module, ...]:
    """Return every module of the installed package except the bootstrap."""
    found: list[Module] = []
    for path in python_files(PACKAGE):
        relative = path.relative_to(PACKAGE.parent)
        text = path.read_text(encoding="utf-8")
        name = ".".join(relative.with_suffix("").parts)
        found.append(Module(name, relative.as_posix(), text, ast.parse(text)))
    freeze()
    return tuple(module for module in found if module.name != BOOTSTRAP)


@cache
def nodes_of(module: Module) -> tuple[ast.AST, ...]:
    """Return all nodes of `module`, which many tests go through."""
    return tuple(ast.walk(module.tree))


@cache
def module_names() -> frozenset[str]:
    """Return the names of all modules of ours, as they are imported."""
    return frozenset(known.name.removesuffix(".__init__") for known in modules()) | {COMPILED}


@cache
def imports_of(module: Module) -> tuple[Import, ...]:
    """Return all imports of `module`, also under TYPE_CHECKING and in functions.

    `from a import b` counts as `a.b` if that is a module of ours, else as `a`.
    """
    return tuple(_imports_of(module))


def _imports_of(module: Module) -> Iterator[Import]:
    names = module_names()
    for node in nodes_of(module):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}"
                yield Import(deeper if deeper in names else node.module, node.lineno)
