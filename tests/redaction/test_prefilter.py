"""The prefilter, which most texts pass, stops each text in which a rule finds something."""

from __future__ import annotations

from importlib import import_module
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from otel_ext._accel import load_speed
from otel_ext.record.model import PlainAttributes
from otel_ext.redaction.redactor import Redactor
from otel_ext.redaction.scan.assignments import APART, SHORT_STEMS, STEMS
from otel_ext.redaction.scan.cards import CARD_GAPS
from otel_ext.redaction.scan.prefilter import ROWS, TRIGGERS, compiled_prefilter, is_suspicious
from otel_ext.redaction.scan.scanner import find_secrets
from otel_ext.redaction.settings import RedactionSettings
from otel_ext.redaction.text import TextRedactor
from tests.examples import examples
from tests.redaction.examples import expand, goes
from tests.redaction.notations import WRITTEN
from tests.redaction.planted import SECRETS, log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.record.model import Record
    from otel_ext.redaction.rules.row import Row, Span

import_module("otel_ext.record.capture")  # configures the compiled part's record type
speed = load_speed()
compiled_prefilter()  # passes the table to the compiled part
PARTS = (
    *("token", "password", "PASSWORD", "BY", "identified", "a", "b", "u", "S", "0", "4111", "-"),
    *("--", "-", "=", ":", "%3", "%3D", "%25", "D", "d", "%2F", "//", "://", "@", "tcp", "("),
    *("'", '"', "\\", ",", "[", ")", "]", " ", "  ", "\t", "\n", "\xa0", "\u2007", "<", ">"),
    *("</", "</token>", "<token>", ".com", "hooks.slack.com", "/", "services", "discord", "api"),
    *("webhooks", "eyJ", ".", "abcdefghijklmnop", "ABCDEFGHIJKLMNOPQ", "hvs.", "ghp_", "sk-"),
    *TRIGGERS,
    *(one.removeprefix("^").upper() for one in TRIGGERS),
    *("Bearer ", "basic", "-----BEGIN ", "PRIVATE KEY", "AKIA", "1234567890123456", "é", "\x85"),
)
TEXTS = st.one_of(
    st.lists(st.sampled_from(PARTS), max_size=12).map("".join),
    st.sampled_from([text for text, _ in WRITTEN]),
    st.one_of(*SECRETS.values()).map(lambda one: one[0]),
    st.text(max_size=40),
)
PLAIN = log(attributes=dict.fromkeys("abc", "plain text"))
MANY = settings(
    examples(12.5),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def found(text: str) -> Iterator[Span]:
    """Yield what each rule finds if every name counts as a secret's."""
    yield from find_secrets(text, lambda _: "token")


@MANY
@given(TEXTS)
@example("x -token abc")
@example("\xa0-token\u2007abc")
@example("('token', 'abc')")
@example("PASSWORD  \\'abc'")
@example("hooks.slack.com%2fservices%2f12345678")
@example("next=%26jwt%3Dabc")
@example("\uff50ass\uff57ord\uff1dabc")
@example("pa\u200bssword=abc")
@example("пароль=abc")
def test_texts_with_secrets_are_suspicious(text: str) -> None:
    """Each text in which any rule finds something is suspicious."""
    if is_suspicious(text) is None:
        assert list(found(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a plain text, of 17 words (or so)",
            "GET /orders/12",
            "it's",
            "well-known names",
            "a: b",
        ),
        *("http://shop.example:8000/orders/12?page=2", "x = 1", "Task-12", "2026-11-20T16:00:00Z"),
    ],
)
def test_ordinary_texts_pass(text: str) -> None:
    """Ordinary texts pass the prefilter, which makes them cheap."""
    assert is_suspicious(text) is None


compiled = pytest.mark.skipif(speed is None, reason="the compiled part was not built")
# Characters that suspicious parts begin with, that surround them, and some others.
AROUND = "aAbBJyeIz_-.,()[]\"'\\=:%<>/23 \t7~\x7fé@pPwWkKsS"


@compiled
@MANY
@given(
    st.one_of(TEXTS, st.text(AROUND, max_size=24), st.lists(st.sampled_from(PARTS)).map("".join))
)
@example("é2222222222222")
@example("2222 2222 2222")
@example(".com/services")
@example("-aaaaaaaaaaaaaaa")
def test_texts_that_pass_the_compiled_prefilter_are_not_suspicious(text: str) -> None:
    """If the compiled prefilter passes a text, Python's expression finds nothing in it."""
    assert speed is not None
    if speed.is_harmless(text):
        assert is_suspicious(text) is None


@compiled
def test_all_short_texts_of_suspicious_characters() -> None:
    """The same for each text of three such characters, and of two ASCII characters."""
    assert speed is not None
    texts = [*product(AROUND, repeat=3), *product(map(chr, range(128)), repeat=2)]
    passed = [text for text in map("".join, texts) if speed.is_harmless(text)]
    assert 1_000 < len(passed) < len(texts)
    for trigger in TRIGGERS:
        assert not speed.is_harmless(f"x {trigger.removeprefix('^').upper()} y")
    assert [text for text in passed if is_suspicious(text)] == []


@compiled
@pytest.mark.parametrize(
    "text",
    [
        *("Task-1234", "GET /orders/7 http send", "127.0.0.1", "customer 97", "application/json"),
        "SELECT customer, total FROM orders WHERE id IN (?, ?)",
        "raise KeyError(name)\nKeyError: 'status_code'",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0",
    ],
)
def test_ordinary_values_pass_the_compiled_prefilter(text: str) -> None:
    """Usual values of attributes need no search by the expression."""
    assert speed is not None
    assert speed.is_harmless(text)


@pytest.mark.parametrize("between", ["", *APART])
def test_names_of_several_words_are_stopped(between: str) -> None:
    """However the words of a secret's name are joined, both prefilters stop the text."""
    names = [one.replace(" ", between) for one in (*STEMS, *SHORT_STEMS)]
    assert [name for name in names if not is_suspicious(f"the {name}=x")] == []
    assert [name for name in names if speed and speed.is_harmless(f"the {name.title()}=x")] == []


@pytest.mark.parametrize("gap", ["", "%20", *CARD_GAPS.removesuffix("%")])
def test_both_prefilters_know_the_gaps_of_card_numbers(gap: str) -> None:
    """Whatever separates the groups of a card's number, both stop the text."""
    text = f"paid by {gap.join(('4111', '1111', '1111', '1111'))}"
    assert is_suspicious(text) is not None
    assert speed is None or not speed.is_harmless(text)
    assert [span.rule for span in found(text)] == ["credit-card"]


@compiled
@pytest.mark.parametrize("other", [b"bytes", None, 7, "é"])
def test_other_values_do_not_pass(other: Any) -> None:  # noqa: ANN401
    """The compiled prefilter passes nothing but ASCII text."""
    assert speed is not None
    assert not speed.is_harmless(other)


@compiled
@MANY
@given(texts=st.lists(st.one_of(TEXTS, st.sampled_from(["plain text", "x" * 70_000])), max_size=3))
def test_the_compiled_record_check_passes_nothing_that_pythons_stops(texts: list[str]) -> None:
    """A record that the compiled check finds safe is safe for Python's too, and unchanged."""
    assert speed is not None
    redactor = Redactor()
    assert redactor.known is not None
    passed_on: list[Record] = []
    check = speed.bind_check(**redactor.known._asdict(), is_safe=passed_on.append)
    assert check(redactor.redact(PLAIN)) is True  # now its keys and names are known
    assert passed_on == []
    # New text objects, so that none is recognized by its address.
    attributes = {key: "".join(list(text)) for key, text in zip("abc", texts, strict=False)}
    record = log(attributes=PlainAttributes(attributes))
    check(record)
    if not passed_on:
        assert redactor.is_safe(record)
        assert Redactor().redact(record) == record


def test_a_few_long_clean_texts_are_remembered() -> None:
    """A clean stack trace is not searched again; few are kept, none with a secret."""
    texts = TextRedactor(RedactionSettings())
    traces = [
        f"Traceback of {number}: def f(token)\n" + '  File "a.py", line 7, in f\n' * 40
        for number in range(200)
    ]
    for trace in traces * 2:
        assert texts.redact(trace) is trace
        assert texts.redact(f"{trace}password=hunter22") != f"{trace}password=hunter22"
    kept = texts._long_clean  # noqa: SLF001 - what is kept is the point
    assert 0 < len(kept) <= 64
    assert kept <= set(traces)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.form[:40])
def test_the_prefilter_follows_from_the_rows(row: Row) -> None:
    """Each row's examples are stopped by `is_suspicious` and by the compiled prefilter."""
    for text in map(expand, goes(row)):
        assert is_suspicious(text) is not None
        assert speed is None or not speed.is_harmless(text)
