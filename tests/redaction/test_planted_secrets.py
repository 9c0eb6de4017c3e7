"""A planted secret is nowhere in the line of a record, whatever the rule and the place."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_ext.record.codec import encode_line
from otel_ext.record.sanitise.values import encode_object
from otel_ext.redaction import RedactionRules, Redactor
from tests.redaction.planted import KEYS, SECRETS, everywhere, log, random, span

REDACTOR = Redactor()
SHAPES = ("text", "list", "object", "tuple", "bytes")
MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def lines_of(text: str, redactor: Redactor = REDACTOR) -> list[bytes]:
    """Return the lines of all records that hold `text`, redacted."""
    return [encode_line(redactor.redact(record)) for record in everywhere(text)]


@pytest.mark.parametrize("rule", SECRETS)
@MANY
@given(data=st.data())
def test_a_secret_of_its_own_form_is_in_no_line(rule: str, data: st.DataObject) -> None:
    """Whatever form tells a secret, no record of any kind shows it, in any place."""
    text, secret = data.draw(SECRETS[rule])
    hidden = (secret.encode(), base64.b64encode(text.encode()).rstrip(b"="))
    for line in lines_of(text):
        assert not any(form in line for form in hidden), line
        json.loads(line)


@pytest.mark.parametrize("key", KEYS)
@MANY
@given(
    secret=random,
    shape=st.sampled_from(SHAPES),
    path=st.lists(st.sampled_from(["user", "request", "a.b"]), max_size=4),
)
def test_what_stands_under_a_telling_key_is_in_no_line(
    key: str, secret: str, shape: str, path: list[str]
) -> None:
    """Whatever stands under a key of the list is gone, however deep, and however it is made."""
    value: object = {
        "text": secret,
        "list": [secret],
        "object": {"x": secret},
        "tuple": (1, secret),
        "bytes": secret.encode(),
    }[shape]
    attributes: dict[str, object] = {key: value}
    for name in path:
        attributes = {name: attributes}
    for record in (log(attributes=attributes), span("start", attributes=attributes)):
        line = encode_line(REDACTOR.redact(record))
        assert secret.encode() not in line
        assert base64.b64encode(secret.encode()).rstrip(b"=") not in line
        assert b"[redacted: " in line


@MANY
@given(
    secret=st.one_of(*SECRETS.values()),
    before=st.text("ab \n\"'{}[]=:&?/\\,;<>", max_size=12),
    after=st.text(" \n\"'{}[]&,;<>", max_size=12),
)
def test_what_stands_around_a_secret_does_not_hide_it(
    secret: tuple[str, str], before: str, after: str
) -> None:
    """Quotes, brackets and spaces before and behind a secret do not carry it through."""
    text, hidden = secret
    line = encode_line(REDACTOR.redact(log(attributes={"m": f"{before} {text} {after}"})))
    assert hidden.encode() not in line


@MANY
@given(secret=st.one_of(*SECRETS.values()), at=st.integers(0, 9_000))
def test_a_secret_across_the_end_of_what_is_looked_at_is_not_seen(
    secret: tuple[str, str], at: int
) -> None:
    """A text longer than the limit shows no secret, also where the limit cuts one in two."""
    text, hidden = secret
    for filler in ("filler, ", "a line\n"):
        whole = (filler * 2_000)[:at] + " " + text + " " + filler * 1_000
        for key in ("body", "exception.stacktrace"):
            record = log(attributes={key: whole})
            line = encode_line(REDACTOR.redact(record))
            assert hidden.encode() not in line


@MANY
@given(secret=st.one_of(*SECRETS.values()))
def test_redacting_again_changes_nothing(secret: tuple[str, str]) -> None:
    """What is redacted is taken as it is by another redactor behind, and not counted twice."""
    for rules in (RedactionRules(), RedactionRules(hmac_key="a key of 16 or more")):
        for record in everywhere(secret[0]):
            once = Redactor(rules).redact(record)
            assert encode_line(Redactor(rules).redact(once)) == encode_line(once)


@MANY
@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=10,
        ),
    )
)
def test_any_data_can_be_redacted(attributes: dict[str, object]) -> None:
    """Any data at all comes through as a line of JSON; the user's own objects stay as they were."""
    before = encode_object(attributes)
    line = encode_line(Redactor(RedactionRules(strict=True)).redact(log(attributes=attributes)))
    json.loads(line)
    assert encode_object(attributes) == before
