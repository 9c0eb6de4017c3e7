"""The command `otel-ext recover`: its effect, output and exit codes."""

from __future__ import annotations

import os
import re
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli import inputs
from otel_ext.journal.ring_layout import RING_FOLDER
from otel_ext.readable import duration
from tests.cli.watched import run_on_traces
from tests.cli.written import DEAD, span, write
from tests.commands import call
from tests.durability.kit import HEAD, command, tree_env
from tests.programs import OTEL_EXT, execute, records_in, spans_in
from tests.users import as_unprivileged_user, let_others_enter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.watched import Shop


def test_a_dead_process_is_recovered(dead_shop: Shop) -> None:
    """One line for the process, one sentence, exit code 0; the second run finds nothing."""
    folder = dead_shop.folder / "traces"
    [ring] = (folder / RING_FOLDER).glob("*.ring")
    done = execute([OTEL_EXT, "recover", folder], cwd=dead_shop.folder)
    assert done.code == 0
    assert ring.stem[:12] in done.out
    assert "1 process(es) recovered, 2 open span(s) ended." in done.out
    assert sum(record.abandoned == "process-died" for record in records_in(folder)) == 2
    again = call("recover", folder)
    assert again.code == 0
    assert "Nothing to recover." in again.out


def test_for_programs(dead_shop: Shop) -> None:
    """With --json the output is one object."""
    document = run_on_traces(dead_shop.folder, "recover", "--json").document
    [one] = document["recovered"]
    assert (one["pid"], one["spans"]) == (dead_shop.pid, 2)
    assert one["process"].split("-")[1] == str(dead_shop.pid)
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
    done = run_on_traces(tmp_path, "recover")
    lines = done.out.partition("What was running when it died:\n")[2].splitlines()
    first, second, blank, following = lines
    place = r"\[\d+ python -c\]  opened <string>:\d+ <module>"
    assert re.fullmatch(rf" +[\d.]+ m?s  order  {place}", first)
    assert re.fullmatch(rf" +[\d.]+ m?s  └─ pay  {place}", second)
    assert (blank, following) == ("", "next: otel-ext tree traces")
    ends = {end.name: end for end in spans_in(tmp_path / "traces") if end.abandoned}
    taken_ns = ends["pay"].time_ns - (ends["pay"].start_ns or 0)
    assert taken_ns >= 50_000_000
    assert second.split("  └─")[0].strip() == duration(taken_ns)
    assert "What was running" not in run_on_traces(tmp_path, "recover").out


def test_of_many_spans_the_oldest_are_reported(tmp_path: Path) -> None:
    """Ten lines and the number of the others; --json has all, with their locations."""
    killed(tmp_path, 'kept = [tracer.start_span(f"open {n}") for n in range(14)]')
    shutil.copytree(tmp_path / "traces", tmp_path / "copy")
    out = run_on_traces(tmp_path, "recover").out
    assert re.findall(r"open \d+", out) == [f"open {n}" for n in range(10)]
    assert "  and 4 more\n" in out
    [one] = call("recover", "--json", "copy", cwd=tmp_path).document["recovered"]
    assert [span["name"] for span in one["ended"]] == [f"open {n}" for n in range(14)]
    assert set(one["ended"][0]) == {
        *("trace_id", "span_id", "name", "status", "age_seconds", "attributes", "where")
    }
    assert set(one["ended"][0]["where"]) == {"file", "line", "function", "now"}


def test_where_a_stalled_span_was_last_is_reported(tmp_path: Path) -> None:
    """If the stack was recorded before the death, that location is shown, not the call site."""
    killed(tmp_path, f"{NESTED}otel_ext.dump()")
    out = run_on_traces(tmp_path, "recover").out
    assert out.count("python -c]  at <string>:") == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_folder_of_another_user_is_left_alone(dead_shop: Shop) -> None:
    """Without write permission the command prints an error, and the ring buffer stays."""
    folder = dead_shop.folder / "traces"
    call("recover", "nowhere")  # imports what another user may not import
    let_others_enter(folder)
    for path in folder.glob("*.jsonl"):  # if the program had time to make one
        path.chmod(0o644)
    with as_unprivileged_user():
        done = call("recover", "--json", folder)
    assert "cannot be written" in done.err
    assert "user that wrote" in done.err
    assert len(list((folder / RING_FOLDER).glob("*.ring"))) == 1


def test_of_the_whole_machine_one_folder_may_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are still recovered; the failed folder is named, and the exit code is 1."""
    odd, good = tmp_path / "odd", tmp_path / "good"
    for folder in (odd, good):
        write(folder, DEAD, span("pay", 2))
    (odd / RING_FOLDER).symlink_to(tmp_path)
    monkeypatch.setattr(inputs, "find_folders", lambda: [odd, good])
    done = call("recover", "--all", "--grace", "0", cwd=tmp_path)
    assert done.code == 1
    out = " ".join(done.out.split())
    assert f"{odd}: PROCESS" in out
    assert "1 could not be recovered." in out
    assert "1 process(es) recovered, 1 open span(s) ended." in out.partition(f"{good}:")[2]
