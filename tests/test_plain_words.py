"""The lint of wordings finds what it refuses, wherever it stands, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools import plain_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Twice is once.", ["Twice is once"]),
        ("A value that is none.", ["is none."]),
        ("It is no file of records; x is no set; and", ["is no file of", "is no set;"]),
        ("The user is told. They\n# are told too.", ["is told", "are told"]),
        (
            "Seen\n    to begin anew of its own\naccord.",
            ["Seen to", "begin anew", "of its own accord"],
        ),
        ("Anybody, somebody or nobody.", ["Anybody", "somebody", "nobody"]),
        ("None of the three.", ["None of the three"]),
        ("It is written by\n    then.", ["by then"]),
    ],
)
def test_refused_wordings_are_found(text: str, words: Sequence[str]) -> None:
    """Each wording is found, also at the start of a sentence and across a line break."""
    assert [found for _, found, _ in plain_words.violations(text)] == words


def test_the_user_nobody_and_ordinary_sentences_are_allowed() -> None:
    """A name in quotes or inside an identifier is no wording; neither is `None`."""
    text = 'as "nobody", `nobody` and as_nobody(); it is None. Is not a file of records.'
    assert not list(plain_words.violations(text))


def test_a_file_is_named_with_line_and_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each finding is one line that an editor can follow; the exit code says that there is one."""
    monkeypatch.setattr(plain_words, "_ROOT", tmp_path)
    (tmp_path / "a.md").write_text("Good.\nIt is told.\n", "utf-8")
    assert plain_words.main(["a.md"]) == 1
    assert capsys.readouterr().out.startswith("a.md:2: 'is told'; write: ")
    (tmp_path / "a.md").write_text("Good.\n", "utf-8")
    assert plain_words.main(["a.md"]) == 0
