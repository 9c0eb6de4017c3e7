"""The command `otel-ext recover`: its effect, output and exit codes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli import inputs
from otel_ext.cli.main import main
from otel_ext.journal.ring_layout import RING_FOLDER
from otel_ext.readable import duration
from tests.cli.test_ps_mistakes import DEAD, span, write
from tests.durability.kit import HEAD, command, tree_env
from tests.journal.builders import program
from tests.journal.killed import die
from tests.programs import OTEL_EXT, execute, records_in, spans_in

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.measured


def test_a_dead_process_is_recovered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for the process, one sentence, exit code 0; the second run finds nothing."""
    dead = die(tmp_path)
    assert main(["recover", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert dead.id[:12] in out
    assert "1 process(es) recovered, 4 open span(s) ended." in out
    assert sum(record.abandoned == "process-died" for record in records_in(tmp_path)) == 4
    assert main(["recover", str(tmp_path)]) == 0
    assert "Nothing to recover." in capsys.readouterr().out


def test_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the output is one object."""
    dead = die(tmp_path)
    assert main(["recover", "--json", str(tmp_path)]) == 0
    document = json.loads(capsys.readouterr().out)
    [one] = document["recovered"]
    assert (one["process"], one["pid"], one["spans"]) == (dead.id, dead.pid, 4)
    assert set(one) == {
        *("process", "pid", "host", "spans", "lines_from_ring", "last_seen", "file"),
        *("problem", "ended"),
    }
    assert one["problem"] is None
    assert document["skipped_bytes"] == 0


def killed(folder: Path, body: str) -> None:
    """Run a program that executes `body` and is then killed."""
    head = f"{HEAD}def charge():\n    time.sleep(0.05)\n    handle.flush()\n"
    text = f"{body}\nos.kill(os.getpid(), signal.SIGKILL)\n"
    done = execute(command(text, folder / "traces", head=head), cwd=folder, env=tree_env())
    assert done.code == -signal.SIGKILL, done.err


NESTED = """\
order = tracer.start_as_current_span("order")
order.__enter__()
pay = tracer.start_span("pay")
tracer.start_span("quick").end()
charge()
tracer.start_span("late").end()
"""


def test_what_a_dead_process_was_doing_is_reported(tmp_path: Path) -> None:
    """Each span that was ended, with name, age, process and location; then the next command.

    Spans that ended by themselves are not shown. Ages end when the process was last active.
    """
    killed(tmp_path, NESTED)
    done = execute([OTEL_EXT, "recover", "traces"], cwd=tmp_path)
    lines = done.out.partition("What was running when it died:\n")[2].splitlines()
    first, second, blank, following = lines
    place = r"\[\d+ python -c\]  opened <string>:\d+ <module>"
    assert re.fullmatch(rf" +[\d.]+ ms  order  {place}", first)
    assert re.fullmatch(rf" +[\d.]+ ms  └─ pay  {place}", second)
    assert (blank, following) == ("", "next: otel-ext tree traces")
    ends = {end.name: end for end in spans_in(tmp_path / "traces") if end.abandoned}
    taken_ns = ends["pay"].time_ns - (ends["pay"].start_ns or 0)
    assert taken_ns >= 50_000_000
    assert second.split("  └─")[0].strip() == duration(taken_ns)
    again = execute([OTEL_EXT, "recover", "traces"], cwd=tmp_path)
    assert "What was running" not in again.out


def test_of_many_spans_the_oldest_are_reported(tmp_path: Path) -> None:
    """Ten lines and the number of the others; --json has all, with their locations."""
    killed(tmp_path, 'kept = [tracer.start_span(f"open {n}") for n in range(14)]')
    shutil.copytree(tmp_path / "traces", tmp_path / "copy")
    out = execute([OTEL_EXT, "recover", "traces"], cwd=tmp_path).out
    assert re.findall(r"open \d+", out) == [f"open {n}" for n in range(10)]
    assert "  and 4 more\n" in out
    document = json.loads(execute([OTEL_EXT, "recover", "--json", "copy"], cwd=tmp_path).out)
    [one] = document["recovered"]
    assert [span["name"] for span in one["ended"]] == [f"open {n}" for n in range(14)]
    assert set(one["ended"][0]) == {
        *("trace_id", "span_id", "name", "status", "age_seconds", "attributes", "where")
    }
    assert set(one["ended"][0]["where"]) == {"file", "line", "function", "now"}


def test_where_a_stalled_span_was_last_is_reported(tmp_path: Path) -> None:
    """If the stack was recorded before the death, that location is shown, not the call site."""
    killed(tmp_path, f"{NESTED}otel_ext.dump()")
    out = execute([OTEL_EXT, "recover", "traces"], cwd=tmp_path).out
    assert out.count("python -c]  at <string>:") == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [("gone", "no such folder"), ("file", "a file, not a folder"), ("a\0b", "no such folder")],
)
def test_a_wrong_folder_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    """Exit code 2 and one line that names the folder and what is wrong, without a traceback."""
    (tmp_path / "file").touch()
    assert main(["recover", f"{tmp_path}/{name}"]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) <= 2


@pytest.mark.parametrize("seconds", ["-1", "soon", "nan", "1e99"])
def test_a_wrong_grace_is_named(capsys: pytest.CaptureFixture[str], seconds: str) -> None:
    """The value and what is allowed are in the message."""
    assert main(["recover", "--grace", seconds, "."]) == 2
    err = capsys.readouterr().err
    assert seconds in err
    assert "0 or more" in err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_folder_of_another_user_is_left_alone(tmp_path: Path) -> None:
    """Without write permission the command prints an error, and the ring buffer stays."""
    die(tmp_path)
    text = """
        import argparse, os, sys
        from otel_ext.cli.inputs import add_inputs
        from otel_ext.cli.commands.recover import run
        from otel_ext.errors import UsageError
        os.chmod(sys.argv[1], 0o755)
        parser = argparse.ArgumentParser(prog="otel-ext recover")
        add_inputs(parser, "folders")
        args = parser.parse_args([sys.argv[1]])
        os.seteuid(65534)
        try:
            run(argparse.Namespace(**vars(args), grace=60.0, json=True))
        except UsageError as error:
            print(error)
    """
    for above in list(tmp_path.parents)[:2]:
        above.chmod(0o755)
    out = subprocess.run(program(text, tmp_path), capture_output=True, text=True, check=True).stdout
    assert "cannot be written" in out
    assert "user that wrote" in out
    assert len(list((tmp_path / RING_FOLDER).glob("*.ring"))) == 1


def test_of_the_whole_machine_one_folder_may_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are still recovered; the failed folder is named, and the exit code is 1."""
    odd, good = tmp_path / "odd", tmp_path / "good"
    for folder in (odd, good):
        folder.mkdir(mode=0o700)
        write(folder, DEAD, span("pay", 2))
    (odd / RING_FOLDER).symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inputs, "find_folders", lambda: [odd, good])
    assert main(["recover", "--all", "--grace", "0"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert f"{odd}: PROCESS" in out
    assert "1 could not be recovered." in out
    assert "1 process(es) recovered, 1 open span(s) ended." in out.partition(f"{good}:")[2]
