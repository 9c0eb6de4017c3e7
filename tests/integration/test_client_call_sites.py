"""The call site of a span, with the real libraries: the user's line, or none without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.programs import python, records_in, succeed, write_program

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.record.model import Record

SET_UP = """
import sys

if "plain" in sys.argv:
    sys.modules["otel_ext._speed"] = None  # as if the compiled part was not built

import otel_ext

handle = otel_ext.configure(output="traces", console="off")
"""

CLIENTS = """
import http.server
import threading

from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor

RequestsInstrumentor().instrument()
HTTPXClientInstrumentor().instrument()
SQLite3Instrumentor().instrument()

import sqlite3

import httpx
import requests


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"


def fetch():
    for _ in range(2):
        requests.get(url)  # requests
        httpx.get(url)  # httpx
        sqlite3.connect(":memory:").cursor().execute("select 1")  # sqlite3


fetch()
"""

FLASK = """
import logging
import threading
import urllib.request

import flask
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from werkzeug.serving import make_server

from otel_ext import configure_structlog

configure_structlog(stdlib=True)
app = flask.Flask("shop")
FlaskInstrumentor().instrument_app(app)


@app.get("/")
def index():
    logging.getLogger("shop").warning("asked")  # log
    return "hello"


server = make_server("127.0.0.1", 0, app)
# The stack of the server's own threads has no frame of this file.
threading.Thread(target=server.serve_forever, daemon=True).start()
for _ in range(2):
    urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/").read()
handle.flush(timeout=10)
"""

CELERY = """
from celery import Celery
from opentelemetry.instrumentation.celery import CeleryInstrumentor

CeleryInstrumentor().instrument()
app = Celery("shop", broker="memory://")


@app.task(name="shop.pack")
def pack():
    pass


def order():
    pack.delay()  # celery


order()
"""


def line_with(program: Path, mark: str) -> int:
    """Return the number of the program's line that ends in the comment `mark`."""
    lines = program.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))


def run(folder: Path, body: str, how: str) -> tuple[Path, list[Record]]:
    """Run a program; return its file, and its records."""
    program = write_program(folder, SET_UP + body)
    succeed(python(program, how), folder)
    return program, records_in(folder / "traces")


HOW = pytest.mark.parametrize("how", ["compiled", "plain"])


@HOW
def test_client_spans_have_the_line_that_called_the_library(tmp_path: Path, how: str) -> None:
    """With requests, httpx and sqlite3 the call site is the call in the program, each time."""
    program, records = run(tmp_path, CLIENTS, how)
    for name in ("requests", "httpx", "sqlite3"):
        call_sites = [
            (one.call_site.file, one.call_site.line, one.call_site.function)
            for one in records
            if one.kind == "span" and one.scope and one.scope.name.endswith(f".{name}")
        ]
        assert set(call_sites) == {(program.name, line_with(program, name), "fetch")}
        assert len(call_sites) >= 4


@HOW
def test_a_published_task_has_the_line_that_published_it(tmp_path: Path, how: str) -> None:
    """Celery's producer spans name the program's line, not kombu's or Celery's."""
    program, records = run(tmp_path, CELERY, how)
    call_sites = {
        (one.call_site.file, one.call_site.line) for one in records if one.span_kind == "producer"
    }
    assert call_sites == {(program.name, line_with(program, "celery"))}


@HOW
def test_server_spans_have_no_call_site_and_logs_have_theirs(tmp_path: Path, how: str) -> None:
    """A span that a server's thread opens names no line of a framework; a view's log names one."""
    program, records = run(tmp_path, FLASK, how)
    servers = [one for one in records if one.span_kind == "server"]
    assert len(servers) == 4
    assert not any(one.call_site.is_known for one in servers)
    logs = {one.call_site for one in records if one.kind == "log" and one.logger == "shop"}
    assert {(one.file, one.line, one.function) for one in logs} == {
        (program.name, line_with(program, "log"), "index")
    }


INSTALLED = """
import sqlite3

from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor

SQLite3Instrumentor().instrument()


def order():
    sqlite3.connect(":memory:").cursor().execute("select 1")  # order


order()
"""


@HOW
def test_an_installed_package_that_is_run_has_its_own_lines(tmp_path: Path, how: str) -> None:
    """`python -m shop`, with shop below site-packages: client spans name its lines."""
    installed = tmp_path / "lib" / "site-packages"
    program = write_program(installed, SET_UP + INSTALLED, name="shop/__main__.py")
    (program.parent / "__init__.py").touch()
    succeed(python("-m", "shop", how), tmp_path, PYTHONPATH=str(installed))
    call_sites = {
        (one.call_site.file, one.call_site.line)
        for one in records_in(tmp_path / "traces")
        if one.kind == "span"
    }
    assert call_sites == {("lib/site-packages/shop/__main__.py", line_with(program, "order"))}
