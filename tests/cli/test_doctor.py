"""`otel-ext doctor`: prints what is healthy, what is not, and what to do."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.commands.doctor import records
from otel_ext.cli.commands.doctor.install import versions_agree
from otel_ext.journal.filesystem import FileSystem
from tests.cli.watched import parts_of, run_on_traces, shop
from tests.commands import call
from tests.programs import suspend

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.watched import Shop


def test_all_is_well(open_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a program that records normally, the exit code is 0 and all is well."""
    disk = os.statvfs(open_shop.folder)
    roomy = SimpleNamespace(
        f_bavail=1 << 30,
        f_frsize=4096,
        f_files=disk.f_files,
        f_favail=1 << 30,
        f_fsid=disk.f_fsid,
    )

    def with_room(_: object) -> SimpleNamespace:
        return roomy

    monkeypatch.setattr(os, "statvfs", with_room)
    done = run_on_traces(open_shop.folder, "doctor")
    assert "all is well" in done.out
    assert f"ok    {open_shop.label}" in done.out
    assert (done.code, done.err) == (0, "")


def test_json_has_every_part(tmp_path: Path) -> None:
    """--json: one object with each part's state, detail and hint."""
    (tmp_path / "traces").mkdir(mode=0o700)
    done = run_on_traces(tmp_path, "doctor", "--json")
    parts = parts_of(done)
    assert {"Python", "OpenTelemetry", "codec", "configuration", "folder", "durability"} <= {*parts}
    assert {"room", "distro", "instrumentations", "process identity"} <= {*parts}
    assert {tuple(part) for part in parts.values()} == {
        ("group", "part", "state", "detail", "hint")
    }
    assert done.document["healthy"] is (done.code == 0)


def test_a_stopped_program_and_leftovers_need_attention(tmp_path: Path) -> None:
    """A stopped program and the leftovers of a killed one are named with a hint; exit code 1."""
    with shop(tmp_path, name="one") as one, shop(tmp_path, name="two") as two:
        two.kill()
        two.wait()
        suspend(one)
        done = run_on_traces(tmp_path, "doctor")
        one.send_signal(signal.SIGCONT)
    assert f"weak  {one.pid} shop_one.py" in done.out
    assert f"kill -CONT {one.pid}" in done.out
    assert "left 2 open spans" in done.out
    assert f"otel-ext recover {tmp_path / 'traces'}" in " ".join(done.out.split())
    assert done.code == 1


@pytest.mark.parametrize(
    ("variables", "part", "state", "expected"),
    [
        ({"OTEL_EXT_SYNC": "often"}, "configuration", "failed", "'often'"),
        ({"OTEL_EXT_SYNK": "never"}, "configuration", "degraded", "OTEL_EXT_SYNC"),
        ({"OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED", "failed", "nothing is recorded"),
        ({"OTEL_EXT_ENABLED": "no"}, "enabled", "degraded", "nothing is recorded"),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, "OTEL_TRACES_SAMPLER", "failed", "no span"),
        ({"OTEL_PYTHON_DISTRO": "absent"}, "distro", "failed", "absent is not installed"),
        ({"OTEL_EXT_DURABILITY": "queued"}, "durability", "note", "a kill takes up to 50 ms"),
        ({"OTEL_EXT_OUTPUT": "/proc/traces"}, "folder", "failed", "Name another"),
        ({"OTEL_EXT_OUTPUT": "/dev/null/traces"}, "folder", "failed", "is not a folder"),
    ],
)
def test_each_problem_is_named_with_a_hint(
    tmp_path: Path, variables: dict[str, str], part: str, state: str, expected: str
) -> None:
    """Each problem of settings, environment and folder is shown at its part."""
    done = call("doctor", "--json", cwd=tmp_path, **variables)
    # A part may have several findings; the last one is the problem.
    found = parts_of(done)[part]
    assert found["state"] == state, found
    assert expected in f"{found['detail']} {found['hint']}"
    # Other programs of this machine may need attention too.
    assert done.code == 1 or state == "note"
    assert done.err == ""


def test_a_file_system_without_mapped_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If memory cannot be mapped, the weaker durability is shown, with a hint."""
    network = FileSystem("nfs4", "a file system of kind nfs4 may not keep reserved blocks")

    def on_network(_: Path) -> FileSystem:
        return network

    monkeypatch.setattr(records, "file_system_of", on_network)
    done = call("doctor", "--json", cwd=tmp_path)
    found = parts_of(done)["durability"]
    assert (found["state"], done.code) == ("degraded", 1)
    assert found["detail"].startswith(f"queued instead of mapped: {network.refusal}; a kill takes")
    assert "durability=write" in found["hint"]


def test_versions_of_different_releases_are_reported() -> None:
    """Stable and beta packages of one release agree; any other mixture is named."""
    good = {
        "opentelemetry-sdk": "1.45.1",
        "opentelemetry-api": "1.45.0",
        "opentelemetry-instrumentation-flask": "0.66b1",
        "opentelemetry-instrumentation-vendor": "2.3",
        "opentelemetry-propagator-aws-xray": "1.0.2",
    }
    assert versions_agree(good) == []
    mixed = {**good, "opentelemetry-distro": "0.65b0", "opentelemetry-proto": "1.46.0"}
    assert versions_agree(mixed) == ["opentelemetry-distro 0.65b0", "opentelemetry-proto 1.46.0"]
