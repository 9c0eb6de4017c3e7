"""Measures the evaluation of a flag, against OpenFeature's own provider in memory."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from openfeature import api
from openfeature.provider.in_memory_provider import (  # pyright: ignore[reportMissingTypeStubs]
    InMemoryFlag,
    InMemoryProvider,
)
from opentelemetry.sdk.trace import TracerProvider

from benchmarks.figures import ratios, summarise
from benchmarks.harness import Case, Cases, Effort, alternate
from benchmarks.result import Result, Table
from otel_ext.flags import set_stage, use_flags

if TYPE_CHECKING:
    from openfeature.client import OpenFeatureClient

__all__ = ["measure"]

_MEMORY: Final = "a provider in memory"
_OURS: Final = "a flag file, stage 3"
_ENFORCED: Final = "a flag file, stage 5"
_FLAG: Final = "new-search"


def measure(effort: Effort) -> Result:
    """Evaluate a boolean flag within a span that is recording."""
    result = Result(
        "flags",
        "The evaluation of a feature flag",
        "By OpenFeature's client within a span that is recording: by the provider in memory that"
        " OpenFeature has, without a hook, and by a flag file with its rule and its span event.",
    )
    with TemporaryDirectory() as folder:
        clients = {_MEMORY: _memory_client()}
        for name, stage in ((_OURS, 3), (_ENFORCED, 5)):
            path = Path(folder, f"{stage}.json")
            set_stage(path, _FLAG, stage, create=True)
            clients[name] = use_flags(path, domain=name)
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("bench")

        def work(client: OpenFeatureClient, count: int) -> None:
            with tracer.start_as_current_span("work"):
                for _ in range(count):
                    client.get_boolean_value(_FLAG, default_value=False)

        cases = [
            Case(name, lambda count, client=client: work(client, count))  # type: ignore[misc]
            for name, client in clients.items()
        ]
        with Cases(cases):
            costs = alternate(
                cases,
                rounds=effort.pick(full=15, quick=5, tiny=1),
                count=effort.pick(full=5_000, quick=500, tiny=20),
            )
        api.clear_providers()
    walls = {name: [cost.wall for cost in found] for name, found in costs.items()}
    rows: list[list[str]] = []
    for name, wall in walls.items():
        figure = ratios(wall, walls[_MEMORY])
        result.figures[f"{name}, over memory"] = figure
        rows.append([name, summarise([one / 1_000 for one in wall]).show(), figure.show()])
    result.tables.append(Table("One evaluation", ["flags from", "µs", "over memory"], rows))
    return result


def _memory_client() -> OpenFeatureClient:
    provider = InMemoryProvider({_FLAG: InMemoryFlag("on", {"on": True, "off": False})})
    api.set_provider_and_wait(provider, _MEMORY)
    return api.get_client(_MEMORY)
