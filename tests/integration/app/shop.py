"""A small shop as users write one: FastAPI, requests, sqlite3, and no telemetry."""

from __future__ import annotations

import os
import sqlite3

import requests
from fastapi import FastAPI, HTTPException

app = FastAPI()


def connect() -> sqlite3.Connection:
    """Open the shop's database."""
    return sqlite3.connect(os.environ["SHOP_DATABASE"], timeout=30.0)


@app.get("/price/{item}")
def price(item: int) -> dict[str, int]:
    """Return the price of an item."""
    if item == 13:
        raise HTTPException(404, "there is no such item")
    return {"item": item, "price": 100 + item}


@app.get("/order/{item}")
def order(item: int) -> dict[str, int]:
    """Ask for the price over HTTP and store the order."""
    answer = requests.get(f"{os.environ['SHOP_URL']}/price/{item}", timeout=30)
    if not answer.ok:
        raise HTTPException(answer.status_code, "cannot be ordered")
    connection = connect()
    try:
        with connection:
            cursor = connection.cursor()
            cursor.execute("CREATE TABLE IF NOT EXISTS orders (item INTEGER, price INTEGER)")
            values = (item, answer.json()["price"])
            cursor.execute("INSERT INTO orders VALUES (?, ?)", values)
            cursor.execute("SELECT count(*) FROM orders")
            count = cursor.fetchone()[0]
    finally:
        connection.close()
    return {"item": item, "orders": count}


@app.get("/crash")
async def crash() -> None:
    """Fail with an unexpected error."""
    message = "the shop is on fire"
    raise RuntimeError(message)
