"""`Visit`: a page that is open, and what went wrong in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

__all__ = ["Visit", "wait_for"]

_MARK = "sameDocument"


class Visit:
    """A page that is open, and what went wrong in it.

    Args:
        page: The page.
        own: What the addresses begin with that it may request: its file, or its server.

    Attributes:
        page: The page.
        problems: Messages of its console, errors of its scripts, and requests that it has made
            elsewhere.
    """

    def __init__(self, page: Page, own: str) -> None:
        self.page = page
        self.problems: list[str] = []
        self._own = own
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self._note(request.url))
        page.on("popup", lambda popup: self.problems.append(f"opened {popup.url}"))
        page.on("dialog", self._refuse)

    def _note(self, url: str) -> None:
        path = url.partition("#")[0]
        is_own = path.startswith(self._own) if self._own.endswith("/") else path == self._own
        if not is_own:
            self.problems.append(f"requested {url}")

    def _refuse(self, dialog: object) -> None:
        self.problems.append("opened a dialog")
        dialog.dismiss()  # type: ignore[attr-defined]

    def mark(self) -> None:
        """Mark the document, to find out later whether it was loaded again."""
        self.page.evaluate(f"window.{_MARK} = true")

    @property
    def is_same(self) -> bool:
        """Whether the document is the one that was marked."""
        return self.page.evaluate(f"window.{_MARK} === true") is True

    def row(self, text: str) -> Locator:
        """Return the rows in sight with a text."""
        return self.page.locator(".filler [role=row]", has_text=text)

    @property
    def line(self) -> Locator:
        """The line at the bottom, which says how the page is connected."""
        return self.page.locator("footer.status")


def wait_for(page: Page, condition: Callable[[], object], what: str) -> None:
    """Wait until `condition()` is true, while events of the page are taken."""

    def asked() -> object:
        page.wait_for_timeout(20)
        return condition()

    wait_until(asked, what)
