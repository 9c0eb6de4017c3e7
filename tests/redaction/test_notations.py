"""A secret after its name is found in every notation."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.record.codec import encode_line
from otel_ext.redaction import RedactionSettings, Redactor
from otel_ext.redaction.text import TextRedactor
from tests.redaction.notations import ENCODED, NAMES, WRITTEN, encoded_url
from tests.redaction.planted import everywhere, log

PLANTED = "hunter2Hunter3xQ"
TEXTS = TextRedactor(RedactionSettings())
MARK = re.compile(r"\[redacted: [a-z-]+\]")

LISTS = (
    {"process.command_args": ("python", "x.py", "--password", PLANTED)},
    {"cmd": ["mysql", "--password", PLANTED, "-h", "db"]},
    {"deep": {"er": [1, ["tool", "-token", PLANTED]]}},
    {"headers": [["authorization", f"Token {PLANTED}"], ["cookie", PLANTED]]},
    {"headers": ((b"authorization", PLANTED.encode()),)},
    {"headers": [("x-api-key", [PLANTED])]},
    {"headers": [["token=a", PLANTED]]},
)
READABLE = (
    *("compass=north", "bypass=1", "a bypass: open it", "it did pass", "keyboard=us"),
    *("status_code=200", "pass: 12, fail: 0", "pass=3 fail=1", "the second pass: optimise"),
    *("pass by reference: yes", "else: pass", "boarding_pass=A1", "low-pass: 3"),
    *("fields ['token', 'name', 'id']", "one of 'token', 'user'", "by 'ann'", "order by 'name'"),
    *("login <password> <token>", "<b>token</b>", "<token/><a></a>", "token <b>is</b>"),
    *("session[12]: opened", "auth[1234]: logged in", "x[i]=5", "order[name]=asc"),
    *("run -v -x 5 -port 80", "a well-known -thing here", "-rw-r--r-- 1 root"),
    *("// see foo: bar@example.org", "a//b:c@d", "http://h//x:80/y@z", "hooks.slack.com is down"),
    *("width 100%25 of it", "next=https%3A%2F%2Fx%2F%3Fpage%3D2", "12:30:45", "code=abc"),
    *("?sig=${SIGNATURE}&x=1", "?signature={{ signature }}", "?key=permissions"),
    *("12345678:0123456789abcdef0123456789abcdef", "@cache(size=1)", "'a': f(x)", "hvs.short"),
)


@pytest.mark.parametrize("encoded", ENCODED, ids=" ".join)
@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_of_a_url_within_a_url_is_found(
    name: str, encoded: tuple[str, str, str, str]
) -> None:
    """However often the inner URL is encoded, its secret is redacted, and the rest stays."""
    found = TEXTS.redact(encoded_url(name, PLANTED, encoded))
    assert PLANTED not in found
    assert MARK.sub(PLANTED, found) == encoded_url(name, PLANTED, encoded)


@pytest.mark.parametrize(("text", "left"), WRITTEN)
def test_a_secret_is_found_in_each_notation(text: str, left: str) -> None:
    """Only the secret is redacted; a second time nothing changes."""
    found = TEXTS.redact(text.replace("SECRET", PLANTED))
    assert MARK.sub("<>", found) == left
    assert TEXTS.redact(found) == found


@pytest.mark.parametrize("text", [text for text, _ in WRITTEN])
def test_a_secret_in_each_notation_is_in_no_line(text: str) -> None:
    """No record of any kind shows a secret in these notations, in any field."""
    for record in everywhere(text.replace("SECRET", PLANTED)):
        assert PLANTED.encode() not in encode_line(Redactor().redact(record))


@given(
    text=st.sampled_from([text for text, _ in WRITTEN]),
    before=st.text("ab \n\"'{}[]=:&?/\\,;<>()", max_size=12),
    after=st.text(" \n\"'{}[]&,;<>", max_size=12),
)
def test_text_around_a_notation_does_not_hide_it(text: str, before: str, after: str) -> None:
    """Quotes, brackets and spaces before and after do not hide a secret."""
    assert PLANTED not in TEXTS.redact(f"{before} {text.replace('SECRET', PLANTED)} {after}")


@pytest.mark.parametrize("attributes", LISTS)
def test_secrets_in_lists_are_found(attributes: dict[str, object]) -> None:
    """Values of options, and of name-value pairs, are found in any list; the rest stays."""
    record = log(attributes=attributes)
    clean = Redactor().redact(record)
    assert PLANTED.encode() not in encode_line(clean)
    assert b"aHVudGVy" not in encode_line(clean)  # in base64
    assert Redactor().redact(clean).attributes == clean.attributes


def test_harmless_lists_stay() -> None:
    """Names of columns, options without a value and harmless pairs are not changed."""
    attributes = {
        "fields": ["token", "name"],
        "cmd": ["x", "--password", "--verbose", "--port", "80", "--token"],
        "pairs": [("host", "h"), ("token", None), ("token", ""), (1, 2), ("a", "b", "c")],
    }
    record = log(attributes=attributes)
    assert encode_line(Redactor().redact(record)) == encode_line(record)


@pytest.mark.parametrize("value", [[0, 1, 2], range(3), {"a": "hunter2hunter2"}, ("x",)])
def test_a_value_named_by_another_field_is_redacted_whatever_it_is(value: object) -> None:
    """A container under `value`, of any type, is masked as a whole if `name` names a secret."""
    record = log(attributes={"header": {"name": "cookie", "value": value, "n": 1}})
    expected = {"name": "cookie", "value": "[redacted: cookie]", "n": 1}
    assert Redactor().redact(record).attributes["header"] == expected


def test_a_list_after_an_option_for_a_secret_is_redacted() -> None:
    """A list that is not a pair follows the option: it is masked, and its neighbors stay."""
    record = log(attributes={"cmd": ["x", "--password", ["a", "b", "c"], "y"]})
    assert Redactor().redact(record).attributes["cmd"] == [
        *("x", "--password", "[redacted: password]", "y"),
    ]


@pytest.mark.parametrize("text", READABLE)
def test_ordinary_texts_stay_readable(text: str) -> None:
    """Texts that only resemble these notations are not changed."""
    assert TEXTS.redact(text) == text
