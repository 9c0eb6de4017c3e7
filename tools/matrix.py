"""Run `make test` with every supported Python found here, and two OpenTelemetry releases.

Each Python runs with the newest OpenTelemetry of constraints.txt and with the oldest
that otel-ext admits. Looks on the PATH and among pyenv's versions. Prints which were
run, and which of the supported ones are not here; exits with 1 if any run failed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.10", "3.11", "3.12", "3.13", "3.14")
# OpenTelemetry 1.30 and what it needs were released before the later Pythons.
OLDEST_SDK_RUNS_ON = SUPPORTED[:4]


def works(interpreter: str, version: str) -> bool:
    """Tell whether `interpreter` starts and is of `version`: a pyenv shim may do neither."""
    code = 'import sys, venv; print("%d.%d" % sys.version_info[:2])'
    done = subprocess.run(  # noqa: S603 - an interpreter of this machine
        [interpreter, "-c", code], capture_output=True, text=True, check=False
    )
    return done.returncode == 0 and done.stdout.strip() == version


def find(version: str) -> str | None:
    """Return an interpreter of `version`, such as "3.12", or None."""
    candidates = [shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}")))
    return next((name for name in candidates if name and works(name, version)), None)


def main() -> int:
    """Test with each, then print the summary."""
    results: dict[str, str] = {}
    for version in SUPPORTED:
        interpreter = find(version)
        if interpreter is None:
            results[version] = "not on this machine"
            continue
        for sdk in ("oldest", "newest") if version in OLDEST_SDK_RUNS_ON else ("newest",):
            command = ["make", "test", f"PYTHON={interpreter}", f"SDK={sdk}"]
            done = subprocess.run(command, check=False)  # noqa: S603 - our own command
            name = f"{version}, {sdk} OpenTelemetry"
            results[name] = "FAILED" if done.returncode else "passed"
    for version, result in results.items():
        sys.stdout.write(f"Python {version}: {result}\n")
    return 1 if "FAILED" in results.values() else 0


if __name__ == "__main__":
    sys.exit(main())
