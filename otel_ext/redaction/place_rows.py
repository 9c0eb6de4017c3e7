"""The rows of the table for secrets that URLs, commands and statements around them tell."""

from __future__ import annotations

from typing import Final

from otel_ext.redaction.rows import Row, within
from otel_ext.redaction.values import is_mixed

__all__ = ["PLACE_ROWS"]

_SLASH: Final = r"(?:/|%2[fF])"
_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_QUOTE: Final = r"[\"']?"

PLACE_ROWS: Final[tuple[Row, ...]] = (
    within(
        "webhook",
        "hooks.slack.com",
        rf"hooks\.slack\.com{_SLASH}(?:services|workflows|triggers){_SLASH}([\w/%-]{{8,200}})",
        ("https://hooks.slack.com/services/⟦T0A/B0A/~24⟧",),
        ("hooks.slack.com is down",),
    ),
    within(
        "webhook",
        "discord",
        rf"discord(?:app)?\.com{_SLASH}api{_SLASH}(?:v[0-9]{{1,2}}{_SLASH})?webhooks{_SLASH}"
        rf"[0-9]{{1,20}}{_SLASH}([\w/%-]{{8,200}})",
        ("https://discord.com/api/webhooks/12345/⟦~68⟧",),
    ),
    within(
        "webhook",
        "office.com|logic.azure.com",
        rf"office\.com/webhook(?:b2)?/({_UUID}[\w@/-]{{8,300}})",
        ("https://corp.webhook.office.com/webhookb2/⟦~8h-~4h-~4h-~4h-~12h@~90⟧",),
    ),
    within(
        "webhook",
        "hooks.zapier.com",
        r"hooks\.zapier\.com/hooks/catch/([\w/-]{7,100}\w)",
        ("https://hooks.zapier.com/hooks/catch/⟦1234567/abcdefg⟧/",),
    ),
    # Links that let whoever has them in.
    within(
        "url-path",
        "magic|reset|verify|invit|confirm|activat|unsubscribe|token/|sso/",
        r"(?:magic|reset|verify|invit|confirm|activat|unsubscribe|token|sso)[\w-]{0,24}/"
        r"(?:[\w-]{1,24}/){0,2}([A-Za-z0-9_=.-]{20,300})",
        (
            "https://h/magic-link/⟦~40⟧?next=/",
            "/accounts/reset/MTc/⟦abcdef-~32h⟧/",
            "https://h/reset-password/⟦~40⟧",
        ),
        (
            "https://h/reset-password/instructions-for-everyone",
            "https://app.example/verify/done",
        ),
        judge=is_mixed,
    ),
    # Commands whose options have one letter.
    within(
        "password",
        "mysql|mariadb",
        rf"-p(?<=\s-p){_QUOTE}([^\s\"'-][^\s\"']{{2,200}})",
        ("mysql -u root -p⟦hunter2⟧ shop", "mysqldump -p'⟦hunter2⟧' shop"),
        ("mysql -p -h db", "mysql -h db -P 3306"),
    ),
    within(
        "password",
        "sshpass|docker login|podman login|mongo|ldap",
        rf"-[pw](?<=\s-[pw])\s{{1,4}}{_QUOTE}([^\s\"'-][^\s\"']{{3,200}})",
        ("sshpass -p ⟦hunter2⟧ ssh h", "docker login -u ann -p ⟦hunter2⟧ registry.example"),
        ("docker login registry.example",),
    ),
    within(
        "password",
        "redis-cli",
        rf"-a(?<=\s-a)\s{{1,4}}{_QUOTE}([^\s\"'-][^\s\"']{{2,200}})",
        ("redis-cli -h cache -a ⟦hunter2⟧ ping",),
        ("redis-cli -h cache ping",),
    ),
    within(
        "password",
        "auth",
        rf"AUTH(?:(?<=^AUTH)|(?<=[\s>\"']AUTH)|(?<=\\nAUTH))\s{{1,4}}(?:\w{{1,32}}\s{{1,4}})?{_QUOTE}"
        r"(?=[^\s\"']{0,200}[0-9!-/])([^\s\"':=]{4,200})",
        ("AUTH ⟦hunter2⟧", "AUTH default ⟦hunter2⟧"),
        ("AUTH failed", "AUTH LOGIN"),
    ),
    within(
        "password",
        "curl|wget|httpie",
        rf"-(?:u(?<=\s-u)\s{{0,4}}|-user[ =]){_QUOTE}[^\s:\"']{{1,64}}:([^\s\"']{{2,200}})",
        ("curl -u ann:⟦hunter2⟧ https://h/",),
        ("curl -u ann https://h/",),
    ),
    within(
        "password",
        "jdbc:oracle|sqlplus|impdp|expdp",
        r"/(?<=[\w$]/)([^\s/@\"']{2,200})@",
        ("jdbc:oracle:thin:ann/⟦hunter2⟧@//db:1521/x", "sqlplus ann/⟦hunter2⟧@orcl"),
        ("sqlplus /nolog",),
    ),
    within(
        "password",
        ":5432:|:5433:|:*:*:",
        r"(?::543[23]|:\*:\*):[^:\s]{1,64}:(?:[^:\s]{1,64}:)?([^\s:/]{2,200})",
        ("db.example:5432:shop:ann:⟦hunter2⟧",),
    ),
    within(
        "password",
        "machine|default login",
        r"login\s{1,8}\S{1,64}\s{1,8}password\s{1,8}(\S{1,200})",
        ("machine h login ann password ⟦hunter2⟧", "machine h\n  login a\n  password ⟦hunter2⟧"),
        ("login with password failed",),
    ),
    within(
        "password",
        "securestring",
        r"[sS](?i:ecurestring)\s{1,4}(?:-String\s{1,4})?[\"']([^\"']{1,200})[\"']",
        ("ConvertTo-SecureString '⟦hunter2⟧' -AsPlainText",),
        ("ConvertTo-SecureString $plain",),
    ),
    within(
        "password",
        "type=\"password|type='password",
        r"value=[\"']([^\"'<>]{1,200})[\"'][^<>]{0,64}type=[\"']password",
        ("<input value='⟦hunter2⟧' type='password'>",),
        ("<input type='password'>",),
    ),
    # Statements of SQL that a name right before the value does not tell.
    within(
        "password",
        "identified",
        r"[iI](?i:dentified)\s{1,4}(?:(?i:with)\s{1,4}[\w\"']{1,40}\s{1,4})?(?i:by)\s{1,4}"
        r"(?:(?i:password)\s{1,4})?(?:'((?:[^']|''){1,200})|\"((?:[^\"]|\"\"){1,200}))",
        ("CREATE USER ann IDENTIFIED BY '⟦hunter2⟧'", "identified with x by \"⟦it''s a⟧\" x"),
        ("ALTER USER ann IDENTIFIED BY ?", "identified by name"),
    ),
    within(
        "password",
        "set password for",
        r"[sS](?i:et password for)[^=\n]{1,64}=\s{0,4}'([^']{1,200})'",
        ("SET PASSWORD FOR 'ann'@'%' = '⟦hunter2⟧'",),
        ("SET PASSWORD FOR ann = ?",),
    ),
    within(
        "password",
        "password $",
        r"[pP](?i:assword)\s{1,4}\$(\w{0,16})\$([^$]{1,200})\$",
        ("ALTER USER ann PASSWORD $$⟦hunter2⟧$$",),
        ("password $1 and",),
    ),
    # Go's form of an address: `user:password@tcp(host:port)/name`.
    within(
        "url-password",
        "@tcp|@udp|@unix",
        r"(?<![^\s\"'<>/])[^\s:\"'<>/@]{0,64}:(?!//)([^\s\"'<>]{1,200}?)@(?:tcp|udp|unix)[46]?\(",
        ("app:⟦hunter2⟧@tcp(db:3306)/orders",),
        ("mail me @tcp(x)",),
    ),
    within(
        "url-password",
        "%40",
        r"(?i:%3a%2f%2f)[^\s\"'<>&%]{0,64}%3[aA]([^\s\"'<>&]{1,200}?)%40",
        ("https%3A%2F%2Fann%3A⟦hunter2⟧%40h%2Fp",),
        ("x=ann%40example.org",),
    ),
)
