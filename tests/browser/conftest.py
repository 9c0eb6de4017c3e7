"""Browsers for the tests of pages."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.scene import scene
from tests.browser.served import Served
from tests.browser.visits import Visit

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Playwright

FIREFOX = "firefox-esr"


@pytest.fixture(scope="module", name="playwright")
def _playwright() -> Generator[Playwright]:
    # Of a machine that is busy with other tests too.
    expect.set_options(timeout=30_000)
    # It ends before other tests: it leaves an event loop running in this thread.
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Generator[Browser]:
    """Start the Chromium of this machine once."""
    # As root Chromium has no sandbox.
    found = playwright.chromium.launch(
        executable_path=shutil.which("chromium"), chromium_sandbox=False
    )
    yield found
    found.close()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("chromium", marks=pytest.mark.needs("chromium")),
        pytest.param("firefox", marks=pytest.mark.needs(FIREFOX)),
    ],
)
def each_browser(request: pytest.FixtureRequest, playwright: Playwright) -> Generator[Browser]:
    """Start each browser of this machine, Firefox by the protocol that both speak."""
    if request.param == "chromium":
        yield request.getfixturevalue("browser")
        return
    found = playwright.firefox.launch(
        channel="moz-firefox", executable_path=shutil.which(FIREFOX), timeout=60_000
    )
    yield found
    found.close()


@pytest.fixture(params=["light", "dark"])
def open_page(request: pytest.FixtureRequest, browser: Browser) -> Generator[object]:
    """A function that opens a file in a new window, in each colour scheme."""
    contexts: list[BrowserContext] = []

    def opened(file: Path, address: str = "", width: int = 1280) -> Visit:
        context = browser.new_context(
            color_scheme=request.param, viewport={"width": width, "height": 800}, offline=True
        )
        contexts.append(context)
        visit = Visit(context.new_page(), file.as_uri())
        visit.page.goto(file.as_uri() + address)
        return visit

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    """The server with the traces of a small shop, of which one program runs on."""
    served = Served(tmp_path_factory.mktemp("shop"))
    with served.running(), scene(served):
        yield served


@pytest.fixture
def visit(browser: Browser) -> Generator[Callable[..., Visit]]:
    """A function that opens an address of a server in a new window of Chromium."""
    contexts: list[BrowserContext] = []

    def opened(url: str, address: str = "", *, dark: bool = False) -> Visit:
        context = browser.new_context(
            color_scheme="dark" if dark else "light", viewport={"width": 1300, "height": 800}
        )
        contexts.append(context)
        visit = Visit(context.new_page(), f"{url}/")
        visit.page.goto(f"{url}/{address}")
        return visit

    yield opened
    for context in contexts:
        context.close()
