"""The most that one text, and one record, may cost: in calls, and in time with a wide margin."""

from __future__ import annotations

import sys
from time import thread_time
from typing import TYPE_CHECKING, Any

import pytest

from otel_ext.record.codec import encode_line
from otel_ext.record.model import SpanEvent
from otel_ext.redaction import RedactionSettings, Redactor
from otel_ext.redaction.scan.prefilter import ROWS, TRIGGERS
from otel_ext.redaction.text import TextRedactor
from tests.redaction.examples import expand
from tests.redaction.planted import log
from tests.redaction.test_linear_time import HOSTILE
from tests.untraced import untraced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SIZE = 8_192
# Measured: up to 7,000 calls; a text of separators took 90,000 before there was a bound.
MOST_CALLS = 9_000
# A text takes up to 3 ms and a record 30; without a bound some took minutes.
MOST_SECONDS = 10.0
LITERALS = tuple(one.removeprefix("^") for one in TRIGGERS)
EXAMPLES = tuple(expand(one) for row in ROWS for one in row.examples)
# The worst texts that a search found.
WORST = (
    "eyJ-",
    "eyJ-eyJgho_a-",
    " ".join(LITERALS),
    "=".join(LITERALS),
    "pass: %#dp.st.ghr\u0410\u5bc6\u78bck",
    "1!%25%252525\u015fifre\uff50 ",
    "%252525%2525251\u015fifre\uff50 ",
    "\u200bl\u2007http://a:b@sidhttp://a:1/identified with x by \"it''s a\" xa%22token%22%3A",
    "token=x [redacted: a]otp:ezakby ABSK",
    "api keyhas\u0142osecurestring<<input value='hunter2' type='password'>",
    "secret_manager nfp_\xa0",
    "input_tokens: 12, ",
    "password=f(x).g(",
    "password=[[[[",
    'token="' + '\\"' * 40,
    "password: a = ",
    '{"a":"{\\"token\\":\\"',
    "a1token=x ",
    "//a",
    "://a//",
    "//a@",
    "basic aaaaaa ",
    "4111 ",
    "]=]",
    "1:1:",
    "pass: %#dp.st.ghr\u0410docker ;login\u5bc6\u78bck",
    "%22-us85252$5:1\u015fifre\uff50 \u200b",
    "machine h login ann password hunter2",
    "a private key -----BEGIN PUBLIC KEY-----",
    "x-token a -pass b ",
    'sso/passcredit="',
    "a\u200b",
    "password: |\n",
    "password: |\n  x\n",
)


def calls(work: Callable[[], object]) -> int:
    """Return how many functions `work` calls, including those written in C."""
    count = 0

    def see(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def seconds(work: Callable[[], object]) -> float:
    """Return the least processor time of three runs of `work`."""
    found: list[float] = []
    with untraced():
        for _ in range(3):
            start = thread_time()
            work()
            found.append(thread_time() - start)
    return min(found)


def full(unit: str) -> str:
    """Return 8 KiB of repetitions of `unit`."""
    return (unit * (SIZE // len(unit) + 1))[:SIZE]


def fresh(text: str, *, strict: bool = False) -> Callable[[], str]:
    """Return a function that redacts `text` by a new redactor."""
    return lambda: TextRedactor(RedactionSettings(mode="strict" if strict else "default")).redact(
        text
    )


def worst(units: Iterable[str], *, strict: bool = False) -> tuple[int, str]:
    """Return the most calls that a text of one of `units` costs, and that unit."""
    TextRedactor(RedactionSettings(mode="strict")).redact("password=x")  # compiles expressions
    return max((calls(fresh(full(unit), strict=strict)), unit) for unit in units)


@pytest.mark.parametrize(
    "units",
    [
        LITERALS,
        tuple(f"{literal}=" for literal in LITERALS),
        tuple(f"{literal}: x1 " for literal in LITERALS),
        EXAMPLES,
        tuple(f"{example}\n" for example in EXAMPLES),
        HOSTILE,
        WORST,
    ],
    ids=["literals", "assigned", "in prose", "examples", "lines", "hostile", "found"],
)
def test_calls_for_a_text_of_8_kib_are_bounded(units: tuple[str, ...]) -> None:
    """Whatever is repeated, Python examines a bounded number of candidates."""
    found, unit = worst(units)
    assert found < MOST_CALLS, unit


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("unit", [*WORST, *(f"{unit}x" for unit in HOSTILE[:12])])
def test_time_in_the_expressions_is_bounded(unit: str, strict: bool) -> None:
    """Counting calls does not show the time inside regular expressions; it is bounded too."""
    assert seconds(fresh(full(unit), strict=strict)) < MOST_SECONDS


RECORDS: tuple[dict[str, Any], ...] = (
    {"texts": [f"token=x{number}y" for number in range(50_000)]},
    {f"key.{number}.name": number for number in range(5_000)},
    {"token." * 200 + str(number): number for number in range(200)},
    {"cards": [4_111_111_111_111_111 + number for number in range(50_000)]},
    {"numbers": list(range(200_000))},
    {f"text {number}": full(WORST[number % 10] + str(number)) for number in range(200)},
    {f"text {number}": full("\u0441\u043b\u043e\u0432\u043e key ") * 8 for number in range(50)},
    {"headers": [["cookie", f"hunter{number}"] for number in range(20_000)]},
    {"command": ["--password", "x"] * 20_000},
    {"pairs": [{"name": f"API_TOKEN{number}", "value": "x1y2z3"} for number in range(20_000)]},
    {"bytes": [b"token=abc%d" % number for number in range(20_000)]},
)


@pytest.mark.parametrize("attributes", RECORDS, ids=lambda one: str(next(iter(one)))[:16])
def test_a_record_stays_within_its_budget(attributes: dict[str, Any]) -> None:
    """However much a record holds, in attributes and events, the work is bounded."""
    event = SpanEvent("e", 0, attributes)
    record = log(attributes=attributes)._replace(events=(event,) * 8)
    assert seconds(lambda: Redactor().redact(record)) < MOST_SECONDS
    assert b"left out" in encode_line(Redactor().redact(record))


def test_large_attributes_leave_room_for_the_rest() -> None:
    """The name, the logger and events stay, whatever the attributes cost."""
    record = log(attributes={"texts": [f"token=x{number}y" for number in range(50_000)]})
    event = SpanEvent("e", 0, {"exception.stacktrace": "a token\n" * 100})
    record = record._replace(name="a login", logger="my.logger", events=(event,) * 3)
    found = Redactor().redact(record)
    assert (found.name, found.logger, found.events) == (record.name, record.logger, record.events)


def test_numbers_alone_are_not_cut() -> None:
    """A long list of plain numbers, such as an embedding, stays whole."""
    numbers = [number / 8 for number in range(90_000)]
    record = log(attributes={"embedding": numbers, "ids": list(range(20_000))})
    assert Redactor().redact(record) == record


def test_harmless_names_do_not_cut_a_text() -> None:
    """Hundreds of names such as those of token counts do not change a text."""
    text = full('{"prompt_tokens":1234,"total_tokens":1801},')
    assert TextRedactor(RedactionSettings()).redact(text) == text


def test_a_text_with_the_words_of_most_rows_is_redacted_as_a_whole() -> None:
    """Only some rows are tried on one text; one that would need more is redacted."""
    text = f"{' '.join(LITERALS)} ghp_{'a1B2' * 9} and hunter2"
    assert TextRedactor(RedactionSettings()).redact(text) == "[redacted: too-many]"
