"""A program: imports the modules on the command line, and prints the effects of the imports.

Imports them twice. The first time also loads other packages, whose effects do not
count. Then it removes only our modules, so that the effects of the second import are
ours. Prints a JSON list with a sentence for each effect.
"""

from __future__ import annotations

import atexit
import importlib
import json
import logging
import os
import signal
import sys
import threading
import warnings
from pathlib import Path

WATCHED = (
    "_thread.start_new_thread",
    "ctypes.dlopen",
    "mmap.__new__",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.mkdir",
    "os.posix_spawn",
    "os.putenv",
    "os.remove",
    "os.rename",
    "shutil.rmtree",
    "socket.__new__",
    "socket.bind",
    "socket.connect",
    "subprocess.Popen",
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def open_files() -> list[str]:
    """Return the open files of this process."""
    folder = Path("/proc/self/fd")
    return sorted(str(link.readlink()) for link in folder.iterdir() if link.is_symlink())


def state() -> dict[str, object]:
    """Return the state of the process that an import must not change."""
    return {
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "functions to call at exit": atexit._ncallbacks(),  # noqa: SLF001 - there is no public count
        "import hooks": [repr(hook) for hook in [*sys.meta_path, *sys.path_hooks]],
        "sys.path": list(sys.path),
        "handlers of the root logger": [repr(handler) for handler in logging.getLogger().handlers],
        "level of the root logger": logging.getLogger().level,
        "logging's class and factory": repr(
            (logging.getLoggerClass(), logging.getLogRecordFactory())
        ),
        "hooks for exceptions": repr(
            (sys.excepthook, sys.unraisablehook, threading.excepthook, sys.displayhook)
        ),
        "signal handlers": repr([signal.getsignal(number) for number in signal.valid_signals()]),
        "environment": dict(os.environ),
        "trace functions": repr((sys.gettrace(), sys.getprofile())),
        "standard streams": repr((sys.stdin, sys.stdout, sys.stderr)),
        "warning filters": list(warnings.filters),
        "open files": open_files(),
    }


def main() -> None:
    """Import the modules, remove ours, import again, and print the differences."""
    names = sys.argv[1:]
    for name in names:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "otel_ext"]:
        del sys.modules[name]

    effects: list[str] = []
    current = ""
    watching = False

    def audit(event: str, details: tuple[object, ...]) -> None:
        if not watching:
            return
        writes = event == "open" and isinstance(details[2], int) and details[2] & WRITING
        if event in WATCHED or writes:
            effects.append(f"importing {current}: {event} {details!r}")

    def note_at_fork(**hooks: object) -> None:
        effects.append(f"importing {current}: os.register_at_fork {sorted(hooks)}")

    sys.addaudithook(audit)
    os.register_at_fork = note_at_fork
    for current in names:
        before = state()
        watching = True
        importlib.import_module(current)
        watching = False
        after = state()
        effects += [
            f"importing {current} changes the {what}: {before[what]} to {after[what]}"
            for what in before
            if before[what] != after[what]
        ]
    sys.stdout.write(json.dumps(effects))


if __name__ == "__main__":
    main()
