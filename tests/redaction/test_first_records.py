"""The first records of a process: who it is, and where its first span was opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.record.model import CallSite, Process
from otel_ext.redaction import Redactor
from otel_ext.redaction.walk import Walker
from otel_ext.runtime.process.records import process_start_record
from tests.redaction.planted import span

if TYPE_CHECKING:
    from collections.abc import Mapping

ARGV = ("serve", "--password", "hunter2hunter2")
RESOURCE = {"service.name": "shop", "db.password": "hunter2hunter2"}


def process(pid: int, **changed: object) -> Process:
    """Return a process of a program that was started with secrets, or with what is given."""
    argv, resource = ARGV, dict(RESOURCE)
    resource.update({key: str(value) for key, value in changed.items()})
    return Process(f"b0-{pid}-1-aa", pid, 1, "boot", "host", argv, resource)


def shown(redactor: Redactor, of: Process) -> Mapping[str, object]:
    """Return what the first record of a process says of it, as it goes out."""
    return redactor.redact(process_start_record(of, 1)).extra


def test_a_forked_child_loses_what_its_parent_loses() -> None:
    """Command line and resource are those of the parent, which were redacted already."""
    redactor = Redactor()
    parent, child = shown(redactor, process(7)), shown(redactor, process(8))
    assert "hunter2" not in str(parent)
    assert child["argv"] == parent["argv"] == ["serve", "--password", "[redacted: password]"]
    assert child["resource"] == parent["resource"]
    assert child["pid"] == 8


@pytest.mark.parametrize("secret", ["AKIAIOSFODNN7EXAMPLE", "token=hunter2hunter2"])
def test_what_a_child_has_anew_is_looked_at(secret: str) -> None:
    """The SDK gives a child another instance id, and a program may give it anything."""
    redactor = Redactor()
    shown(redactor, process(7, note="fine"))
    assert secret not in str(shown(redactor, process(8, note=secret)))
    assert shown(redactor, process(9, note="fine too"))["resource"] == {
        **RESOURCE,
        "db.password": "[redacted: password]",
        "note": "fine too",
    }


def test_a_record_that_says_more_than_its_process_is_looked_at() -> None:
    """Only what is redacted with the process may stay without a look."""
    redactor = Redactor()
    clean = redactor.redact(process_start_record(process(7), 1))
    assert redactor.redact(clean).extra == clean.extra
    more = clean._replace(extra={**clean.extra, "api_key": "hunter2hunter2"})
    assert redactor.redact(more).extra["api_key"] == "[redacted: api-key]"
    other = clean._replace(extra={**clean.extra, "argv": list(ARGV)})
    assert redactor.redact(other).extra["argv"] == ["serve", "--password", "[redacted: password]"]


def test_a_new_place_without_secrets_needs_no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first record of each place is judged at a glance; a place that tells a secret is not."""
    redactor = Redactor()
    walks: list[object] = []
    walk = Walker.mapping

    def mapping(self: Walker, prefix: str, values: Mapping[str, object]) -> Mapping[str, object]:
        walks.append(values)
        return walk(self, prefix, values)

    usual = span("start", attributes={"n": 1})
    redactor.redact(usual)
    monkeypatch.setattr(Walker, "mapping", mapping)
    moved = usual._replace(call_site=CallSite("shop/orders.py", 3, "place"))
    assert redactor.redact(moved) is moved
    assert walks == []
    told = usual._replace(call_site=CallSite("jobs/token=hunter2hunter2.py", 3, "run"))
    assert "hunter2" not in redactor.redact(told).call_site.fragment
