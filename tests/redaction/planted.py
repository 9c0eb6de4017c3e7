"""Secrets to plant, for each rule, and records of every kind to plant them in."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from otel_ext.record.model import (
    UNSET_STATUS,
    CallSite,
    Link,
    Process,
    Record,
    SpanEvent,
    Status,
    TaskInfo,
    ThreadInfo,
)
from otel_ext.runtime.process.records import process_start_record

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
LETTERS = WORDS + "0123456789"
PROCESS = Process("b00t-7-1-aa", 7, 1, "boot", "host")
SITE = CallSite("app/jobs.py", 17, "Batch.run")

random = st.text(LETTERS, min_size=24, max_size=40)
KEYS = (
    "password",
    "db.passwd",
    "user_passphrase",
    "PGPASSWORD",
    "dbPassword",
    "client_secret",
    "apiKey",
    "X-Api-Key",
    "http.request.header.x-api-key",
    "auth.access_token",
    "refreshToken",
    "http.request.header.authorization",
    "Proxy-Authorization",
    "http.request.header.cookie",
    "http.response.header.set_cookie",
    "session",
    "session.id",
    "JSESSIONID",
    "private_key",
    "aws_secret_access_key",
    "credit_card_number",
    "cvv",
    "ssn",
    "social-security-number",
    "csrf_token",
    "jwt",
    "credentials",
    "pass",
    "smtp.pass",
)


def _card(digits: str) -> str:
    total = sum(sum(divmod(int(digit) * (2 - index % 2), 10)) for index, digit in enumerate(digits))
    return digits + str(-total % 10)


cards = st.text("0123456789", min_size=14, max_size=14).map(lambda tail: _card("4" + tail))
# Texts that contain a secret, with the part that must not be seen after redaction.
SECRETS: dict[str, st.SearchStrategy[tuple[str, str]]] = {
    "jwt": random.map(lambda s: (f"eyJhbGciOiJIUzI1NiJ9.{s}.{s}", s)),
    "bearer": random.map(lambda s: (f"sent Bearer {s} to it", s)),
    "basic": random.map(lambda s: (f"Basic {_basic(s)}", _basic(s))),
    "aws-key": st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=16, max_size=16).map(
        lambda s: (f"AKIA{s}", s)
    ),
    "github": st.text(LETTERS, min_size=36, max_size=36).map(lambda s: (f"by ghp_{s}.", s)),
    "slack": st.text(LETTERS, min_size=24, max_size=24).map(lambda s: (f"xoxb-1234-{s}", s)),
    "openai": random.map(lambda s: (f"sk-proj-{s}", s)),
    "google": st.text(LETTERS, min_size=35, max_size=35).map(lambda s: (f"AIza{s}", s)),
    "pem": random.map(
        lambda s: (f"-----BEGIN RSA PRIVATE KEY-----\n{s}\n-----END RSA PRIVATE KEY-----", s)
    ),
    "pem without end": random.map(lambda s: (f"-----BEGIN PRIVATE KEY-----\n{s}\n{s}", s)),
    "card": cards.map(lambda s: (f"card {s} charged", s)),
    "card in groups": cards.map(lambda s: (f"{s[:4]} {s[4:8]} {s[8:12]} {s[12:]}", s[4:8] + " ")),
    "url password": random.map(lambda s: (f"postgres://app:{s}@db:5432/orders", s)),
    "url with odd password": random.map(lambda s: (f"redis://:{s}/x?#@cache/0", s)),
    "url token": random.map(lambda s: (f"https://{s}@github.com/x/y.git", s)),
    "query": random.map(lambda s: (f"https://h/p?page=2&access_token={s}&x=1", s)),
    "signature": random.map(lambda s: (f"https://b.s3.example/k?X-Amz-Signature={s}", s)),
    "connection string": random.map(lambda s: (f"Server=db;User Id=sa;Password={s};X=1", s)),
    "json": random.map(lambda s: (f'{{"user": "ann", "password": "{s}"}}', s)),
    "json in json": random.map(lambda s: (f'"{{\\"api_key\\": \\"{s}\\"}}"', s)),
    "nested json": random.map(lambda s: (f'{{"secret": {{"v": ["{s}"]}}}}', s)),
    "python": random.map(lambda s: (f"User(name='ann', token='{s}')", s)),
    "header": random.map(lambda s: (f"Cookie: a=b; sid={s}", s)),
    "option": random.map(lambda s: (f"mysql --password={s} -h db", s)),
    "option and word": random.map(lambda s: (f"mysql --password {s} -h db", s)),
    "quoted header": random.map(lambda s: (f"curl -H 'Authorization: Token {s}' https://h", s)),
    "sentence": random.map(lambda s: (f"login failed, password: {s}", s)),
}


def _basic(secret: str) -> str:
    return base64.b64encode(f"ann:{secret}".encode()).decode()


def span(phase: str, **fields: object) -> Record:
    """Return a record of a span with these fields and ordinary other ones."""
    values: Mapping[str, object] = {
        "call_site": SITE,
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "span_kind": "server",
        "status": UNSET_STATUS,
        **fields,
    }
    record = Record("span", None, "work", 0, 1, PROCESS)
    return record._replace(phase=phase, **values)  # type: ignore[arg-type]


def log(**fields: object) -> Record:
    """Return a record of a log."""
    return Record("log", None, "logged", 0, 1, PROCESS, SITE)._replace(**fields)  # type: ignore[arg-type]


def everywhere(text: str) -> list[Record]:
    """Return records of every kind, with `text` in every field that can hold a text."""
    process = Process("p", argv=("python", text), resource={"a": text, "b": (text,)})
    return [
        span("start", attributes={"text": text}),
        span("start", attributes={text: 1}),
        span("start", attributes={"many": (text, "other")}),
        span("start", name=text),
        span("start", task=TaskInfo(1, text), thread=ThreadInfo(2, text)),
        span("start", call_site=CallSite(text, 1, text)),
        span("end", attributes={"url.query": text}),
        span("end", status=Status("error", text)),
        span("end", links=(Link("c" * 32, "d" * 16, {"note": text}),)),
        span("end", events=(SpanEvent("exception", 1, {"exception.message": text}),)),
        span("end", events=(SpanEvent("exception", 1, {"exception.stacktrace": f"x\n{text}"}),)),
        span("end", events=(SpanEvent(text, 1),)),
        span("update", extra={"stack": [text], "note": text}),
        log(name=text, level="info", logger=text),
        log(attributes={"deep": {"er": [{"est": text}]}, "raw": text.encode()}),
        log(attributes={"exception": text, "object": Opaque(text)}),
        process_start_record(process, 1),
        span("start", process=process),
    ]


class Opaque:
    """A program's own object whose text shows its content."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text
