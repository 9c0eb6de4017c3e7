"""What the redactor does not change, and its handling of hostile values and callbacks."""

from __future__ import annotations

import datetime as dt
import pickle
import uuid
from typing import TYPE_CHECKING

import pytest

from otel_ext.errors import ConfigError
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Process, SpanEvent
from otel_ext.record.sanitise.values import encode_object
from otel_ext.redaction import RedactionSettings, Redactor
from otel_ext.redaction.text import TextRedactor
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.health import health
from tests.redaction.planted import everywhere, log, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HARMLESS: tuple[dict[str, object], ...] = (
    {"gen_ai.usage.input_tokens": 1_500, "llm.max_tokens": 4_096, "token.type": "bearer"},
    {"tokenizer": "cl100k", "token_count": 12, "password_changed_at": "2026-11-20"},
    {"secretary": "ann", "k8s.secret.name": "db", "password.policy": "long", "cookie.count": 3},
    {"http.request.method": "GET", "url.full": "https://api.example:8443/v1/items/42?page=2&x=a"},
    {"http.route": "/api/v1/users/{id}", "server.address": "db.internal:5432", "key": "value"},
    {"db.query.text": "SELECT * FROM users WHERE id = 17 AND name = 'ann'"},
    {"id": "550e8400-e29b-41d4-a716-446655440000", "hash": "d41d8cd98f00b204e9800998ecf8427e"},
    {"when": "2026-11-20T16:00:00.000001Z", "epoch_ns": 1_795_196_736_594_628_468},
    {"epoch_ms": 1_795_196_736_594, "order": "4111111111111112", "n": 4_111_111_111_111_112},
    {"version": "1.45.1", "author": "bob", "monkey": "x", "passenger": "ann", "compass": "n"},
    {"message": "basic understanding of bearer bonds", "path": "/var/lib/service_name_of_mine"},
    {"mail": "ann@example.org", "like": "123-45-6789", "auth.method": "oauth2"},
    {"git": "ssh://git@github.com/org/repo.git", "link": "https://medium.com/@ann/post"},
    {"flag": True, "none": None, "ratio": 0.41111111111111111, "nan": float("inf")},
    {"password": None, "token": False, "secret": ""},
    {"nested": {"list": [1, "two", {"three": (3.0,)}], "session.count": 5}},
    {"when": dt.datetime(2026, 11, 20), "id": uuid.UUID(int=7)},  # noqa: DTZ001 - as users do
    {"feature_flag.key": "new-checkout", "messaging.kafka.message.key": "order-17"},
    {"token": "[redacted: token]", "note": "token=[redacted: token]"},
    {"header": "password: null, token=None, secret: '***'"},
    {"boarding_pass": "A1", "bypass": "x", "first.pass_count": 2, "passed": 3, "low-pass": "y"},
)


@pytest.fixture(autouse=True)
def _fresh_counters() -> Iterator[None]:
    COUNTERS.reset()
    yield
    COUNTERS.reset()


def redacted(
    attributes: Mapping[str, object], rules: RedactionSettings | None = None
) -> Mapping[str, object]:
    """Return the attributes after redaction."""
    return Redactor(rules).redact(log(attributes=attributes)).attributes


@pytest.mark.parametrize("attributes", HARMLESS, ids=lambda one: next(iter(one)))
def test_harmless_data_is_not_changed(attributes: dict[str, object]) -> None:
    """Ordinary data is written as it would be without redaction, and the last record is known."""
    redactor = Redactor()
    for record in (span("start", attributes=attributes), log(attributes=attributes)):
        clean = redactor.redact(record)
        assert encode_line(clean) == encode_line(record)
        assert redactor.redact(clean) is clean
    assert not [name for name in COUNTERS.snapshot() if name.startswith("redacted.")]


def test_only_the_secret_is_redacted() -> None:
    """The rest of a text with a secret stays."""
    found = redacted(
        {
            "url": "https://ann:pw@h/p?page=2&token=abc",
            "dsn": "Server=db;Password=x;Port=1",
            "cmd": "run --token abc --verbose",
            "n": 1,
        }
    )
    assert found == {
        "url": "https://ann:[redacted: url-password]@h/p?page=2&token=[redacted: token]",
        "dsn": "Server=db;Password=[redacted: password];Port=1",
        "cmd": "run --token [redacted: token] --verbose",
        "n": 1,
    }


def test_the_users_objects_are_never_changed() -> None:
    """Redaction makes new containers; the program's own are not changed."""
    inner = {"password": "hunter2", "list": ["token=abc"]}
    attributes: dict[str, object] = {"outer": inner}
    assert redacted(attributes) != attributes
    assert inner == {"password": "hunter2", "list": ["token=abc"]}


def test_everything_redacted_is_counted_by_rule() -> None:
    """Counters, and the process's health, have how often each rule was applied."""
    redactor = Redactor()
    redactor.redact(log(attributes={"password": "a", "x": "token=b; token=c"}))
    assert COUNTERS.value("redacted.password") == 1
    assert COUNTERS.value("redacted.token") == 2
    part = health().part("redaction")
    assert part is not None
    assert "password 1" in part.detail
    assert "token 2" in part.detail


def test_equal_values_have_equal_codes() -> None:
    """With a key, marks can be compared; another key gives other codes; no value is shown."""
    first = RedactionSettings(hmac_key="the first key of 16+")
    found = [
        redacted({"password": "hunter2", "text": "password=hunter2"}, rules)
        for rules in (first, first, RedactionSettings(hmac_key="the second key of 16+"))
    ]
    assert found[0] == found[1] != found[2]
    one = found[0]
    assert one["text"] == f"password={one['password']}"
    assert "hunter2" not in str(found)


def test_patterns_of_the_user() -> None:
    """The user's own keys and values are redacted, and allowed keys stay."""
    rules = RedactionSettings(
        keys=("iban", "customer.name"), values=(r"EMP-\d{4}",), allow=(r"session\.id", "x-token")
    )
    found = redacted(
        {
            "payment.IBAN": "DE1",
            "customerName": "ann",
            "caribbean": "sea",
            "note": "by EMP-1234 today",
            "command": "bill --customer-name=ann --iban DE1",
            "session.id": "abc",
            "x-token": "eyJhbGciOiJIUzI1NiJ9.aaaaaa.bbbbbb",
            "token": "secret",
        },
        rules,
    )
    assert found == {
        "payment.IBAN": "[redacted: custom-key]",
        "customerName": "[redacted: custom-key]",
        "caribbean": "sea",
        "note": "by [redacted: custom-value] today",
        "command": "bill --customer-name=[redacted: custom-key] --iban [redacted: custom-key]",
        "session.id": "abc",
        "x-token": "eyJhbGciOiJIUzI1NiJ9.aaaaaa.bbbbbb",
        "token": "[redacted: token]",
    }


def test_strict_redacts_personal_data() -> None:
    """The strict mode also finds mail addresses, social security numbers and the like."""
    found = redacted(
        {"note": "ann@example.org 123-45-6789", "phone": "+49", "token.type": "x", "n": 1},
        RedactionSettings(mode="strict"),
    )
    assert found == {
        "note": "[redacted: email] [redacted: ssn]",
        "phone": "[redacted: personal]",
        "token.type": "[redacted: token]",
        "n": 1,
    }


def test_long_texts_are_cut_where_they_may_hold_secrets() -> None:
    """Text beyond the limit is not searched, so it is cut; a stack trace keeps its end."""
    text = "magic\n" * 4_000
    found = redacted(
        {"body": text, "exception.stacktrace": f"{text}last line", "plain": "x" * 9_000}
    )
    body, stack = str(found["body"]), str(found["exception.stacktrace"])
    assert body.endswith("characters]")
    assert len(body) <= 8_192
    assert stack.endswith("last line")
    assert len(stack) <= 8_192
    assert found["plain"] == "x" * 9_000
    assert COUNTERS.value("redacted.truncated") == 2


class Hostile:
    """A value that raises on every access."""

    def __str__(self) -> str:
        raise RuntimeError("password=hunter2")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("password=hunter2")

    __hash__ = None  # type: ignore[assignment]


class TwoFaced:
    """A value whose text is harmless first, and a secret the next time."""

    asked = 0

    def __str__(self) -> str:
        self.asked += 1
        return "harmless" if self.asked == 1 else "password=hunter2"


@pytest.mark.parametrize("value", [Hostile(), {"a": Hostile()}, [Hostile()], TwoFaced()])
def test_a_hostile_value_loses_only_itself(value: object) -> None:
    """A value that raises, or changes between reads, leaks nothing and affects no other."""
    record = Redactor().redact(log(attributes={"before": 1, "bad": value, "token": "hunter2"}))
    line = encode_line(record)
    assert b"hunter2" not in line
    assert b'"before":1' in line


def test_endless_containers_are_cut() -> None:
    """A list inside itself, and data nested too deep, are cut."""
    loop: list[object] = ["password=hunter2"]
    loop.append(loop)
    deep: object = "password=hunter2"
    for _ in range(3_000):
        deep = {"d": deep}
    line = encode_line(Redactor().redact(log(attributes={"loop": loop, "deep": deep, "n": 1})))
    assert b"hunter2" not in line
    assert b"too deep" in line
    assert b'"n":1' in line


def test_a_callback_that_raises_drops_the_value(capfd: pytest.CaptureFixture[str]) -> None:
    """If the program's function fails, the value is dropped, and nothing is raised."""

    def fail(path: str, value: object) -> object:
        raise RuntimeError(f"cannot look at {value} of {path}")

    redactor = Redactor(callback=fail)
    for record in everywhere("planted in here"):
        if "planted in here" in record.attributes:
            continue  # the callback does not get keys
        assert b"planted in here" not in encode_line(redactor.redact(record))
    assert COUNTERS.value("redacted.error") > 0
    assert "planted" not in capfd.readouterr().err
    part = health().part("redaction")
    assert part is not None
    assert part.state == "degraded"


def test_rules_apply_to_the_callbacks_result() -> None:
    """The function's result is recorded, redacted by the rules."""
    seen: dict[str, object] = {}

    def change(path: str, value: object) -> object:
        seen[path] = value
        return {"user": "u-1", "put": "token=abc", "odd": Hostile()}.get(path, value)

    record = span(
        "end",
        attributes={"user": "ann", "put": "x", "odd": 1, "password": "p", "deep": {"er": [True]}},
        events=(SpanEvent("e", 1, {"k": "v"}),),
    )
    clean = Redactor(callback=change).redact(record)
    assert clean.attributes == {
        "user": "u-1",
        "put": "token=[redacted: token]",
        "odd": "<unprintable: Hostile>",
        "password": "[redacted: password]",
        "deep": {"er": [True]},
    }
    assert seen["events.k"] == "v"
    assert seen["deep.er"] is True
    assert seen["name"] == "work"
    assert "password" not in seen


def test_a_record_that_cannot_be_read_is_emptied() -> None:
    """If a mapping fails as a whole, the record loses its data but is kept."""

    class Broken(dict[str, object]):
        def items(self) -> object:  # type: ignore[override]
            raise RuntimeError("hunter2")

    record = log(name="login", attributes=Broken(a="hunter2"))
    clean = Redactor().redact(record)
    line = encode_line(clean)
    assert b"hunter2" not in line
    assert clean.seq == record.seq
    assert clean.time_ns == record.time_ns
    assert clean.attributes == {"…": "<unprintable: Broken>"}


def test_the_command_line_loses_the_secrets_after_options() -> None:
    """`--password hunter2` as two arguments is found; the other arguments stay."""
    process = Process("p", argv=("app", "--password", "hunter2", "-v", "--port", "80", "--token=x"))
    found = Redactor().redact(span("start", process=process)).process
    assert found.argv == (
        "app",
        "--password",
        "[redacted: password]",
        "-v",
        "--port",
        "80",
        "--token=[redacted: token]",
    )
    assert found.id == "p"


def test_a_pattern_that_cannot_be_used_is_an_error() -> None:
    """A wrong pattern passed in code raises when the redactor is made."""
    with pytest.raises(ConfigError, match="backreferences"):
        Redactor(RedactionSettings(values=(r"(a)\1",)))


def test_a_redactor_that_is_switched_off_is_an_error() -> None:
    """It would redact nothing; the message gives the way out."""
    with pytest.raises(ConfigError, match=r"redact=off.*Leave it out"):
        Redactor(RedactionSettings(mode="off"))


def test_a_redactor_can_be_pickled() -> None:
    """Loggers are copied together with their processors."""
    copy = pickle.loads(pickle.dumps(Redactor(RedactionSettings(keys=("iban",)))))  # noqa: S301
    assert copy.redact(log(attributes={"iban": "x"})).attributes == {
        "iban": "[redacted: custom-key]"
    }


def test_a_key_that_is_a_secret_is_redacted() -> None:
    """Keys may be secrets too; two with the same mark are both kept."""
    tokens = [f"ghp_{letter * 36}" for letter in "ab"]
    found = redacted(dict.fromkeys(tokens, 1))
    assert found == {"[redacted: api-key]": 1, "[redacted: api-key] (2)": 1}
    assert b"ghp_" not in encode_object(found)


def found_under(rule: str) -> int:
    """Return how often a rule redacted something in this process."""
    return COUNTERS.value(f"redacted.{rule}")


@pytest.mark.parametrize("count", [1, 7, 8, 9, 30])
def test_urls_that_are_new_each_time(count: int) -> None:
    """Few or many URLs, with a secret in one or none, are redacted as each would be alone."""
    redactor = Redactor()
    urls = {f"http.url.{n}": f"http://shop.example:8000/orders/{count}/{n}" for n in range(count)}
    record = span("start", attributes=urls)
    assert redactor.redact(record) == record
    for index in {0, count // 2, count - 1}:
        other = {key: f"{url}?page={index}" for key, url in urls.items()}
        other[f"http.url.{index}"] = "https://ann:hunter22@shop.example/orders"
        expected = {
            **other,
            f"http.url.{index}": TextRedactor(RedactionSettings()).redact(
                other[f"http.url.{index}"]
            ),
        }
        before = found_under("url-password")
        clean = redactor.redact(span("start", attributes=other))
        assert clean.attributes == expected
        assert "hunter22" not in encode_line(clean).decode()
        assert found_under("url-password") == before + 1


def test_a_text_longer_than_the_scan_limit_is_cut() -> None:
    """A limit below the length of separately searched texts applies as well."""
    redactor = Redactor(RedactionSettings(scan_limit=100))
    url = f"http://shop.example/token/{'a' * 120}"
    clean = redactor.redact(span("start", attributes={"url": url})).attributes["url"]
    assert isinstance(clean, str)
    assert clean.startswith("http://shop.example/token/a")
    assert "characters]" in clean
