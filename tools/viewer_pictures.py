"""Takes the pictures of the viewer in docs/images.

python -m tools.viewer_pictures [FOLDER] [--dark]

It runs `otel-ext serve` and the programs of `tools/viewer_scene.py`, and opens each page in the
Chromium of this machine. Times in the pictures are different each time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from urllib.parse import quote
from urllib.request import urlopen

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from playwright.sync_api import ViewportSize

ROOT: Final = Path(__file__).parents[1]
IMAGES: Final = ROOT / "docs" / "images"
OTEL_EXT: Final = [sys.executable, "-m", "otel_ext"]
SIZE: Final[ViewportSize] = {"width": 1300, "height": 800}
# How long the shop is open before the first picture.
SECONDS: Final = 30
TIMEOUT: Final = 60


class Shot(NamedTuple):
    """One picture.

    Attributes:
        name: The name of its page.
        address: The part of the address behind `#/`.
        text: What is on the page when it is ready.
        keys: What is pressed then.
    """

    name: str
    address: str
    text: str
    keys: tuple[str, ...] = ()


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=IMAGES)
    parser.add_argument("--dark", action="store_true", help="all in dark colours")
    options = parser.parse_args()
    theme: Literal["dark", "light"] = "dark" if options.dark else "light"
    with (
        tempfile.TemporaryDirectory() as folder,
        server(Path(folder)) as url,
        scene(Path(folder)),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), chromium_sandbox=False
        )
        for shot in shots(url):
            page = browser.new_page(viewport=SIZE, color_scheme=theme)
            page.goto(f"{url}/#/{shot.address}")
            page.locator("main").get_by_text(shot.text).first.wait_for()
            for key in shot.keys:
                page.keyboard.press(key)
                page.wait_for_timeout(300)
            page.wait_for_timeout(1_000)
            page.screenshot(path=options.folder / f"viewer-{shot.name}.png")
            page.close()
        browser.close()


def shots(url: str) -> Iterator[Shot]:
    """Yield the pictures of what the server has."""
    orders = traces(url, 'name:"POST /orders" -state:running')
    failed = next(one["trace_id"] for one in orders if one["errors"])
    by_size = sorted((one for one in orders if not one["errors"]), key=lambda one: one["spans"])
    small, large = by_size[0]["trace_id"], by_size[-1]["trace_id"]
    agent = ask(url, "agents")["traces"][0]["trace_id"]
    yield Shot("now", "now", "import catalogue", ("j",))
    yield Shot("traces", "traces", "POST /orders", ("j", "j", "l"))
    yield Shot("trace", f"trace/{failed}", "charge card", ("e", "Enter"))
    yield Shot("operations", "operations", "charge card", ("j",))
    yield Shot("errors", "errors", "card declined", ("j",))
    yield Shot("compare", f"compare?a={small}&b={large}", "The second took")
    yield Shot("logs", "logs", "reserved", ("k", "k", "k"))
    yield Shot("agents", f"agents/{agent}", "shop assistant")


def traces(url: str, search: str) -> list[dict[str, Any]]:
    """Return the newest traces that a search finds."""
    found: list[dict[str, Any]] = ask(url, f"traces?q={quote(search)}&limit=50")["traces"]
    return found


def ask(url: str, path: str) -> dict[str, Any]:
    """Return an answer of the server."""
    with urlopen(f"{url}/api/v1/{path}") as reply:  # noqa: S310 - on this machine
        answer: dict[str, Any] = json.load(reply)
    return answer


@contextmanager
def server(work: Path) -> Generator[str]:
    """Run the server; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    words = ("serve", "traces", "--port", str(port), "--otlp-http-port", "0")
    with started(work, "server", *OTEL_EXT, *words, "--otlp-grpc-port", "0"):
        end = time.monotonic() + TIMEOUT
        while not is_listening(port):
            if time.monotonic() > end:
                raise TimeoutError(f"the server does not listen after {TIMEOUT} s")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"


def is_listening(port: int) -> bool:
    """Return whether a server on this machine takes connections on a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def scene(work: Path) -> Generator[None]:
    """Let the shop take orders, and the agent answer."""
    with ExitStack() as programs:
        for name in ("shop", "packing", "assistant"):
            program = f"{name}.py"
            shutil.copy(ROOT / "tools" / "viewer_scene.py", work / program)
            command = (*OTEL_EXT, "run", "--quiet", "--", sys.executable, program, name)
            programs.enter_context(started(work, name, *command))
        time.sleep(SECONDS)
        yield


@contextmanager
def started(work: Path, service: str, *command: str) -> Generator[None]:
    """Start a program, and end it with the block."""
    env = {**os.environ, "OTEL_SERVICE_NAME": service, "OTEL_EXT_STALL_AFTER": "10s"}
    with subprocess.Popen(  # noqa: S603 - our own programs
        command, cwd=work, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        yield
        process.terminate()


if __name__ == "__main__":
    main()
