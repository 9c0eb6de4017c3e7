"""Enforced flags: no failure brings the old path back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from openfeature import api
from openfeature.exception import OpenFeatureError
from openfeature.flag_evaluation import Reason

from otel_ext.flags import FileProvider, use_flags
from tests.flags.files import flag_of, health_of, staged, write_flags
from tests.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

DOMAIN = "flags-test"


@pytest.fixture(autouse=True)
def openfeature_as_it_was() -> Generator[None]:
    """Remove the providers that a test has set."""
    yield
    api.clear_providers()


def test_an_enforced_flag_stays_on_if_it_is_gone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Absence never brings the old path back silently; a lower stage in the file does."""
    path = write_flags(tmp_path / "gone.json", {"search": staged(5), "other": staged(4)})
    provider = FileProvider(path)
    write_flags(path, {})
    provider._file.check()  # noqa: SLF001
    for _ in range(3):
        found = provider.resolve_boolean_details("search", False)  # noqa: FBT003
        assert (found.value, found.variant, found.reason) == (True, "on", Reason.STALE)
    assert capfd.readouterr().err.count("the enforced flag 'search' stays on") == 1
    assert health_of(path)[0] == "degraded"
    with pytest.raises(OpenFeatureError):
        provider.resolve_boolean_details("other", False)  # noqa: FBT003
    write_flags(path, {"search": staged(1)})
    provider._file.check()  # noqa: SLF001
    assert provider.resolve_boolean_details("search", True).value is False  # noqa: FBT003
    assert health_of(path)[0] == "healthy"


def test_an_enforced_flag_stays_on_if_its_rule_fails(tmp_path: Path) -> None:
    """A rule that was added by hand and raises."""
    rules: list[dict[str, object]] = [{"no-such-operator": [1]}, {"/": [1, 0]}, {"var": {}}]
    for number, rule in enumerate(rules):
        path = write_flags(
            tmp_path / f"rule{number}.json", {"search": {**staged(5), "targeting": rule}}
        )
        found = FileProvider(path).resolve_boolean_details("search", False)  # noqa: FBT003
        assert found.value is True, rule


@pytest.mark.parametrize(
    "typo",
    [
        {"metadata": {"otel_ext.stage": 5, "otel_ext.percentages": "1,2"}},
        {"metadata": {"otel_ext.stage": "5"}},
        {"metadata": {"otel_ext.stag": 4, "otel_ext.percentages": "1,10,25,50,100"}},
        {"metadata": {"otel_ext.stage": 6}, "defaultVariant": "off"},
        {"variants": {"new": "x", "off": False}},
    ],
)
def test_a_typo_does_not_end_an_enforcement(
    typo: dict[str, object], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Metadata that are not valid are reported once; DISABLED and a lower stage still count."""
    path = write_flags(tmp_path / "typo.json", {"search": staged(5)})
    provider = FileProvider(path)
    for version in range(2):
        flag = {**staged(5), "defaultVariant": None, **typo, "version": version}
        write_flags(path, {"search": flag})
        provider._file.check()  # noqa: SLF001
        found = provider.resolve_boolean_details("search", False)  # noqa: FBT003
        assert (found.value, found.variant, found.reason) == (True, "on", Reason.STALE)
    assert capfd.readouterr().err.count("the stages of the flag 'search' are not valid") == 1
    state, detail = health_of(path)
    assert state == "degraded"
    assert "the stages of the flag 'search' are not valid" in detail
    for ended in (staged(4, 0, 0, 0, 0, 100), {**staged(5), "state": "DISABLED"}):
        write_flags(path, {"search": ended})
        provider._file.check()  # noqa: SLF001
        assert provider.resolve_boolean_details("search", False).value is False  # noqa: FBT003
        assert health_of(path) == ("healthy", str(path))
        write_flags(path, {"search": staged(5)})
        provider._file.check()  # noqa: SLF001


def test_stages_that_are_not_valid_are_reported(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """At a lower stage, too, where the rule in the file goes on; so are removed stages."""
    flag: dict[str, object] = {**staged(2), "metadata": {"otel_ext.stage": 9}}
    path = write_flags(tmp_path / "wrong.json", {"search": flag})
    provider = FileProvider(path, enforced=["no-old-path"])
    assert "the metadata 'otel_ext.stage' 9 is not a stage. Use 0 to 5" in capfd.readouterr().err
    assert provider.resolve_boolean_details("search", True).value is False  # noqa: FBT003
    write_flags(path, {"no-old-path": {**staged(0), "metadata": {}}})
    provider._file.check()  # noqa: SLF001
    assert health_of(path)[0] == "healthy"
    assert provider.resolve_boolean_details("no-old-path", False).value is True  # noqa: FBT003
    assert "stays on: the file says off, but names no lower stage" in health_of(path)[1]


def test_errors_that_alternate_are_reported_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A loop of evaluations does not fill stderr."""
    provider = FileProvider(write_flags(tmp_path / "two.json", {}), enforced=["search"])
    for number in range(10):
        provider._file.note_replaced("search", f"error {number % 2}")  # noqa: SLF001
    assert capfd.readouterr().err.count("stays on") == 1


def test_an_evaluation_by_the_flags_before_enforcement(tmp_path: Path) -> None:
    """One that is late is by a lower stage, and no failure."""
    path = write_flags(tmp_path / "late.json", {"search": staged(0)})
    provider = FileProvider(path)
    before = provider._file.rules  # noqa: SLF001
    write_flags(path, {"search": staged(5)})
    provider._file.check()  # noqa: SLF001
    provider._file.rules = before  # noqa: SLF001 - as it has them
    assert provider.resolve_boolean_details("search", True).value is False  # noqa: FBT003
    assert health_of(path)[0] == "healthy"


def test_an_enforced_flag_of_another_type(tmp_path: Path) -> None:
    """Has its own value for its type; for another one, the caller gets an error."""
    flag = {**staged(5), "variants": {"on": "new", "off": "old"}}
    path = write_flags(tmp_path / "text.json", {"engine": flag})
    provider = FileProvider(path)
    assert provider.resolve_string_details("engine", "old").value == "new"
    with pytest.raises(OpenFeatureError):
        provider.resolve_boolean_details("engine", False)  # noqa: FBT003
    numbers: dict[str, object] = {
        **staged(5),
        "variants": {"on": 2, "off": {}},
        "targeting": {"/": [1, 0]},
    }
    objects: dict[str, object] = {**numbers, "variants": {"on": [1], "off": {}}}
    write_flags(path, {"number": numbers, "object": objects})
    provider._file.check()  # noqa: SLF001
    assert provider.resolve_float_details("number", 0.0).value == 2
    assert provider.resolve_integer_details("number", 0).value == 2
    assert provider.resolve_object_details("object", []).value == [1]


def test_a_disabled_flag_is_not_enforced(tmp_path: Path) -> None:
    """The state DISABLED is flagd's switch, and wins."""
    path = write_flags(tmp_path / "off.json", {"search": {**staged(5), "state": "DISABLED"}})
    found = FileProvider(path).resolve_boolean_details("search", False)  # noqa: FBT003
    assert (found.value, found.reason) == (False, Reason.DISABLED)


def test_a_program_can_enforce(tmp_path: Path) -> None:
    """Flags that it has no old path for: on without the file, until the file says otherwise."""
    path = tmp_path / "program.json"
    client = use_flags(path, domain=DOMAIN, enforced=["no-old-path"])
    assert client.get_boolean_value("no-old-path", False) is True  # noqa: FBT003
    write_flags(path, {"no-old-path": staged(0)})
    wait_until(lambda: not client.get_boolean_value("no-old-path", True), "the file wins")  # noqa: FBT003


def test_stages_by_hand_without_variants_for_them(tmp_path: Path) -> None:
    """The file is used; the flag is only not enforced."""
    flag = {**flag_of("x", "y"), "metadata": {"otel_ext.stage": 5}}
    provider = FileProvider(write_flags(tmp_path / "hand.json", {"search": flag}))
    assert provider.resolve_string_details("search", "").value == "x"
