"""`otel-ext export` of converted traces, whose spans are all of one thread."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

import pytest

from tests.commands import call
from tests.formats.test_convert import JAEGER, lines_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    """Return a folder with two traces, each of a span and two children that overlap."""
    document = copy.deepcopy(JAEGER)
    [root] = document["data"][0]["spans"]
    root["references"] = []
    for number, start in ((1, 100), (2, 500)):
        child = {**root, "spanID": f"b{number}", "operationName": f"child {number}"}
        child["references"] = [{"refType": "CHILD_OF", "traceID": root["traceID"], "spanID": "aa"}]
        child |= {"startTime": root["startTime"] + start, "duration": 800}
        document["data"][0]["spans"].append(child)
    other = json.loads(json.dumps(document).replace(root["traceID"], "f" * 32))
    source, folder = tmp_path / "jaeger.json", tmp_path / "traces"
    source.write_bytes(b"".join(lines_of(document, other)))
    folder.mkdir()
    assert call("convert", source, "-o", folder / "a.jsonl").code == 0
    return folder


def test_chrome_has_all_spans_where_none_crosses_another(converted: Path) -> None:
    """With the attributes of each; times are counted from the first start."""
    document = json.loads(call("export", "chrome", converted, "--last", "0").out)
    spans = [one for one in document["traceEvents"] if one["ph"] == "X"]
    assert len(spans) == 6
    assert {one["args"]["http.status_code"] for one in spans} == {500}
    assert document["otherData"]["start_ns"] == "1544712660000000000"
    for at, one in enumerate(spans):
        for other in spans[at + 1 :]:
            if one["tid"] == other["tid"]:
                first, second = sorted((one, other), key=lambda event: (event["ts"], -event["dur"]))
                end = first["ts"] + first["dur"]
                assert second["ts"] >= end or second["ts"] + second["dur"] <= end


@pytest.mark.parametrize("name", ["chrome", "speedscope", "csv", "otlp"])
def test_nothing_is_lost_in_any_format(converted: Path, tmp_path: Path, name: str) -> None:
    """A file and the standard output are the same."""
    output = tmp_path / "out"
    done = call("export", name, converted, "--last", "0")
    assert call("export", name, converted, "--last", "0", "-o", output).code == 0
    assert (done.code, output.read_bytes().decode()) == (0, done.out)
    assert all(span in done.out for span in ("GET /", "child 1", "child 2"))
