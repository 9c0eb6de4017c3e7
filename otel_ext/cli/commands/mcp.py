"""`otel-ext mcp`: lets a coding agent look at traces, by the Model Context Protocol.

Exit code 0 when the agent closes the standard input, 2 for wrong use.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.cli.commands.serve import TOKEN_VARIABLE
from otel_ext.config import load_leniently
from otel_ext.errors import MissingExtraError, UsageError
from otel_ext.journal.files import is_folder
from otel_ext.terminal.output import warn
from otel_ext.terminal.text import printable_path

if TYPE_CHECKING:
    import argparse

    from otel_ext.mcp.sources.source import Source

__all__ = ["run", "set_up"]

_DESCRIPTION: Final = """\
Lets a coding agent look at traces: it starts this command and asks by the Model
Context Protocol on the standard streams what is running and where it hangs, for
traces, errors, critical paths, logs and spans. It only reads: no record is
changed, and no process notices. Secrets are left out, also those that programs
have recorded.

examples:
  otel-ext mcp                                  the folder in the setting output
  otel-ext mcp traces
  otel-ext mcp --server http://127.0.0.1:8318   what otel-ext serve has

A server that needs a token gets it from the environment variable
OTEL_EXT_SERVE_TOKEN.

exit code: 0 when the agent ends it, 2 for wrong use
"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    parser.add_argument(
        "folder",
        nargs="?",
        metavar="DIR",
        help="folder of records, which may come later (default: the setting output)",
    )
    parser.add_argument(
        "--server", metavar="URL", help="address of otel-ext serve, to ask that instead"
    )


def run(args: argparse.Namespace) -> int:
    """Answer an agent until it closes the standard input, and return the exit code."""
    try:
        from otel_ext.mcp.serving import serve  # noqa: PLC0415 - needs an extra
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("otel_ext"):
            raise
        raise MissingExtraError(error.name.partition(".")[0], "mcp", whole=True) from error
    from otel_ext.mcp.texts import Texts  # noqa: PLC0415 - only here

    config = load_leniently()
    source = _source(args.folder, args.server, config.output.folder)
    if sys.stdin.isatty():
        warn("an agent has to start this command; see docs/how-to/let-an-agent-look.md")
    # Ctrl-C ends the process at once: a thread that waits for input would keep it from ending.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        asyncio.run(serve(source, Texts(config.redaction)))
    finally:
        signal.signal(signal.SIGINT, before)
    return 0


def _source(folder: str | None, server: str | None, default: Path) -> Source:
    """Return where traces are from."""
    if server is not None:
        from otel_ext.mcp.sources.client import ServerClient, checked_address  # noqa: PLC0415 - only here
        from otel_ext.mcp.sources.served import ServerSource  # noqa: PLC0415 - only here

        if folder is not None:
            message = f"--server cannot be combined with {printable_path(folder)}"
            raise UsageError(message, hint="Use one of them")
        token = os.environ.get(TOKEN_VARIABLE, "")
        address = checked_address(server)
        return ServerSource(ServerClient(address, token, token_variable=TOKEN_VARIABLE))
    from otel_ext.mcp.sources.folder import FolderSource  # noqa: PLC0415 - only here

    path = default if folder is None else Path(folder)
    if folder == "":
        hint = "Name one, or leave it out"
        raise UsageError("the name of a file or folder is empty", hint=hint)
    if path.exists() and not is_folder(path):
        hint = f"Name its folder: otel-ext mcp {printable_path(path.parent)}"
        raise UsageError(f"{printable_path(path)}: a file, not a folder", hint=hint)
    return FolderSource(path.absolute())
