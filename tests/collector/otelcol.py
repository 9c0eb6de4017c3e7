"""Runs the real OpenTelemetry Collector with the configurations of deploy/collector."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from tests.programs import environment, free_port, wait_until
from tools.build_collector import cached

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy" / "collector"
READY: Final = "Everything is ready"
META: Final = "__tracer_meta__"


class Log(NamedTuple):
    """A log record as the Collector wrote it.

    Attributes:
        event: The event's name, such as `otel_ext.span.start`.
        time_ns: Nanoseconds since the epoch.
    """

    event: str
    body: object
    time_ns: int
    severity: int
    trace_id: str
    span_id: str
    attributes: dict[str, object]

    @property
    def meta(self) -> dict[str, object]:
        """The value of `__tracer_meta__`; empty for a line that is not a record."""
        meta = self.attributes.get(META, {})
        assert isinstance(meta, dict)
        return cast("dict[str, object]", meta)

    @property
    def key(self) -> tuple[object, object]:
        """The process and the sequence number, which identify a record."""
        return self.meta["process"], self.meta["seq"]


def collector() -> Path:
    """Return the path of the binary.

    Raises:
        AssertionError: It does not exist; a test is never skipped for that.
    """
    binary = cached(DEPLOY / "builder.yaml")
    assert binary.exists(), f"{binary} is missing; `make collector` builds it"
    return binary


def validate(configuration: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Let the Collector validate a configuration."""
    return subprocess.run(
        [str(collector()), "validate", "--config", str(DEPLOY / configuration)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def running(
    configuration: str, folder: Path, **variables: str
) -> Generator[Mapping[str, int], None, None]:
    """Run the Collector in `folder`, then stop it orderly; yields its OTLP ports by protocol."""
    ports = {"grpc": free_port(), "http": free_port()}
    env = environment(
        OTLP_GRPC=f"127.0.0.1:{ports['grpc']}", OTLP_HTTP=f"127.0.0.1:{ports['http']}", **variables
    )
    log = folder / "otelcol.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(collector()), "--config", str(DEPLOY / configuration)],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(
            lambda: READY in log.read_text("utf-8") or process.poll() is not None,
            "the Collector starts",
        )
        assert process.poll() is None, log.read_text("utf-8")
        yield ports
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, log.read_text("utf-8")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _value(value: Mapping[str, object]) -> object:
    """Convert a value of OTLP's JSON to Python."""
    kind, held = next(iter(value.items()), ("", None))
    if kind == "intValue":
        return int(str(held))
    if not isinstance(held, dict):
        return held
    values = cast("dict[str, list[dict[str, object]]]", held).get("values", [])
    return _mapping(values) if kind == "kvlistValue" else [_value(item) for item in values]


def _mapping(pairs: list[dict[str, object]]) -> dict[str, object]:
    made: dict[str, object] = {}
    for pair in pairs:
        made[str(pair["key"])] = _value(cast("dict[str, object]", pair["value"]))
    return made


def _batches(file: Path) -> list[dict[str, list[dict[str, list[dict[str, object]]]]]]:
    """Parse the whole lines of a file that the Collector may still be writing."""
    text = file.read_text("utf-8") if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _items(file: Path, words: tuple[str, str, str]) -> list[dict[str, object]]:
    of_resources, of_scopes, of_items = words
    found: list[dict[str, object]] = []
    for batch in _batches(file):
        for resource in batch[of_resources]:
            for scope in resource[of_scopes]:
                items = scope[of_items]
                assert isinstance(items, list)
                found += items
    return found


def _number(item: Mapping[str, object], key: str) -> int:
    return int(str(item.get(key, 0)))


def logs(folder: Path, route: str) -> list[Log]:
    """Return the log records of a route: `spans`, `inflight` or `logs`."""
    found: list[Log] = []
    words = ("resourceLogs", "scopeLogs", "logRecords")
    for item in _items(folder / "collected" / f"{route}.json", words):
        attributes = cast("list[dict[str, object]]", item.get("attributes", []))
        body = cast("dict[str, object]", item.get("body", {}))
        found.append(
            Log(
                str(item.get("eventName", "")),
                _value(body),
                _number(item, "timeUnixNano"),
                _number(item, "severityNumber"),
                str(item.get("traceId", "")),
                str(item.get("spanId", "")),
                _mapping(attributes),
            )
        )
    return found


def spans(folder: Path) -> list[dict[str, object]]:
    """Return the spans that arrived over OTLP, as OTLP's JSON."""
    return _items(folder / "collected" / "spans.json", ("resourceSpans", "scopeSpans", "spans"))


def settled(count: Callable[[], int], expected: int, what: str) -> None:
    """Wait until `count()` reaches `expected`, and check that it is not exceeded."""
    wait_until(lambda: count() >= expected, what)
    assert count() == expected, what
