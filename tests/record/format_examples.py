"""The example records of docs/record-format.md, which the tests of the format use."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import cast

from otel_ext.record.model import META_KEY

TEXT = (Path(__file__).parents[2] / "docs" / "record-format.md").read_text(encoding="utf-8")

Document = dict[str, object]


def documents() -> list[Document]:
    """Return every record in a block of JSON, in order, freshly parsed."""
    blocks = re.findall(r"^```json\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    return [json.loads(block) for block in blocks]


def headings() -> list[str]:
    """Return the heading above each record."""
    parts = re.split(r"^### (.*)$", TEXT, flags=re.MULTILINE)
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return [heading for heading, body in pairs for _ in range(body.count("```json\n"))]


def meta_of(document: Document) -> Document:
    """Return the metadata under `__tracer_meta__`."""
    return cast("Document", document[META_KEY])


def line_of(document: Document) -> bytes:
    """Return the document as the line that a writer would write."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8") + b"\n"
