"""The rules for names of secrets, and the check of a name.

A name is judged by its words: `http.request.header.X-Api-Key` and `apiKey` contain the
adjacent words `api` and `key`; `tokenizer` does not contain the word `token`, and in
`input_tokens` it means something else. If the last word shows that the value only
describes the secret (`token.type`, `secret_arn`), the value stays.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

from otel_ext.redaction.scan.folding import fold, visible

__all__ = ["NAME_ROWS", "QUERY_NAMES", "NameRow", "rule_for_name", "split_words"]


class NameRow(NamedTuple):
    """Names whose values one rule redacts.

    Attributes:
        rule: The rule's name, shown in the mark.
        words: Phrases, with `|` between; their words may be separated (`api_key`) or not.
        glued: Phrases that also count if other letters precede them.
        goes: Examples of names whose values are redacted; the tests run them.
        stays: Examples of names whose values are not; the tests run them.
    """

    rule: str
    words: str
    glued: str
    goes: str
    stays: str


NAME_ROWS: Final = (
    NameRow(
        "password",
        "pw|psw|passwrd|pgpass|otp|totp|pin|pin code|pin number|mdp|mot de passe|senha"
        "|db pass|user pass|smtp pass|mail pass|login pass|root pass|admin pass|http pass"
        "|default pass|one time code|verification code|access code|unlock code|recovery code"
        "|otp code|backup code|security answer|hash pwd|clave",
        "pwd|password|passwd|passphrase|passcode|passwort|kennwort|wachtwoord|contraseña|contrasena"
        "|lösenord|hasło|şifre|пароль|密码|密碼|口令|パスワード|비밀번호",
        "db.connection.password dbPassword user.pw app.pin smtp.pass otp_code 用户密码",
        "compass pinned password_policy password_file bypass spinner password_reset_url",
    ),
    NameRow(
        "secret",
        "salt|nonce|mnemonic|seed phrase|recovery phrase",
        "secret",
        "clientSecret webhook_secret password_salt wallet.seed_phrase",
        "secretary secret_arn secretRef secret.path secret_id saltwater k8s.secret.name",
    ),
    NameRow(
        "private-key",
        "private key|pem key|key pem|client key data|unseal key|private",
        "",
        "ssh_private_key tls.key.pem client-key-data private",
        "public_key private_key_path",
    ),
    NameRow(
        "api-key",
        "api key|xapi key|secret key|secret access key|access key|account key"
        "|storage key|subscription key|master key"
        "|signing key|encryption key|decryption key|hmac key|shared key|shared access key"
        "|service key|deploy key|license key|licence key|ssh key|gpg key|pgp key|aws access key",
        "",
        "apiKey X-Api-Key aws.secretAccessKey licenseKey",
        "api_key_id primary_key monkey keyboard sort_key ssh_key_fingerprint",
    ),
    NameRow(
        "token",
        "token|jwt|csrf|xsrf|bearer|access token|refresh token|id token|auth token|api token"
        "|session token|user token|csrf middleware token",
        "authtoken|csrftoken|csrfmiddlewaretoken|sessiontoken|accesstoken|refreshtoken",
        "refreshToken X-Auth-Token user.tokens csrfmiddlewaretoken npm_token _authToken",
        "input_tokens eos_token pad_token_id nextPageToken continuation_token n_token token_url"
        " token_index token_embeddings.shape tokenizer token.type tokens_per_second",
    ),
    NameRow(
        "authorization",
        "authorization|authentication header|auth header|credential|cred|auth$",
        "",
        "http.request.header.authorization credentials proxy.auth",
        "auth.method author authorization_endpoint credentials_file",
    ),
    NameRow(
        "cookie",
        "cookie|set cookie|cookie2|set cookie2",
        "",
        "http.request.header.cookie Set-Cookie",
        "cookie.count cookie_name cookie.domain",
    ),
    NameRow(
        "session",
        "session$|session id|session key|session data|session hash|session previous id|phpsessid"
        "|jsessionid|asp net session id|connect sid|sid$",
        "",
        "session session.id PHPSESSID connect.sid",
        "session.timeout session_state side",
    ),
    NameRow(
        "credit-card",
        "credit card|credit card number|credit card num|credit card no|card number|card num"
        "|card no|cc number|cc num|cc no|cvv|cvv2|cvc|cvc2|card verification",
        "",
        "credit_card_number cvv cardNumber",
        "card.type discard",
    ),
    NameRow(
        "ssn",
        "ssn|social security|social security number|social security num|social security no",
        "",
        "ssn social-security-number",
        "session_count",
    ),
)
_PERSONAL: Final = (
    r"_(?:e_?mails?(?:_?address)?|phone(?:_?number)?|mobile(?:_?number)?|birth_?date|date_?of_?birth"
    r"|dob|first_?name|last_?name|full_?name|sur_?name|street(?:_?address)?|iban|tax_?id"
    r"|passport(?:_?(?:number|no))?|national_?id|driver_?licen[cs]e|enduser_id|user_name|user_email"
    r"|user_full_name|client_address|client_ip|x_forwarded_for|remote_?addr)_"
)
# Last words of names whose value only describes the secret.
_ABOUT_WORDS: Final = """
    age alg algorithm arn at attempts budget changed class column cost count counts created
    dim dir disabled domain duration embedding embeddings enabled endpoint exp expired expires
    expiration expiry field fields file filename fingerprint format handler header_name hint
    host idx in index issuer label length lifetime limit limits manager max method min name
    offset on param path policy pos position present provider ratio ref reference refs
    required rotated rotation scope scopes second seconds shape size source state status store
    strategy strength time timeout total ttl type types updated uri url usage valid validator
    version middleware regex pattern schema min_length reset required message error
"""
_ABOUT: Final = frozenset(_ABOUT_WORDS.split())
_WITH_IDS: Final = frozenset({"password", "secret", "token", "api-key", "private-key"})
# Tokens of language models and of pagination.
_OTHER_TOKENS: Final = re.compile(
    r"_(?:eos|bos|pad|unk|sep|cls|mask|stop|start|end|special|next|page|pagination|continuation"
    r"|sync|resume|prompt|completion|input|output|total|max|min|n|num|number|count|cached|read"
    r"|write|creation|reasoning|new|used|remaining|context|budget|audio|text|image|generated"
    r"|decoder|image|unexpected|current|last|first|per|of|expected|lookahead)_tokens?_"
)
QUERY_NAMES: Final = frozenset({"sig", "signature", "key", "code", "credential", "awsaccesskeyid"})
"""Last words of names that mean a secret only in a URL's query."""

_HUMPS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NO_WORD: Final = re.compile(r"[\W_]+")
_MAX_NAME: Final = 1_024


def split_words(name: str) -> str:
    """Return the words of `name` in lower case with `_` between, before and after them.

    >>> split_words("http.request.header.X-Api-Key"), split_words("dbPassword")
    ('_http_request_header_x_api_key_', '_db_password_')
    """
    if len(name) > _MAX_NAME:
        # The last words matter most.
        name = name[-_MAX_NAME:]
    words = _NO_WORD.sub("_", fold(_HUMPS.sub("_", visible(name)[0])))
    return f"_{words.strip('_')}_"


def _expression(row: NameRow) -> str:
    """Return the expression of a row for the words of a name."""
    words = "|".join(
        phrase.replace("$", "_$").replace(" ", "_?")
        if "$" in phrase
        else f"{phrase.replace(' ', '_?')}s?_"
        for phrase in row.words.split("|")
    )
    glued = f"|(?:{'|'.join(map(fold, row.glued.split('|')))})s?[0-9]?_" if row.glued else ""
    return f"_(?:{words}){glued}"


class _Compiled:
    """The rules of one mode, tried all at once, then one by one if any applies."""

    def __init__(self, rules: tuple[tuple[str, str], ...]) -> None:
        self.any = re.compile("|".join(pattern for _, pattern in rules))
        self.each = [(name, re.compile(pattern)) for name, pattern in rules]


_RULES: Final = tuple((row.rule, _expression(row)) for row in NAME_ROWS)
_DEFAULT: Final = _Compiled(_RULES)


@cache
def _strict() -> _Compiled:
    return _Compiled((*_RULES, ("personal", _PERSONAL)))


def rule_for_name(name: str, *, strict: bool = False) -> str:
    """Return the rule by which the value under `name` is a secret; empty if it is not.

    Args:
        name: A key, or the keys on the way to a value with dots between.
        strict: Whether personal data counts too, and no last word makes a name harmless.

    >>> rule_for_name("db.connection.password"), rule_for_name("gen_ai.usage.input_tokens")
    ('password', '')
    """
    if name[-4:].lower() == "pass" and name[-5:-4] in {"", "."}:
        # Not among other words: `first_pass`, `boarding pass`.
        return "password"
    words = split_words(name)
    rules = _strict() if strict else _DEFAULT
    if rules.any.search(words) is None:
        return ""
    rule = next((rule for rule, pattern in rules.each if pattern.search(words)), "")
    if strict:
        return rule
    last = words[:-1].rpartition("_")[2]
    if last in _ABOUT or (last in {"id", "ids"} and rule in _WITH_IDS):
        return ""
    if rule == "token" and _OTHER_TOKENS.search(words):
        return ""
    return rule
