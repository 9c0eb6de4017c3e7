"""The installation has the whole package and nothing else."""

from __future__ import annotations

import os
import re
import sys
from importlib import resources
from importlib.metadata import distribution, entry_points, packages_distributions
from typing import TYPE_CHECKING, cast

import pytest

import otel_ext
from tests.tree import PACKAGE, checkout, python_files

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DISTRIBUTION = distribution("otel-ext")


def table(*path: str) -> dict[str, object]:
    """Return a table of pyproject.toml."""
    text = (checkout() / "pyproject.toml").read_text(encoding="utf-8")
    found: dict[str, object] = tomllib.loads(text)
    for key in path:
        found = cast("dict[str, object]", found[key])
    return found


def names_in(value: object) -> list[str]:
    """Return a TOML list of strings as one."""
    assert isinstance(value, list)
    return [str(item) for item in cast("list[object]", value)]


def packages_below(root: Path) -> set[str]:
    """Return the dotted name of every folder with code at or below `root/otel_ext`."""
    return {
        ".".join(path.parent.relative_to(root).parts) for path in python_files(root / "otel_ext")
    }


def test_every_package_of_the_tree_is_declared() -> None:
    """A folder with code that pyproject.toml does not list would be missing from the wheel."""
    declared = names_in(table("tool", "setuptools")["packages"])
    assert declared == sorted(declared)
    assert set(declared) == packages_below(checkout())


def test_mapped_packages_are_at_the_top_and_linked() -> None:
    """Processors and exporters are at the top of the tree; the links to them are relative."""
    mapping = table("tool", "setuptools", "package-dir")
    assert mapping == {"otel_ext.processors": "processors", "otel_ext.exporters": "exporters"}
    for name in ("processors", "exporters"):
        link = checkout() / "otel_ext" / name
        assert link.is_symlink()
        assert os.readlink(link) == f"../{name}"  # noqa: PTH115 - Path.readlink normalises


def test_installed_modules_are_those_of_the_tree() -> None:
    """The installed modules are those of the tree, with the same text."""
    tree = checkout() / "otel_ext"
    wanted = {path.relative_to(tree): path.read_bytes() for path in python_files(tree)}
    installed = {path.relative_to(PACKAGE): path.read_bytes() for path in python_files(PACKAGE)}
    assert sorted(installed) == sorted(wanted)
    differing = [str(path) for path, text in wanted.items() if installed[path] != text]
    assert not differing, "the checkout has changed since it was installed"


def test_one_top_level_package_is_installed() -> None:
    """The distribution installs only `otel_ext`: no `processors`, `exporters` or `tests`."""
    names = {name for name, owners in packages_distributions().items() if "otel-ext" in owners}
    assert {name for name in names if not name.startswith("__editable__")} == {"otel_ext"}


@pytest.mark.parametrize("name", ["py.typed", "record/schema/schema.json"])
def test_data_files_are_installed(name: str) -> None:
    """The package has its data files: the typing marker and the schema."""
    assert resources.files("otel_ext").joinpath(name).is_file()


def test_version_is_that_of_the_distribution() -> None:
    """`otel_ext.__version__` is the version in pyproject.toml and in the metadata."""
    assert otel_ext.__version__ == DISTRIBUTION.version == table("project")["version"]


@pytest.mark.parametrize("group", ["console_scripts", "opentelemetry_pre_instrument"])
def test_entry_points_lead_to_functions(group: str) -> None:
    """The command and the hook for `opentelemetry-instrument` can be loaded and called."""
    ours = [point for point in entry_points(group=group) if point.module.startswith("otel_ext.")]
    assert len(ours) == 1
    assert callable(ours[0].load())


def requirement_names(requirements: Iterable[str]) -> set[str]:
    """Return the bare names of requirements such as `a[b]>=1; marker`."""
    return {re.split(r"[\[<>=~!; ]", requirement)[0].lower() for requirement in requirements}


def test_everything_that_make_installs_has_a_pinned_version() -> None:
    """constraints.txt pins each requirement of the tests, the tools and the examples."""
    lines = (checkout() / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = requirement_names(line for line in lines if line and not line.startswith("#"))
    extras = table("project", "optional-dependencies")
    wanted = requirement_names(names_in(table("project")["dependencies"]))
    for extra in ("dev", "test", "examples", "yaml", "server", "mcp", "flags"):
        wanted |= requirement_names(names_in(extras[extra]))
    assert wanted - pinned == {"otel-ext"}


def test_the_oldest_opentelemetry_is_pinned_whole() -> None:
    """constraints-oldest.txt pins every package of OpenTelemetry that is installed."""
    lines = (checkout() / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    extras = table("project", "optional-dependencies")
    wanted = names_in(table("project")["dependencies"]) + names_in(extras["test-base"])
    names = {name for name in requirement_names(wanted) if name.startswith("opentelemetry-")}
    assert names - requirement_names(lines) == set()


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-oldest.txt"])
def test_constraints_hold_versions_and_no_addresses(file: str) -> None:
    """A constraints file has versions only: each machine configures its own package index."""
    text = (checkout() / file).read_text(encoding="utf-8")
    entries = [line for line in text.splitlines() if line and not line.startswith("#")]
    # One version of a package, or one for older and one for newer Pythons.
    names = [
        line.partition("==")[0] + line.partition("; python_version ")[2][:2] for line in entries
    ]
    assert names == sorted(set(names))
    pattern = r"[a-z0-9.-]+==[\w.+!]+(; python_version (<|>=) \"3\.\d+\")?"
    assert [line for line in entries if not re.fullmatch(pattern, line)] == []


def test_each_extra_for_users_is_used_by_the_code() -> None:
    """Each extra for users installs a package that some module imports."""
    extras = table("project", "optional-dependencies")
    users = extras.keys() - {"bench", "dev", "test", "test-base", "examples"}
    assert users == {"yaml", "server", "mcp", "flags"}
    modules = {
        "yaml": "import yaml",
        "server": "import uvicorn",
        "mcp": "from mcp.server",
        "flags": "from openfeature",
    }
    sources = [path.read_text(encoding="utf-8") for path in (checkout() / "otel_ext").rglob("*.py")]
    for extra in users:
        assert any(modules[extra] in source for source in sources)


def test_classifiers_name_each_python_from_the_oldest() -> None:
    """The classifiers list the versions that `requires-python` allows, from its lowest on."""
    classifiers = names_in(table("project")["classifiers"])
    prefix = "Programming Language :: Python :: 3."
    minors = sorted(int(name.removeprefix(prefix)) for name in classifiers if prefix in name)
    assert table("project")["requires-python"] == f">=3.{minors[0]}"
    assert minors == list(range(minors[0], minors[-1] + 1))
