"""A folder that its program may no longer search, because it gave up its privileges."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.users import let_others_enter

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE = 120.0
PROGRAM = """
import os, sys, time
from pathlib import Path
from otel_ext.journal.settings import JournalSettings
from otel_ext.journal.write.journal import Journal

folder = Path(sys.argv[1])
# Rotation is due at every drain, and the check of the file's name once a second.
journal = Journal(folder, JournalSettings(ring_size=1 << 17, segment_size=1000))
line = b'{"n":1}' + b" " * 600 + b"\\n"
assert journal.append(line) and journal.drain()
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
else:
    folder.chmod(0)
end = time.monotonic() + 2.5
while time.monotonic() < end:
    assert journal.append(line) and journal.drain(), journal.state()
    time.sleep(0.05)
assert not journal.state().problem, journal.state()
journal.close()
"""


def test_records_still_go_to_the_open_file(tmp_path: Path) -> None:
    """The open file takes all records, beyond its limit, since no other can be created."""
    folder = tmp_path / "traces"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, folder],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    folder.chmod(0o700)
    assert (done.returncode, done.stderr) == (0, "")
    (file,) = folder.glob("*.jsonl")
    lines = file.read_text("utf-8").splitlines()
    assert len(lines) > 2
    assert all(json.loads(line) == {"n": 1} for line in lines)


LOST = """
import os, sys
from pathlib import Path
from otel_ext.cli.main import main
from otel_ext.journal.folders import find_folders

closed, other = map(Path, sys.argv[1:])
inner = closed / "inner"
for folder in (inner, other):
    folder.mkdir(parents=True)
    os.open(folder / "b0-7-1-00000000.jsonl", os.O_CREAT | os.O_WRONLY)  # as a journal's is
run = ["run", "--output", str(inner / "traces"), "--", "/bin/sh", "-c"]
main([*run, "exit 0"])  # loads what is out of reach without privileges
if os.getuid() == 0:
    os.chown(closed, 65534, 65534)
    os.chown(inner, 65534, 65534)
    os.setgid(65534)
    os.setuid(65534)
assert {inner, other} <= {*find_folders()}, find_folders()
code = main([*run, f"chmod 0 {closed}; exit 3"])
print(code, inner in find_folders(), other in find_folders())
"""


def test_a_folder_out_of_reach_hides_neither_the_exit_code_nor_other_folders(
    tmp_path: Path,
) -> None:
    """`run` ends as its program did, and `ps` reads the folders that it may read."""
    let_others_enter(tmp_path)
    closed = tmp_path / "closed"
    done = subprocess.run(
        [sys.executable, "-c", LOST, closed, tmp_path / "other"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    closed.chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["3", "False", "True"], done.stdout + done.stderr
