"""`otel-ext serve`: shows the traces of a folder in the browser, live, and takes OTLP.

Exit code 0 after Ctrl-C or SIGTERM, 2 for wrong use, a wrong folder or a port in use.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from argparse import SUPPRESS
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.cli.arguments import add_keep_days, port_number
from otel_ext.cli.runner.viewer import WHILE_STDIN_OPEN
from otel_ext.config import load_leniently
from otel_ext.errors import MissingExtraError, UsageError
from otel_ext.journal.files import can_make_files_in, is_folder, make_folder
from otel_ext.server.ports import OTLP_GRPC_PORT, OTLP_HTTP_PORT, VIEWER_PORT
from otel_ext.server.security.access import is_loopback
from otel_ext.setup.starting import with_usable_output
from otel_ext.terminal.output import print_line
from otel_ext.terminal.text import printable, printable_path

if TYPE_CHECKING:
    import argparse

    from otel_ext.server.serving import ServeOptions, ViewerServer

__all__ = ["TOKEN_VARIABLE", "run", "set_up"]

TOKEN_VARIABLE: Final = "OTEL_EXT_SERVE_TOKEN"  # noqa: S105 - its name
"""The environment variable with the token, which a command line would show to others."""

_STDIN: Final = 0

_DESCRIPTION: Final = """\
Shows in the browser what runs now and what just happened, while it is being
recorded in a folder. It also takes records of programs in any language: OTLP
over HTTP and gRPC on the standard ports, which it keeps in DIR/received before
it says so. Spans of processes that died are ended, as by otel-ext recover.

examples:
  otel-ext serve                          the folder in the setting output
  otel-ext serve traces --port 9000
  otel-ext serve --otlp-grpc-port 0       OTLP over HTTP only
  otel-ext serve --root . traces          links to these sources in the editor

Only this machine can connect. With --host other machines can, too: that needs a
token of 16 characters or more in the environment variable OTEL_EXT_SERVE_TOKEN,
and the page is opened by the one-time link that is printed.

exit code: 0 when it is stopped; 2 for wrong use, a wrong folder or a used port
"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = _DESCRIPTION
    parser.add_argument(
        "folder",
        nargs="?",
        metavar="DIR",
        help="folder of records; it is created if need be (default: the setting output)",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)"
    )
    for name, default, what in (
        ("--port", VIEWER_PORT, "port for the viewer"),
        ("--otlp-http-port", OTLP_HTTP_PORT, "port for OTLP over HTTP; 0 for none"),
        ("--otlp-grpc-port", OTLP_GRPC_PORT, "port for OTLP over gRPC; 0 for none"),
    ):
        parser.add_argument(
            name,
            type=port_number,
            default=default,
            metavar="PORT",
            help=f"{what} (default: {default})",
        )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="NAME",
        help="another name of this machine, with which browsers ask for it; may be repeated",
    )
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="DIR",
        help="folder of sources that the page may link to in an editor; may be repeated",
    )
    add_keep_days(parser)
    parser.add_argument(WHILE_STDIN_OPEN, action="store_true", help=SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal ends it, and return the exit code."""
    if not args.port:
        hint = "Give a port for the viewer; 0 is for the ports of OTLP"
        raise UsageError("--port 0: nothing would be shown", hint=hint)
    if not is_loopback(args.host) and not os.environ.get(TOKEN_VARIABLE):
        hint = f"Set {TOKEN_VARIABLE} to a secret, such as what `openssl rand -hex 32` prints"
        message = f"--host {printable(args.host)}: other machines could connect without a token"
        raise UsageError(message, hint=hint)
    options = _options(args)
    asyncio.run(_serve(options, while_stdin_open=args.while_stdin_open))
    return 0


def _options(args: argparse.Namespace) -> ServeOptions:
    try:
        from otel_ext.server.serving import ServeOptions  # noqa: PLC0415 - needs an extra
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("otel_ext"):
            raise
        raise MissingExtraError(error.name, "server", whole=True) from error
    from otel_ext.store.sqlite.days import StoreLimits  # noqa: PLC0415 - only here

    return ServeOptions(
        folder=_folder(args.folder),
        host=args.host,
        port=args.port,
        otlp_http_port=args.otlp_http_port or None,
        otlp_grpc_port=args.otlp_grpc_port or None,
        token=os.environ.get(TOKEN_VARIABLE) or None,
        names=args.name,
        roots=[_root(text) for text in args.root],
        store_limits=StoreLimits(days=args.keep_days),
    )


def _folder(given: str | None) -> Path:
    """Return the folder of records, which exists."""
    if given == "":
        raise UsageError("the name of the folder is empty", hint="Name a folder, or none")
    if given is None:
        config, _ = with_usable_output(load_leniently())
        path = config.output.folder
    else:
        path = Path(given)
    if path.exists() and not is_folder(path):
        hint = f"Name its folder: otel-ext serve {printable_path(path.parent)}"
        raise UsageError(f"{printable_path(path)}: a file, not a folder", hint=hint)
    make_folder(path)
    if not can_make_files_in(path):
        hint = "Name a folder that this user may write to: the store is made in it"
        raise UsageError(f"{printable_path(path)}: Permission denied", hint=hint)
    return path.absolute()


def _root(text: str) -> Path:
    path = Path(text)
    if not is_folder(path):
        hint = "Name a folder of sources"
        raise UsageError(f"--root {printable(text)}: no such folder", hint=hint)
    return path.resolve()


async def _serve(options: ServeOptions, *, while_stdin_open: bool) -> None:
    from otel_ext.server.serving import ViewerServer  # noqa: PLC0415 - needs an extra

    server = ViewerServer(options)
    await server.start()
    try:
        stop = _stop_event(while_stdin_open=while_stdin_open)
        for line in _greeting(server, options):
            print_line(line)
        sys.stdout.flush()
        await stop.wait()
        print_line("stopping: storing what is left")
    finally:  # also if nothing reads the output any more
        await server.stop()


def _stop_event(*, while_stdin_open: bool) -> asyncio.Event:
    """Return an event that a signal sets, and the end of the standard input if that is wanted."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if while_stdin_open:

        def read() -> None:
            if not os.read(_STDIN, 4_096):
                loop.remove_reader(_STDIN)
                stop.set()

        loop.add_reader(_STDIN, read)
    return stop


def _greeting(server: ViewerServer, options: ServeOptions) -> list[str]:
    about = server.about
    address = str(about.viewer)
    if server.authority is not None:
        address = server.authority.new_link(address)
    lines = [f"viewer     {address}", f"records    {printable_path(options.folder)}"]
    if about.otlp_http is not None:
        lines.append(f"OTLP/HTTP  {about.otlp_http}")
    if about.otlp_grpc is not None:
        lines.append(f"OTLP/gRPC  {about.otlp_grpc}")
    if server.authority is not None:
        lines.append("The link works once; for another browser start otel-ext serve again.")
    return [*lines, "Ctrl-C ends it."]
