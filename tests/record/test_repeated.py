"""Detection of ids that several processes use for different spans."""

from __future__ import annotations

import tracemalloc

import pytest

from otel_ext.record.repeated_ids import RepeatedIds


def key(number: int) -> tuple[str, str]:
    """Return the ids of the span `number`."""
    return f"{number:032x}", f"{number:016x}"


def test_repeated_starts_of_one_process_do_not_count() -> None:
    """A start repeated in a further file, and other processes' other spans, do not count."""
    ids = RepeatedIds()
    assert not any(ids.note_start(key(1), "one") for _ in range(3))
    assert not ids.note_start(key(2), "two")
    # The same span id in another trace, and the other way round.
    assert not ids.note_start((key(1)[0], key(2)[1]), "two")
    assert not ids.note_start((key(2)[0], key(1)[1]), "two")
    assert (ids.count, ids.processes, ids.is_sample) == (0, set(), False)


def test_each_id_counts_once_and_each_process_is_named() -> None:
    """For any number of processes, in any order."""
    ids = RepeatedIds()
    for process in ("one", "two", "three", "one"):
        ids.note_start(key(1), process)
    ids.note_start(key(2), "four")
    assert ids.note_start(key(1), "four")
    assert ids.count == 1
    assert ids.processes == {"one", "two", "three", "four"}


@pytest.mark.usefixtures("untraced")  # it takes long enough without
def test_a_sample_of_many_spans_still_finds_repetitions() -> None:
    """Two processes of 100,000 spans each, with the same ids: memory stays within 8 MiB."""
    ids = RepeatedIds(limit=1 << 14)
    tracemalloc.start()
    try:
        for process in ("one", "two"):
            for number in range(100_000):
                ids.note_start(key(number), process)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
    assert ids.is_sample
    assert 1 << 12 < ids.count <= 1 << 14
    assert ids.processes == {"one", "two"}


def test_many_processes_are_named_up_to_a_limit() -> None:
    """The names of a thousand workers seeded alike are not all kept."""
    ids = RepeatedIds()
    for number in range(1_000):
        ids.note_start(key(1), f"worker-{number}")
    assert ids.count == 1
    assert len(ids.processes) <= 101
