"""One attempt at a time continues from the last state of the attempt before."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Final

import pytest
from opentelemetry.trace import INVALID_SPAN, get_current_span

from otel_ext.context import checkpoint, last_checkpoint, resume, with_span
from otel_ext.errors import ConfigError
from otel_ext.redaction import Redactor
from otel_ext.redaction.settings import RedactionSettings
from tests.checkpoints.attempts import Attempt
from tests.checkpoints.recorded import recording
from tests.durability.kit import recover_all
from tests.programs import in_child, spans_in

if TYPE_CHECKING:
    from otel_ext.context.checkpoints.state import State
    from otel_ext.record.model import Record

NAME: Final = "import"


def starts(folder: Path) -> list[Record]:
    """Return the start records of the attempts, in their order."""
    found = [record for record in spans_in(folder, NAME) if record.phase == "start"]
    return sorted(found, key=lambda record: record.time_ns)


def fail_after(state: State) -> None:
    """Run one attempt that fails, after it has stored a state, unless that is None."""
    with suppress(ValueError), resume(NAME) as work:
        if state is not None:
            work.checkpoint(state)
        raise ValueError


def test_an_attempt_continues_where_the_one_before_has_failed(tmp_path: Path) -> None:
    """It gets the state, the next number, and a link to that span; then it is done."""
    with recording(tmp_path):
        fail_after(5)
        fail_after(None)
        found = last_checkpoint(NAME)
        assert found is not None
        assert (found.state, found.attempt, found.alive) == (5, 2, False)
        with resume(NAME) as work:
            assert (work.state, work.attempt, work.name) == (5, 3, NAME)
            assert get_current_span() is work.span
            assert work.checkpoint(7)
        assert last_checkpoint(NAME) is None
        with pytest.raises(ConfigError, match="its resume block has ended"):
            work.checkpoint(8)
        with resume(NAME) as again:
            assert (again.state, again.attempt) == (None, 1)
            again.checkpoint(1)
            found = last_checkpoint(NAME)
            assert found is not None
            assert (found.state, found.attempt, found.alive) == (1, 1, True)
    assert get_current_span() is INVALID_SPAN
    first, second, third, fourth = starts(tmp_path)
    numbers = [one.attributes["otel_ext.checkpoint.attempt"] for one in starts(tmp_path)]
    assert numbers == [1, 2, 3, 1]
    assert [(link.trace_id, link.span_id) for link in third.links] == [
        (second.trace_id, second.span_id)
    ]
    assert (len(first.links), len(second.links), len(fourth.links)) == (0, 1, 0)
    assert not list(tmp_path.glob(".checkpoints/*"))


def test_checkpoints_within_the_block_are_of_its_span(tmp_path: Path) -> None:
    """Also `checkpoint` with its name, in a span inside; another name is independent."""
    with recording(tmp_path):
        fail_after(1)
        with resume(NAME) as work, with_span("inner") as inner:
            checkpoint(2, name=NAME)
            checkpoint(3, name="other")
            found, other = last_checkpoint(NAME), last_checkpoint("other")
    assert found is not None
    assert other is not None
    assert (found.state, found.attempt) == (2, 2)
    assert found.span_id == f"{work.span.get_span_context().span_id:016x}"
    assert (other.state, other.attempt) == (3, 1)
    assert other.span_id == f"{inner.get_span_context().span_id:016x}"


def test_a_killed_attempt_is_continued_a_living_one_is_refused(tmp_path: Path) -> None:
    """The same by a process that was killed, waits, or has failed and lives on."""
    with recording(tmp_path):
        for number in (1, 2):
            with Attempt(tmp_path, "die") as one:
                assert one.line() == f"attempt {number} from {{'done': {number - 1}}}".replace(
                    "{'done': 0}", "None"
                )
                assert one.process.wait(30) == -signal.SIGKILL
        with Attempt(tmp_path, "wait") as one:
            assert [one.line(), one.line()] == ["attempt 3 from {'done': 2}", "stored"]
            with pytest.raises(ConfigError, match="another block or process runs it now"):
                resume(NAME).__enter__()
            one.kill()
        with Attempt(tmp_path, "fail") as one:
            assert [one.line() for _ in range(3)] == [
                "attempt 4 from {'done': 3}",
                "stored",
                "failed",
            ]
            with resume(NAME) as work:
                assert (work.state, work.attempt) == ({"done": 4}, 5)
    recover_all(tmp_path)
    links = [len(start.links) for start in starts(tmp_path)]
    assert links == [0, 1, 1, 1, 1]


def test_checkpoints_by_hand_of_a_living_process_are_refused(tmp_path: Path) -> None:
    """They have no lock: whether the process lives decides, and in this one the span."""
    with recording(tmp_path), Attempt(tmp_path, "plain") as one:
        assert one.line() == "stored"
        with pytest.raises(ConfigError, match=r"process .* runs attempt 1"):
            resume(NAME).__enter__()
        one.kill()
        with resume(NAME) as work:
            assert work.state == {"by": "hand"}
        with with_span("by hand"):
            checkpoint("mine", name="other")
            with pytest.raises(ConfigError, match="is open in this process"):
                resume("other").__enter__()
        with resume("other") as work:
            assert (work.state, work.attempt) == ("mine", 2)


def test_of_many_processes_one_wins(tmp_path: Path) -> None:
    """The others are refused while it runs, also before its first checkpoint."""
    attempts = [Attempt(tmp_path, "wait") for _ in range(5)]
    lines = [one.line() for one in attempts]
    winners = [one for one, text in zip(attempts, lines, strict=True) if "attempt 1" in text]
    refused = [text for text in lines if text.startswith("refused")]
    rest = [one.finish() for one in attempts]
    for one in attempts:
        one.__exit__(None, None, None)
    assert (len(winners), len(refused)) == (1, 4), (lines, rest)


def test_of_many_threads_one_wins(tmp_path: Path) -> None:
    """A second block of this process is refused, in the same thread and in others."""
    start, end = Barrier(8), Barrier(8)
    found: list[str] = []

    def run() -> None:
        start.wait()
        try:
            with resume(NAME) as work:
                found.append(f"attempt {work.attempt}")
                end.wait()
        except ConfigError:
            found.append("refused")
            end.wait()

    with recording(tmp_path):
        threads = [Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == ["attempt 1", *["refused"] * 7]


def test_async_with(tmp_path: Path) -> None:
    """Two tasks get their own operations; cancellation leaves the checkpoint."""

    async def work(name: str) -> None:
        async with resume(name) as one:
            one.checkpoint(name)
            await asyncio.sleep(0 if name == "a" else 60)

    async def main() -> None:
        tasks = [asyncio.create_task(work(name)) for name in ("a", "b")]
        await tasks[0]
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with recording(tmp_path):
        asyncio.run(main())
        assert last_checkpoint("a") is None
        found = last_checkpoint("b")
        assert found is not None
        assert (found.state, found.alive) == ("b", False)


@pytest.mark.forks
def test_a_forked_child_does_not_own_the_operation(tmp_path: Path) -> None:
    """It may not store, its end of the block changes nothing, and it cannot take over."""

    def in_the_child(block: resume) -> str:
        with pytest.raises(ConfigError, match="runs it, not this child"):
            work.checkpoint(9)
        with pytest.raises(ConfigError, match="runs it, not this child"):
            checkpoint(9, name=NAME)
        with pytest.raises(ConfigError, match=r"process .* runs attempt 1|runs it now"):
            resume(NAME).__enter__()
        block.__exit__(None, None, None)
        return str(checkpoint(1, name="the child's own"))

    with recording(tmp_path):
        block = resume(NAME)
        with block as work:
            work.checkpoint(1)
            assert in_child(lambda: in_the_child(block)) == "True"
            assert work.checkpoint(2)
            found = last_checkpoint(NAME)
            assert found is not None
            assert (found.state, found.alive) == (2, True)
        assert last_checkpoint(NAME) is None


def test_a_child_that_outlives_its_parent_keeps_no_lock(tmp_path: Path) -> None:
    """The operation is free when the process that ran it is dead."""
    with recording(tmp_path), Attempt(tmp_path, "fork") as one:
        assert one.process.wait(30) == -signal.SIGKILL
        child = int(Path(tmp_path, "child").read_text("utf-8"))
        try:
            os.kill(child, 0)
            with resume(NAME) as work:
                assert (work.state, work.attempt) == ({"done": 1}, 2)
        finally:
            os.kill(child, signal.SIGKILL)


def test_without_a_recorder_the_operation_runs() -> None:
    """It is the first attempt each time, and nothing is stored."""
    for _ in range(2):
        with resume(NAME) as work:
            assert (work.state, work.attempt) == (None, 1)
            assert not work.checkpoint(1)


def test_stricter_redaction_does_not_take_the_state_away(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The attempt gets what was stored; storing it again is refused, and the block ends."""
    with recording(tmp_path):
        fail_after({"customer": "ann"})
    capfd.readouterr()
    strict = Redactor(RedactionSettings(keys=("customer", "attempt")))
    with recording(tmp_path, redactor=strict), resume(NAME) as work:
        assert (work.state, work.attempt) == ({"customer": "ann"}, 2)
        with pytest.raises(ConfigError, match="would be stored as"):
            work.checkpoint({"customer": "ann"})
    assert "that it is done is not stored" in capfd.readouterr().err


def test_a_folder_without_room_for_a_lock(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The operation runs without one, and that is reported."""
    (tmp_path / ".checkpoints").touch()
    with recording(tmp_path), resume(NAME) as work:
        assert work.checkpoint(1)
        with pytest.raises(ConfigError, match="runs it now"):
            resume(NAME).__enter__()
    assert "no lock keeps other processes from it" in capfd.readouterr().err


def test_a_failed_attempt_is_not_repeated_in_new_files(tmp_path: Path) -> None:
    """Else it would come back when retention has deleted that the operation is done."""
    with recording(tmp_path) as processor:
        fail_after(1)
        assert processor.tracker.living.records() == []
        with resume(NAME) as work:
            assert work.state == 1
            (living,) = processor.tracker.living.records()
            assert living.attributes == {"state": 1, "attempt": 2, "run": 1}
        assert processor.tracker.living.records() == []


def test_one_object_serves_again(tmp_path: Path) -> None:
    """Blocks one after the other are fine, one in another is refused."""
    block = resume(NAME)
    with recording(tmp_path):
        for _ in range(2):
            with block as work:
                assert work.attempt == 1
                with pytest.raises(ConfigError), block:
                    pass
                assert work.checkpoint(1)
