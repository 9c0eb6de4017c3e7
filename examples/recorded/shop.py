"""A shop of Django and Celery: a request stores an order, and a worker packs it.

`tools/record_traces.py` runs it: the web application, the worker, and one who orders.
"""

from __future__ import annotations

import time
from pathlib import Path

import django
from celery import Celery
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import path

for folder in ("queue", "control"):
    Path(folder).mkdir(exist_ok=True)

# The broker is a folder, so that it needs no server.
app = Celery("shop", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": "queue",
    "data_folder_out": "queue",
    "control_folder": "control",
}

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="shop",
    SECRET_KEY="an example",  # noqa: S106
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}},
)
django.setup()


@app.task
def pack(order: int, items: list[str]) -> int:
    """Pack the items of an order."""
    for item in items:
        time.sleep(0.003)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE stock SET number = number - 1 WHERE item = %s", [item])
    if "desk" in items:
        raise ValueError(f"order {order}: no box is large enough for a desk")
    return len(items)


def order(request: HttpRequest, number: int) -> JsonResponse:
    """Store an order, and let it be packed."""
    items = request.GET.getlist("item")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS stock (item TEXT PRIMARY KEY, number INTEGER)")
        for item in items:
            cursor.execute("INSERT OR IGNORE INTO stock VALUES (%s, 10)", [item])
    pack.delay(number, items)
    return JsonResponse({"order": number, "items": len(items)})


urlpatterns = [path("order/<int:number>", order)]
