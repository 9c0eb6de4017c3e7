"""Which keys tell that their value is a secret.

A key is judged by its words: `http.request.header.X-Api-Key` and `apiKey` have
the words `api` and `key` beside one another, `tokenizer` and `input_tokens` do
not have the word `token`. Where the last word says that the value is only about
the secret (`token.type`, `password_changed_at`), it is none.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["QUERY_NAMES", "rule_for_name", "split_words"]

_HUMPS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NO_WORD: Final = re.compile(r"[^a-z0-9]+")
_MAX_NAME: Final = 1_024

# Each is searched for in the words with `_` between, before and behind them. There
# is no repetition in them but of single characters, so a search is linear.
_RULES: Final = (
    (
        "password",
        (
            r"(?:password|passwd|passphrase|passcode)s?[0-9]?_"
            r"|_(?:pwd|passwrd|mysql_?pwd|pgpass|otp|totp|pin_?(?:code|number))_"
            r"|_(?:db|user|smtp|mail|login|root|admin|http)_?pass_"
        ),
    ),
    ("secret", r"secrets?[0-9]?_"),
    ("private-key", r"_(?:private_?keys?|pem_?key)_"),
    (
        "api-key",
        (
            r"_x?api_?keys?_"
            r"|_(?:access|account|storage|subscription|master|signing|encryption|decryption|hmac"
            r"|shared|service|deploy|license|ssh|gpg|pgp|aws_?access)_?keys?(?:_?id)?_"
        ),
    ),
    (
        "token",
        (
            r"_(?:token|jwt|csrf|xsrf|(?:access|refresh|id|auth|api|bearer|csrf|xsrf|session|user)"
            r"_?tokens?)_|csrftoken_"
        ),
    ),
    (
        "authorization",
        r"_(?:authorization|authentication_?header|auth_?header|credentials?|creds)_|_auth_$",
    ),
    ("cookie", r"_(?:set_?)?cookies?2?_"),
    (
        "session",
        (
            r"_session_$|_session_?(?:id|key|data|hash|previous_id)_"
            r"|_(?:phpsessid|jsessionid|asp_?net_?session_?id|connect_sid)_|_sid_$"
        ),
    ),
    (
        "credit-card",
        (
            r"_(?:credit_?card(?:_?(?:number|num|no))?|(?:card|cc)_?(?:number|num|no)"
            r"|cvv2?|cvc2?|card_?(?:cvv|cvc|verification))_"
        ),
    ),
    ("ssn", r"_(?:ssn|social_?security(?:_?(?:number|num|no))?)_"),
)
_PERSONAL: Final = (
    "personal",
    (
        r"_(?:e_?mails?(?:_?address)?|phone(?:_?number)?|mobile(?:_?number)?|birth_?date|date_?of_?birth"
        r"|dob|first_?name|last_?name|full_?name|sur_?name|street(?:_?address)?|iban|tax_?id"
        r"|passport(?:_?(?:number|no))?|national_?id|driver_?licen[cs]e|enduser_id|user_name|user_email"
        r"|user_full_name|client_address|client_ip|x_forwarded_for|remote_?addr)_"
    ),
)
_HARMLESS: Final = frozenset(
    {
        "count",
        "counts",
        "type",
        "types",
        "usage",
        "limit",
        "limits",
        "length",
        "size",
        "budget",
        "max",
        "min",
        "total",
        "expires",
        "expiry",
        "expired",
        "expiration",
        "exp",
        "in",
        "ttl",
        "age",
        "timeout",
        "duration",
        "lifetime",
        "valid",
        "present",
        "enabled",
        "disabled",
        "required",
        "policy",
        "strength",
        "changed",
        "updated",
        "created",
        "rotated",
        "at",
        "on",
        "name",
        "arn",
        "version",
        "status",
        "state",
        "provider",
        "method",
        "algorithm",
        "alg",
        "format",
        "rotation",
        "attempts",
        "scope",
        "scopes",
        "issuer",
        "source",
    }
)
QUERY_NAMES: Final = frozenset({"sig", "signature", "key", "code", "credential", "awsaccesskeyid"})
"""Last words of names that tell a secret only as a parameter of a URL's query."""


def split_words(name: str) -> str:
    """Return the words of `name` in small letters with `_` between, before and behind them.

    >>> split_words("http.request.header.X-Api-Key"), split_words("dbPassword")
    ('_http_request_header_x_api_key_', '_db_password_')
    """
    if len(name) > _MAX_NAME:
        # The words that tell most are the last ones.
        name = name[-_MAX_NAME:]
    words = _NO_WORD.sub("_", _HUMPS.sub("_", name).lower())
    return f"_{words.strip('_')}_"


class _Compiled:
    """The rules of one mode, tried at once, and then one by one where one applies."""

    def __init__(self, rules: tuple[tuple[str, str], ...]) -> None:
        self.any = re.compile("|".join(pattern for _, pattern in rules))
        self.each = [(name, re.compile(pattern)) for name, pattern in rules]


_DEFAULT: Final = _Compiled(_RULES)
_STRICT: Final = _Compiled((*_RULES, _PERSONAL))


def rule_for_name(name: str, *, strict: bool = False) -> str:
    """Return the rule by which the value under `name` is a secret; empty if it is none.

    Args:
        name: A key, or the keys on the way to a value with dots between.
        strict: Whether what only tells of a person counts too, and no word is harmless.

    >>> rule_for_name("db.connection.password"), rule_for_name("gen_ai.usage.input_tokens")
    ('password', '')
    """
    if name[-4:].lower() == "pass" and name[-5:-4] in {"", "."}:
        # As a word among others it tells nothing: `first_pass`, `boarding pass`.
        return "password"
    words = split_words(name)
    rules = _STRICT if strict else _DEFAULT
    if rules.any.search(words) is None:
        return ""
    if not strict and words[:-1].rpartition("_")[2] in _HARMLESS:
        return ""
    return next((rule for rule, pattern in rules.each if pattern.search(words)), "")
