"""Judges a value after a secret's name: the secret itself, or only a word about it."""

from __future__ import annotations

import base64
import re
from typing import Final

from otel_ext.redaction.masks import MARK_BEGIN

__all__ = ["has_user", "is_credential", "is_mixed", "is_random", "is_secret", "is_web_token"]

# Placeholders for a value passed separately, or for one that is hidden.
_PLACEHOLDER: Final = re.compile(
    r"\?|\$[0-9]{1,3}|%s|%\([\w.]{1,64}\)s|[:@][a-z_]{1,32}[0-9]?|\$\{[^{}]{1,64}\}?|\$[A-Z_]{2,64}"
    r"|%[A-Z_]{2,64}%|\{\{?[^{}:]{0,64}\}?\}?|</?[^<>\s]{1,32}>?|<\|[^|]{1,32}\|>|\[[\w :-]{1,32}\]"
    r"|[*•.xX#-]{2,64}|[^\w]{1,4}|(?:your|my|the)[_-][\w-]{1,32}|YOUR[_-][\w-]{1,32}"
    r"|S-1-[0-9-]{1,80}|SIG[A-Z0-9]{2,8}",
    re.ASCII,
)
_NOTHING: Final = re.compile(
    r"(?:(?:null|none|nil|true|false|undefined|\*{3,})(?![A-Za-z0-9_])"
    rf"|{re.escape(MARK_BEGIN)}[^\]]{{1,80}}\])[ ,)\]}}]*",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,9}(?:\.[0-9]{1,12})?")
_FEW: Final = re.compile(r"[0-9]{1,2}")
# Types in annotations and column definitions; keywords; other languages' nulls.
_CODE: Final = re.compile(
    r"(?:(?:str|string|bytes|int|integer|bool|boolean|object|any|float|char|text|varchar|secretstr"
    r"|dict|list|optional|union|self|await|new|lambda|not|none|null|nil|undefined|true|false|this"
    r"|private_?key|publickey|callable|default|unset|empty)"
    r"(?![\w-])(?:\([0-9]{1,5}\)|\[[\w\[\], .|]{0,64}\]?)?\s{0,2}[,;:|)\]}=]{0,3}"
    r"(?:\s{0,2}(?:none|not null|null)[,;)\]:]{0,3})?)",
    re.IGNORECASE,
)
_CALL: Final = re.compile(
    r"(?:await |new )?[A-Za-z_][\w.]{0,64}\([\w\s.,=*:\[\]]{0,128}\)?[\w.()]{0,64}[;,:)]{0,3}"
)
_TUPLE: Final = re.compile(r"\([a-z_][\w., ]{0,64}\)?[;,]?")
_REFERENCE: Final = re.compile(
    r"(?:self|cls|this|args|opts|options|settings|config|conf|cfg|request|req|os|process|env|app|ctx"
    r"|context|params|data|kwargs|event|secrets|vars|var|local|module|inputs|github)"
    r"[.\[][\w.\[\]'\"()-]{1,96}[;,)]{0,3}"
    r"|[A-Za-z_]{1,32}\.(?:[A-Za-z_]{1,32}\.)?_?(?:password|passwd|pwd|token|secret|api_?key|session"
    r"(?:_id)?|cookie|id|auth|credentials)[;,)]{0,3}"
)
_PATH: Final = re.compile(r"(?:/[A-Za-z_.-]{1,32}){2,8}|arn:[\w:/.-]{4,200}|https?://[^@\s]{0,200}")
_WORD: Final = re.compile(r"[A-Za-z][a-z']{0,13}[.,;:!?]?")
_WORDS: Final = re.compile(r"[A-Za-z][a-z',.-]{0,20}(?: [A-Za-z0-9_',.-]{1,20}){1,30}[.!]?")
_SCHEMES: Final = ("bearer ", "basic ", "token ", "digest ", "apikey ", "negotiate ", "aws4-")
_PROSE_WORDS: Final = """
    absent accepted active added all also and any anonymous authenticated auth bad blank by
    bytes cannot changed check cleared closed code confirmed correct created denied deleted
    disabled does empty enabled error exists expected expired expires failed failure false
    field for forbidden found generated given granted has hidden ignored in incorrect input
    invalid is issued it length locked lost masked may mismatch missing must needed never new
    no none not null of off ok on only opened optional or passed provided random received
    redacted refreshed rejected removed renewed required reset restored revoked rotated saved
    sent should started stored success succeeded the timeout to too true type unauthorized
    undefined unknown unset unused updated upper valid value verified was we weak when will
    wrong yes you your
"""
_PROSE: Final = frozenset(_PROSE_WORDS.split())
_LOOSE: Final = frozenset({"token", "secret", "api-key", "authorization", "cookie", "session"})
_LETTER_AND_DIGIT: Final = re.compile(r"(?=[^0-9]{0,200}[0-9])(?=[^A-Za-z]{0,200}[A-Za-z])\S")
_LEAST_RANDOM: Final = 6
_LONG_CREDENTIAL: Final = 20
_LONG: Final = 200


def is_secret(  # noqa: PLR0911 - one for each reason
    value: str, rule: str, *, is_prose: bool = False, is_bare: bool = True
) -> bool:
    """Whether `value`, which follows a name that `rule` applies to, is a secret.

    Args:
        value: The value, without the quotes around it.
        rule: The rule that applies to the name.
        is_prose: Whether it is in running text, as after a colon and a space.
        is_bare: Whether it had no quotes around it, so that it may be source code.

    >>> is_secret("hunter2", "password"), is_secret("required", "password", is_prose=True)
    (True, False)
    """
    if len(value) > _LONG:
        return True
    value = value.strip()
    if not value or _PLACEHOLDER.fullmatch(value) or _NOTHING.fullmatch(value):
        return False
    if value[0].isdigit() or value[0] in "+-":
        numbers = _NUMBER if rule in _LOOSE else _FEW
        return numbers.fullmatch(value.rstrip(",;.)")) is None
    if _PATH.fullmatch(value) or value.lower().rstrip(".,;:!") in _PROSE:
        return False
    if is_bare and any(form.fullmatch(value) for form in (_CODE, _CALL, _REFERENCE, _TUPLE)):
        return False
    if not is_prose:
        return True
    if rule in _LOOSE and _WORD.fullmatch(value):
        return False
    return not (
        " " in value
        and _WORDS.fullmatch(value)
        and not value.lower().startswith(_SCHEMES)
        and value.partition(" ")[0].lower().rstrip(",.") in _PROSE
    )


def is_random(value: str) -> bool:
    """Whether `value` looks random rather than like a word: it mixes letters and digits.

    >>> is_random("hunter2"), is_random("required"), is_random("user-17")
    (True, False, False)
    """
    value = value.strip(".,;:!?'\"()[]{}")
    if len(value) < _LEAST_RANDOM or value.isdecimal():
        return False
    if _LETTER_AND_DIGIT.match(value) is None:
        return False
    # `user-17`, `step_2`, `v1.2.3` are names with a number.
    return re.fullmatch(r"[A-Za-z]{1,16}[-_./:#]?[0-9.]{1,6}", value) is None or (
        value.isalnum() and len(value) < 10  # noqa: PLR2004 - such as passwords are
    )


def is_mixed(value: str) -> bool:
    """Whether `value` looks random and is not just lower-case letters and digits."""
    return is_random(value) and (value.lower() != value or "-" in value or not value.isalnum())


def is_web_token(value: str) -> bool:
    """Whether a token that begins with the base64 of `{"` has a further part after a dot."""
    return "." in value or "%2" in value


def is_credential(value: str) -> bool:
    """Whether what follows `Bearer` is more than a word."""
    return len(value) >= _LONG_CREDENTIAL or any(map(str.isdigit, value))


def has_user(value: str) -> bool:
    """Whether `value` is base64 of `user:password` (RFC 7617), and not just a word."""
    plain = value.rstrip("=.")
    try:
        return b":" in base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_")
    except ValueError:
        return False
