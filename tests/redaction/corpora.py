"""The corpora of secrets and harmless texts, and checks of a redactor's results.

In the files, `⟦` and `⟧` enclose what must be redacted, and `~a36~` stands for 36
characters of a kind, made up from the entry's id, so that scanners for secrets find
nothing in the files. Half of the entries were never used while the rules were
written: those with `is_held_out`.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import string
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from otel_ext.record.codec import encode_line
from tests.redaction.planted import log

if TYPE_CHECKING:
    from otel_ext.redaction import Redactor

__all__ = ["Entry", "expand", "is_changed", "leaks", "load"]

FOLDER = Path(__file__).parent / "corpus"
KINDS = {
    "a": string.ascii_letters + string.digits,
    "h": "0123456789abcdef",
    "U": string.ascii_uppercase + string.digits,
    "Q": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    "l": string.ascii_lowercase + string.digits,
    "d": string.digits,
    "b": string.ascii_letters + string.digits + "+/",
    "u": string.ascii_letters + string.digits + "_-",
    "p": string.ascii_letters + string.digits + "!*-_",
}
_HOLE = re.compile(r"~([a-zA-Z])([0-9]{1,3})~")
_GONE = re.compile("⟦(.*?)⟧", re.DOTALL)


class Entry(NamedTuple):
    """One entry of a corpus: a program's attributes, and the secrets in them."""

    id: str
    attributes: dict[str, object]
    gone: tuple[str, ...]

    @property
    def is_held_out(self) -> bool:
        """Whether this entry was not used while the rules were written."""
        return hashlib.sha256(self.id.encode()).digest()[0] % 2 == 1


def expand(text: str, seed: str) -> str:
    """Return `text` with its placeholders filled by random characters, fixed by the seed."""
    chosen = random.Random(seed)

    def fill(match: re.Match[str]) -> str:
        kind, length = KINDS[match[1]], int(match[2])
        made = "".join(chosen.choices(kind, k=length))
        if length >= 8 and match[1] in "abulUhQ":
            letter = "a" if match[1] in "lh" else "K" if match[1] in "UQ" else "qZ"[len(made) % 2]
            made = f"{made[:3]}7{made[4:-3]}{letter}{made[-2:]}"
        if match[1] == "p":
            made = f"k{made[1:-2]}4{made[-1]}"
        return made.replace("-", "x", 1) if made.startswith("-") else made

    return _HOLE.sub(fill, text)


def load(name: str) -> list[Entry]:
    """Return the entries of a corpus, `secrets` or `harmless`."""
    entries: list[Entry] = []
    for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        raw = cast("dict[str, object]", json.loads(line))
        key = str(raw["id"])
        gone: list[str] = []

        def build(value: object, key: str = key, gone: list[str] = gone) -> object:
            if isinstance(value, dict):
                return {k: build(v) for k, v in cast("dict[str, object]", value).items()}
            if isinstance(value, list):
                return [build(one) for one in cast("list[object]", value)]
            if not isinstance(value, str):
                return value
            full = expand(value, key)
            gone.extend(_GONE.findall(full))
            plain = full.replace("⟦", "").replace("⟧", "")
            return int(plain) if plain.isdecimal() and "⟦" in full and len(plain) > 12 else plain

        attributes = cast("dict[str, object]", build(raw["attributes"]))
        entries.append(Entry(key, attributes, tuple(gone)))
    return entries


def leaks(entry: Entry, redactor: Redactor) -> bool:
    """Whether the line of a record with this entry contains one of its secrets."""
    left = encode_line(redactor.redact(log(attributes=entry.attributes))).decode()
    return any(json.dumps(one, ensure_ascii=False)[1:-1] in left for one in entry.gone)


def is_changed(entry: Entry, redactor: Redactor) -> bool:
    """Whether the redactor changes the entry."""
    return redactor.redact(log(attributes=entry.attributes)).attributes != entry.attributes
