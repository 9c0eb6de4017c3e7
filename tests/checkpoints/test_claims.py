"""A claim is held by one, and given back whatever interrupts it."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

import pytest
from opentelemetry.trace import INVALID_SPAN, get_current_span

from otel_ext.context import last_checkpoint, resume
from otel_ext.context.checkpoints import claims as module
from otel_ext.context.checkpoints import resumption
from otel_ext.context.checkpoints.claims import Claims
from otel_ext.context.checkpoints.writing import BLOCKS
from tests.checkpoints.recorded import recording
from tests.programs import in_child

NAME: Final = "import"


@pytest.mark.forks
def test_a_claim_is_free_only_when_its_lock_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No claim is made while another thread still removes the lock, which would remove its own."""
    claims = Claims()
    begun, go_on = threading.Event(), threading.Event()
    unlock = Path.unlink

    def slow(path: Path) -> None:
        begun.set()
        assert go_on.wait(20)
        unlock(path)

    assert claims.take(NAME, tmp_path)
    monkeypatch.setattr(Path, "unlink", slow)
    thread = threading.Thread(target=claims.release, args=(NAME,))
    thread.start()
    assert begun.wait(20)
    assert not claims.take(NAME, tmp_path)
    go_on.set()
    thread.join()
    assert claims.take(NAME, tmp_path)
    assert in_child(lambda: Claims().take(NAME, tmp_path)) == "False"
    claims.release(NAME)
    assert in_child(lambda: Claims().take(NAME, tmp_path)) == "True"


def interrupt(*_: object, **__: object) -> NoReturn:
    """Do what a Ctrl-C does."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("place", ["_open_locked", "make_folder"])
def test_an_interrupted_claim_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The next one gets it."""
    claims = Claims()
    with monkeypatch.context() as patch:
        patch.setattr(module, place, interrupt)
        with pytest.raises(KeyboardInterrupt):
            claims.take(NAME, tmp_path)
    assert claims.take(NAME, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", interrupt)
        with pytest.raises(KeyboardInterrupt):
            claims.release(NAME)
    assert claims.take(NAME, tmp_path)
    claims.release(NAME)


@pytest.mark.parametrize(
    ("owner", "place"),
    [
        (resumption, "find_newest"),
        (resumption, "_begin"),
        (resumption, "enter"),
        (resumption.Resumption, "begin"),
        (resumption.Resumption, "end"),
        (resumption, "finish"),
    ],
)
def test_an_interrupted_operation_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, place: str
) -> None:
    """Wherever a Ctrl-C hits: the name is free, and the current span the one before."""
    with recording(tmp_path):
        with monkeypatch.context() as patch:
            patch.setattr(owner, place, interrupt)
            with pytest.raises(KeyboardInterrupt), resume(NAME) as work:
                work.checkpoint(7)
        assert get_current_span() is INVALID_SPAN
        assert NAME not in BLOCKS
        with resume(NAME) as work:
            assert work.checkpoint(8)
        assert last_checkpoint(NAME) is None


def test_an_attempt_that_was_interrupted_while_it_began_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt of this process continues, with the state of the one before."""
    with recording(tmp_path):
        with suppress(ValueError), resume(NAME) as work:
            work.checkpoint(7)
            raise ValueError
        with monkeypatch.context() as patch:
            patch.setattr(resumption.Resumption, "begin", interrupt)
            with pytest.raises(KeyboardInterrupt):
                resume(NAME).__enter__()
        with resume(NAME) as work:
            assert (work.state, work.attempt) == (7, 3)
