"""An import that is killed again and again, and still imports each file exactly once.

After each file a checkpoint says how many are done. A kill between the two repeats one
file, so a step must be harmless to repeat: here the file's name is the key in the database,
and a file's amount is added in the same transaction as its name, or not at all.

Run: python examples/resumable_import.py [KILLS]
"""

# ruff: noqa: S311, S603, T201 - a program for the terminal that starts itself

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from contextlib import closing

import otel_ext
from otel_ext.context import resume, with_span

KILLS = int(sys.argv[1]) if sys.argv[1:] else 3
FILES = {f"day-{number:05}.csv": number for number in range(1, 10 * KILLS + 1)}
SCHEMA = "CREATE TABLE IF NOT EXISTS day (file TEXT PRIMARY KEY, amount INTEGER)"


def import_file(database: sqlite3.Connection, name: str) -> None:
    """Import one file; a second time has no effect."""
    with with_span("import file", name=name), database:  # a transaction
        database.execute("INSERT OR IGNORE INTO day VALUES (?, ?)", (name, FILES[name]))


def run_import() -> None:
    """Import the files that are left; print a line for each."""
    otel_ext.configure(output="traces")
    with closing(sqlite3.connect("days.db")) as database, resume("import days") as work:
        database.execute(SCHEMA)
        done = work.state if isinstance(work.state, int) else 0
        print(f"attempt {work.attempt} begins after {done} files", flush=True)
        for name in sorted(FILES)[done:]:
            import_file(database, name)
            done += 1
            work.checkpoint(done)
            print(name, flush=True)


def main() -> None:
    """Start the import, and kill the first attempts after some files."""
    for lines in (*random.choices(range(1, 7), k=KILLS), len(FILES) + 1):
        command = [sys.executable, __file__, str(KILLS), "import"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            output = iter(process.stdout or ())
            print(next(output), end="")
            for _ in zip(range(lines), output, strict=False):
                pass
            process.kill()
    with closing(sqlite3.connect("days.db")) as database:
        count, total = database.execute("SELECT count(*), sum(amount) FROM day").fetchone()
    print(f"{count} files, total {total}, expected {sum(FILES.values())}")


if __name__ == "__main__":
    run_import() if sys.argv[2:] else main()
