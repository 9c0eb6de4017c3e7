"""Starts the recording in every Python process under `otel-ext run`.

The interpreter imports this module as `sitecustomize` because `otel-ext run`
puts its folder first on PYTHONPATH; child processes inherit that. It removes its
folder from `sys.path`, runs the `sitecustomize` that it hides, and then starts
the recording. Any version of Python may import this file, even version 2, so it
uses no newer syntax, and it must never keep a program from starting.
"""
# ruff: noqa: ANN001, ANN202, PTH100, PTH120 - any version of Python may import it

import os
import sys


def _leave_path():  # type: () -> None
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if _absolute(entry) != here]


def _absolute(entry):  # type: (str) -> str
    try:
        return os.path.abspath(entry or ".")
    except (IOError, OSError):  # noqa: UP024 - the working directory was removed
        return entry


def _run_next():  # type: () -> None
    own = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401, PLC0415
    except ImportError as error:
        # Errors inside an existing sitecustomize are reported by the interpreter, as always.
        if getattr(error, "name", None) not in ("sitecustomize", None):
            raise
    finally:
        sys.modules.setdefault("sitecustomize", own)


def _is_the_command():  # type: () -> bool
    """Whether this process is the command the user typed, not a child of it."""
    return os.environ.get("OTEL_EXT_RUN_PID") in (str(os.getpid()), str(os.getppid()))


def _leave_note():  # type: () -> None
    """Note for `otel-ext run` that this interpreter imported this module."""
    folder = os.environ.get("OTEL_EXT_RUN_NOTES")
    if folder:
        try:
            with open(os.path.join(folder, str(os.getpid())), "a") as notes:  # noqa: PTH118, PTH123
                notes.write("started\n")
        except (IOError, OSError):  # noqa: UP024 - two things in Python 2
            pass


def _start():  # type: () -> None
    try:
        from otel_ext.zero_code import start_process  # noqa: PLC0415

        start_process()
    except Exception as error:  # noqa: BLE001 - the program must start in any case
        if _is_the_command() and sys.stderr is not None:  # a daemon's is closed
            text = "otel-ext: this program is not recorded: %s has no working otel-ext (%s: %s)\n"
            try:  # noqa: SIM105 - any version of Python may import it
                sys.stderr.write(text % (sys.executable, type(error).__name__, error))
            except Exception:  # noqa: BLE001, S110 - a stream of any kind, any Python
                pass


_leave_note()
_leave_path()
try:
    _run_next()
finally:
    _start()
