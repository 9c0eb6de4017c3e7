"""The short examples run without a warning, print what they teach, and record it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from otel_ext.context import last_checkpoint
from otel_ext.observe.snapshot import SnapshotReader
from tests.programs import (
    EXAMPLES,
    environment,
    execute,
    ids,
    logs_in,
    python,
    records_in,
    spans_in,
    started,
    succeed,
    wait_until,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.programs import Done

# Tested by tests/integration/test_examples.py.
_ELSEWHERE: Final = "index_library.py"
_TESTED: Final = {
    "agent_platform.py",
    "agents.py",
    "context_everywhere.py",
    "decorated_functions.py",
    "facts_in_errors.py",
    "flags.py",
    "flat_trace_with_spans.py",
    "listen_to_spans.py",
    "one_trace_one_file.py",
    "settings.py",
    "sampled_events.py",
    "resumable_import.py",
    "services.py",
    "spans_by_hand.py",
    "supervisor.py",
    "traced_pipeline.py",
}
_MOST_LINES: Final = 65


def run(name: str, folder: Path, stderr: str = "") -> Done:
    """Run an example in `folder`; it must print nothing on stderr but lines with `stderr`.

    Every span that it starts has ended.
    """
    done = succeed(python("-W", "error", EXAMPLES / name), folder)
    unexpected = [line for line in done.err.splitlines() if not stderr or stderr not in line]
    assert not unexpected, done.err
    spans = spans_in(folder / "traces")
    assert ids(spans, "start") == ids(spans, "end")
    return done


def table(text: str) -> dict[str, str]:
    """Return the lines of an output by their first word, with single spaces."""
    rows = (" ".join(line.split()).partition(" ") for line in text.splitlines())
    return {first: rest for first, _, rest in rows}


def parents(folder: Path) -> dict[str, str]:
    """Return the name of each recorded span with that of its parent, empty for a root."""
    starts = [record for record in spans_in(folder / "traces") if record.phase == "start"]
    names = {record.span_id: record.name for record in starts}
    return {record.name: names.get(record.parent_span_id or "", "") for record in starts}


def test_every_example_is_tested() -> None:
    """Each file in the folder has a test here, and is short enough to read at a glance."""
    files = {file.name: file for file in EXAMPLES.glob("*.py") if file.name != _ELSEWHERE}
    assert set(files) == _TESTED
    for name, file in files.items():
        assert len(file.read_text("utf-8").splitlines()) <= _MOST_LINES, name
        assert f"Run: python examples/{name}" in file.read_text("utf-8"), name


def test_spans_by_hand(tmp_path: Path) -> None:
    """Each way to end a span is printed with its status."""
    rows = table(run("spans_by_hand.py", tmp_path).out)
    assert rows == {
        "add": "up ok {}",
        "order": "ok {'order': 7, 'total': 12}",
        "pay": "error card declined {'error.type': 'failure'}",
        "look": "up error KeyError: 'lamp' {'error.type': 'KeyError'}",
        "leave": "ok {'otel_ext.ended_by': 'SystemExit'}",
        "ship": "unset {'otel_ext.ended_by': 'CancelledError'}",
        "import": "error no rows {'error.type': 'failure'}",
        "shop": "ok {}",
    }
    inside = dict.fromkeys(("order", "pay", "look up", "leave", "ship", "import"), "shop")
    assert parents(tmp_path) == {"shop": "", "add up": "order", **inside}


def test_decorated_functions(tmp_path: Path) -> None:
    """The spans of a generator, a method and a coroutine are printed as a tree."""
    done = run("decorated_functions.py", tmp_path)
    assert [line.rstrip() for line in done.out.splitlines()] == [
        "reading orders.csv",
        "day",
        "  read orders.csv",
        "  Shop.charge {'order': 7}",
        "  Shop.ship",
        "    pack",
    ]
    kept = [(span.name, span.attributes) for span in spans_in(tmp_path / "traces")]
    assert "4242" not in f"{done.out} {kept}"  # the ids, which are random, may have it


def test_one_trace_one_file(tmp_path: Path) -> None:
    """The block has its records at hand, and the file has the log and the spans."""
    out = run("one_trace_one_file.py", tmp_path).out.splitlines()
    assert out[0] == "so far: ['count.start', 'step.start']"
    assert out[1] == "at the end: ['count.start', 'step.start', 'step.end', 'count.end']"
    assert out[-2:] == [
        "the report is made from nightly.jsonl",
        "nightly.jsonl has 6 lines: the process, then its records",
    ]
    (log,) = logs_in(tmp_path / "traces")
    roots = {record.trace_id: record.name for record in spans_in(tmp_path / "traces", "nightly")}
    assert (log.name, roots[log.trace_id]) == ("loaded", "nightly")
    assert len({record.trace_id for record in spans_in(tmp_path / "traces")}) == 2


def test_context_everywhere(tmp_path: Path) -> None:
    """Threads, processes and a program that was started join one trace."""
    out = run("context_everywhere.py", tmp_path).out
    assert out == "the carrier: traceparent\n5 pieces of work, 1 trace\n"
    places = ("a thread pool", "a process pool", "a thread", "another program", "a consumer")
    assert parents(tmp_path) == {"main": "", **{f"work in {place}": "main" for place in places}}
    spans = spans_in(tmp_path / "traces")
    assert len({record.process.id for record in spans}) == 3


def test_facts_in_errors(tmp_path: Path) -> None:
    """The facts are in the log, in the exception and in a job of a pool, and end there."""
    log, error, *rest = run("facts_in_errors.py", tmp_path).out.splitlines()
    assert log == "customer='ada' event='retrying' level='warning' order=7"
    assert error.startswith("card declined; notes: [")
    assert "order=7" in error
    assert "customer='ada'" in error
    assert rest == [
        "after the block: {}",
        "in the pool's thread: {'order': 8}",
        "its next job: {}",
    ]
    _, end = spans_in(tmp_path / "traces", "charge")
    assert end.status is not None
    assert end.status.description == "ValueError: card declined"


def test_listen_to_spans(tmp_path: Path) -> None:
    """Events are counted, and a handler that raises is detached and reported."""
    done = run("listen_to_spans.py", tmp_path, stderr="otel-ext: event handler broken: ")
    assert done.out.splitlines() == [
        "ends: {'order ok': 4, 'order error': 1}",
        "misses: 10 bytes",
        "detached: RuntimeError: no handler for cache.miss",
    ]
    assert "detached from 'cache.miss'" in done.err


def test_sampled_events(tmp_path: Path) -> None:
    """Ten thousand events are two records; of those outside of traces every tenth is kept."""
    assert run("sampled_events.py", tmp_path).out.splitlines() == [
        "cache.miss of users: 1000 times, 4995000 bytes, at most 9990",
        "cache.miss of pages: 9000 times, 45000000 bytes, at most 9999",
        "cache.put of users: 5 times, 50 bytes, at most 10",
    ]
    events = [record for record in records_in(tmp_path / "traces") if record.kind == "event"]
    assert [record.attributes["suppressed"] for record in events] == [999, 8999, 4]


def test_flat_trace_with_spans(tmp_path: Path) -> None:
    """The old service makes the same entries, which are events of the spans too."""
    assert run("flat_trace_with_spans.py", tmp_path).out.splitlines() == [
        "the entries are the same: True ['info: loaded 12 rules', 'failure: no target']",
        "action: success {'actor': 7}",
        "  load rules: success {}",
        "  resolve targets: failure {'rules': 12, 'error.type': 'failure'}",
    ]
    _, end = spans_in(tmp_path / "traces", "load rules")
    assert [event.name for event in end.events] == ["loaded 12 rules", "no target"]


@pytest.mark.parametrize(
    "kills", [3, pytest.param(100, marks=[pytest.mark.storm, pytest.mark.timeout(400)])]
)
def test_resumable_import(tmp_path: Path, kills: int) -> None:
    """Three attempts are killed, or a hundred: each continues, each file is imported once."""
    words = [] if kills == 3 else [str(kills)]
    program = EXAMPLES / "resumable_import.py"
    command = python("-W", "error", program, *words)
    done = execute(command, cwd=tmp_path, env=environment(), timeout=360)
    assert (done.code, done.err) == (0, "")
    *attempts, last = done.out.splitlines()
    begins = [re.fullmatch(r"attempt (\d+) begins after (\d+) files", line) for line in attempts]
    counts = [(int(found[1]), int(found[2])) for found in begins if found]
    assert [number for number, _ in counts] == list(range(1, kills + 2))
    assert [files for _, files in counts] == sorted({files for _, files in counts})
    total = 5 * kills * (10 * kills + 1)
    assert last == f"{10 * kills} files, total {total}, expected {total}"
    imports = [record for record in spans_in(tmp_path / "traces") if record.name == "import file"]
    assert len({record.attributes["name"] for record in imports}) == 10 * kills
    attempts_in = spans_in(tmp_path / "traces", "import days")
    assert [one.is_real_end for one in attempts_in].count(True) == 1
    assert last_checkpoint("import days", folder=tmp_path / "traces") is None


def test_traced_pipeline(tmp_path: Path) -> None:
    """Stages work with a structured trace and without; a skip and a failure are shown."""
    assert run("traced_pipeline.py", tmp_path).out.splitlines() == [
        "ok=True completed=('validate', 'price') skipped=('discount',)",
        "  checkout: ['validate success', 'discount success', 'price success']",
        "ok=False completed=() skipped=()",
        "  checkout: ['validate failure']",
        "ok=True completed=('validate', 'price') skipped=('discount',)",
    ]
    ends = [record for record in spans_in(tmp_path / "traces") if record.phase == "end"]
    assert [record.name for record in ends].count("checkout") == 2
    (skipped,) = [record for record in ends if record.name == "discount"]
    assert skipped.attributes["pipeline.skipped"] == "no coupon"


def test_settings(tmp_path: Path) -> None:
    """A handler hears of changes, a wrong value changes nothing, and the records have no secret."""
    assert run("settings.py", tmp_path).out.splitlines() == [
        "pool.size: 4 -> 8",
        "pool.size: 8 -> 16",
        "mode: 'opne' (update) is not allowed. Use one of: 'open', 'closed'. Did you mean 'open'?",
        "now: 16 4",
    ]
    records = [one for one in records_in(tmp_path / "traces") if one.kind == "event"]
    assert [one.attributes["action"] for one in records] == ["update", "update", "reset"]
    assert records[0].attributes["context"] == {"reason": "more orders"}
    assert records[0].attributes["new"] == {
        "pool.size": 8,
        "pool.password": "[redacted: password]",
    }


def test_agents(tmp_path: Path) -> None:
    """Agents are listed with their owners, and each is gone with its own."""
    assert run("agents.py", tmp_path).out.splitlines() == [
        "importer {'role': 'import', 'queue': 'orders'} thread",
        "watcher {'role': 'watch'} process",
        "no agent 'importr' is registered. Did you mean 'importer'?",
        "left: []",
    ]
    events = [record for record in records_in(tmp_path / "traces") if record.kind == "event"]
    assert [(record.name, record.attributes.get("reason")) for record in events] == [
        ("agent.registered", None),
        ("agent.registered", None),
        ("agent.unregistered", "owner-process-ended"),
        ("agent.unregistered", "owner-thread-ended"),
    ]


def test_services(tmp_path: Path) -> None:
    """A service is used once it is ready; that of a namespace is apart."""
    assert run("services.py", tmp_path).out.splitlines() == [
        "at first: the check says 'degraded'",
        "service 'databse' was not registered within 0.05 s. Did you mean 'database'?",
        "the pool that was registered: True",
        "then: healthy",
        "in the namespace: a fake",
        "names: ['database']",
    ]
    records = records_in(tmp_path / "traces")
    assert [record.name for record in records if record.kind == "event"] == [
        *("service.registered", "service.ready"),
        *("service.registered", "service.ready", "service.unregistered"),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("flat_trace_with_spans.py", "the entries are the same: True"),
        ("spans_by_hand.py", ""),
        ("traced_pipeline.py", "ok=True completed=('validate', 'price') skipped=('discount',)"),
    ],
)
def test_an_example_runs_with_tracing_off(name: str, expected: str, tmp_path: Path) -> None:
    """With the SDK disabled the program does the same work, and shows no spans."""
    done = succeed(python(EXAMPLES / name), tmp_path, OTEL_SDK_DISABLED="true")
    assert done.out.startswith(expected)
    assert done.err == ""
    assert spans_in(tmp_path / "traces") == []


def test_agent_platform(tmp_path: Path) -> None:
    """Its agents are seen; killed and started again, it goes on with its import."""
    command = python(EXAMPLES / "agent_platform.py")
    reader = SnapshotReader([tmp_path / "traces"])

    def states(kind: str) -> dict[str, str]:
        found = [one for one in reader.read().entities if one.entity.type == kind]
        return {one.entity.id: one.state for one in found}

    def imported() -> tuple[int, int]:
        entities = [one for one in reader.read().entities if one.entity.type == "checkpoint"]
        facts = [one.record.attributes for one in entities]
        return max(
            ((int(str(one["attempt"])), int(str(one["state"] or 0))) for one in facts),
            default=(0, 0),
        )

    with started(command, cwd=tmp_path, env=environment()) as process:
        wait_until(lambda: imported() > (1, 0), "a page is imported")
        wait_until(lambda: states("agent").keys() == {"answerer", "importer"}, "both agents")
        assert states("service") == {"model": "idle"}
        process.kill()
        process.wait()
        assert set(states("agent").values()) == {"lost"}
        _, done = imported()
    with started(command, cwd=tmp_path, env=environment()):
        wait_until(lambda: imported() > (2, done), "the second attempt goes on")


def test_supervisor(tmp_path: Path) -> None:
    """The broken order ends one life of the importer, and the next one takes the others."""
    out = run("supervisor.py", tmp_path).out
    assert out.splitlines() == [
        "connected",
        "life 1 of shop/importer begins",
        "life 2 of shop/importer begins",
        "done: 2 6",
        "started again after ValueError: invalid literal for int() with base 10: 'two'",
        "no more orders",
        "disconnected",
    ]
    assert parents(tmp_path) == {"connection": "", "importer": ""}


def test_flags(tmp_path: Path) -> None:
    """No trace has both variants; the comparison names what the new one does not do."""
    assert run("flags.py", tmp_path).out.splitlines() == [
        "stage 4",
        "some new, some old: True",
        "traces: 40 mixed: 0",
        "gone: ['scan all rows']",
        "faster: True",
        "stage 0",
    ]
    assert set(parents(tmp_path).values()) == {"", "request"}
