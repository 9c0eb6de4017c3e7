"""The rules for tokens whose form a vendor defines.

The examples are made up; `~` stands for random letters and digits, so that scanners do
not take one in this file for real.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from otel_ext.redaction.rules.row import token, within
from otel_ext.redaction.scan.values import has_user, is_credential, is_mixed, is_web_token

if TYPE_CHECKING:
    from otel_ext.redaction.rules.row import Row

__all__ = ["TOKEN_ROWS"]

_MORE: Final = r"[\w-]{16,}"
_PEM: Final = "[A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,8}"
_HEX: Final = r"[0-9a-fA-F]{32,}"


_api_key: Final = partial(within, "api-key")
_password: Final = partial(within, "password")


def _key(beginnings: str, rest: str, example: str, *stays: str) -> Row:
    return token("api-key", beginnings, rest, f"sent ⟦{example}⟧ to it", *stays)


TOKEN_ROWS: Final = (
    within(
        "jwt",
        "eyj",
        r"eyJ(?<![A-Za-z0-9]eyJ)[A-Za-z0-9_-]{7,}(?:(?:\.|%2[eE])[A-Za-z0-9_.=-]*)?",
        "with ⟦eyJ~20.~30.~40⟧ in",
        "eyJ~20 alone",
        judge=is_web_token,
    ),
    within(
        "authorization",
        "bearer",
        r"[bB](?<![A-Za-z].)(?i:earer)(?:[ \t+]|%20){1,8}([A-Za-z0-9._~+/=-]{6,})",
        "Bearer ⟦~24⟧",
        "bearer bonds",
        "a bearer instrument",
        judge=is_credential,
    ),
    within(
        "authorization",
        "basic",
        r"[bB](?<![A-Za-z].)(?i:asic)(?:[ \t+]|%20){1,8}([A-Za-z0-9._~+/=-]{6,})",
        "Basic ⟦YW5uOmh1bnRlcjI=⟧",
        "basic understanding",
        judge=has_user,
    ),
    token(
        "aws-key",
        "AKIA ASIA ABIA ACCA AGPA AIDA ANPA ANVA APKA AROA ASCA",
        r"[A-Z0-9]{16}(?![A-Za-z0-9])",
        "by ⟦AKIA~16U⟧.",
        "MAKIAVELLI",
        "AKIAMI",
    ),
    token("aws-key", "ABSK", r"[A-Za-z0-9+/=]{60,}", "by ⟦ABSK~100⟧"),
    within(
        "aws-key",
        "aws",
        r"[A-Za-z0-9/+](?<![A-Za-z0-9/+=_-].)[A-Za-z0-9/+]{39}(?![A-Za-z0-9/+=_-])",
        "secret of aws: ⟦aB3~37⟧",
        "aws commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        judge=is_mixed,
    ),
    _key("ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9]{20,}", "ghp_~36", "ghp_short"),
    _key("github_pat_", r"\w{20,}", "github_pat_~40"),
    _key(
        "glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- gloas- glsoat- glffct- GR1348941",
        _MORE,
        "glpat-~20",
        "glpat-short",
    ),
    _key("xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- xoxe. xapp-", r"[\w.-]{16,}", "xoxb-~40"),
    _key("GOCSPX-", r"[\w-]{20,}", "GOCSPX-~28"),
    _key("AIza", r"[\w-]{30,}", "AIza~35"),
    _key("ya29. 1//0", r"[\w-]{20,}", "ya29.~40", "1//0.5"),
    _key("sk_live_ sk_test_ pk_live_ pk_test_ rk_live_ rk_test_", r"\w{16,}", "sk_live_~24"),
    _key("sk-", r"[\w-]{20,}", "sk-proj-~40", "skipping sk-learn", "a sk-model"),
    _key("whsec_", r"[A-Za-z0-9]{20,}", "whsec_~32"),
    _key("npm_ rubygems_", r"[A-Za-z0-9]{30,}", "npm_~36", "npm_config_registry"),
    _key("pypi-", r"[\w-]{16,}", "pypi-~60", "pypi-simple"),
    _key("SG.", r"[\w-]{16,}(?:\.[\w-]*)?", "SG.~22.~43"),
    _key("hf_", r"[A-Za-z0-9]{30,}", "hf_~34"),
    _key("hvs. hvb. hvr.", r"[\w-]{12,}", "hvs.~24", "hvs.short"),
    _key("dop_v1_ doo_v1_ dor_v1_", r"[a-f0-9]{40,}", "dop_v1_~64h"),
    _key("dapi", r"[a-f0-9]{32}(?:-[0-9])?(?![A-Za-z0-9])", "dapi~32h", "dapibus"),
    _key("shpat_ shpss_ shpca_ shppa_", _HEX, "shpat_~32h"),
    _key("glsa_ glc_", r"[\w+/=-]{20,}", "glsa_~32_~8h"),
    _key("NRAK- NRJS- NRII- NRAL-", r"[\w-]{16,}", "NRAK-~27"),
    _key("lin_api_ lin_oauth_", r"[A-Za-z0-9]{30,}", "lin_api_~40"),
    _key("ntn_ secret_", r"[A-Za-z0-9]{40,}", "ntn_~46", "secret_manager"),
    _key("ATATT3 ATCTT3 ATBB ATSTT", r"[\w=-]{20,}", "ATATT3~60"),
    _key("figd_ figo_", r"[\w-]{30,}", "figd_~40"),
    _key("PMAK-", r"[0-9a-f]{20,}-[0-9a-f]{30,}", "PMAK-~24h-~34h"),
    _key("pul-", r"[0-9a-f]{40}(?![0-9a-f])", "pul-~40h"),
    _key("r8_ gsk_ xai- pcsk_", r"\w{30,}", "r8_~37"),
    _key("pplx-", r"[A-Za-z0-9]{40,}", "pplx-~48"),
    _key("dckr_pat_ dckr_oat_", r"[\w-]{20,}", "dckr_pat_~27"),
    _key("key-", r"[0-9a-f]{32}(?![0-9a-f])", "key-~32h", "key-value"),
    _key("xkeysib- xsmtpsib-", r"[0-9a-f]{64}-\w{16}", "xkeysib-~64h-~16"),
    _key("sntrys_ sntryu_", r"[\w+/=-]{40,}", "sntryu_~64h"),
    _key("dp.pt. dp.st. dp.ct. dp.sa.", r"[\w.-]{40,}", "dp.pt.~43"),
    _key("AGE-SECRET-KEY-1", r"[0-9A-Z]{40,}", "AGE-SECRET-KEY-1~58U"),
    _key("pscale_tkn_ pscale_pw_ pscale_oauth_", r"[\w.-]{30,}", "pscale_pw_~40"),
    _key("HRKU-", r"[\w-]{40,}", "HRKU-AA~58"),
    _key("fo1_ fm1_ fm2_ fm1r_", r"[\w+/=,-]{40,}", "fo1_~43"),
    _key("sbp_ vcp_ nfp_ sqp_ squ_ sqa_", r"[A-Za-z0-9]{32,}", "sbp_~40h"),
    _key("EAAA sq0csp- sq0atp-", r"[\w-]{22,}", "sq0csp-~43"),
    _key("aio_", r"[A-Za-z0-9]{26,}", "aio_~28"),
    _key("EZAK EZTK", r"[A-Za-z0-9]{50,}", "EZAK~54"),
    _key("dt0c01.", r"[A-Z0-9]{24}\.[A-Z0-9]{60,}", "dt0c01.~24U.~64U"),
    _key("ops_eyJ", r"[\w-]{100,}", "ops_eyJ~120"),
    _key("tskey-", r"[\w-]{20,}", "tskey-auth-~44"),
    _key("CCIPAT_ CCIPRJ_", r"\w{40,}", "CCIPAT_~22_~40h"),
    _key("oy2", r"[a-z0-9]{43}(?![A-Za-z0-9])", "oy2~43l"),
    _key("AKCp", r"[A-Za-z0-9]{60,}", "AKCp~69"),
    _key("lsv2_pt_ lsv2_sk_", r"[0-9a-f]{32}_\w{10}", "lsv2_pt_~32h_~10"),
    _api_key("twilio", r"SK(?<![A-Za-z0-9]SK)[0-9a-f]{32}(?![0-9a-f])", "twilio ⟦SK~32h⟧"),
    _api_key("crates|cargo", r"cio(?<![A-Za-z0-9]cio)[A-Za-z0-9]{32}", "crates ⟦cio~32⟧"),
    _api_key(
        "airtable", r"pat(?<![A-Za-z0-9]pat)[A-Za-z0-9]{14}\.[0-9a-f]{64}", "airtable ⟦pat~14.~64h⟧"
    ),
    _api_key(
        "facebook|graph token", r"EAA(?<![A-Za-z0-9]EAA)[A-Za-z0-9]{80,}", "facebook ⟦EAA~120⟧"
    ),
    _api_key(
        ".atlasv1.",
        r"(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,}",
        "plan with ⟦~14.atlasv1.~64⟧",
    ),
    _api_key("8q~", r"(?<![\w~.-])[\w~.-]{3}8Q~[\w~.-]{31,40}", "azure ⟦abc8Q~~34⟧ rotated"),
    _api_key(
        "|".join(f"-us{digit}" for digit in range(1, 10)),
        r"(?<![0-9A-Za-z])[0-9a-f]{32}-us[0-9]{1,2}(?![0-9])",
        "list ⟦~32h-us12⟧",
    ),
    _api_key(
        "discord",
        r"[MNO](?<![\w.-][MNO])[\w-]{23,27}\.[\w-]{6}\.[\w-]{27,45}",
        "discord ⟦M~23.~6.~38⟧",
    ),
    # Telegram: the number of a bot, then its token.
    _api_key(
        ":aa|%3aaa",
        r"[0-9](?<![0-9].)[0-9]{5,11}(?::|%3[aA])[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
        "bot⟦123456789:AA~33⟧",
        "12345678:0123456789abcdef0123456789abcdef",
    ),
    # A PEM key; without its end it extends to the end of the text, without its beginning back
    # to the start.
    within(
        "private-key",
        "private key",
        rf"-----BEGIN {_PEM}[^-]*(?:-(?!----END {_PEM})[^-]*)*(?:-----END {_PEM}(?:-----)?|\Z)",
        "a ⟦-----BEGIN RSA PRIVATE KEY-----\n~20\n-----END RSA PRIVATE KEY-----⟧ b",
        "a ⟦-----BEGIN PRIVATE KEY-----\n~20⟧",
        "a private key -----BEGIN PUBLIC KEY-----",
    ),
    within(
        "private-key",
        "private key",
        rf"(\A(?=((?:[^-]|-(?!----(?:BEGIN|END) {_PEM}))*))\2-----END {_PEM}(?:-----)?)",
        "⟦~20\n-----END PRIVATE KEY-----⟧ b",
    ),
    _api_key(
        "private-lines",
        r"Private-Lines: [0-9]{1,3}\s{1,2}([A-Za-z0-9+/=\s]{16,4096})",
        "Private-Lines: 1\n⟦~48⟧",
    ),
    _password(
        "$2a$|$2b$|$2y$|$argon2|$6$|$5$|$y$",
        r"\$(?:2[aby]|argon2i?d?|[56y])\$[A-Za-z0-9./+=,$]{30,200}",
        "hash ⟦$2b$12$~53⟧ stored",
    ),
    _password(
        "pbkdf2_",
        r"pbkdf2_\w{3,12}\$[0-9]{3,9}\$[\w+/=.]{4,64}\$[A-Za-z0-9+/=]{20,100}",
        "hash ⟦pbkdf2_sha256$600000$~22$~43⟧ stored",
    ),
)
