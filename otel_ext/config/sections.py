"""Declares the settings, grouped in frozen sections, and `Config`, which holds them all.

For a new setting, add a field: parsing, checks, error messages and documentation follow.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from otel_ext.config.messages import DEFAULT, Source, did_you_mean, short_repr
from otel_ext.config.redaction_section import RedactionConfig
from otel_ext.errors import ConfigError
from otel_ext.exporters.delivery.settings import RemoteSettings
from otel_ext.exporters.otlp.settings import OtlpSettings
from otel_ext.settings.declarations import Setting, declare, settings_of
from otel_ext.settings.kinds import Boolean, Choice, Duration, Folder, Integer, Size, Thresholds
from otel_ext.settings.units import DAY, GIB, HOUR, KIB, MIB, MINUTE, YEAR

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
    "OutputConfig",
    "RedactionConfig",
    "setting_named",
]

ConsoleMode = Literal["auto", "on", "off", "json"]
Durability = Literal["mapped", "queued", "write"]
Sync = Literal["always", "interval", "never"]

_STALL: Final = Duration(0.01, YEAR, zero="for never")
_NO_PATTERNS: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True)
class CaptureConfig:
    """What is recorded."""

    enabled: bool = declare(
        Boolean(),
        "Whether anything is recorded; with false, the program runs as without otel-ext.",
        default=True,
    )
    record_only: bool = declare(
        Boolean(),
        "Also record spans that the sampler does not sample but records (`RECORD_ONLY`).",
        default=False,
    )
    instrument: bool = declare(
        Boolean(),
        "Switch on each installed OpenTelemetry instrumentation when its library is imported."
        " `otel-ext run` does so unless this is set to `false`.",
        default=False,
    )
    strict: bool = declare(
        Boolean(),
        "Refuse to start if a variable, the configuration file or the output folder is wrong,"
        " instead of printing a warning and ignoring it.",
        default=False,
    )
    structlog: bool = declare(
        Boolean(),
        "Configure structlog too, so that its logs are recorded beside the spans; the same as"
        " calling `otel_ext.configure_structlog()`.",
        default=False,
    )


@dataclass(frozen=True)
class OutputConfig:
    """Where records are written, and in which form."""

    folder: Path = declare(
        Folder(),
        "The folder for the JSONL files, one for each process. A relative path in a configuration"
        " file is relative to that file, elsewhere to the working directory.",
        default=Path("traces"),
        name="output",
    )
    compat_mode: bool = declare(
        Boolean(),
        "Write the timestamp at the top level of each line too, for tools that expect it there."
        " Can be changed while the program runs.",
        default=False,
        aliases=("AITRACE_COMPAT_MODE",),
    )


@dataclass(frozen=True)
class ConsoleConfig:
    """What is printed on the terminal."""

    mode: ConsoleMode = declare(
        Choice(("auto", "on", "off", "json")),
        "Print records on standard error: `off` never; `auto` only on a terminal, while the"
        " program is in the foreground; `on` always, for people; `json` always, as JSON lines."
        " The default of `otel-ext run` is `auto`.",
        default="off",
        name="console",
    )


@dataclass(frozen=True)
class JournalConfig:
    """The ring buffer, the JSONL files and their retention. In seconds and bytes."""

    durability: Durability = declare(
        Choice(("mapped", "queued", "write")),
        "How a record leaves the program: `mapped` stores it in memory that survives a kill;"
        " `queued` puts it into a queue, which does not; `write` makes a system call, as slow as"
        " the disk (after a write of more than 1 s it queues for 30 s, with a warning).",
        default="mapped",
    )
    sync: Sync = declare(
        Choice(("always", "interval", "never")),
        "When files are synced to the disk, against power loss: after each write (`always`), once"
        " a second (`interval`), or when the system decides to (`never`).",
        default="interval",
    )
    ring_size: int = declare(
        Size(64 * KIB, GIB),
        "Size of the ring buffer of each process. It is emptied every 50 ms, less often while the"
        " processor or the disk is busy; records that do not fit meanwhile (1 MiB holds about"
        " 2,000) are dropped and counted. `otel-ext doctor` reports when it was nearly full.",
        default=8 * MIB,
    )
    segment_size: int = declare(
        Size(64 * KIB, 1024 * GIB),
        "At this size a new JSONL file is started; a file is larger by one ring buffer at most.",
        default=64 * MIB,
    )
    segment_age: float = declare(
        Duration(1, YEAR, zero="for no limit"),
        "At this age a new JSONL file is started.",
        default=HOUR,
    )
    retention_size: int = declare(
        Size(64 * KIB, 1024 * GIB, zero="for no limit"),
        "Total size of a folder's closed files; above it the oldest are deleted.",
        default=512 * MIB,
    )
    retention_age: float = declare(
        Duration(MINUTE, 100 * YEAR, zero="for no limit"),
        "Closed files older than this are deleted.",
        default=7 * DAY,
    )
    recover_on_start: bool = declare(
        Boolean(),
        "At the start and later, write the ends of spans that dead processes left open.",
        default=True,
    )


@dataclass(frozen=True)
class InflightConfig:
    """How open spans are watched. In seconds."""

    max_open_spans: int = declare(
        Integer(1, 100_000_000),
        "How many open spans are watched at most; further ones are only recorded and counted.",
        default=100_000,
    )
    max_open_age: float = declare(
        Duration(1, 10 * YEAR),
        "A span that is open for longer is no longer watched and counts as abandoned (`expired`).",
        default=7 * DAY,
    )
    heartbeat_interval: float = declare(
        Duration(0.1, HOUR),
        "Time between the heartbeats of a process.",
        default=5.0,
    )
    stall_after: float = declare(
        _STALL, "A span that is open for longer is reported as stalled.", default=MINUTE
    )
    stall_patterns: Mapping[str, float] = declare(
        Thresholds(_STALL),
        "`stall-after` by span name: a table of patterns (`*`, `?`, `[...]`); the first pattern"
        " that matches counts.",
        default=_NO_PATTERNS,
    )
    owner_grace: float = declare(
        Duration(0.001, HOUR, zero="for none"),
        "How long after its thread or task has ended a span is reported as abandoned.",
        default=0.5,
    )
    handle_sigterm: bool = declare(
        Boolean(),
        "Write all records when SIGTERM arrives, then call the program's own handler.",
        default=False,
    )


@dataclass(frozen=True)
class Config:
    """All settings, and the source of each. `Config()` holds the defaults and reads nothing.

    Args:
        capture: What is recorded.
        output: Where records are written, and in which form.
        console: What is printed on the terminal.
        journal: The ring buffer and the JSONL files.
        inflight: How open spans are watched.
        otlp: What is sent to a collector.
        remote: What happens while a destination cannot be reached.
        redaction: What is removed from records.
        sources: The source of each value, by setting name; without defaults.
        file: The configuration file that was read, if any.
        warnings: Mistakes that are not errors, one sentence each.

    >>> config = Config()
    >>> config.journal.durability, config.value("durability"), str(config.source_of("durability"))
    ('mapped', 'mapped', 'default')
    """

    capture: CaptureConfig = field(default_factory=CaptureConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    console: ConsoleConfig = field(default_factory=ConsoleConfig)
    journal: JournalConfig = field(default_factory=JournalConfig)
    inflight: InflightConfig = field(default_factory=InflightConfig)
    otlp: OtlpSettings = field(default_factory=OtlpSettings)
    remote: RemoteSettings = field(default_factory=RemoteSettings)
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
        """Return the source of the value of the setting `name`.

        Raises:
            ConfigError: There is no such setting.
        """
        return self.sources.get(setting_named(name).name, DEFAULT)

    def items(self) -> Iterator[tuple[Setting, object, Source]]:
        """Yield each setting with its value and the value's source, in the order of `SETTINGS`."""
        for setting in SETTINGS:
            yield setting, self.value(setting.name), self.source_of(setting.name)

    def with_values(self, values: Mapping[str, tuple[object, Source]]) -> Config:
        """Return a copy with these values, which are already checked, by setting name."""
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
    ("otlp", OtlpSettings),
    ("remote", RemoteSettings),
    ("redaction", RedactionConfig),
)
SETTINGS: Final[tuple[Setting, ...]] = tuple(
    setting for name, holder in _SECTIONS for setting in settings_of(name, holder)
)
_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}


def setting_named(name: str) -> Setting:
    """Return the setting `name`, in kebab-case or as an argument.

    Raises:
        ConfigError: There is no such setting; the hint suggests the nearest.

    >>> setting_named("ring_size").name
    'ring-size'
    """
    setting = _BY_NAME.get(name.replace("_", "-"))
    if setting is None:
        raise ConfigError(f"no setting {short_repr(name)}", hint=did_you_mean(name, _BY_NAME))
    return setting
