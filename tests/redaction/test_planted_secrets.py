"""A planted secret is nowhere in a record's line, whatever the rule and the field."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.record.codec import encode_line
from otel_ext.record.sanitise.values import encode_object
from otel_ext.redaction import RedactionSettings, Redactor
from tests.redaction.planted import KEYS, SECRETS, everywhere, log, random, span

REDACTOR = Redactor()
SHAPES = ("text", "list", "object", "tuple", "bytes")


def lines_of(text: str, redactor: Redactor = REDACTOR) -> list[bytes]:
    """Return the redacted lines of records of every kind that contain `text`."""
    return [encode_line(redactor.redact(record)) for record in everywhere(text)]


@pytest.mark.parametrize("rule", SECRETS)
@given(data=st.data())
def test_a_secret_of_its_own_form_is_in_no_line(rule: str, data: st.DataObject) -> None:
    """For each form, no record of any kind shows the secret, in any field."""
    text, secret = data.draw(SECRETS[rule])
    hidden = (secret.encode(), base64.b64encode(text.encode()).rstrip(b"="))
    for line in lines_of(text):
        assert not any(form in line for form in hidden), line
        json.loads(line)


@pytest.mark.parametrize("key", KEYS)
@given(
    secret=random,
    shape=st.sampled_from(SHAPES),
    path=st.lists(st.sampled_from(["user", "request", "a.b"]), max_size=4),
)
def test_a_value_under_a_secrets_key_is_in_no_line(
    key: str, secret: str, shape: str, path: list[str]
) -> None:
    """A value under such a key is redacted, however deep, and whatever its type."""
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


@given(
    secret=st.one_of(*SECRETS.values()),
    before=st.text("ab \n\"'{}[]=:&?/\\,;<>", max_size=12),
    after=st.text(" \n\"'{}[]&,;<>", max_size=12),
)
def test_text_around_a_secret_does_not_hide_it(
    secret: tuple[str, str], before: str, after: str
) -> None:
    """Quotes, brackets and spaces before and after a secret do not hide it."""
    text, hidden = secret
    line = encode_line(REDACTOR.redact(log(attributes={"m": f"{before} {text} {after}"})))
    assert hidden.encode() not in line


@given(secret=st.one_of(*SECRETS.values()), at=st.integers(0, 9_000))
def test_a_secret_across_the_scan_limit_is_not_seen(secret: tuple[str, str], at: int) -> None:
    """A text longer than the limit shows no secret, even if the limit cuts one in two."""
    text, hidden = secret
    for filler in ("filler, ", "a line\n"):
        whole = (filler * 2_000)[:at] + " " + text + " " + filler * 1_000
        for key in ("body", "exception.stacktrace"):
            record = log(attributes={key: whole})
            line = encode_line(REDACTOR.redact(record))
            assert hidden.encode() not in line


@given(secret=st.one_of(*SECRETS.values()))
def test_redacting_again_changes_nothing(secret: tuple[str, str]) -> None:
    """A second redactor does not change what is redacted already."""
    for rules in (RedactionSettings(), RedactionSettings(hmac_key="a key of 16 or more")):
        for record in everywhere(secret[0]):
            once = Redactor(rules).redact(record)
            assert encode_line(Redactor(rules).redact(once)) == encode_line(once)


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
    """Any data becomes a line of JSON; the user's own objects are not changed."""
    before = encode_object(attributes)
    line = encode_line(
        Redactor(RedactionSettings(mode="strict")).redact(log(attributes=attributes))
    )
    json.loads(line)
    assert encode_object(attributes) == before
