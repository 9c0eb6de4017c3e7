"""The test suites that `make compat` runs, and what each needs beside its package.

The versions are pinned in constraints.txt and, for packages that only these suites need,
in constraints.txt in this folder.
"""

from __future__ import annotations

from typing import Final, NamedTuple

CONTRIB: Final = "opentelemetry-instrumentation-"


class Suite(NamedTuple):
    """One package's tests.

    Attributes:
        package: The package that contains them.
        needs: What else they import; the instrumented library comes first.
        environ: Variables that they need, each as `NAME=VALUE`.
    """

    package: str
    needs: tuple[str, ...] = ()
    environ: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """The package's name without the prefix that all instrumentations share."""
        return self.package.removeprefix(CONTRIB)


def _contrib(name: str, *needs: str) -> Suite:
    return Suite(f"{CONTRIB}{name}", needs)


SUITES: Final = (
    Suite("opentelemetry-sdk", ("psutil", "flaky")),
    Suite("opentelemetry-exporter-otlp-proto-grpc", ("grpcio", "protobuf")),
    Suite("opentelemetry-exporter-otlp-proto-http", ("requests", "responses")),
    _contrib("aiohttp-client", "aiohttp", "http-server-mock"),
    _contrib("aiohttp-server", "aiohttp", "pytest-aiohttp"),
    _contrib("asgi", "asgiref"),
    _contrib("asyncio"),
    _contrib("celery", "celery"),
    _contrib("click", "click", "flask"),
    _contrib("dbapi"),
    _contrib("django", "django", f"{CONTRIB}asgi"),
    _contrib("falcon", "falcon"),
    _contrib("fastapi", "fastapi", "httpx"),
    _contrib("flask", "flask"),
    # Its generated modules are too old for the compiled protobuf.
    _contrib("grpc", "grpcio", "protobuf")._replace(
        environ=("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python",)
    ),
    _contrib("httpx", "httpx", "httpx2", "respx"),
    _contrib("jinja2", "jinja2"),
    _contrib("logging"),
    _contrib("pika", "pika"),
    _contrib("pymongo", "pymongo"),
    _contrib("pyramid", "pyramid", "werkzeug"),
    _contrib("redis", "redis", "fakeredis"),
    _contrib("requests", "requests", "mocket"),
    _contrib("sqlalchemy", "sqlalchemy", "aiosqlite", "greenlet"),
    _contrib("sqlite3"),
    _contrib("starlette", "starlette", "httpx"),
    _contrib("structlog", "structlog"),
    _contrib("threading"),
    _contrib("tornado", "tornado", "http-server-mock"),
    _contrib("urllib", "mocket"),
    _contrib("urllib3", "urllib3", "mocket"),
    _contrib("wsgi"),
)
