"""Records the traces in `examples/traces`: `python -m tools.record_traces`.

They are real: the programs in `examples` run, with the instrumentations of the libraries that
they use. What names this machine is replaced, and only so many traces are kept that a file
stays small.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT: Final = Path(__file__).parents[1]
TRACES: Final = ROOT / "examples" / "traces"
OTEL_EXT: Final = [sys.executable, "-m", "otel_ext"]
SECONDS: Final = 60
ORDERS: Final = ("1?item=lamp", "2?item=lamp&item=chair&item=rug", "3?item=desk")


def main() -> None:
    """Record each program into a file."""
    TRACES.mkdir(exist_ok=True)
    for name, record in (("library", library), ("shop", shop), ("agent", agent)):
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            record(work)
            lines = [
                line for path in sorted(work.glob("traces/*.jsonl")) for line in lines_of(path)
            ]
            target = TRACES / f"{name}.jsonl"
            target.write_text("".join(anonymous(line, work) for line in lines), "utf-8")
            print(f"{target.relative_to(ROOT)}: {len(lines)} records")  # noqa: T201


def library(work: Path) -> None:
    """Index some files of the standard library."""
    program = ROOT / "examples" / "index_library.py"
    run(work, "run", "--quiet", "--", sys.executable, str(program), "--files", "12")


def agent(work: Path) -> None:
    """Let an agent answer a question."""
    program = shutil.copy(ROOT / "examples" / "recorded" / "agent.py", work)
    run(work, "run", "--quiet", "--", sys.executable, Path(program).name)


def shop(work: Path) -> None:
    """Order from the shop, whose worker packs the orders."""
    shutil.copy(ROOT / "examples" / "recorded" / "shop.py", work)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    serve = (
        "import shop; from django.core.management import execute_from_command_line as run; "
        f"run(['shop', 'runserver', '--noreload', '{port}'])"
    )
    worker = ("-m", "celery", "-A", "shop", "worker", "--pool", "solo", "--loglevel", "ERROR")
    with started(work, "shop", "-c", serve), started(work, "packing", *worker):
        for order in ORDERS:
            fetch(f"http://127.0.0.1:{port}/order/{order}")
        wait_for(work, b'"event":"run/shop.pack.end"', len(ORDERS))


def run(work: Path, *words: str) -> None:
    """Run a command of otel-ext to its end."""
    subprocess.run([*OTEL_EXT, *words], cwd=work, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - programs of this project


@contextmanager
def started(work: Path, service: str, *words: str) -> Generator[None]:
    """Run a Python program under otel-ext within a block, as a service of this name."""
    command = [*OTEL_EXT, "run", "--quiet", "--", sys.executable, *words]
    env = {**os.environ, "OTEL_SERVICE_NAME": service}
    with subprocess.Popen(command, cwd=work, env=env, stdout=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            yield
        finally:
            process.terminate()
            process.wait(SECONDS)


def fetch(url: str) -> None:
    """Request a page, as soon as there is a server."""
    until = time.monotonic() + SECONDS
    while True:
        try:
            with urlopen(url, timeout=SECONDS) as response:  # noqa: S310 - of this program
                response.read()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


def wait_for(work: Path, text: bytes, number: int) -> None:
    """Wait until `text` is in so many records."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        done = subprocess.run(  # noqa: S603
            [*OTEL_EXT, "tail", "--json", "--no-follow", "-n", "10000", "traces"],
            cwd=work,
            check=True,
            capture_output=True,
        )
        if done.stdout.count(text) >= number:
            return
        time.sleep(0.5)
    raise TimeoutError(f"no {number} records with {text!r}")


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file, without records that say nothing about spans and logs."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    return [line for line in lines if '"event":"process.heartbeat"' not in line]


def anonymous(line: str, work: Path) -> str:
    """Return a line without the names of this machine."""
    record: dict[str, Any] = json.loads(line)
    meta = record["__tracer_meta__"]
    if "host" in meta:
        meta["host"] = "example"
    if "argv" in meta:
        meta["argv"] = ["python", *meta["argv"][1:]]
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    text = re.sub(r"[^\s\"]*/site-packages", "/usr/lib/python3/site-packages", text)
    host, library = socket.gethostname(), sysconfig.get_path("stdlib")
    for found, shown in (
        (f"@{host}", "@example"),
        (f'"{host}"', '"example"'),
        (library, "/usr/lib/python3"),
        (os.path.realpath(library), "/usr/lib/python3"),
        (str(work), "/srv"),
        (f"{ROOT}/", ""),
    ):
        text = text.replace(found, shown)
    return text + "\n"


if __name__ == "__main__":
    main()
