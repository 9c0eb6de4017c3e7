"""The first records of a process: its start, and its first span."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.record.model import CallSite, Process
from otel_ext.record.sanitise.walk import Walker
from otel_ext.redaction import Redactor
from otel_ext.runtime.process.records import process_start_record
from tests.redaction.planted import span

if TYPE_CHECKING:
    from collections.abc import Mapping

ARGV = ("serve", "--password", "hunter2hunter2")
RESOURCE = {"service.name": "shop", "db.password": "hunter2hunter2"}


def process(pid: int, **changed: object) -> Process:
    """Return a process started with secrets, and with these resource attributes."""
    argv, resource = ARGV, dict(RESOURCE)
    resource.update({key: str(value) for key, value in changed.items()})
    return Process(f"b0-{pid}-1-aa", pid, 1, "boot", "host", argv, resource)


def shown(redactor: Redactor, of: Process) -> Mapping[str, object]:
    """Return the metadata of the first record of a process, redacted."""
    return redactor.redact(process_start_record(of, 1)).extra


def test_a_forked_child_is_redacted_like_its_parent() -> None:
    """Its command line and resource are those of the parent, which were redacted already."""
    redactor = Redactor()
    parent, child = shown(redactor, process(7)), shown(redactor, process(8))
    assert "hunter2" not in str(parent)
    assert child["argv"] == parent["argv"] == ["serve", "--password", "[redacted: password]"]
    assert child["resource"] == parent["resource"]
    assert child["pid"] == 8


@pytest.mark.parametrize("secret", ["AKIAIOSFODNN7EXAMPLE", "token=hunter2hunter2"])
def test_a_childs_new_values_are_redacted(secret: str) -> None:
    """The SDK gives a child another instance id, and a program may add anything."""
    redactor = Redactor()
    shown(redactor, process(7, note="fine"))
    assert secret not in str(shown(redactor, process(8, note=secret)))
    assert shown(redactor, process(9, note="fine too"))["resource"] == {
        **RESOURCE,
        "db.password": "[redacted: password]",
        "note": "fine too",
    }


def test_a_record_with_more_than_its_process_is_redacted() -> None:
    """Only fields already redacted with the process may skip redaction."""
    redactor = Redactor()
    clean = redactor.redact(process_start_record(process(7), 1))
    assert redactor.redact(clean).extra == clean.extra
    more = clean._replace(extra={**clean.extra, "api_key": "hunter2hunter2"})
    assert redactor.redact(more).extra["api_key"] == "[redacted: api-key]"
    other = clean._replace(extra={**clean.extra, "argv": list(ARGV)})
    assert redactor.redact(other).extra["argv"] == ["serve", "--password", "[redacted: password]"]


def test_a_new_call_site_without_secrets_needs_no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prefilter passes a new call site, but not one that contains a secret."""
    redactor = Redactor()
    walks: list[object] = []
    walk = Walker.value

    def value(self: Walker, value: object, path: str = "", depth: int = 1) -> object:
        walks.append(value)
        return walk(self, value, path, depth)

    usual = span("start", attributes={"n": 1})
    redactor.redact(usual)
    monkeypatch.setattr(Walker, "value", value)
    moved = usual._replace(call_site=CallSite("shop/orders.py", 3, "place"))
    assert redactor.redact(moved) == moved
    assert walks == []
    moved_again = usual._replace(call_site=CallSite("jobs/token=hunter2hunter2.py", 3, "run"))
    assert "hunter2" not in redactor.redact(moved_again).call_site.fragment
