"""The rules for names of secrets, and the check of a name.

A name is judged by its words: `http.request.header.X-Api-Key` and `apiKey` contain the
adjacent words `api` and `key`; `tokenizer` does not contain the word `token`, and in
`input_tokens` it means something else. If the last word shows that the value only
describes the secret (`token.type`, `secret_arn`), the value stays.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from otel_ext.redaction.rules.row import Row, named
from otel_ext.redaction.scan.folding import fold, visible

__all__ = ["NAME_ROWS", "QUERY_ROW", "STRICT_NAMES", "rule_for_name", "split_words"]

NAME_ROWS: Final = (
    named(
        "password",
        "*pwd|*password|*passwd|*passphrase|*passcode|*passwort|*kennwort|*wachtwoord|*contraseña"
        "|*contrasena|*lösenord|*hasło|*şifre|*пароль|*密码|*密碼|*口令|*パスワード|*비밀번호|pw|psw|passwrd"
        "|pgpass|otp|totp|pin|pin code|pin number|mdp|mot de passe|senha|db pass|user pass"
        "|smtp pass|mail pass|login pass|root pass|admin pass|http pass|default pass"
        "|one time code|verification code|access code|unlock code|recovery code|otp code"
        "|backup code|security answer|hash pwd|clave",
        "db.connection.password dbPassword user.pw app.pin smtp.pass otp_code 用户密码",
        "compass pinned password_policy password_file bypass spinner password_reset_url",
    ),
    named(
        "secret",
        "*secret|salt|nonce|mnemonic|seed phrase|recovery phrase",
        "clientSecret webhook_secret password_salt wallet.seed_phrase",
        "secretary secret_arn secretRef secret.path secret_id saltwater k8s.secret.name",
    ),
    named(
        "private-key",
        "private key|pem key|key pem|client key data|unseal key|private",
        "ssh_private_key tls.key.pem client-key-data private",
        "public_key private_key_path",
    ),
    named(
        "api-key",
        "api key|xapi key|secret key|secret access key|access key|account key|storage key"
        "|subscription key|master key|signing key|encryption key|decryption key|hmac key"
        "|shared key|shared access key|service key|deploy key|license key|licence key|ssh key"
        "|gpg key|pgp key|aws access key",
        "apiKey X-Api-Key aws.secretAccessKey licenseKey",
        "api_key_id primary_key monkey keyboard sort_key ssh_key_fingerprint",
    ),
    named(
        "token",
        "*authtoken|*csrftoken|*csrfmiddlewaretoken|*sessiontoken|*accesstoken|*refreshtoken"
        "|token|jwt|csrf|xsrf|bearer|access token|refresh token|id token|auth token|api token"
        "|session token|user token|csrf middleware token",
        "refreshToken X-Auth-Token user.tokens csrfmiddlewaretoken npm_token _authToken",
        "input_tokens eos_token pad_token_id nextPageToken continuation_token n_token token_url"
        " token_index token_embeddings.shape tokenizer token.type tokens_per_second",
    ),
    named(
        "authorization",
        "authorization|authentication header|auth header|credential|cred|auth$",
        "http.request.header.authorization credentials proxy.auth",
        "auth.method author authorization_endpoint credentials_file",
    ),
    named(
        "cookie",
        "cookie|set cookie|cookie2|set cookie2",
        "http.request.header.cookie Set-Cookie",
        "cookie.count cookie_name cookie.domain",
    ),
    named(
        "session",
        "session$|session id|session key|session data|session hash|session previous id|phpsessid"
        "|jsessionid|asp net session id|connect sid|sid$",
        "session session.id PHPSESSID connect.sid",
        "session.timeout session_state side",
    ),
    named(
        "credit-card",
        "credit card|credit card number|credit card num|credit card no|card number|card num"
        "|card no|cc number|cc num|cc no|cvv|cvv2|cvc|cvc2|card verification",
        "credit_card_number cvv cardNumber",
        "card.type discard",
    ),
    named(
        "ssn",
        "ssn|social security|social security number|social security num|social security no",
        "ssn social-security-number",
        "session_count",
    ),
)
STRICT_NAMES: Final = Row(
    "personal",
    (),
    r"_(?:e_?mails?(?:_?address)?|phone(?:_?number)?|mobile(?:_?number)?|birth_?date|date_?of_?birth"
    r"|dob|first_?name|last_?name|full_?name|sur_?name|street(?:_?address)?|iban|tax_?id"
    r"|passport(?:_?(?:number|no))?|national_?id|driver_?licen[cs]e|enduser_id|user_name|user_email"
    r"|user_full_name|client_address|client_ip|x_forwarded_for|remote_?addr)_",
    ("email=⟦k7Hq29xZp1Lm⟧", "customerPhone=⟦k7Hq29xZp1Lm⟧", "streetlight=k7Hq29xZp1Lm"),
)
"""Personal data, which only the strict mode redacts."""

QUERY_ROW: Final = Row(
    "url-query",
    ("sig", "signature", "key", "code", "credential", "awsaccesskeyid"),
    "",
    (
        "https://h/?a=1&sig=⟦~40⟧&b=2",
        "https://h/cb?code=⟦~24⟧",
        "?X-Amz-Signature=⟦~64h⟧",
        "https://h/?code=404&key=name",
        "sig=~40",
    ),
)
"""Last words of names that mean a secret only in a URL's query."""

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


@cache
def _expressions(strict: bool) -> tuple[re.Pattern[str], list[tuple[str, re.Pattern[str]]]]:  # noqa: FBT001 - private
    """Return one expression for all names, and one for each rule."""
    rows = (*NAME_ROWS, STRICT_NAMES) if strict else NAME_ROWS
    each = [(row.rule, re.compile(row.form)) for row in rows]
    return re.compile("|".join(row.form for row in rows)), each


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
    any_rule, each = _expressions(strict)
    if any_rule.search(words) is None:
        return ""
    rule = next(rule for rule, pattern in each if pattern.search(words))
    if strict:
        return rule
    last = words[:-1].rpartition("_")[2]
    if last in _ABOUT or (last in {"id", "ids"} and rule in _WITH_IDS):
        return ""
    if rule == "token" and _OTHER_TOKENS.search(words):
        return ""
    return rule
