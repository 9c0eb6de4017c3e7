"""The command that runs a part of otel-ext in a process of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["own_command"]

# As `python -m` does, but without the current folder on the path, where anything may lie.
_CODE: Final = (
    "import sys\n"
    "if sys.path[:1] == ['']: del sys.path[0]\n"
    "from {module} import main\n"
    "sys.exit(main(sys.argv[1:]))"
)


def own_command(module: str, arguments: Iterable[str]) -> list[str]:
    """Return the command that calls `main` of a module with some arguments.

    Args:
        module: The full name of the module.
        arguments: The arguments.

    >>> own_command("otel_ext.cli.main", ["ps"])[-1]
    'ps'
    """
    return [sys.executable, "-c", _CODE.format(module=module), *arguments]
