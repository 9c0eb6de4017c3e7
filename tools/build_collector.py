"""Builds the OpenTelemetry Collector that deploy/collector/builder.yaml describes.

The binary is kept in the user's cache folder under a hash of the manifest, so it is
built once for each manifest: some minutes on two cores. Standard output has its path
only.

The builder writes the program, and `go build` downloads its modules. The builder's own
way, `go mod tidy`, would also download what the tests of every component need.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NoReturn

MANIFEST: Final = Path(__file__).resolve().parents[1] / "deploy" / "collector" / "builder.yaml"
BUILDER: Final = "go.opentelemetry.io/collector/cmd/builder"
CORE: Final = "go.opentelemetry.io/collector/otelcol"
MODULE: Final = re.compile(r"^\s*- gomod: (\S+) (v\S+)$", re.MULTILINE)
VERSION: Final = re.compile(r"^\s+version: (\S+)$", re.MULTILINE)
# Change it to build the same manifest differently.
RECIPE: Final = b"1"


def cached(manifest: Path) -> Path:
    """Return where the binary for `manifest` is, or will be."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = hashlib.sha256(RECIPE + manifest.read_bytes()).hexdigest()[:16]
    return base / "otel-ext" / f"collector-{key}" / "otelcol"


def fail(message: str) -> NoReturn:
    """Print what is wrong and the way out, and exit with 1."""
    sys.stderr.write(f"build_collector: {message}\n")
    raise SystemExit(1)


def show_progress(step: str, began: float) -> None:
    """Print progress on stderr."""
    sys.stderr.write(f"[{time.monotonic() - began:4.0f} s] {step}\n")


def execute(words: list[str], folder: Path, **variables: str) -> None:
    """Run one step; print its output only if it fails."""
    env = {**os.environ, "CGO_ENABLED": "0", **variables}
    done = subprocess.run(  # noqa: S603 - our own commands
        words,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        printed = [line for line in done.stdout.splitlines() if "downloading" not in line]
        fail("\n".join([f"{' '.join(words)} failed:", *printed[-20:]]))


def build(go: str, manifest: Path, work: Path) -> Path:
    """Build in the folder `work`; return the binary."""
    text = manifest.read_text("utf-8")
    found = VERSION.search(text)
    if found is None:
        fail(f"{manifest} names no version below `dist:`")
    version = f"v{found[1]}"
    began = time.monotonic()
    show_progress(f"installing the builder {version}", began)
    execute([go, "install", f"{BUILDER}@{version}"], work, GOBIN=str(work))
    show_progress("writing the program", began)
    steps = ["--skip-get-modules", "--skip-compilation", "--config", str(manifest)]
    execute([str(work / "builder"), *steps], work)
    program = work / "otelcol"
    execute([go, "mod", "init", BUILDER], program)
    modules = [f"{name}@{at}" for name, at in [*MODULE.findall(text), (CORE, version)]]
    execute([go, "mod", "edit", *[f"-require={module}" for module in modules]], program)
    show_progress(f"compiling {len(modules)} modules and what they need; this takes minutes", began)
    words = [go, "build", "-mod=mod", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w"]
    execute([*words, "-o", "otelcol", "."], program)
    show_progress("done", began)
    return program / "otelcol"


def main() -> int:
    """Build the binary unless it is there, and print its path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=Path, default=MANIFEST)
    parser.add_argument("--where", action="store_true", help="print the path, build nothing")
    options = parser.parse_args()
    manifest: Path = options.manifest.resolve()
    binary = cached(manifest)
    if not options.where and not binary.exists():
        go = shutil.which("go")
        if go is None:
            fail("there is no `go` here. Install Go 1.25 or newer: https://go.dev/doc/install")
        os.nice(10)
        binary.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=binary.parent) as work:
            # Renamed when it is complete, so builds at the same time do not interfere.
            build(go, manifest, Path(work)).replace(binary)
    sys.stdout.write(f"{binary}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
