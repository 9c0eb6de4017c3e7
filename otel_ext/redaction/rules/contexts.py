"""The rules for secrets recognized by the URL, command or statement around them."""

from __future__ import annotations

from functools import partial
from typing import Final

from otel_ext.redaction.rules.row import Row, within
from otel_ext.redaction.scan.values import is_mixed

__all__ = ["CONTEXT_ROWS", "SHORT_OPTIONS", "STRICT_ROWS"]

_SLASH: Final = r"(?:/|%2[fF])"
_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SCHEME: Final = r"(?::|%3[aA])\\?/\\?/"
_HOST: Final = r"(?:[\w-]+(?:\.[\w-]+)+|localhost|[\w-]+:[0-9]{1,5}|\[[0-9a-fA-F:.]+\])[:/?#\\]"
_QUOTE: Final = r"[\"']?"

_password: Final = partial(within, "password")
_url_password: Final = partial(within, "url-password")
_webhook: Final = partial(within, "webhook")

SHORT_OPTIONS: Final = {
    "-a": {"redis-cli"},
    "-p": {"sshpass", "docker", "podman", "mysql", "mysqldump", "mariadb", "mongo", "mongosh"},
    "-u": {"curl"},
    "-w": {"ldapsearch", "ldapmodify"},
}
"""Options of one letter that take a password, with their commands, for commands in lists."""

CONTEXT_ROWS: Final[tuple[Row, ...]] = (
    _webhook(
        "hooks.slack.com",
        rf"hooks\.slack\.com{_SLASH}(?:services|workflows|triggers){_SLASH}([\w/%-]{{8,200}})",
        "https://hooks.slack.com/services/⟦T0A/B0A/~24⟧",
        "hooks.slack.com is down",
    ),
    _webhook(
        "discord",
        rf"discord(?:app)?\.com{_SLASH}api{_SLASH}(?:v[0-9]{{1,2}}{_SLASH})?webhooks{_SLASH}"
        rf"[0-9]{{1,20}}{_SLASH}([\w/%-]{{8,200}})",
        "https://discord.com/api/webhooks/12345/⟦~68⟧",
    ),
    _webhook(
        "office.com|logic.azure.com",
        rf"office\.com/webhook(?:b2)?/({_UUID}[\w@/-]{{8,300}})",
        "https://corp.webhook.office.com/webhookb2/⟦~8h-~4h-~4h-~4h-~12h@~90⟧",
    ),
    _webhook(
        "hooks.zapier.com",
        r"hooks\.zapier\.com/hooks/catch/([\w/-]{7,100}\w)",
        "https://hooks.zapier.com/hooks/catch/⟦1234567/abcdefg⟧/",
    ),
    # Links that log their holder in.
    within(
        "url-path",
        "magic|reset|verify|invit|confirm|activat|unsubscribe|token/|sso/",
        r"(?:magic|reset|verify|invit|confirm|activat|unsubscribe|token|sso)[\w-]{0,24}/"
        r"(?:[\w-]{1,24}/){0,2}([A-Za-z0-9_=.-]{20,300})",
        "https://h/magic-link/⟦~40⟧?next=/",
        "/accounts/reset/MTc/⟦abcdef-~32h⟧/",
        "https://h/reset-password/⟦~40⟧",
        "https://h/reset-password/instructions-for-everyone",
        "https://app.example/verify/done",
        judge=is_mixed,
    ),
    # Commands with options of one letter, as texts.
    _password(
        "mysql|mariadb",
        rf"-p(?<=\s-p){_QUOTE}([^\s\"'-][^\s\"']{{2,200}})",
        "mysql -u root -p⟦hunter2⟧ shop",
        "mysqldump -p'⟦hunter2⟧' shop",
        "mysql -p -h db",
        "mysql -h db -P 3306",
    ),
    _password(
        "sshpass|docker login|podman login|mongo|ldap",
        rf"-[pw](?<=\s-[pw])\s{{1,4}}{_QUOTE}([^\s\"'-][^\s\"']{{3,200}})",
        "sshpass -p ⟦hunter2⟧ ssh h",
        "docker login -u ann -p ⟦hunter2⟧ registry.example",
        "docker login registry.example",
    ),
    _password(
        "redis-cli",
        rf"-a(?<=\s-a)\s{{1,4}}{_QUOTE}([^\s\"'-][^\s\"']{{2,200}})",
        "redis-cli -h cache -a ⟦hunter2⟧ ping",
        "redis-cli -h cache ping",
    ),
    _password(
        "auth",
        rf"AUTH(?:(?<=^AUTH)|(?<=[\s>\"']AUTH)|(?<=\\nAUTH))\s{{1,4}}(?:\w{{1,32}}\s{{1,4}})?{_QUOTE}"
        r"(?=[^\s\"']{0,200}[0-9!-/])([^\s\"':=]{4,200})",
        "AUTH ⟦hunter2⟧",
        "AUTH default ⟦hunter2⟧",
        "AUTH failed",
        "AUTH LOGIN",
    ),
    _password(
        "curl|wget|httpie",
        rf"-(?:u(?<=\s-u)\s{{0,4}}|-user[ =]){_QUOTE}[^\s:\"']{{1,64}}:([^\s\"']{{2,200}})",
        "curl -u ann:⟦hunter2⟧ https://h/",
        "curl -u ann https://h/",
    ),
    _password(
        "jdbc:oracle|sqlplus|impdp|expdp",
        r"/(?<=[\w$]/)([^\s/@\"']{2,200})@",
        "jdbc:oracle:thin:ann/⟦hunter2⟧@//db:1521/x",
        "sqlplus ann/⟦hunter2⟧@orcl",
        "sqlplus /nolog",
    ),
    _password(
        ":5432:|:5433:|:*:*:",
        r"(?::543[23]|:\*:\*):[^:\s]{1,64}:(?:[^:\s]{1,64}:)?([^\s:/]{2,200})",
        "db.example:5432:shop:ann:⟦hunter2⟧",
    ),
    _password(
        "machine|default login",
        r"login\s{1,8}\S{1,64}\s{1,8}password\s{1,8}(\S{1,200})",
        "machine h login ann password ⟦hunter2⟧",
        "machine h\n  login a\n  password ⟦hunter2⟧",
        "login with password failed",
    ),
    _password(
        "securestring",
        r"[sS](?i:ecurestring)\s{1,4}(?:-String\s{1,4})?[\"']([^\"']{1,200})[\"']",
        "ConvertTo-SecureString '⟦hunter2⟧' -AsPlainText",
        "ConvertTo-SecureString $plain",
    ),
    _password(
        "type=\"password|type='password",
        r"value=[\"']([^\"'<>]{1,200})[\"'][^<>]{0,64}type=[\"']password",
        "<input value='⟦hunter2⟧' type='password'>",
        "<input type='password'>",
    ),
    # SQL statements without a name right before the value.
    _password(
        "identified",
        r"[iI](?i:dentified)\s{1,4}(?:(?i:with)\s{1,4}[\w\"']{1,40}\s{1,4})?(?i:by)\s{1,4}"
        r"(?:(?i:password)\s{1,4})?(?:'((?:[^']|''){1,200})|\"((?:[^\"]|\"\"){1,200}))",
        "CREATE USER ann IDENTIFIED BY '⟦hunter2⟧'",
        "identified with x by \"⟦it''s a⟧\" x",
        "ALTER USER ann IDENTIFIED BY ?",
        "identified by name",
    ),
    _password(
        "set password for",
        r"[sS](?i:et password for)[^=\n]{1,64}=\s{0,4}'([^']{1,200})'",
        "SET PASSWORD FOR 'ann'@'%' = '⟦hunter2⟧'",
        "SET PASSWORD FOR ann = ?",
    ),
    _password(
        "password $",
        r"[pP](?i:assword)\s{1,4}\$(\w{0,16})\$([^$]{1,200})\$",
        "ALTER USER ann PASSWORD $$⟦hunter2⟧$$",
        "password $1 and",
    ),
    # Go's form of an address: `user:password@tcp(host:port)/name`.
    _url_password(
        "@tcp|@udp|@unix",
        r"(?<![^\s\"'<>/])[^\s:\"'<>/@]{0,64}:(?!//)([^\s\"'<>]{1,200}?)@(?:tcp|udp|unix)[46]?\(",
        "app:⟦hunter2⟧@tcp(db:3306)/orders",
        "mail me @tcp(x)",
    ),
    # A URL's user and password, but not a port or an IPv6 address. A password may contain
    # `/`, `?`, `#` and `@`: it extends to a later `@` unless a host follows the first.
    _url_password(
        "@",
        rf"{_SCHEME}(?!\[[0-9a-fA-F:.]*\])[^\s\"'<>@/?#:,;]*:"
        r"(?!(?:(?<=http:)|(?<=https:)|(?<=git:)|(?<=ssh:))//|[0-9]{1,5}(?:[\\/?#,;&|)\]}]|$))(?:([^\s\"'<>@]+"
        rf"(?:@(?:[^\s\"'<>@/?#]*|(?!{_HOST})[^\s\"'<>@=,;|&]*)(?<!/)(?=@))*)@|[^\s\"'<>@]+)",
        "postgres://ann:⟦hunter2⟧@db:5432/orders",
        "redis://:⟦hunter/2?#3⟧@cache/0",
        "https://ann:⟦pa://ss⟧@h/x https://ann:⟦//pass⟧@h/x",
        "https://ann:⟦p@ss/w:rd⟧@h/x?mail=ann@example.org",
        "http://h1:80,http://h2:80,http://ann:⟦p%40ss⟧@[::1]:80/,http://bob:⟦pa:ss⟧@h4/",
        r"https:\/\/ann:⟦hunter2⟧@h\/x and https%3A//ann:⟦hunter2⟧@h/",
        "http://[::1]:80/a@b http://h:8080/a@b https://http://ann@h",
        "https://h/login:x@y",
        "https://ann:x-oauth-basic@h/",
        judge=lambda value: value != "x-oauth-basic",
    ),
    # A long user name is a token.
    _url_password(
        "@",
        rf"{_SCHEME}(?:([^\s\"'<>@/?#:]{{16,}})@|([^\s\"'<>@/?#:]{{16,}})(?=:[^\s\"'<>@/?#]*@))",
        "https://⟦~24⟧@h/x.git",
        "https://⟦~24⟧:x-oauth-basic@h/",
        "https://ann@h/x",
        "https://compute-12-34.region.example:80/@x",
    ),
    _url_password(
        "@",
        r"//(?<![\w:/]//)[^\s\"'<>@/?#:]*:([^\s\"'<>@/?#]+)@",
        "to //root:⟦hunter2⟧@db/x",
        "a//b:c@d",
        "//h:80/a@b",
    ),
    _url_password(
        "%40|%253a",
        r"(?i:%(?:25)?3a%(?:25)?2f%(?:25)?2f)[^\s\"'<>&%]{0,64}%(?:25)?3[aA]"
        r"(?:((?:[^\s\"'<>&%]|%(?!(?:25)?(?:40|2[fF26])))+(?:%40(?:[^\s\"'<>&%]|%(?!40|2[fF26]))*(?=%40))*)%(?:25)?40|[^\s\"'<>&]+)",
        "https%3A%2F%2Fann%3A⟦hunter2⟧%40h%2Fp",
        "x=https%253A%252F%252Fann%253A⟦hunter2⟧%2540h",
        "x=ann%40example.org",
    ),
)

STRICT_ROWS: Final[tuple[Row, ...]] = (
    within(
        "email",
        "@",
        r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}",
        "by ⟦ann.b@mail.example.org⟧, who",
        "ann@host",
    ),
    within(
        "ssn",
        "-",
        "(?<![0-9-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9-])",
        "of ⟦123-45-6789⟧",
        "1123-45-6789",
    ),
    within(
        "iban",
        "",
        "(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?",
        "to ⟦GB82 WEST 1234 5698 7654 32⟧.",
        "GB82 WEST",
    ),
)
"""Found by the strict mode only: personal data, by its form."""
