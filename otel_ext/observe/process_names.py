"""Names a process by its `process.start` record, in the same way for every view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.runtime.process.records import process_from

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_ext.record.model import Process

__all__ = ["ProcessName", "command_name", "service_of"]

# Prefix of the SDK's default service name.
_NO_SERVICE: Final = "unknown_service"


class ProcessName(NamedTuple):
    """The pid, service and command that a process recorded at its start.

    Attributes:
        pid: Its process id; 0 if unknown.
        service: The name of its service; empty if it has none.
        command: What it runs, short.
    """

    pid: int = 0
    service: str = ""
    command: str = ""

    @classmethod
    def from_start(cls, extra: Mapping[str, object]) -> ProcessName:
        """Return the name from the fields of a `process.start` record.

        >>> ProcessName.from_start({"pid": 7, "argv": ["python", "app.py"]}).label
        '7 app.py'
        """
        process = process_from("", extra)
        return cls(process.pid, service_of(process), command_name(process.argv))

    @property
    def label(self) -> str:
        """The pid, and the service or else the command; empty if none of them is known.

        >>> ProcessName(7, "shop", "app.py").label, ProcessName(0, "", "app.py").label
        ('7 shop', '? app.py')
        >>> ProcessName(0, "shop").label, ProcessName().label
        ('shop', '')
        """
        if not self.pid and (self.service or not self.command):
            return self.service
        return f"{self.pid or '?'} {self.service or self.command}".rstrip()


def service_of(process: Process) -> str:
    """Return the service that the process's resource names; empty if it names none."""
    name = str(process.resource.get("service.name") or "")
    return "" if name.startswith(_NO_SERVICE) else name


def command_name(argv: Sequence[str]) -> str:
    """Return what a command line runs, in one word or two.

    >>> command_name(["/usr/bin/python3", "-X", "dev", "srv/app.py", "--port", "80"])
    'app.py'
    >>> command_name(["python3.12", "-m", "http.server"])
    '-m http.server'
    >>> command_name(["/venv/bin/python", "/venv/bin/gunicorn", "app:app"])
    'gunicorn'
    >>> command_name(["python", "-c", "import this"])
    'python -c'
    """
    if not argv:
        return ""
    program = _base(argv[0])
    if not program.lower().startswith(("python", "pypy")):
        return program
    rest = iter(argv[1:])
    for word in rest:
        if word in {"-X", "-W", "--check-hash-based-pycs"}:
            next(rest, None)
        elif word.startswith("-m"):
            return f"-m {word[2:] or next(rest, '')}".rstrip()
        elif word.startswith("-c"):
            return f"{program} -c"
        elif not word.startswith("-") or word == "-":
            base = _base(word)
            return (
                f"{_base(word[: -len(base)].rstrip('/'))}/{base}" if base == "__main__.py" else base
            )
    return program


def _base(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path
