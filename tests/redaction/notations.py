"""Notations in which programs write a name and its `SECRET`.

Unlike those in `planted`, these secrets have no form of their own.
"""

from __future__ import annotations

__all__ = ["ENCODED", "NAMES", "WRITTEN", "encoded_url"]

NAMES = (
    *("token", "jwt", "api_key", "session_id", "cookie", "auth", "db_pass", "otp", "sid"),
    *("credentials", "authorization", "cvv", "ssn", "private_key", "sig", "code", "csrf"),
    *("user[password]", "password[]", "password[0]", "user[0][pass]", "pass"),
)
# How `=`, `&`, `[` and `]` are written in a URL inside another one's query.
ENCODED = (
    ("%3D", "%26", "%5B", "%5D"),
    ("%3d", "%26", "%5b", "%5d"),
    ("%253D", "%2526", "%255B", "%255D"),
    ("%25253D", "%252526", "%25255B", "%25255D"),
    ("=", "&", "[", "]"),
    ("=", "&", "%5B", "%5D"),
)


def encoded_url(name: str, secret: str, encoded: tuple[str, str, str, str]) -> str:
    """Return a URL whose parameter is a URL with the parameter `name`."""
    equals, ampersand, opening, closing = encoded
    name = name.replace("[", opening).replace("]", closing)
    inner = f"a{equals}1{ampersand}{name}{equals}{secret}{ampersand}page{equals}2"
    return f"https://h/?next=https%3A%2F%2Fx%2Fcb%3F{inner}&lang=en"


# A text, and the text after redaction, with `<>` for the mark.
WRITTEN = (
    # Python, as in stack traces and the output of `repr`.
    ("password = '''SECRET'''", "password = '''<>'''"),
    ('password = """SECRET"""; x', 'password = """<>"""; x'),
    ("password = '''SECRET", "password = '''<>"),
    ("password = ('SECRET')", "password = <>"),
    ("password=str('SECRET')", "password=<>"),
    ("Config(password=SecretStr('SECRET'), port=1)", "Config(password=<>, port=1)"),
    ("password = os.environ.get('PW', 'SECRET')", "password = <>"),
    ("token=get('SECRET')", "token=<>"),
    ("token=get('SECRET'", "token=<>"),
    ("token=get(')SECRET', 1), 2", "token=<>, 2"),
    ("token=f(g('x'), 'SECRET') and z", "token=<> and z"),
    ("token = load('x').get('y', 'SECRET'), b=1", "token = <>, b=1"),
    ("token = os.getenv('X') or 'SECRET'", "token = <>"),
    ("token = given or 'SECRET'", "token = <>"),
    ("def f(password: str = 'SECRET', x=1)", "def f(password: <>, x=1)"),
    ("authorization = 'Token ' + 'SECRET'", "authorization = '<>'"),
    ("password=str('''a\nSECRET\n'''), x\nmore", "password=<>, x\nmore"),
    ("connect(\n    password=str('SECRET\n    more", "connect(\n    password=<>\n    more"),
    ("f('x\\npassword=SECRET')", "f('x\\npassword=<>')"),
    ("{'secret': {'a': '}', 'b': 'SECRET'}}", "{'secret': <>}"),
    (
        "[(b'authorization', b'Token SECRET'), (b'a', b'b')]",
        "[(b'authorization', b'<>'), (b'a', b'b')]",
    ),
    ('[["cookie","SECRET"],["a","b"]]', '[["cookie","<>"],["a","b"]]'),
    (r"[[\"cookie\", \"SECRET\"]]", r"[[\"cookie\", \"<>\"]]"),
    (
        "Command '['mysql', '--password', 'SECRET', '-h']' failed",
        "Command '['mysql', '--password', '<>', '-h']' failed",
    ),
    ("['x', '-token', 'SECRET']", "['x', '-token', '<>']"),
    # Other notations.
    ('"{""password"": ""SECRET"", ""a"": 1}"', '"{""password"": ""<>"", ""a"": 1}"'),
    (
        "%7B%22password%22%3A%22SECRET%22%2C%22a%22%3A1%7D",
        "%7B%22password%22%3A%22<>%22%2C%22a%22%3A1%7D",
    ),
    (r"https://h/?a=1\u0026token=SECRET", r"https://h/?a=1\u0026token=<>"),
    ("password\xa0=\xa0SECRET", "password\xa0=\xa0<>"),
    ("?key=x{token=SECRET", "?key=<>"),
    ("pass=SECRET", "pass=<>"),
    ("user: ann, pass: SECRET", "user: ann, pass: <>"),
    ("smtp.pass = SECRET", "smtp.pass = <>"),
    ("openssl rsa -passin pass:SECRET", "openssl rsa -passin pass:<>"),
    # Command lines.
    ("java -jar x.jar -password SECRET -v", "java -jar x.jar -password <> -v"),
    ("tool -token SECRET", "tool -token <>"),
    ("tool --token 'a SECRET' -v", "tool --token '<>' -v"),
    ("tool --pass SECRET", "tool --pass <>"),
    # XML and SQL.
    ("<a><password>SECRET</password></a>", "<a><password><></password></a>"),
    ('<w:Password Type="x">SECRET</w:Password>', '<w:Password Type="x"><></w:Password>'),
    ("<token><![CDATA[SECRET]]></token>", "<token><![CDATA[<>]]></token>"),
    ("CREATE ROLE ann PASSWORD 'SECRET'", "CREATE ROLE ann PASSWORD '<>'"),
    ("ALTER USER ann identified by 'SECRET'", "ALTER USER ann identified by '<>'"),
    ("IDENTIFIED WITH native BY \"it''s SECRET\" x", 'IDENTIFIED WITH native BY "<>" x'),
    ("IDENTIFIED BY 'it''s SECRET' x", "IDENTIFIED BY '<>' x"),
    ("user.set_password('SECRET')", "user.set_password('<>')"),
    # Addresses.
    ("dsn root:SECRET@tcp(db:3306)/x", "dsn root:<>@tcp(db:3306)/x"),
    ("mysql://root:SECRET@tcp(db:3306)/x", "mysql://root:<>@tcp(db:3306)/x"),
    ("to //root:SECRET@db/x", "to //root:<>@db/x"),
    ("https://ann:SECRET://x@h/x", "https://ann:<>@h/x"),
    ("https://ann:x://SECRET@h/x", "https://ann:<>@h/x"),
    ("https://ann:p@SECRET@h/x", "https://ann:<>@h/x"),
    ("https://ann:p@s/SECRET:x@h/x?y=1", "https://ann:<>@h/x?y=1"),
    ("https://ann:SECRET%40%2F@[::1]:80/x", "https://ann:<>@[::1]:80/x"),
    ("http://h1:80/a,redis://:p/SECRET@h2:80/0;x", "http://h1:80/a,redis://:<>@h2:80/0;x"),
    (r"https:\/\/ann:SECRET@h\/x", r"https:\/\/ann:<>@h\/x"),
    ("https%3A%2F%2Fann%3Ax%40SECRET%40h%2Fp", "https%3A%2F%2Fann%3A<>%40h%2Fp"),
    ("https://hooks.slack.com/services/T0A/B0A/SECRET", "https://hooks.slack.com/services/<>"),
    ("hooks.slack.com%2Fservices%2FT0A%2FB0A%2FSECRET", "hooks.slack.com%2Fservices%2F<>"),
    ("https://discord.com/api/webhooks/12345/SECRET", "https://discord.com/api/webhooks/12345/<>"),
    ("discordapp.com/api/v10/webhooks/12345/SECRET", "discordapp.com/api/v10/webhooks/12345/<>"),
    (
        "https://api.telegram.org/bot123456789:AAAAAAAAAASECRETxxxxxxxxx/send",
        "https://api.telegram.org/bot<>/send",
    ),
    ("with hvs.CAESISECRETx and", "with <> and"),
)
