"""Lines are split into documents, whatever writes them."""

from __future__ import annotations

import json

import pytest

from otel_ext.formats.read.documents import documents

ONE, TWO, THREE = {"a": {"b": [1]}}, {"c": "]}{["}, {"d": "\ud800"}
ALL = [ONE, TWO, THREE]
TEXTS = [json.dumps(one) for one in ALL]


def found_in(text: str) -> list[object]:
    """Return what is found in a text, without the numbers of lines."""
    return [one for _, one in documents(text.encode().splitlines(keepends=True))]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(TEXTS),
        json.dumps(ALL),
        "[" + ",\n".join(TEXTS) + "]\n",
        "[\n" + ",\n".join(TEXTS) + "\n]\n",
        "[\n  " + "\n  ,".join(TEXTS) + "\n]\n",
        json.dumps(ALL, indent=2),
        json.dumps(ALL, indent="\t"),
        "\n".join(json.dumps(one, indent=4) for one in ALL),
        ",\n".join(json.dumps(one, indent=4) for one in ALL),
        "[" + ", ".join(json.dumps(one, indent=4) for one in ALL) + "]",
        "\ufeff" + "\r\n".join(TEXTS),
        "\ufeff" + json.dumps(ALL, indent=2),
        "".join(json.dumps(ONE, indent=4) for _ in range(1)) + "\n\n" + "\n".join(TEXTS[1:]),
    ],
)
def test_arrays_and_pretty_documents(text: str) -> None:
    """In one line or in several, with separators anywhere, and after a byte order mark."""
    assert found_in(text) == ALL


def test_documents_of_one_line_are_not_held() -> None:
    """Those of an array neither: each is there before the next line is read."""
    read: list[int] = []

    def lines() -> list[bytes]:
        return [b"[\n", *(f"{one},\n".encode() for one in TEXTS), b"]\n"]

    def counted() -> object:
        for number, line in enumerate(lines(), 1):
            read.append(number)
            yield line

    for at, (number, _) in enumerate(documents(counted()), 2):  # type: ignore[arg-type]
        assert number == at == len(read)


def test_what_follows_damage_is_found() -> None:
    """A torn line and a torn document cost only themselves; each is named by its line."""
    torn = ['{"a": [1', *json.dumps(ONE, indent=1).splitlines()]
    found = list(documents([f"{line}\n".encode() for line in [*torn, "x", TEXTS[1], '{"e": 1']]))
    assert [number for number, _ in found] == [1, 2, 9, 10, 11]
    assert [one for _, one in found if isinstance(one, dict)] == [ONE, TWO]
    assert found[2][1] == "not JSON"


@pytest.mark.parametrize("text", ["[1]", "[\n1\n]", "[[{}]]", "5", "null"])
def test_other_values_are_named(text: str) -> None:
    """They are no documents."""
    assert all(isinstance(one, str) for one in found_in(text))
    assert found_in(text)


def test_nothing_is_in_nothing() -> None:
    """Nor in an empty array."""
    assert not found_in("") + found_in("\n\n") + found_in("[]") + found_in("[\n]\n")
