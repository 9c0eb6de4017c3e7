"""Runs the benchmarks and writes the report.

python benchmarks/run.py [--quick] [--only MEASURE ...] [--resume] [--docs FOLDER]
    [--results FOLDER]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

if __name__ == "__main__":
    # As a program, this file's own folder stands first on the path.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.child import run_measure
from benchmarks.harness import Effort
from benchmarks.machine import describe
from benchmarks.published import write_published
from benchmarks.report import write_report
from benchmarks.result import SHORT_RUN, Result, from_json, to_json
from benchmarks.targets import judgements

__all__ = ["MEASURES", "main"]

MEASURES: Final = (
    "span_cost",
    "instructions",
    "spans_apart",
    "codec_cost",
    "latency",
    "application",
    "django_application",
    "celery_application",
    "memory",
    "logs",
    "reading",
    "imports",
    "start_cost",
    "first_span",
    "hot_path",
    "sent_span",
    "helpers",
    "sampled_events",
    "flags",
    "checkpoints",
    "analysis",
    "store",
    "received",
    "attacked",
    "watched",
    "registries",
)
_QUICK: Final = "A short run, for breakage and not for figures."


def main(arguments: list[str] | None = None) -> int:
    """Run the measures; exit with 1 if one of them failed."""
    options = _parse(arguments)
    effort = Effort(options.effort)
    results_folder: Path = options.results
    results_folder.mkdir(parents=True, exist_ok=True)
    machine = describe()
    results: list[Result] = []
    failed: list[str] = []
    for name in options.only or MEASURES:
        sys.stdout.write(f"==> {name}\n")
        sys.stdout.flush()
        kept = results_folder / f"{name}.json"
        if options.resume and kept.is_file():
            results.append(from_json(json.loads(kept.read_text("utf-8"))))
            sys.stdout.write("    kept from the run before\n")
            continue
        try:
            result = run_measure(name, effort)
        except Exception as error:  # noqa: BLE001 - the other measures go on
            sys.stderr.write(f"{name}: {error}\n")
            failed.append(name)
            continue
        if effort.name != "full":
            result.notes.append(SHORT_RUN)
        results.append(result)
        text = json.dumps(to_json(result), indent=1)
        kept.write_text(f"{text}\n", encoding="utf-8")
        sys.stdout.write(f"    {result.seconds:.0f} s\n")
    facts = json.dumps(dict(machine), indent=1)
    (results_folder / "machine.json").write_text(f"{facts}\n", encoding="utf-8")
    page = write_report(results, machine, options.docs or results_folder / "report", options.remark)
    write_published(results, machine, page.parent)
    for row in judgements(results).rows:
        sys.stdout.write(f"{row[-1].strip('*'):18}{row[3]:28}{row[0]} ({row[1]})\n")
    sys.stdout.write(f"report: {page}\nresults: {results_folder}\n")
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}\n")
    return 1 if failed else 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the benchmarks and write the report.")
    quick = parser.add_mutually_exclusive_group()
    quick.add_argument("--quick", action="store_const", const="quick", dest="effort")
    quick.add_argument("--tiny", action="store_const", const="tiny", dest="effort")
    parser.add_argument("--only", nargs="+", choices=MEASURES, metavar="MEASURE")
    parser.add_argument(
        "--resume", action="store_true", help="measure only what has no result in its folder yet"
    )
    parser.add_argument("--docs", type=Path, help="where the report goes")
    parser.add_argument("--results", type=Path, default=Path("build/bench"))
    parser.set_defaults(effort="full")
    options = parser.parse_args(arguments)
    options.remark = "" if options.effort == "full" else _QUICK
    return options


if __name__ == "__main__":
    sys.exit(main())
