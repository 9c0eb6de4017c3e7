"""The data of the measured applications: a table of orders in SQLite."""

from __future__ import annotations

import sqlite3
from typing import Final

__all__ = ["ROWS", "make_orders", "read_order"]

ROWS: Final = 1_000


def make_orders(path: str = ":memory:") -> sqlite3.Connection:
    """Make the table `orders`, and return the connection to its database.

    Args:
        path: The file of the database, which must not exist yet; in memory by default.
    """
    connection = sqlite3.connect(path, check_same_thread=False)
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total REAL)")
    rows = [(number, f"customer {number % 97}", number * 1.5) for number in range(ROWS)]
    cursor.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    connection.commit()
    return connection


def read_order(connection: sqlite3.Connection, order: int) -> dict[str, object]:
    """Return an order, read by one query.

    >>> read_order(make_orders(), 1_098)
    {'order': 1098, 'customer': 'customer 1', 'total': 147.0}
    """
    cursor = connection.cursor()
    cursor.execute("SELECT customer, total FROM orders WHERE id = ?", (order % ROWS,))
    customer, total = cursor.fetchone()
    return {"order": order, "customer": customer, "total": total}
