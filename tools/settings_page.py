"""Writes docs/configuration.md from the declared settings.

Run: python -m tools.settings_page docs/configuration.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.config.sections import SETTINGS
from otel_ext.settings.kinds import Boolean, Integer, Thresholds

if TYPE_CHECKING:
    from otel_ext.settings.declarations import Setting

__all__ = ["render_configuration", "render_toml"]

_TITLES: Final = {
    "capture": "What is recorded",
    "output": "Where records go",
    "console": "The terminal",
    "journal": "The ring buffer and the files",
    "inflight": "Open spans",
    "otlp": "Sending to a collector",
    "remote": "When a destination is away",
    "redaction": "Secrets",
}

_INTRODUCTION: Final = """\
# Configuration

<!-- Made by `python -m tools.settings_page`; change the table in otel_ext/config instead. -->

Every setting has a default, so no configuration is needed. Settings come from four
sources; the first in this list wins:

1. **Code**: `otel_ext.configure(compat_mode=True)`, or an option of `otel-ext run`.
   The argument is the setting's name with `_` for `-`.
2. **Environment**: `OTEL_EXT_COMPAT_MODE=true`. An empty variable counts as not set.
3. **File**: the first of `otel-ext.toml`, `otel-ext.yaml`, `otel-ext.yml` and
   `pyproject.toml` (only with a table `[tool.otel-ext]`) in the working directory, else
   in its parents, up to the root of the repository, the home folder or the root. In
   parent folders, files of other users are ignored. `OTEL_EXT_CONFIG=PATH` names a
   file instead; `OTEL_EXT_CONFIG=/dev/null` means none. YAML needs
   `pip install pyyaml`; aliases and tags are not supported.
4. **Default**: as below.

Mistakes outside of its code do not stop a program. A wrong value or an unknown key in a
file or a variable is ignored, with one warning on stderr that shows what is allowed. If
the output folder cannot be used, records go to a private folder below the temporary
directory, which the warning names. `strict` (`otel-ext run --strict`) makes all of these
errors. A wrong argument in code is always an error: `configure(ouput=...)`.

One variable is not a setting: `OTEL_EXT_PURE_PYTHON=1` turns the compiled part off, in this
process and those it starts. The records are the same and cost about six times as much; use
it to find out whether a fault is in that part. `otel-ext doctor` reports which one is in
use. The compiled part works in a process's main interpreter only: in sub-interpreters
(mod_wsgi without `WSGIApplicationGroup %{GLOBAL}`) the Python code is used.

Sizes are bytes or text with a unit: `8 MiB`, `64KiB` (powers of 1024), `1 MB` (powers of
1000). Durations are seconds or text with a unit: `500ms`, `5s`, `1.5m`, `24h`, `7d`.
"""

_PROGRAM: Final = """\
## In a program

```python
from otel_ext.config import get_config, load_config, set_compat_mode

config = get_config()                # the active one; loaded by the first call
config.journal.ring_size             # in bytes; the sections are those above
config.source_of("ring-size")        # where the value came from
set_compat_mode(True)                # from the next record on, in the whole process
load_config({"sync": "always"})      # the same sources; does not change the active one
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
    """Return the table row of one setting."""
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
    """Write the page to the file that the argument names, or to standard output."""
    page = render_configuration()
    if arguments:
        Path(arguments[0]).write_text(page, encoding="utf-8")
    else:
        sys.stdout.write(page)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
