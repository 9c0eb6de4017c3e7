"""Runs whole programs as their users do, kills them, and reads what they left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from otel_ext.journal.read.scanner import Located, read_records
from otel_ext.journal.recovery.recover import recover
from tests.programs import OTEL_EXT, environment, execute, wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from otel_ext.record.model import Record

ROOT = Path(__file__).parents[2]

HEAD = """\
import os, signal, sys, threading, time
import otel_ext
from opentelemetry import trace
handle = otel_ext.configure(output=sys.argv[1], console="off")
tracer = trace.get_tracer("durability")
"""
"""The first lines of a program, which records into the folder named by its first argument."""

NOT_COMPILED = 'import sys\nsys.modules["otel_ext._speed"] = None\n'
"""Put before `HEAD`, makes a program use the Python code, as if the compiled part were missing."""

NOTE = 17
"""Bytes of one note in a ledger: `S` or `E`, and a span id of 16 digits."""


class Found(NamedTuple):
    """The records of a folder.

    Attributes:
        records: All records, file by file.
        skipped: How many pieces could not be read, by reason.
    """

    records: list[Record]
    skipped: Counter[str]

    def phase(self, phase: str, name: str = "") -> list[Record]:
        """Return the span records of one phase, only of spans called `name` unless it is ""."""
        return [r for r in self.records if r.phase == phase and name in {"", r.name}]

    def events(self, event: str) -> list[Record]:
        """Return the records of one event."""
        return [record for record in self.records if record.event == event]


def read(folder: Path) -> Found:
    """Read all files of a folder, damaged or not."""
    found = Found([], Counter())
    for path in sorted(folder.glob("*.jsonl")):
        for item in read_records(path):
            if isinstance(item, Located):
                found.records.append(item.record)
            else:
                found.skipped[item.reason] += 1
    return found


def tree_env(**changes: str) -> dict[str, str]:
    """Return an environment for a program that imports from this checkout."""
    return {**environment(), "PYTHONPATH": str(ROOT), **changes}


def command(text: str, *arguments: object, head: str = HEAD) -> list[str]:
    """Return the command line that runs `head` and `text` as a Python program."""
    return [sys.executable, "-c", head + textwrap.dedent(text), *map(str, arguments)]


def printed_object(
    argv: Sequence[str], *, timeout: float = 50.0, env: dict[str, str] | None = None
) -> dict[str, object]:
    """Run a program, which must succeed; return the JSON object that it prints last."""
    return cast("dict[str, object]", printed_json(argv, timeout=timeout, env=env))


def printed_json(
    argv: Sequence[str], *, timeout: float = 50.0, env: dict[str, str] | None = None
) -> object:
    """Run a program, which must succeed; return the JSON value that it prints last."""
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        env=tree_env() if env is None else env,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def running(argv: Sequence[str], **changes: str) -> Generator[subprocess.Popen[str], None, None]:
    """Run a program during the block; the test reads and writes its lines."""
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=tree_env(**changes)
    )
    try:
        yield process
    finally:
        process.kill()
        # Before its input is closed, by which a program under `unshare` would exit in order.
        process.wait()
        process.communicate()


def read_line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a program prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def write_line(process: subprocess.Popen[str], word: str = "") -> None:
    """Write the line that a program waits for."""
    assert process.stdin is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()


def open_span_states(folder: Path) -> dict[str, str]:
    """Return the state of each open span by its name, as `otel-ext ps` shows it."""
    done = execute([OTEL_EXT, "ps", folder, "--json"], cwd=folder)
    spans = [json.loads(line) for line in done.out.splitlines()]
    return {span["name"]: span["state"] for span in spans}


def assert_valid(folder: Path, *, torn: int = 0) -> None:
    """Assert that `otel-ext validate` finds nothing wrong in any file of a folder.

    Args:
        folder: The folder.
        torn: How many lines may be cut off: a kill can end a large write at any page.
    """
    files = sorted(folder.glob("*.jsonl"))
    assert files
    done = execute([OTEL_EXT, "validate", *files], cwd=folder, env=tree_env())
    cut = done.out.count(": line: not JSON: ")
    assert cut <= torn, done.out
    assert done.code == 0 or done.out.rstrip().endswith(f": {cut} bad"), done.out + done.err


def assert_ended_once(found: Found) -> None:
    """Assert that each span that started has one end, and no record is there twice."""
    keys = Counter((record.process.id, record.seq) for record in found.records)
    # A new segment repeats the starts of open spans, and nothing else.
    repeated = {(r.process.id, r.seq) for r in found.phase("start")}
    twice = [key for key, times in keys.items() if times > 1 and key not in repeated]
    assert not twice, f"records that are there twice: {twice[:5]}"
    ends = Counter(record.key for record in found.phase("end"))
    wrong = {r.key: (r.name, ends[r.key]) for r in found.phase("start") if ends[r.key] != 1}
    causes = [(e.name, e.process.id, e.abandoned) for e in found.phase("end") if e.key in wrong]
    assert not wrong, f"spans without one end: {list(wrong.items())[:5]}; {causes[:10]}"


def recover_all(folder: Path) -> None:
    """Recover a folder; wait for what another recovery works on, perhaps a thread of this process.

    `recover` itself never waits: what is busy is neither done nor in the files when it returns.
    """
    wait_until(lambda: not recover(folder).busy, "no other recovery works on the folder")


def recovered(folder: Path) -> Found:
    """Recover a folder, check that a second recovery changes nothing, and read it."""
    assert not recover(folder).failed
    assert recover(folder).recovered == []
    return read(folder)


RECOVERED_IN_CHILD = """\
import json, sys
from pathlib import Path
from tests.durability.kit import recovered
from tests.programs import ids
records = recovered(Path(sys.argv[1])).phase
print(json.dumps([ids(records("start"), "start"), ids(records("end"), "end")]))
"""


def recovered_in_child(folder: Path) -> tuple[list[str], list[str]]:
    """Recover a folder in a child process; return the ids of its starts and of its ends.

    Without the measuring of coverage, which makes it slow to read very many records.
    """
    argv = command(RECOVERED_IN_CHILD, folder, head="")
    starts, ends = cast("list[list[str]]", printed_json(argv, timeout=150.0))
    return starts, ends


def ledger(path: Path) -> tuple[set[str], set[str]]:
    """Read a ledger: the ids of spans whose start had returned, and of those whose end had."""
    notes = path.read_bytes() if path.exists() else b""
    whole = [notes[at : at + NOTE].decode() for at in range(0, len(notes) - NOTE + 1, NOTE)]
    return (
        {note[1:] for note in whole if note[0] == "S"},
        {note[1:] for note in whole if note[0] == "E"},
    )


def exit_seconds(pid: int, since: float) -> float:
    """Return how long the main thread of a process ran or waited from a moment to its end.

    The time in which it waited for a processor does not count.
    """
    before = _seconds_without_processor(pid)
    # strace keeps a thread that it delays beyond the end of its process.
    stat = Path(f"/proc/{pid}/stat")
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.005)
    took = time.monotonic() - since
    return took - max(_seconds_without_processor(pid) - before, 0.0)


def _seconds_without_processor(pid: int) -> float:
    """Return how long a main thread has waited for a processor; see proc(5), schedstat."""
    path = Path(f"/proc/{pid}/schedstat")
    return int(path.read_text().split()[1]) / 1e9 if path.exists() else 0.0


def small_disk(kib: int, path: Path, argv: Iterable[str]) -> list[str]:
    """Return the command line that runs `argv` with a small file system mounted at `path`."""
    path.mkdir(exist_ok=True)
    mount = f'mount -t tmpfs -o size={kib}k none {path} && exec "$@"'
    flags = "-m" if os.geteuid() == 0 else "-Urm"
    return ["unshare", flags, "sh", "-c", mount, "sh", *argv]
