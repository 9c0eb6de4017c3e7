"""A browser lets the owner's pages use the server, and no page of another site."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tests.loopback import LoopbackServer
from tests.server.security.served import TOKEN, served

if TYPE_CHECKING:
    from collections.abc import Generator

    from playwright.sync_api import Browser, Page
    from starlette.requests import Request

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow, pytest.mark.timeout(120)]

PAGE = """<!doctype html><title>loading</title><link rel="stylesheet" href="/assets/main.css">
<script src="/assets/main.js"></script><script>document.title = "inline"</script>
<p id="text" style="color: red">text</p>"""
# Reads data, and tries what the policy forbids.
SCRIPT = """
const refused = [];
addEventListener("securitypolicyviolation", event => refused.push(event.effectiveDirective));
addEventListener("load", async () => {
  const answer = await fetch("/data");
  try { document.body.innerHTML = "<b>x</b>"; } catch (error) { refused.push(error.name); }
  try { new Function("return 1")(); } catch (error) { refused.push(error.name); }
  try { await fetch("http://127.0.0.1:1/"); } catch (error) { refused.push("fetch"); }
  const text = document.getElementById("text");
  text.style.width = "11px";
  document.title = JSON.stringify({status: answer.status, refused: [...new Set(refused)],
    color: getComputedStyle(text).color, width: getComputedStyle(text).width});
});
"""


# What a page of another site can do, without and with scripts.
OTHER = """<!doctype html><title>other</title><a id="link" href="SERVER/LINK">link</a>
<img src="SERVER/data"><iframe src="SERVER/" name="frame"></iframe><script src="SERVER/data">
</script><form method="post" action="SERVER/data" enctype="text/plain" target="frame">
<input name="x" value="y"></form>
<script>
addEventListener("load", async () => {
  const read = [];
  for (const mode of ["cors", "no-cors"])
    for (const init of [{}, {method: "POST", body: "{}"}])
      try {
        const answer = await fetch("SERVER/data", {mode, credentials: "include", ...init});
        read.push(await answer.text());
      } catch (error) { read.push(""); }
  new EventSource("SERVER/data", {withCredentials: true});
  document.forms[0].submit();
  document.title = JSON.stringify(read);
});
</script>"""


class Viewer:
    """An application like the viewer: a page with its files, and data.

    Attributes:
        asked: The `Sec-Fetch-Site` of each request for data.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        routes = {
            "/": HTMLResponse(PAGE),
            "/assets/main.js": Response(SCRIPT, media_type="text/javascript"),
            "/assets/main.css": Response("#text { color: #00f }", media_type="text/css"),
        }
        self.app = Starlette(
            routes=[
                *(Route(path, answer) for path, answer in routes.items()),
                Route("/data", self.data, methods=["GET", "POST"]),
            ]
        )

    async def data(self, request: Request) -> Response:
        """Answer with data."""
        self.asked.append(request.headers["sec-fetch-site"])
        return JSONResponse({"data": 1})


@contextmanager
def other_site(text: str) -> Generator[str]:
    """Serve a page of another site; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = LoopbackServer(Handler)
    try:
        # Another site than 127.0.0.1, for a browser.
        yield f"http://localhost:{server.port}/"
    finally:
        server.close()


def result(page: Page) -> dict[str, object] | list[str]:
    """Return what the script of a page has found."""
    page.wait_for_function("() => document.title[0] === '{' || document.title[0] === '['")
    found: dict[str, object] | list[str] = json.loads(page.title())
    return found


@pytest.fixture(name="page")
def _page(browser: Browser) -> Generator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_a_link_lets_the_browser_in_and_the_policy_holds(page: Page) -> None:
    """The page works with its own files and data, and can do nothing that it does not need."""
    viewer = Viewer()
    with served(viewer.app, token=TOKEN) as server:
        page.goto(f"{server.url}/?token={server.code()}#deep")
        found = result(page)
        assert isinstance(found, dict)
        refused = found.pop("refused")
        assert found == {"status": 200, "color": "rgb(0, 0, 255)", "width": "11px"}
        # An inline script and style; text as HTML and as a script; another server.
        wanted = ["script-src-elem", "style-src-attr", "TypeError", "EvalError", "fetch"]
        assert isinstance(refused, list)
        assert [one for one in wanted if one not in refused] == []
        assert page.url == f"{server.url}/#deep"
        assert page.evaluate("document.cookie") == ""


def test_a_browser_without_the_link_reads_no_data(page: Page) -> None:
    """The page opens, so that it can say what is missing."""
    viewer = Viewer()
    with served(viewer.app, token=TOKEN) as server:
        page.goto(server.url)
        found = result(page)
        assert isinstance(found, dict)
        assert found["status"] == 401
    assert viewer.asked == []


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_page_of_another_site_gets_nothing(page: Page, token: str | None) -> None:
    """Also in the browser of the owner, who is signed in: it neither reads nor sends."""
    viewer = Viewer()
    with served(viewer.app, token=token) as server:
        page.goto(f"{server.url}/?token={server.code()}" if token else server.url)
        result(page)
        viewer.asked.clear()
        with other_site(OTHER.replace("SERVER", server.url)) as address:
            page.goto(address)
            assert result(page) == ["", "", "", ""]
            page.wait_for_load_state("networkidle")
        assert viewer.asked == []
        assert server.counters.value("server.refused.origin") > 0


@pytest.mark.parametrize("signed_in", [False, True])
def test_a_link_of_another_site_opens_the_page(page: Page, *, signed_in: bool) -> None:
    """A deep link in a chat, and a one-time link there, both lead to a page with its data."""
    viewer = Viewer()
    with served(viewer.app, token=TOKEN) as server:
        link = f"?token={server.code()}"
        if signed_in:
            page.goto(f"{server.url}/{link}")
            result(page)
            link = ""
        viewer.asked.clear()
        text = OTHER.replace("SERVER/LINK", f"{server.url}/{link}#deep")
        with other_site(text.replace("SERVER", "http://127.0.0.1:1")) as address:
            page.goto(address)
            page.click("#link")
            page.wait_for_url(f"{server.url}/#deep")
            found = result(page)
        assert isinstance(found, dict)
        assert found["status"] == 200
    assert viewer.asked == ["same-origin"]
