"""The provider: flags of a real file, enforcement, reading again, OpenFeature's client."""

from __future__ import annotations

import json
import os
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest
from openfeature import api
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import (  # pyright: ignore[reportMissingTypeStubs]
    EvaluationContext,
)
from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import ParseError, ProviderNotReadyError
from openfeature.flag_evaluation import Reason

from otel_ext.errors import ConfigError
from otel_ext.events import subscribe
from otel_ext.flags import (
    FileProvider,
    TargetingHook,
    enforce,
    roll_back,
    set_stage,
    use_flags,
)
from otel_ext.flags.stages import new_flag
from otel_ext.flags.watched import WatchedFile
from otel_ext.runtime.worker import shared_worker
from tests.flags.files import flag_of, health_of, in_trace, staged, write_flags
from tests.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from otel_ext.events import Event

DOMAIN = "flags-test"


@pytest.fixture(autouse=True)
def openfeature_as_it_was() -> Generator[None]:
    """Remove the providers that a test has set."""
    yield
    api.clear_providers()


def test_flags_of_each_type(tmp_path: Path) -> None:
    """By OpenFeature's own client."""
    path = write_flags(
        tmp_path / "types.json",
        {
            "bool": flag_of(True, False),  # noqa: FBT003
            "str": flag_of("x", "y"),
            "int": flag_of(3, 4),
            "float": flag_of(2, 2.5),
            "object": flag_of({"k": [1]}, {}),
        },
    )
    client = use_flags(path, domain=DOMAIN)
    assert client.get_boolean_value("bool", False) is True  # noqa: FBT003
    assert client.get_string_value("str", "") == "x"
    assert client.get_integer_value("int", 0) == 3
    assert client.get_float_value("float", 0.0) == 2.0
    assert client.get_object_value("object", {}) == {"k": [1]}
    wrong = client.get_integer_details("str", 7)
    assert (wrong.value, wrong.reason) == (7, Reason.ERROR)
    assert health_of(path) == ("healthy", str(path))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """By the shared worker, without a thread that watches."""
    path = write_flags(tmp_path / "again.json", {"search": staged(0)})
    client = use_flags(path, domain=DOMAIN)
    before = {thread.name for thread in threading.enumerate()}
    with in_trace(7):
        assert client.get_boolean_value("search", True) is False  # noqa: FBT003
        enforce(path, "search")
        wait_until(lambda: client.get_boolean_value("search", False), "the flag is on")  # noqa: FBT003
        roll_back(path, "search", to=0)
        wait_until(lambda: not client.get_boolean_value("search", True), "the flag is off")  # noqa: FBT003
    new = {thread.name for thread in threading.enumerate()} - before
    assert not {name for name in new if "flag" in name and "events" not in name}


def test_a_broken_file_leaves_the_last_good_flags(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is reported once, with its place, and health is degraded until it is good again."""
    path = write_flags(tmp_path / "broken.json", {"search": staged(5)})
    provider = FileProvider(path)
    file = provider._file  # noqa: SLF001 - looked at without waiting
    write_flags(path, b'{"flags": {\n"search" 1}}')
    for _ in range(3):
        file.check()
    assert provider.resolve_boolean_details("search", False).value is True  # noqa: FBT003
    state, detail = health_of(path)
    assert state == "degraded"
    assert "line 2, column 10" in detail
    assert capfd.readouterr().err.count("the last good flags stay") == 1
    path.unlink()
    file.check()
    assert "does not exist" in health_of(path)[1]
    write_flags(path, {"search": staged(0)})
    file.check()
    assert health_of(path) == ("healthy", str(path))
    assert provider.resolve_boolean_details("search", True).value is False  # noqa: FBT003


def test_a_file_that_was_away_and_comes_back(tmp_path: Path) -> None:
    """Also if it is the same file."""
    path = write_flags(tmp_path / "away.json", {"search": staged(5)})
    file = WatchedFile(path)
    file.check()
    path.rename(tmp_path / "elsewhere.json")
    file.check()
    assert file.problem
    (tmp_path / "elsewhere.json").rename(path)
    file.check()
    assert not file.problem


@pytest.mark.parametrize(
    "rules",
    [
        {"x": {"!": [{"$ref": "y"}]}, "y": {"!": [{"$ref": "x"}]}},
        {"x": {"$ref": "x"}},
        {name: [{"$ref": below}] * 30 for name, below in ("xa", "ab", "bc", "cd")},
    ],
)
def test_shared_rules_without_an_end_are_reported(rules: dict[str, Any], tmp_path: Path) -> None:
    """As other wrong files are; also those that only grow beyond measure."""
    rules = {**rules, "d": 1}
    flag = {**new_flag(), "targeting": {"$ref": "x"}}
    path = write_flags(tmp_path / "refused.json", {"a": flag}, **{"$evaluators": rules})
    file = WatchedFile(path)
    file.check()
    assert file.rules is None
    assert health_of(path)[0] == "failed"
    assert f"{path}: too many '$ref', or rules that refer to each other" in file.problem


def test_what_the_evaluator_refuses_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if we would not."""

    def refuse(*_: object) -> None:
        raise ParseError("not today")

    monkeypatch.setattr(FlagdCore, "set_flags", refuse)
    file = WatchedFile(write_flags(tmp_path / "parse.json", {"a": new_flag()}))
    file.check()
    assert "parse.json: not today" in file.problem


def test_a_file_that_grows_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not used until a whole version is read."""
    path = write_flags(tmp_path / "grows.json", {"search": staged(5)})
    file = WatchedFile(path)
    file.check()
    before = file.rules
    write_flags(path, {"search": staged(0)})
    real = os.fstat

    def growing(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        if stat.S_ISREG(found.st_mode):
            with path.open("ab") as opened:
                opened.write(b" ")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", growing)
        file.check()
    assert file.rules is before
    assert not file.problem
    file.check()
    assert file.rules is not before


def test_a_working_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is then a missing file."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ProviderNotReadyError):
        FileProvider("flags.json").initialize(EvaluationContext())


def test_a_comment_in_a_flag_does_no_harm(tmp_path: Path) -> None:
    """The evaluator alone would refuse the file."""
    path = write_flags(tmp_path / "comment.json", {"search": {**staged(5), "description": "new"}})
    assert FileProvider(path).resolve_boolean_details("search", False).value is True  # noqa: FBT003


@pytest.mark.parametrize("plan", ["free", "gratuït", "a\\qb", 'x"y', "a\nb"])
def test_shared_rules_are_known(plan: str, tmp_path: Path) -> None:
    """`$evaluators` of flagd, with any text in them."""
    rule = {"if": [{"$ref": "is-free"}, "on", "off"]}
    evaluators = {"is-free": {"==": [{"var": "plan"}, plan]}}
    flags = {"x": {**new_flag(), "targeting": rule}}
    path = write_flags(tmp_path / "shared.json", flags, **{"$evaluators": evaluators})
    for given, variant in ((plan, "on"), ("other", "off")):
        context = EvaluationContext("a", {"plan": given})
        found = FileProvider(path).resolve_boolean_details("x", False, context)  # noqa: FBT003
        assert found.variant == variant


def test_a_missing_file_does_not_stop_the_program(tmp_path: Path) -> None:
    """Callers get their defaults until it comes; then the flags are used."""
    path = tmp_path / "later.json"
    client = use_flags(path, domain=DOMAIN)
    found = client.get_boolean_details("search", True)  # noqa: FBT003
    assert (found.value, found.reason) == (True, Reason.ERROR)
    assert "does not exist" in str(found.error_message)
    assert health_of(path)[0] == "failed"
    set_stage(path, "search", 0, create=True)
    wait_until(lambda: not client.get_boolean_value("search", True), "the flags are used")  # noqa: FBT003
    assert health_of(path)[0] == "healthy"


def test_a_file_that_is_rewritten_all_the_time(tmp_path: Path) -> None:
    """Each evaluation has the flags of one whole version, also if the file is written in place."""
    path = write_flags(tmp_path / "busy.json", {"a": staged(5), "b": staged(5)})
    provider = FileProvider(path)
    ended = threading.Event()

    def rewrite() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            text = json.dumps({"flags": {"a": staged(5), "b": staged(5), "n": staged(number % 5)}})
            if number % 2:
                path.write_text(text, "utf-8")  # in place: may be seen half written
            else:
                write_flags(path, text.encode())

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for _ in range(300):
            provider._file.check()  # noqa: SLF001
            rules = provider._file.rules  # noqa: SLF001
            assert rules is not None
            for name in ("a", "b"):
                assert provider.resolve_boolean_details(name, False).value is True  # noqa: FBT003
    finally:
        ended.set()
        writer.join()
    write_flags(path, {"a": staged(0)})
    provider._file.check()  # noqa: SLF001
    assert not provider._file.problem  # noqa: SLF001
    assert provider.resolve_boolean_details("a", True).value is False  # noqa: FBT003


def test_changes_are_announced(tmp_path: Path) -> None:
    """To handlers of OpenFeature, and as events with the stage."""
    path = write_flags(tmp_path / "told.json", {"search": staged(1)})
    second = {"search": staged(2)}
    third = {**second, "other": staged(3)}
    provider = FileProvider(path)
    told: list[tuple[ProviderEvent, list[str] | None]] = []
    stages: list[Event] = []

    def note(_: object, event: ProviderEvent, details: ProviderEventDetails) -> None:
        told.append((event, details.flags_changed))

    provider.attach(note)
    with subscribe("feature_flag.stage", stages.append, inline=True):
        for content, count in ((second, 1), (b"{", 2), (third, 4), (third, 4)):
            write_flags(path, content)
            provider._check()  # noqa: SLF001
            wait_until(lambda count=count: len(told) == count, "the change is announced")  # type: ignore[misc]
        wait_until(lambda: len(stages) == 2, "the stages are events")
    assert told == [
        (ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, ["search"]),
        (ProviderEvent.PROVIDER_STALE, []),
        (ProviderEvent.PROVIDER_READY, ["other"]),
        (ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, ["other"]),
    ]
    assert [dict(one.metadata)["feature_flag.key"] for one in stages] == ["search", "other"]
    assert [one.measurements["percentage"] for one in stages] == [10.0, 25.0]


def test_after_shutdown_the_file_is_not_looked_at(tmp_path: Path) -> None:
    """The job is gone; the last flags stay; it can be initialized again."""
    provider = FileProvider(write_flags(tmp_path / "end.json", {"search": staged(5)}))
    jobs = shared_worker()._jobs  # noqa: SLF001
    provider.initialize(EvaluationContext())
    provider.initialize(EvaluationContext())
    assert [job.name for job in jobs].count("feature flags") == 1
    provider.shutdown()
    provider.shutdown()
    assert "feature flags" not in [job.name for job in jobs]
    assert provider.resolve_boolean_details("search", False).value is True  # noqa: FBT003
    with pytest.raises(ProviderNotReadyError):
        FileProvider(tmp_path / "missing.json").initialize(EvaluationContext())


def test_wrong_arguments() -> None:
    """They are named."""
    with pytest.raises(ConfigError, match="path=5 is not a path. Pass the path of a flag file"):
        FileProvider(5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="enforced='search' is a text. Pass a list of names"):
        FileProvider("flags.json", enforced="search")
    wrong: Any
    for wrong in (5, None, [5], [["x"]], b"x"):
        with pytest.raises(
            ConfigError, match=r"enforced=.* is not a .*name.* Pass a list of names"
        ):
            FileProvider("flags.json", enforced=wrong)
    for wrong in (5, None, b"x"):
        message = f"baggage_key={wrong!r} is not a text. Pass the name of an entry"
        with pytest.raises(ConfigError, match=message):
            use_flags("flags.json", baggage_key=wrong)
        with pytest.raises(ConfigError, match=message):
            TargetingHook(wrong)


def test_a_provider_that_cannot_be_set_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The program goes on, with its defaults."""

    def refuse(*_: object) -> None:
        raise RuntimeError("no more threads")

    monkeypatch.setattr(api, "set_provider_and_wait", refuse)
    path = write_flags(tmp_path / "set.json", {"search": staged(5)})
    client = use_flags(path, domain=DOMAIN)
    assert client.get_boolean_value("search", False) is False  # noqa: FBT003
    assert "feature flags are not in use: RuntimeError: no more threads" in capfd.readouterr().err
