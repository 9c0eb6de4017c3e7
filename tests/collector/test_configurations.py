"""The Collector's configurations use only components that the manifest builds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import pytest
import yaml

from tests.collector.otelcol import DEPLOY, validate

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATIONS = ("otlp.yaml", "jsonl.yaml")
# Names of components in configurations that differ from those of their modules.
NAMES = {
    "file_log": "filelog",
    "file_storage": "filestorage",
    "memory_limiter": "memorylimiter",
}


def built(kind: str) -> set[str]:
    """Return the names of the components of a kind that the manifest lists."""
    document = cast(
        "dict[str, list[dict[str, str]]]", yaml.safe_load((DEPLOY / "builder.yaml").read_text())
    )
    modules = [entry["gomod"].split()[0].rsplit("/", 1)[1] for entry in document[kind]]
    return {module.removesuffix(kind.removesuffix("s")) for module in modules}


@pytest.mark.parametrize("kind", ["receivers", "processors", "exporters", "extensions"])
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_every_component_is_in_the_manifest(configuration: str, kind: str) -> None:
    """A Collector that is built from the manifest knows every component that is used."""
    document = cast(
        "dict[str, dict[str, object]]", yaml.safe_load((DEPLOY / configuration).read_text())
    )
    used = {name.split("/")[0] for name in document.get(kind, {})}
    assert {NAMES.get(name, name) for name in used} <= built(kind)


def test_all_modules_are_of_one_release() -> None:
    """The builder, the core and the contributed components go together."""
    text = (DEPLOY / "builder.yaml").read_text()
    versions = set(re.findall(r"gomod: \S+ v(0\.\S+)$", text, re.MULTILINE))
    assert versions == set(re.findall(r"^  version: (\S+)$", text, re.MULTILINE))
    assert len(versions) == 1


@pytest.mark.collector
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_the_collector_accepts_it(tmp_path: Path, configuration: str) -> None:
    """`otelcol validate` succeeds."""
    done = validate(configuration, tmp_path)
    assert done.returncode == 0, done.stderr
