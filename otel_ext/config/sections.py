"""The table of settings, grouped in frozen sections, and the whole configuration.

To add a setting, declare one more field; reading, checking, the error messages
and the documentation follow from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from otel_ext.config.declarations import Setting, declare, settings_of
from otel_ext.config.kinds import Boolean, Choice, Duration, Folder, Integer, Size, Thresholds
from otel_ext.config.messages import DEFAULT, Source, did_you_mean, show
from otel_ext.config.redaction_section import RedactionConfig
from otel_ext.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

__all__ = [
    "SETTINGS",
    "CaptureConfig",
    "Config",
    "ConsoleConfig",
    "InflightConfig",
    "JournalConfig",
    "OtlpConfig",
    "OutputConfig",
    "RedactionConfig",
    "RemoteConfig",
    "setting_named",
]

ConsoleMode = Literal["auto", "on", "off", "json"]
Durability = Literal["mapped", "queued", "write"]
Sync = Literal["always", "interval", "never"]
OtlpEncoding = Literal["events", "logfire", "same-id"]
OtlpSpans = Literal["auto", "always", "never"]

_KIB: Final = 1024
_MIB: Final = 1024**2
_GIB: Final = 1024**3
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_DAY: Final = 86_400.0
_YEAR: Final = 365 * _DAY
_STALL: Final = Duration(0.01, _YEAR, zero="for never")
_NO_PATTERNS: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True)
class CaptureConfig:
    """What is recorded at all."""

    enabled: bool = declare(
        Boolean(),
        "Whether anything is recorded; false leaves the program as it would be without otel-ext.",
        default=True,
    )
    record_only: bool = declare(
        Boolean(),
        "Also record spans that are recorded but not sampled (`RECORD_ONLY`).",
        default=False,
    )
    instrument: bool = declare(
        Boolean(),
        "Switch on each installed OpenTelemetry instrumentation once its library is imported."
        " `otel-ext run` does so unless this says `false`.",
        default=False,
    )
    strict: bool = declare(
        Boolean(),
        "Refuse to start where a variable, a configuration file or the output folder is wrong,"
        " instead of saying so and going on without it.",
        default=False,
    )
    structlog: bool = declare(
        Boolean(),
        "Configure structlog too, so that its records go into the same stream; the same as a call"
        " of `otel_ext.configure_structlog()`.",
        default=False,
    )


@dataclass(frozen=True)
class OutputConfig:
    """Where records go and how their lines look."""

    folder: Path = declare(  # noqa: RUF009 - returns a field
        Folder(),
        "The folder that takes the JSONL files, one for each process. In a file it is relative to"
        " that file, elsewhere to the working directory.",
        default=Path("traces"),
        name="output",
    )
    compat_mode: bool = declare(
        Boolean(),
        "Write the timestamp a second time at the top level of each line, for tools that look for"
        " it there. Can be switched while the program runs.",
        default=False,
        aliases=("AITRACE_COMPAT_MODE",),
    )


@dataclass(frozen=True)
class ConsoleConfig:
    """What appears on the terminal."""

    mode: ConsoleMode = declare(  # noqa: RUF009 - returns a field
        Choice(("auto", "on", "off", "json")),
        "Records on standard error: `off` never, `auto` only on a terminal, and there only while"
        " it is to be seen, `on` always for people, `json` as JSON lines. `otel-ext run` has the"
        " default `auto`.",
        default="off",
        name="console",
    )


@dataclass(frozen=True)
class JournalConfig:
    """How records are kept: the ring buffer, its files and their end. Seconds and bytes."""

    durability: Durability = declare(  # noqa: RUF009 - returns a field
        Choice(("mapped", "queued", "write")),
        "How a record leaves the program: `mapped` into memory that outlives a kill, `queued`"
        " through a queue that does not, `write` by a system call each, as slow as the disk;"
        " after a write of more than 1 s through a queue for 30 s, which is said.",
        default="mapped",
    )
    sync: Sync = declare(  # noqa: RUF009 - returns a field
        Choice(("always", "interval", "never")),
        "When files are forced to the disk, against loss of power: after each write (`always`),"
        " once a second (`interval`), or as the system sees fit (`never`).",
        default="interval",
    )
    ring_size: int = declare(
        Size(64 * _KIB, _GIB),
        "Size of the ring buffer of each process. It is emptied every 50 ms, later where the"
        " processor or the disk is busy; what comes meanwhile must fit, about 2,000 records a"
        " MiB, or is dropped and counted. `otel-ext doctor` says when it came close to full.",
        default=8 * _MIB,
    )
    segment_size: int = declare(
        Size(64 * _KIB, 1024 * _GIB),
        "A JSONL file of this size, and at most one ring buffer more, is followed by a new one.",
        default=64 * _MIB,
    )
    segment_age: float = declare(
        Duration(1, _YEAR, zero="for no limit"),
        "A JSONL file that reaches this age is followed by a new one.",
        default=_HOUR,
    )
    retention_size: int = declare(
        Size(64 * _KIB, 1024 * _GIB, zero="for no limit"),
        "Total size of the closed files of a folder; beyond it the oldest are deleted.",
        default=512 * _MIB,
    )
    retention_age: float = declare(
        Duration(_MINUTE, 100 * _YEAR, zero="for no limit"),
        "Closed files older than this are deleted.",
        default=7 * _DAY,
    )
    recover_on_start: bool = declare(
        Boolean(),
        "End the open spans of processes that died in the same folder, before the start or since.",
        default=True,
    )


@dataclass(frozen=True)
class InflightConfig:
    """How open spans are watched. Durations in seconds."""

    max_open_spans: int = declare(
        Integer(1, 100_000_000),
        "Open spans that are watched at a time; more are recorded and counted, but not watched.",
        default=100_000,
    )
    max_open_age: float = declare(
        Duration(1, 10 * _YEAR),
        "A span open for longer is no longer watched and counts as abandoned (`expired`).",
        default=7 * _DAY,
    )
    heartbeat_interval: float = declare(
        Duration(0.1, _HOUR),
        "Time between the signs of life of a process.",
        default=5.0,
    )
    stall_after: float = declare(
        _STALL, "A span open for longer is reported as stalled.", default=_MINUTE
    )
    stall_patterns: Mapping[str, float] = declare(
        Thresholds(_STALL),
        "`stall-after` for spans whose name matches a pattern (`*`, `?`, `[...]`); the first that"
        " matches counts.",
        default=_NO_PATTERNS,
    )
    owner_grace: float = declare(
        Duration(0.001, _HOUR, zero="for none"),
        "Time that spans of a dead thread or task have to end before they are reported abandoned.",
        default=0.5,
    )
    handle_sigterm: bool = declare(
        Boolean(),
        "Write what is open when SIGTERM arrives, then call the program's own handler.",
        default=False,
    )


@dataclass(frozen=True)
class OtlpConfig:
    """What is sent to a collector, and how. Seconds and bytes."""

    enabled: bool = declare(
        Boolean(),
        "Also send records to a collector, over OTLP. Where and how say the variables of"
        " OpenTelemetry: `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_PROTOCOL` and so on.",
        default=False,
        name="otlp",
    )
    encoding: OtlpEncoding = declare(  # noqa: RUF009 - returns a field
        Choice(("events", "logfire", "same-id")),
        "A start is sent as a log (`events`), a pending span of Logfire, or an open span.",
        default="events",
        name="otlp-encoding",
    )
    spans: OtlpSpans = declare(  # noqa: RUF009 - returns a field
        Choice(("auto", "always", "never")),
        "Whether ended spans are sent: `auto` unless the program has an OTLP exporter of its own.",
        default="auto",
        name="otlp-spans",
    )
    ends_only: bool = declare(
        Boolean(),
        "Send nothing but the ends of spans: no starts, no logs, nothing about processes.",
        default=False,
        name="otlp-ends-only",
    )
    grace: float = declare(
        Duration(0.001, _HOUR, zero="to send every start"),
        "A span that ends sooner sends no start, unless something below it is sent before.",
        default=0.5,
        name="otlp-grace",
    )
    queue_size: int = declare(
        Integer(1, 10_000_000),
        "Ended spans that wait for the collector at most; of starts and of logs, half as many more"
        " each. Starts are the first to be left out.",
        default=8_192,
        name="otlp-queue-size",
    )
    queue_bytes: int = declare(
        Size(64 * _KIB, 64 * _GIB),
        "Memory that waiting spans may take, as reckoned; starts and logs half as much each.",
        default=16 * _MIB,
        name="otlp-queue-bytes",
    )
    exit_timeout: float = declare(
        Duration(0.001, _HOUR, zero="for none"),
        "Time to send what is left when the program ends.",
        default=2.0,
        name="otlp-exit-timeout",
    )


@dataclass(frozen=True)
class RemoteConfig:
    """What happens while a destination cannot be reached. Seconds and bytes."""

    persistent_queue: bool = declare(
        Boolean(),
        "Keep on disk, in `.queue` below the output folder, what a destination does not take now,"
        " and send it when it does, or when a program is started there again.",
        default=True,
    )
    persistent_queue_size: int = declare(
        Size(64 * _KIB, 1024 * _GIB),
        "What may wait on disk, all destinations together; beyond it the oldest is deleted.",
        default=512 * _MIB,
    )
    retry_failures: int = declare(
        Integer(1, 1_000),
        "A destination that fails so many times in a row is left alone for a while.",
        default=3,
    )
    retry_initial_interval: float = declare(
        Duration(0.01, _HOUR),
        "How long it is left alone at first; twice as long each time that it fails again, and as"
        " long as it asks for by `Retry-After`.",
        default=0.5,
    )
    retry_max_interval: float = declare(
        Duration(0.01, _DAY),
        "The longest time that it is left alone by itself.",
        default=30.0,
    )


@dataclass(frozen=True)
class Config:
    """All settings, with where each came from. `Config()` holds the defaults and reads nothing.

    Args:
        capture: What is recorded at all.
        output: Where records go and how their lines look.
        console: What appears on the terminal.
        journal: How records are kept.
        inflight: How open spans are watched.
        otlp: What is sent to a collector.
        remote: What happens while a destination cannot be reached.
        redaction: What is kept out of records.
        sources: Where each value came from, by setting name; defaults are left out.
        file: The configuration file that was read, if any.
        warnings: What is odd but no error, one sentence each.

    >>> config = Config()
    >>> config.journal.durability, config.value("durability"), str(config.source_of("durability"))
    ('mapped', 'mapped', 'default')
    """

    capture: CaptureConfig = field(default_factory=CaptureConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    console: ConsoleConfig = field(default_factory=ConsoleConfig)
    journal: JournalConfig = field(default_factory=JournalConfig)
    inflight: InflightConfig = field(default_factory=InflightConfig)
    otlp: OtlpConfig = field(default_factory=OtlpConfig)
    remote: RemoteConfig = field(default_factory=RemoteConfig)
    redaction: RedactionConfig = field(default_factory=RedactionConfig)
    sources: Mapping[str, Source] = field(
        default_factory=lambda: MappingProxyType({}), compare=False
    )
    file: Path | None = field(default=None, compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def value(self, name: str) -> object:
        """Return the value of the setting `name` (kebab-case).

        Raises:
            ConfigError: There is no such setting.
        """
        setting = setting_named(name)
        return getattr(getattr(self, setting.section), setting.field)

    def source_of(self, name: str) -> Source:
        """Return where the value of the setting `name` came from.

        Raises:
            ConfigError: There is no such setting.
        """
        return self.sources.get(setting_named(name).name, DEFAULT)

    def items(self) -> Iterator[tuple[Setting, object, Source]]:
        """Yield each setting with its value and where that came from, in the table's order."""
        for setting in SETTINGS:
            yield setting, self.value(setting.name), self.source_of(setting.name)

    def with_values(self, values: Mapping[str, tuple[object, Source]]) -> Config:
        """Return a copy with other values, already checked, by setting name."""
        changes: dict[str, Any] = {}
        for name, (value, _) in values.items():
            setting = setting_named(name)
            section = changes.get(setting.section) or getattr(self, setting.section)
            changes[setting.section] = replace(section, **{setting.field: value})
        sources = {name: source for name, (_, source) in values.items()}
        return replace(self, sources=MappingProxyType({**self.sources, **sources}), **changes)


_SECTIONS: Final = (
    ("capture", CaptureConfig),
    ("output", OutputConfig),
    ("console", ConsoleConfig),
    ("journal", JournalConfig),
    ("inflight", InflightConfig),
    ("otlp", OtlpConfig),
    ("remote", RemoteConfig),
    ("redaction", RedactionConfig),
)
SETTINGS: Final[tuple[Setting, ...]] = tuple(
    setting for name, holder in _SECTIONS for setting in settings_of(name, holder)
)
_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}


def setting_named(name: str) -> Setting:
    """Return the setting `name`, in kebab-case or as an argument.

    Raises:
        ConfigError: There is none; the nearest is suggested.

    >>> setting_named("ring_size").name
    'ring-size'
    """
    setting = _BY_NAME.get(name.replace("_", "-"))
    if setting is None:
        raise ConfigError(f"there is no setting {show(name)}", hint=did_you_mean(name, _BY_NAME))
    return setting
