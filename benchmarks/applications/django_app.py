"""A Django application with one query of its ORM in each request, served by gunicorn.

As a program: `python -m benchmarks.applications.django_app` with the words of `Arguments`.
"""
# pyright: basic

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import django  # type: ignore[import-untyped]
from django.conf import settings  # type: ignore[import-untyped]
from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]
from django.db import models  # type: ignore[import-untyped]
from django.http import HttpRequest, JsonResponse  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from opentelemetry.instrumentation.django import DjangoInstrumentor

from benchmarks.applications.control import answer_on
from benchmarks.applications.orders import ROWS, make_orders
from benchmarks.applications.telemetry import Arguments, Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["make_app", "urlpatterns"]

_THREADS: Final = 4
_MIDDLEWARE: Final = (
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
)
urlpatterns: list[Any] = []


def make_app(database: Path, *, instrument: bool) -> Callable[..., object]:
    """Return the WSGI application; each thread keeps its connection to the database.

    Args:
        database: A file, which is made.
        instrument: Whether to use the contrib package for Django.
    """
    make_orders(str(database)).close()
    one = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(database), "CONN_MAX_AGE": None}
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="of a benchmark",  # noqa: S106
        MIDDLEWARE=list(_MIDDLEWARE),
        DATABASES={"default": one},
    )
    if instrument:
        DjangoInstrumentor().instrument()
    django.setup()
    urlpatterns.append(path("orders/<int:order>", _make_view()))
    app: Callable[..., object] = get_wsgi_application()
    return app


def _make_view() -> Callable[[HttpRequest, int], JsonResponse]:
    class Order(models.Model):  # type: ignore[misc]  # noqa: DJ008 - it is not printed
        objects = models.Manager()
        customer = models.TextField()
        total = models.FloatField()

        class Meta:
            app_label = "shop"
            db_table = "orders"

    def answer(_: HttpRequest, order: int) -> JsonResponse:
        found = Order.objects.get(pk=order % ROWS)
        return JsonResponse({"order": order, "customer": found.customer, "total": found.total})

    return answer


class _Server(BaseApplication):  # type: ignore[misc]
    """One worker process of gunicorn, with threads."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        super().__init__()

    def load_config(self) -> None:
        """Set what the command line of gunicorn would."""
        options = {
            "bind": f"127.0.0.1:{self._arguments.port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": _THREADS,
            "loglevel": "warning",
            "control_socket_disable": True,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., object]:
        """Return the application; called by the worker, when the server listens already."""
        telemetry = Telemetry(self._arguments)
        folder = Path(self._arguments.folder)
        app = make_app(folder.with_suffix(".sqlite3"), instrument=telemetry.is_on)
        answer_on(self._arguments.control, {"flush": telemetry.flush})
        return app


if __name__ == "__main__":
    _Server(Arguments.parse()).run()
    sys.exit(0)
