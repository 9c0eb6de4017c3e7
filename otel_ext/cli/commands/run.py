"""`otel-ext run -- COMMAND`: runs a program unchanged and records its spans."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

from otel_ext.cli.ended_spans import ended_by, lines_of, open_in
from otel_ext.cli.runner.launch import CommandError, bootstrap_environment, resolve
from otel_ext.cli.runner.no_spans import reason_for_no_spans
from otel_ext.cli.runner.summary import RunSummary
from otel_ext.cli.runner.supervise import ProgramEnd, end_like, replace_process, supervise
from otel_ext.cli.runner.viewer import viewer_beside
from otel_ext.config import CONFIG_VARIABLE, Config, load_leniently
from otel_ext.errors import OtelExtError
from otel_ext.journal.files import folder_of, make_folder
from otel_ext.journal.recovery.exit_status import Outcome
from otel_ext.journal.recovery.recover import recover
from otel_ext.runtime.process.run_notes import NOTES_VARIABLE, notes_folder
from otel_ext.setup.starting import with_usable_output
from otel_ext.terminal.canvas import Canvas, is_terminal
from otel_ext.terminal.output import warn, write_error

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["run", "set_up"]

_EPILOG: Final = """\
examples:
  otel-ext run -- python app.py --its --own --options
  otel-ext run app.py                  the interpreter of otel-ext runs it
  otel-ext run -m package.module
  otel-ext run --output traces -- gunicorn --workers 4 app:app
  otel-ext run --otlp -- flask run
  otel-ext run --view -- python app.py   and watch it in the browser
  otel-ext run --quiet -- celery -A tasks worker

Processes that the program starts are recorded too, each into its own file.
Installed OpenTelemetry instrumentations are switched on. Exit code, signals,
arguments and standard streams are those of the program. With --quiet the
program replaces this process, and otel-ext prints nothing, not even at the end.
"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = "Run a program unchanged and record its spans."
    parser.epilog = _EPILOG
    parser.usage = "otel-ext run [OPTIONS] [--] COMMAND [ARGUMENT ...]"
    parser.add_argument("--output", metavar="DIR", help="folder for the records (default: traces)")
    parser.add_argument(
        "--compat-mode",
        action="store_true",
        default=None,
        help="also write the timestamp at the top level of each line",
    )
    parser.add_argument(
        "--otlp",
        action="store_true",
        default=None,
        help="also send records to a collector (OTEL_EXPORTER_OTLP_ENDPOINT and so on)",
    )
    parser.add_argument(
        "--view",
        action="store_true",
        help="show the spans in the browser meanwhile, and on a terminal afterwards until Ctrl-C",
    )
    parser.add_argument("--config", metavar="FILE", help="settings: a TOML or YAML file")
    parser.add_argument("--quiet", action="store_true", help="print no records and no summary")
    parser.add_argument(
        "--strict",
        action="store_true",
        default=None,
        help="do not start the program if a setting or the folder is wrong",
    )
    parser.add_argument(
        "-m",
        dest="module",
        metavar="MODULE",
        nargs=argparse.REMAINDER,
        help="run a module, as python -m does",
    )
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER, help="what to run")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        ConfigError: An option is wrong, or with --strict any setting; nothing was started.
    """
    words = _words(args)
    if not words:
        warn("run: the command is missing. Try: otel-ext run -- python app.py")
        return 2
    options = {
        "output": args.output,
        "compat-mode": args.compat_mode,
        "otlp": args.otlp,
        "strict": args.strict,
    }
    config = load_leniently(options, file=args.config, command_line=True)
    config, problem = with_usable_output(config, trial=True)
    for warning in (*config.warnings, *([problem] if problem else [])):
        warn(warning)
    try:
        return _run(resolve(words), config, quiet=args.quiet, view=args.view)
    except CommandError as error:
        warn(str(error))
        return error.exit_code


def _words(args: argparse.Namespace) -> list[str]:
    if args.module is not None:
        return [sys.executable, "-m", *args.module] if args.module else []
    words: list[str] = args.command
    return words[1:] if words[:1] == ["--"] else words


def _run(command: list[str], config: Config, *, quiet: bool, view: bool) -> int:
    if not config.capture.enabled:
        replace_process(command, os.environ)
    environment = bootstrap_environment(
        os.environ, _settings(config, quiet=quiet), run_pid=os.getpid()
    )
    if not hasattr(os, "posix_spawn") or (quiet and not view):
        replace_process(command, environment)
    if not view:
        return end_like(_supervise(command, environment, config, quiet=quiet))
    make_folder(config.output.folder)
    with viewer_beside(config.output.folder, stays=is_terminal(sys.stderr)):
        outcome = _supervise(command, environment, config, quiet=quiet)
    return end_like(outcome)


def _supervise(
    command: list[str], environment: dict[str, str], config: Config, *, quiet: bool
) -> int:
    """Run the program and say how it ended; return its exit code or the negative signal."""
    summary = RunSummary(config.output.folder)
    with notes_folder() as notes:
        if notes is not None:
            environment[NOTES_VARIABLE] = str(notes)
        ended = supervise(command, environment)
        reason = partial(reason_for_no_spans, command, notes, config)
        recovered = True
        died: list[str] = []
        if config.journal.recover_on_start:
            recovered, died = _recover(config.output.folder, ended)
        if not quiet:
            text = summary.text(ended.outcome, complete=recovered, reason=reason, died=died)
            write_error(text)
    return ended.outcome


def _recover(folder: Path, ended: ProgramEnd) -> tuple[bool, list[str]]:
    """Write what a killed program left in its ring buffer to its file, and end its open spans.

    Returns:
        Whether all of it succeeded, and a line for each of the oldest spans that were open.
    """
    folder = folder_of(folder)
    how = Outcome.of(ended.outcome, ended.seen_ns)
    try:
        found = open_in(folder)  # before recovery: end records do not contain where the span was
        report = recover(folder, outcomes={(ended.pid, ended.start_time): how})
    except (OtelExtError, OSError) as error:
        warn(f"open spans were not closed: {error}")
        return False, []
    for problem in sorted({one.problem for one in report.failed}):
        warn(f"records in the ring buffer could not be written to the file: {problem}")
    lines = lines_of(ended_by(report, found), report.spans, Canvas.of(sys.stderr))
    # A program that ends in order closes its file itself, unless it cannot write any more.
    is_short = ended.outcome >= 0 and not all(one.had_ring for one in report.recovered)
    return not (report.failed or is_short), list(lines)


def _settings(config: Config, *, quiet: bool) -> dict[str, str]:
    """Return the settings that child processes need in any folder, as variables."""
    settings = {
        "OTEL_EXT_OUTPUT": str(config.output.folder.absolute()),
        CONFIG_VARIABLE: str(config.file.absolute()) if config.file else os.devnull,
    }
    if config.source_of("compat-mode").layer == "code":
        settings["OTEL_EXT_COMPAT_MODE"] = "true"
    if config.source_of("otlp").layer == "code":
        settings["OTEL_EXT_OTLP"] = "true"
    if quiet:
        settings["OTEL_EXT_CONSOLE"] = "off"
    elif config.source_of("console").layer == "default":
        settings["OTEL_EXT_CONSOLE"] = "auto"  # the user at the terminal may want to watch
    return settings
