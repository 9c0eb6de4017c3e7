"""Each page in light and dark: roles, names, labels and contrast, as axe-core checks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.from_npm import install_packages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.served import Served
    from tests.browser.visits import Visit

pytestmark = [
    pytest.mark.needs("chromium", "npm"),
    pytest.mark.slow,
    pytest.mark.timeout(180),
]

# Its rules for WCAG 2.2 A and AA, and its own good practices.
CHECK = """
async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.flatMap(({ id, help, nodes }) => nodes.map(node =>
    `${id}: ${help}: ${node.html.slice(0, 200)} ${node.any.map(one => one.message).join("; ")}`));
}
"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core."""
    folder: Path = install_packages(tmp_path_factory.mktemp("axe"))
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


def errors_in(trace: dict[str, Any]) -> int:
    """Return how many spans of a trace have failed."""
    return int(trace["errors"])


def pages_of(served: Served) -> dict[str, str]:
    """Return what to look at: the address of each page, and a text that it shows in the end."""
    traces: list[dict[str, Any]] = served.get("traces?q=name:POST*")["traces"]
    paid, failed = sorted(traces, key=errors_in)
    agent = served.get("agents")["traces"]
    return {
        "now": "wait for supplier",
        f"traces?q=reserve&open={failed['trace_id']}": "charge card",
        "traces": "import catalogue",
        f"trace/{failed['trace_id']}?view=waterfall": "charge card",
        f"trace/{failed['trace_id']}?view=flame": "POST /orders",
        f"trace/{failed['trace_id']}?view=table": "charge card",
        f"trace/{failed['trace_id']}?view=logs": "not paid",
        f"trace/{failed['trace_id']}?view=errors": "card declined",
        f"trace/{failed['trace_id']}?view=waterfall&search=reserve": "reserve",
        "operations": "charge card",
        "errors": "card declined",
        f"compare?a={paid['trace_id']}&b={failed['trace_id']}": "The second took",
        "compare": "Compare two traces",
        "logs": "not paid",
        "agents": "invoke_agent helper",
        f"agents/{agent[0]['trace_id']}": "There are three.",
    }


def problems_of(page: Page) -> list[str]:
    """Return what axe-core finds."""
    found: list[str] = page.evaluate(CHECK)
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_are_accessible(
    shop: Served, visit: Callable[..., Visit], axe: str, *, dark: bool
) -> None:
    """No rule is broken on any page, with details, help and what became of a file open too."""
    page = visit(shop.url, dark=dark).page
    page.evaluate(axe)
    found: dict[str, list[str]] = {}
    for address, text in pages_of(shop).items():
        page.goto(f"{shop.url}/#/{address}")
        name = address.partition("/")[0].partition("?")[0]
        page.locator(f"main[aria-label={name}]").get_by_text(text).first.wait_for()
        found[address] = problems_of(page)
        if address.endswith("=waterfall") or address == "logs":
            page.keyboard.press("k")
            if address != "logs":
                page.keyboard.press("Enter")
            page.locator("aside.details").wait_for()
            found[f"{address} details"] = problems_of(page)
        if address == "now":
            page.keyboard.press("?")
            page.get_by_role("dialog").wait_for()
            found["help"] = problems_of(page)
            page.keyboard.press("?")
    page.locator("input[type=file]").set_input_files(__file__)
    page.get_by_role("region", name="Added files").get_by_text("has no records").wait_for()
    found["added files"] = problems_of(page)
    assert {address: wrong for address, wrong in found.items() if wrong} == {}
