"""The examples work, with recording and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.programs import EXAMPLES, execute, ids, python, record, spans_in, succeed

if TYPE_CHECKING:
    from pathlib import Path

INDEX = EXAMPLES / "index_library.py"


def useful(text: str) -> list[str]:
    """Return the program's lines without the first one, which has a duration."""
    return text.splitlines()[1:]


@pytest.mark.timeout(120)
def test_the_library_is_indexed_and_every_step_recorded(tmp_path: Path) -> None:
    """The example prints the same with recording; files, parsing and statements are one trace."""
    options = ["--files", "60", "--search", "abstract base classes"]
    plain = succeed(python(INDEX, *options), tmp_path)
    assert plain.out.startswith("60 files, ")
    assert "Names defined most often:" in plain.out
    assert "[abstract base classes]" in plain.out.lower()
    assert plain.err == ""

    done = record(tmp_path, INDEX, *options)
    assert useful(done.out) == useful(plain.out), done.err
    assert "otel-ext: next:" in done.err
    spans = spans_in(tmp_path / "traces")
    assert ids(spans, "start") == ids(spans, "end")
    files = [r for r in spans if r.name == "index file" and r.phase == "start"]
    assert len(files) == 60
    # The threads get the context of the main thread, so all files belong to one trace.
    root = next(r for r in spans if r.name == "index library" and r.phase == "start")
    assert {record.parent_span_id for record in files} == {root.span_id}
    inserts = [r for r in spans if r.name == "INSERT" and r.phase == "start"]
    assert len(inserts) >= 120
    assert {r.parent_span_id for r in inserts} == {r.span_id for r in files}


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--files", "none"], 2, "'none' is not a whole number above zero"),
        (["--files", "0"], 2, "'0' is not a whole number above zero"),
        (["--files", "1", "--search", 'no " such % words'], 0, ""),
    ],
)
def test_odd_arguments_of_the_example(
    tmp_path: Path, options: list[str], code: int, message: str
) -> None:
    """A wrong number gives one clear message; a search for special characters works."""
    done = execute(python(INDEX, *options), cwd=tmp_path)
    assert done.code == code
    assert message in done.err
    assert "Traceback" not in done.err


def test_each_round_of_the_example_finds_the_same(tmp_path: Path) -> None:
    """With `--rounds` the example indexes and searches again in each round."""
    options = ["--files", "2", "--rounds", "3"]
    done = execute(python(INDEX, *options), cwd=tmp_path)
    rounds = done.out.split("2 files, ")[1:]
    assert len(rounds) == 3
    assert len({round_.partition("\n")[2] for round_ in rounds}) == 1
