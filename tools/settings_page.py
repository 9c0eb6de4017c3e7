"""Writes docs/configuration.md from the table of settings.

Run: python -m tools.settings_page docs/configuration.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.config.kinds import Boolean, Integer, Thresholds
from otel_ext.config.sections import SETTINGS

if TYPE_CHECKING:
    from otel_ext.config.declarations import Setting

__all__ = ["render_configuration", "render_toml"]

_TITLES: Final = {
    "capture": "What is recorded",
    "output": "Where records go",
    "console": "The terminal",
    "journal": "How records are kept",
    "inflight": "Open spans",
    "otlp": "To a collector",
    "remote": "When a destination is away",
    "redaction": "What is kept secret",
}

_INTRODUCTION: Final = """\
# Configuration

<!-- Made by `python -m tools.settings_page`; change the table in otel_ext/config instead. -->

Everything works without any configuration. What you do set can come from four
places; the higher one wins:

1. **Code**: `otel_ext.configure(compat_mode=True)`, or an option of `otel-ext run`.
   The argument is the setting's name with `_` for `-`.
2. **Environment**: `OTEL_EXT_COMPAT_MODE=true`. An empty variable counts as not set.
3. **File**: the first of `otel-ext.toml`, `otel-ext.yaml`, `otel-ext.yml` and
   `pyproject.toml` (only with a table `[tool.otel-ext]`) in the working directory, else
   in its parents, up to the root of the repository, the home folder or the root. In a
   parent folder, a file of another user is passed over. `OTEL_EXT_CONFIG=PATH` names a
   file instead; `OTEL_EXT_CONFIG=/dev/null` means none. YAML needs
   `pip install pyyaml`, and is read without aliases and tags.
4. **Default**: as below.

A program starts whatever is wrong outside of its code. A wrong value or an unknown key
in a file or a variable, or a folder that cannot be made, is said once on stderr, with
what is allowed, and left out; without a folder, records go to a private one below the
temporary directory, which the message names. `strict` (`otel-ext run --strict`) makes
all of that errors. A wrong argument in code is always an error: `configure(ouput=...)`.

One variable is for the environment alone: `OTEL_EXT_PURE_PYTHON=1` turns the compiled part
off, in this process and those it starts. The records are the same and cost about nine times
as much; it is there to find out whether a fault comes from that part. `otel-ext doctor` says
which one serves. The compiled part serves a process's main interpreter: in sub-interpreters
(mod_wsgi without `WSGIApplicationGroup %{GLOBAL}`) the Python code does the work.

Sizes are bytes or text with a unit: `8 MiB`, `64KiB` (powers of 1024), `1 MB` (powers of
1000). Durations are seconds or text with a unit: `500ms`, `5s`, `1.5m`, `24h`, `7d`.
"""

_PROGRAM: Final = """\
## In a program

```python
from otel_ext.config import get_config, load_config, set_compat_mode

config = get_config()                # what is in force; loaded by the first call
config.journal.ring_size              # bytes, as the table below groups them
config.source_of("ring-size")         # where the value came from
set_compat_mode(True)                # from the next record on, in the whole process
load_config({"sync": "always"})      # the same sources, without putting it in force
```
"""


def render_configuration() -> str:
    """Return the whole page, in Markdown."""
    parts = [_INTRODUCTION]
    for section, title in _TITLES.items():
        settings = [setting for setting in SETTINGS if setting.section == section]
        rows = "\n".join(_row(setting) for setting in settings)
        head = "| setting | default | variable | meaning |\n|---|---|---|---|\n"
        parts.append(f"## {title}: `config.{section}`\n\n{head}{rows}\n")
    parts.append(f"## All settings as a file\n\n```toml\n{render_toml()}```\n")
    parts.append(_PROGRAM)
    return "\n".join(parts)


def _row(setting: Setting) -> str:
    """Return the row of one setting."""
    default = setting.kind.format(setting.default)
    variables = "<br>".join(f"`{name}`" for name in (setting.env, *setting.aliases))
    attribute = "" if setting.field == setting.argument else f" In Python: `{setting.field}`."
    cells = (
        f"`{setting.name}`",
        f"`{default}`" if default else "empty",
        variables,
        f"{setting.help}{attribute} *Allowed: {setting.kind.allowed}.*",
    )
    return "| " + " | ".join(cells) + " |"


def render_toml() -> str:
    """Return a TOML file that sets every setting to its default."""
    plain = [item for item in SETTINGS if not isinstance(item.kind, Thresholds)]
    tables = [item for item in SETTINGS if isinstance(item.kind, Thresholds)]
    lines = [f"{item.name} = {_toml_value(item)}" for item in plain]
    for item in tables:
        lines += ["", f"[{item.name}]", '# "nightly *" = "1h"']
    return "\n".join(lines) + "\n"


def _toml_value(setting: Setting) -> str:
    """Return the default of `setting` as a TOML value."""
    text = setting.kind.format(setting.default)
    return text if isinstance(setting.kind, (Boolean, Integer)) else json.dumps(text)


def main(arguments: list[str]) -> int:
    """Write the page to the file named, or to standard output."""
    page = render_configuration()
    if arguments:
        Path(arguments[0]).write_text(page, encoding="utf-8")
    else:
        sys.stdout.write(page)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
