"""`configure()`: sets or joins a tracer provider, once, and never harms the program."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_ext.config import reset_config, set_compat_mode
from otel_ext.errors import ConfigError
from otel_ext.pipeline import configure
from tests.programs import python, record, records_in, spans_in, succeed
from tests.threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Remove the environment's settings; shut down what a test has configured."""
    monkeypatch.setenv("OTEL_EXT_CONFIG", "/dev/null")
    monkeypatch.setenv("OTEL_EXT_CONSOLE", "off")
    monkeypatch.chdir(tmp_path)
    yield
    configure(enabled=False).shutdown()
    reset_config()


def work(provider: TracerProvider, name: str = "work") -> None:
    """Make one span."""
    with provider.get_tracer("test").start_as_current_span(name):
        pass


def run(code: str, cwd: Path, **variables: str) -> str:
    """Run code in a new process, where no provider is set, and return its output."""
    return succeed(python("-c", textwrap.dedent(code)), cwd, **variables).output


def test_a_passed_provider_is_recorded(tmp_path: Path) -> None:
    """A span of the provider has a start and an end record in the output folder."""
    provider = TracerProvider()
    with configure(output=tmp_path / "out", tracer_provider=provider) as handle:
        was_active = handle.active
        work(provider)
        assert handle.flush()
        assert [record.phase for record in spans_in(tmp_path / "out")] == ["start", "end"]
    assert (was_active, handle.active) == (True, False)
    assert records_in(tmp_path / "out")[-1].name == "process.end"


def test_earlier_processors_stay(tmp_path: Path) -> None:
    """Processors that the provider had before see every span, beside ours."""
    provider = TracerProvider()
    seen = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    with configure(output=tmp_path, tracer_provider=provider):
        work(provider)
    assert [span.name for span in seen.get_finished_spans()] == ["work"]
    assert len(spans_in(tmp_path, "work")) == 2


def test_a_second_call_is_idempotent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A second call returns the same handle and records nothing twice."""
    provider = TracerProvider()
    first = configure(output=tmp_path, sync="never", tracer_provider=provider)
    assert configure() is first
    assert configure(output=tmp_path, tracer_provider=provider) is first
    work(provider)
    first.shutdown()
    assert len(spans_in(tmp_path, "work")) == 2
    assert capfd.readouterr().err == ""


def test_a_second_provider_is_recorded_too(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A call with another provider records that too, once, and keeps the first."""
    one, other = TracerProvider(), TracerProvider()
    handle = configure(output=tmp_path, tracer_provider=one)
    for _ in range(2):
        assert configure(tracer_provider=other) is handle
    work(one)
    work(other, "other")
    handle.shutdown()
    assert len(spans_in(tmp_path, "work")) == len(spans_in(tmp_path, "other")) == 2
    assert capfd.readouterr().err == ""


def test_a_provider_that_is_passed_and_set(tmp_path: Path) -> None:
    """Under `otel-ext run`, one that the program passes to `configure` and sets counts once."""
    code = """\
        import otel_ext
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        mine = TracerProvider()
        otel_ext.configure(tracer_provider=mine)
        trace.set_tracer_provider(mine)
        trace.get_tracer("t").start_span("work").end()
    """
    record(tmp_path, "-c", textwrap.dedent(code))
    assert len(spans_in(tmp_path / "traces", "work")) == 2


def test_the_proxy_stands_for_the_global_provider(tmp_path: Path) -> None:
    """`tracer_provider=trace.get_tracer_provider()` works where no provider is set yet."""
    code = """\
        import otel_ext
        from opentelemetry import trace
        otel_ext.configure(output="out", tracer_provider=trace.get_tracer_provider())
        trace.get_tracer("t").start_span("work").end()
    """
    assert run(code, tmp_path) == ""
    assert len(spans_in(tmp_path / "out", "work")) == 2


def test_other_settings_in_a_second_call_are_reported(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Settings that come too late are reported on stderr; those of the first call stay."""
    first = configure(output=tmp_path / "one", tracer_provider=TracerProvider())
    assert configure(output=tmp_path / "two", sync="never") is first
    assert first.config.output.folder == tmp_path / "one"
    printed = capfd.readouterr().err
    assert f"output={tmp_path / 'two'}, sync=never" in printed
    assert len(printed.splitlines()) == 1


def test_configure_works_again_after_a_shutdown(tmp_path: Path) -> None:
    """After a shutdown, a new call returns a new handle."""
    provider = TracerProvider()
    configure(output=tmp_path / "one", tracer_provider=provider).shutdown()
    second = configure(output=tmp_path / "two", tracer_provider=provider)
    work(provider)
    assert second.shutdown()
    assert second.shutdown()
    assert len(spans_in(tmp_path / "two", "work")) == 2
    assert not spans_in(tmp_path / "one")


def test_threads_that_configure_at_once_get_one_handle(tmp_path: Path) -> None:
    """Of many simultaneous calls one sets recording up, and all return its handle."""
    provider = TracerProvider()
    barrier = threading.Barrier(8)
    handles: list[object] = []

    def call() -> None:
        barrier.wait()
        handles.append(configure(output=tmp_path, tracer_provider=provider))
        work(provider)

    in_threads(*[call] * 8)
    assert len(set(handles)) == 1
    configure().shutdown()
    assert len(spans_in(tmp_path, "work")) == 16


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"outptu": "x"}, "Did you mean"),
        ({"sync": "often"}, "argument sync"),
        ({"ring_size": -1}, "ring-size"),
    ],
)
def test_a_wrong_argument_is_an_error_of_the_call(settings: dict[str, Any], expected: str) -> None:
    """A call with a wrong setting raises, and nothing is set up."""
    with pytest.raises(ConfigError, match=expected):
        configure(**settings)
    assert not configure(enabled=False).active


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED=true", "OTEL_EXT_ENABLED=false"])
def test_disabled_by_the_environment(
    tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the environment disables recording, the returned handle does nothing."""
    name, _, value = variable.partition("=")
    monkeypatch.setenv(name, value)
    provider = TracerProvider()
    handle = configure(output=tmp_path / "out", tracer_provider=provider)
    work(provider)
    assert (handle.active, handle.flush(), handle.shutdown()) == (False, True, True)
    assert not (tmp_path / "out").exists()


class _NoProcessors:
    """A provider that takes no processors, as an API-only one."""


class _Broken:
    """A provider whose method fails."""

    def add_span_processor(self, _processor: object) -> None:
        """Fail."""
        message = "out of order"
        raise RuntimeError(message)


@pytest.mark.parametrize(
    ("provider", "printed"),
    [
        (_NoProcessors(), "the tracer provider _NoProcessors takes no span processors"),
        (_Broken(), "out of order"),
    ],
)
def test_a_provider_that_cannot_be_used_is_reported(
    tmp_path: Path, provider: object, printed: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is raised; one line reports that nothing is recorded, and why."""
    handle = configure(output=tmp_path, tracer_provider=provider)
    assert printed in capfd.readouterr().err
    assert handle.shutdown()


def test_compat_mode_can_be_switched_while_running(tmp_path: Path) -> None:
    """`set_compat_mode` takes effect with the next record."""
    provider = TracerProvider()
    with configure(output=tmp_path, compat_mode=True, tracer_provider=provider) as handle:
        work(provider, "first")
        set_compat_mode(False)
        work(provider, "second")
        handle.flush()
    text = next(tmp_path.glob("*.jsonl")).read_text()
    lines = {line.split('"event":"')[1].split('"')[0]: line for line in text.splitlines()}
    assert lines["first.end"].startswith('{"timestamp":')
    assert lines["second.end"].startswith('{"__tracer_meta__":')


def test_a_folder_that_cannot_be_made_is_replaced(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records go to a private folder instead, and one line on stderr names both."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "file").write_text("in the way")
    provider = TracerProvider()
    handle = configure(output=tmp_path / "file" / "below", tracer_provider=provider)
    work(provider)
    assert handle.shutdown()
    spare = tmp_path / f"otel-ext-{os.geteuid()}"
    assert handle.config.output.folder == spare
    assert len(spans_in(spare)) == 2
    assert spare.stat().st_mode & 0o777 == 0o700
    printed = capfd.readouterr().err
    assert f"{tmp_path / 'file'} is not a folder. Records go to {spare};" in printed
    assert len(printed.splitlines()) == 1


def test_strict_refuses_mistakes_outside_of_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `strict` a folder that cannot be made, or a wrong variable, is an error."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="is not a folder"):
        configure(output=tmp_path / "file" / "below", strict=True)
    monkeypatch.setenv("OTEL_EXT_SYNC", "often")
    with pytest.raises(ConfigError, match="sync: 'often'"):
        configure(strict=True)


def test_a_wrong_variable_or_file_never_stops_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A typo outside of the code is reported and ignored; one in the code is an error."""
    (tmp_path / "otel-ext.toml").write_text("ouput = 'x'\nstall-after = '9s'\n")
    monkeypatch.setenv("OTEL_EXT_CONFIG", str(tmp_path / "otel-ext.toml"))
    monkeypatch.setenv("OTEL_EXT_SYNC", "often")
    handle = configure(tracer_provider=TracerProvider(), output=tmp_path / "traces")
    assert handle.active
    assert handle.config.inflight.stall_after == 9
    assert handle.config.journal.sync == "interval"
    handle.shutdown()
    printed = capfd.readouterr().err
    assert printed.count("'ouput' (") == 1
    assert printed.count("environment variable OTEL_EXT_SYNC) is not allowed") == 1
    with pytest.raises(ConfigError, match="'ouput' \\(argument\\)"):
        configure(ouput="x")


def test_the_programs_sigterm_handler_still_runs(tmp_path: Path) -> None:
    """With handle-sigterm the program's own handler runs, and shutdown removes ours."""
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        mine = signal.getsignal(signal.SIGTERM)
        provider = TracerProvider()
        settings: dict[str, Any] = {"handle_sigterm": True, "output": tmp_path}
        with configure(tracer_provider=provider, **settings):
            assert signal.getsignal(signal.SIGTERM) is not mine
            work(provider)
            signal.raise_signal(signal.SIGTERM)
            assert len(spans_in(tmp_path, "work")) == 2
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


def test_without_a_provider_one_is_set(tmp_path: Path) -> None:
    """The new global provider has the resource that the environment describes."""
    printed = run(
        """\
        import otel_ext.pipeline
        from opentelemetry import trace
        early = trace.get_tracer("early")
        otel_ext.pipeline.configure(output="out")
        with early.start_as_current_span("work"):
            pass
        """,
        tmp_path,
        OTEL_SERVICE_NAME="shop",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test,region=north",
    )
    assert printed == ""
    assert len(spans_in(tmp_path / "out", "work")) == 2
    resource = records_in(tmp_path / "out")[0].extra["resource"]
    assert isinstance(resource, dict)
    assert resource["service.name"] == "shop"
    assert resource["region"] == "north"


def test_the_global_provider_is_joined(tmp_path: Path) -> None:
    """A provider that the program has set stays, and the API logs nothing."""
    printed = run(
        """\
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.resources import Resource
        mine = TracerProvider(resource=Resource({"service.name": "mine"}))
        trace.set_tracer_provider(mine)
        import otel_ext.pipeline
        otel_ext.pipeline.configure(output="out")
        assert trace.get_tracer_provider() is mine
        with trace.get_tracer("test").start_as_current_span("work"):
            pass
        """,
        tmp_path,
    )
    assert printed == ""
    assert records_in(tmp_path / "out")[0].extra["resource"] == {"service.name": "mine"}


@pytest.mark.parametrize("ending", ["", "raise SystemExit(0)", "import sys; sys.exit()"])
def test_records_are_flushed_at_exit(tmp_path: Path, ending: str) -> None:
    """The program need not call anything at its end, and the file is closed properly."""
    run(
        f"""\
        import otel_ext.pipeline
        from opentelemetry import trace
        otel_ext.pipeline.configure(output="out")
        left_open = trace.get_tracer("test").start_span("open")
        for number in range(1000):
            with trace.get_tracer("test").start_as_current_span("work"):
                pass
        {ending}
        """,
        tmp_path,
    )
    assert len(spans_in(tmp_path / "out", "work")) == 2000
    assert [r.abandoned for r in spans_in(tmp_path / "out", "open")] == [None, "shutdown"]
    assert records_in(tmp_path / "out")[-1].name == "process.end"


def test_importing_it_configures_nothing() -> None:
    """Importing the module does not change the global provider."""
    assert "otel_ext.pipeline" in sys.modules
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    assert logging.getLogger("otel_ext").handlers == []


def test_repr_of_a_handle(tmp_path: Path) -> None:
    """The repr shows state and output folder."""
    handle = configure(output=tmp_path, tracer_provider=TracerProvider())
    assert repr(handle) == f"<otel_ext.Handle active output={str(tmp_path)!r}>"
    handle.shutdown()
    assert "closed" in repr(handle)
