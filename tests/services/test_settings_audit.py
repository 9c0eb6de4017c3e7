"""The records of changes of live settings: in real files, without secrets, also after a kill."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, cast

import pytest

from otel_ext.context import error_context, with_context, with_span
from otel_ext.events import Event, subscribe
from otel_ext.events.deferred import deferred_events
from otel_ext.record.model import EMPTY
from otel_ext.services import Settings
from otel_ext.services.live_settings import change
from otel_ext.services.live_settings.shown import shown
from tests.programs import execute, python, records_in, succeed, wait_until, write_program
from tests.services.shop_settings import Colour, Database, Pool, Shop, recording_alone
from tests.threads import numbered_threads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_ext.record.model import Record
    from otel_ext.testing import RecordCapture

LIMIT = 30.0
PROGRAM = """\
import os, sys
import otel_ext
from dataclasses import dataclass, field
from otel_ext.context import with_context, with_span
from otel_ext.services import Settings

@dataclass(frozen=True)
class Shop:
    size: int = 1
    password: str = "hunter2-a"
    address: str = field(default="hunter2-b", metadata={"secret": True})
    iban: str = "hunter2-c"
    url: str = ""

otel_ext.configure(output="traces", redact_keys=["iban"])
settings = Settings(Shop(), name="shop")
with with_span("reload"), with_context(order=7, api_key="hunter2-d"):
    settings.update(size=2, password="hunter2-e", address="hunter2-f", iban="hunter2-g",
                    url="postgres://shop:hunter2-h@db/")
"""


@pytest.fixture
def records() -> Iterator[RecordCapture]:
    """Record in memory."""
    with recording_alone() as capture:
        yield capture


def changes_in(records: list[Record]) -> list[Record]:
    """Return the records of changes."""
    return [record for record in records if record.name == "settings.changed"]


@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 9)"], ids=["exit", "killed"])
def test_the_file_has_who_changed_what_and_no_secret(end: str, tmp_path: Path) -> None:
    """In a real process: one that exits at once, and one that is killed after a flush."""
    flushed = f"assert settings.flush(20)\n{end}\n" if end else ""
    program = write_program(tmp_path, PROGRAM + flushed)
    done = execute(python(program), cwd=tmp_path)
    assert (done.code, done.err) == (-signal.SIGKILL if end else 0, "")
    folder = tmp_path / "traces"
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert b"hunter2" not in b"".join(file.read_bytes() for file in files)
    if end:
        succeed(["otel-ext", "recover", folder], tmp_path)
    found = records_in(folder)
    (record,) = changes_in(found)
    (span,) = [one for one in found if one.kind == "span" and one.phase == "start"]
    attributes = record.attributes
    assert (record.kind, record.trace_id, record.span_id) == ("event", span.trace_id, span.span_id)
    assert record.call_site.file.endswith("program.py")
    assert record.thread is not None
    assert record.thread.name == "MainThread"
    assert (attributes["settings"], attributes["action"]) == ("shop", "update")
    assert attributes["context"] == {"order": 7, "api_key": "[redacted: api-key]"}
    new = cast("dict[str, object]", attributes["new"])
    assert new["size"] == 2
    assert new["password"] == "[redacted: password]"  # noqa: S105 - a mark
    assert new["address"] == "[redacted: secret]"
    assert new["iban"] == "[redacted: custom-key]"
    assert "[redacted: " in str(new["url"])
    changed_ns = attributes["changed_ns"]
    assert isinstance(changed_ns, int)
    assert span.time_ns <= changed_ns <= record.time_ns


def test_each_change_is_one_record(records: RecordCapture) -> None:
    """Of an update and of a reset, whatever their number of settings; none if nothing changes."""
    settings = Settings(Shop())
    settings.update({"pool.size": 6, "colour": Colour.BLUE, "ports": [1]})
    settings.update({"pool.size": 6})
    settings.reset("pool", "colour")
    assert settings.flush(LIMIT)
    first, second = changes_in(records.records)
    old = {"colour": "RED", "ports": [80], "pool.size": 4, "total": 8}
    new = {"colour": "BLUE", "ports": [1], "pool.size": 6, "total": 10}
    assert (first.attributes["old"], first.attributes["new"]) == (old, new)
    assert second.attributes["action"] == "reset"
    assert second.attributes["new"] == {"colour": "RED", "pool.size": 4, "total": 8}
    assert "context" not in second.attributes


def test_the_event_of_the_bus_has_who_and_no_secret(records: RecordCapture) -> None:
    """It names the span, the call site and the thread, as the record does."""
    heard: list[Event] = []
    settings = Settings(Shop(), name="shop")
    with subscribe("settings.changed", heard.append), with_context(order=7), with_span("reload"):
        settings.update(db=Database("hunter2", "hunter2", Pool(5)))
        wait_until(lambda: heard, "the event")
    (event,) = heard
    (record,) = changes_in(records.records)
    assert "hunter2" not in f"{event} {record}"
    metadata = event.metadata
    assert metadata["span_id"] == record.span_id != ""
    assert (metadata["thread"], metadata["task"]) == ("MainThread", "")
    assert metadata["context"] == {"order": 7}
    assert metadata["function"] == "test_the_event_of_the_bus_has_who_and_no_secret"
    assert metadata["new"] == {
        "db.password": "[redacted: password]",
        "db.address": "[redacted: secret]",
        "db.pool.size": 5,
        "total": 9,
    }


def test_no_secret_within_a_value_reaches_the_bus(records: RecordCapture) -> None:
    """Neither one under a telling name within a dict, nor one within a text, nor in the context."""

    @dataclass(frozen=True)
    class Places:
        options: dict[str, object] = field(default_factory=dict[str, object])
        address: str = ""

    settings, heard = Settings(Places(), name="places"), list[Event]()
    with (
        subscribe("settings.changed", heard.append, inline=True),
        with_context(request={"password": "hunter2", "user": "ann"}),
    ):
        settings.update(
            options={"password": "hunter2", "port": 5}, address="postgres://u:hunter2@db-1/shop"
        )
        assert settings.flush(LIMIT)
    (event,) = heard
    assert "hunter2" not in f"{event} {records.records}"
    new = cast("dict[str, dict[str, object]]", event.metadata["new"])
    assert new["options"]["port"] == 5
    assert "db-1" in str(new["address"])


def test_a_change_that_did_not_fit_is_recorded_later(
    monkeypatch: pytest.MonkeyPatch, records: RecordCapture
) -> None:
    """With the next change, or a flush, in order."""
    settings = Settings(Pool())

    def refuse(*_: object) -> bool:
        return False

    with monkeypatch.context() as patch:
        patch.setattr(deferred_events(), "add", refuse)
        settings.update(size=9)
    settings.update(size=10)
    assert deferred_events().flush(LIMIT)
    assert [one.attributes["new"] for one in changes_in(records.records)] == [
        {"size": 9},
        {"size": 10},
    ]


def test_settings_that_are_dropped_at_once(records: RecordCapture) -> None:
    """Their change is recorded nevertheless."""
    Settings(Pool()).update(size=9)
    other = Settings(Pool())
    other.update(size=8)
    assert other.flush(LIMIT)
    sizes = [record.attributes["new"] for record in changes_in(records.records)]
    assert sizes == [{"size": 9}, {"size": 8}]


def test_threads_that_make_the_first_change(records: RecordCapture) -> None:
    """Each change is one record, whichever thread starts the job of the worker."""
    for _ in range(20):
        settings = Settings(Pool(), name="first")
        numbered_threads(4, lambda number, one=settings: one.update(wait=number + 2.0))  # type: ignore[misc]
        assert settings.flush(LIMIT)
    assert len(changes_in(records.records)) == 80


def test_an_unknown_author(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A failure to find who changes a setting does not prevent the change."""

    def fail() -> None:
        raise RuntimeError("no span")

    monkeypatch.setattr(change, "origin_here", fail)
    settings = Settings(Pool())
    assert settings.update(size=9).size == 9
    assert settings.flush(LIMIT)
    assert "it is not known who changes them: RuntimeError: no span" in capfd.readouterr().err


class Secretive:
    """An object whose text cannot be had."""

    def __repr__(self) -> str:
        raise RuntimeError


class Broken(list[object]):
    """A list that cannot be cut."""

    def __getitem__(self, index: object) -> NoReturn:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "rule", "expected"),
    [
        (5, "", 5),
        (None, "secret", None),
        ("", "password", ""),
        ("", "secret", "[redacted: secret]"),
        (1234, "password", "[redacted: password]"),
        (Colour.RED, "", "RED"),
        (Pool(), "", {"size": 4, "spare": 2, "wait": 1.5}),
        ([[[[[1]]]]], "", [[[["[1]"]]]]),
        (EMPTY, "", "mappingproxy({})"),
        (Broken([1]), "", "[1]"),
    ],
)
def test_values_as_they_are_shown(value: object, rule: str, expected: object) -> None:
    """Plain data, or a short text."""
    assert shown(value, rule) == expected


def test_secrets_in_a_group_that_is_a_value() -> None:
    """A dataclass in a setting is shown without its secrets; a hostile object by its type."""
    assert shown(Database("hunter2", "hunter2")) == {
        "password": "[redacted: password]",
        "address": "[redacted: secret]",
        "pool": {"size": 4, "spare": 2, "wait": 1.5},
    }
    assert "Secretive" in str(shown(Secretive()))
    with error_context.with_context(thing=Secretive()):
        assert "Secretive" in str(change.author_here().context["thing"])
