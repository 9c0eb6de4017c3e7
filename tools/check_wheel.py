"""Compares a built wheel with the tree it was built from.

Exits with 1 and prints one line for each difference: a missing module or data file, an
unexpected one, a second top-level package, a missing entry point.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
TREES = {
    "otel_ext": "otel_ext",
    "processors": "otel_ext/processors",
    "exporters": "otel_ext/exporters",
}
DATA = (".py", ".pyi", ".json", ".typed", ".html", ".css", ".js")
ENTRY_POINTS = (
    "[console_scripts]\notel-ext = otel_ext.cli.main:main",
    "[opentelemetry_pre_instrument]\notel_ext = otel_ext.zero_code:pre_instrument",
)


def files_of_the_tree() -> set[str]:
    """Return the names that the wheel must contain, as paths inside it."""
    found: set[str] = set()
    for folder, package in TREES.items():
        root = CHECKOUT / folder
        for path in root.rglob("*"):  # does not follow directory links
            if path.suffix in DATA and path.is_file():
                found.add(f"{package}/{path.relative_to(root).as_posix()}")
    return found


def problems_of(wheel: Path) -> list[str]:
    """Return one sentence for each problem of `wheel`."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        metadata = {Path(name).name: name for name in names if ".dist-info/" in name}
        text = archive.read(metadata["entry_points.txt"]).decode("utf-8")
    # The compiled part is not in the tree: the wheel may have it, under this name only.
    built = {name for name in names if re.fullmatch(r"otel_ext/_speed\.[\w.-]+\.(so|pyd)", name)}
    shipped = {name for name in names if ".dist-info/" not in name} - built
    expected = files_of_the_tree()
    problems = [f"missing from the wheel: {name}" for name in sorted(expected - shipped)]
    problems += [f"not in the tree: {name}" for name in sorted(shipped - expected)]
    problems += [
        f"a second top-level package: {top}"
        for top in sorted({name.split("/")[0] for name in shipped} - {"otel_ext"})
    ]
    problems += [f"no entry point: {entry!r}" for entry in ENTRY_POINTS if entry not in text]
    if "LICENSE" not in metadata:
        problems.append("the licence is missing")
    return problems


def main() -> int:
    """Check the wheel named on the command line."""
    wheel = Path(sys.argv[1])
    problems = problems_of(wheel)
    for problem in problems:
        sys.stderr.write(f"{wheel.name}: {problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
