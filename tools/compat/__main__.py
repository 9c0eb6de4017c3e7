"""Runs the test suites of OpenTelemetry with and without our processor, and compares them.

The suites come from the packages' source archives, or from checkouts. Each is run without
changes, and with `LifecycleSpanProcessor` added to every tracer provider. If the outcome of a
test differs, the suite is run again both ways: a test that is unstable without us too is
reported as such; every other difference is a fault of ours.

    make compat COMPAT_ARGS="sqlite3 asgi"

The exit code is 0 if every suite has the same outcomes, 1 if one differs, 2 if one could not
be run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from tools.compat.bench import Bench, SuiteUnavailableError
from tools.compat.outcome import Outcome, differences, unequal
from tools.compat.report import Result, details, load, save, table
from tools.compat.suites import SUITES, Suite

DIFFERENT = 1
NOT_RUN = 2
STOPPED = 130


def show_progress(text: str) -> None:
    """Print progress on stderr."""
    sys.stderr.write(text)
    sys.stderr.flush()


def compare(bench: Bench, suite: Suite, again: int) -> Result:
    """Run a suite both ways, and up to `again` times more if the outcomes differ.

    Args:
        bench: Runs it.
        suite: The suite.
        again: How many more pairs of runs to make after a difference.

    Returns:
        The result; one with `problem` if the suite could not be run.
    """
    began = time.monotonic()
    version = bench.version_of(suite.package)
    try:
        show_progress(" installing;")
        needs = bench.install(suite)
        runs: list[tuple[Outcome, Outcome]] = []
        while not runs or (unequal(*runs[0]) and len(runs) <= again):
            runs.append(run_both(bench, suite))
    except SuiteUnavailableError as error:
        return Result(suite.package, version, {}, {}, {}, problem=str(error))
    without, ours = runs[0]
    return Result(
        suite.package,
        version,
        needs,
        without.counts(),
        ours.counts(),
        spans=ours.spans,
        seconds=round(time.monotonic() - began, 1),
        differences=differences(runs),
    )


def run_both(bench: Bench, suite: Suite) -> tuple[Outcome, Outcome]:
    """Run a suite without us and with us; raise if it cannot run even without us."""
    show_progress(" without us,")
    without = bench.run(suite, ours=False)
    if without.problem:
        raise SuiteUnavailableError(f"without us: {without.problem}")
    show_progress(" with us;")
    return without, bench.run(suite, ours=True)


def suites_named(names: list[str]) -> list[Suite]:
    """Return the suites with these names, all if there are none; exit with 2 for an unknown one."""
    suites = [suite for suite in SUITES if not names or names_suite(suite, names)]
    unknown = [name for name in names if not any(names_suite(suite, [name]) for suite in SUITES)]
    if unknown:
        known = ", ".join(suite.short for suite in SUITES)
        show_progress(f"compat: no suite is named {', '.join(unknown)}; there are {known}\n")
        sys.exit(NOT_RUN)
    return suites


def names_suite(suite: Suite, names: list[str]) -> bool:
    """Return whether `names` has the suite's package, with or without the prefix."""
    return suite.package in names or suite.short in names


def options_of(words: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="compat", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suites", nargs="*", help="packages, with or without their prefix")
    parser.add_argument("--wheel", type=Path, required=True, help="our wheel, tested as installed")
    parser.add_argument("--work", type=Path, required=True, help="a folder to work in")
    parser.add_argument(
        "--source", type=Path, action="append", default=[], metavar="FOLDER",
        help="a folder of checkouts, each named as its package; may be repeated",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")
    parser.add_argument(
        "--pure", action="store_true", help="run with our Python code, not the compiled part"
    )
    parser.add_argument(
        "--again", type=int, default=3, metavar="N",
        help="more pairs of runs for a suite whose outcomes differ (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=int, default=900, metavar="SECONDS",
        help="for one run of a suite (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--last", action="store_true", help="run nothing, show the latest results")
    options = parser.parse_args(words)
    if not options.last and not options.wheel.is_file():
        parser.error(f"--wheel {options.wheel} is not a file; `make wheel` makes one")
    for source in options.source:
        if not source.is_dir():
            parser.error(f"--source {source} is not a folder; pass one that contains checkouts")
    return options


def run(options: argparse.Namespace, suites: list[Suite], kept: Path) -> list[Result]:
    """Compare the suites, save each result as soon as it is known, and return them."""
    work: Path = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    bench = Bench(
        work, options.wheel.resolve(), options.source, pure=options.pure, timeout=options.timeout
    )
    show_progress("compat: preparing the environment\n")
    bench.prepare()
    results: list[Result] = []
    for number, suite in enumerate(suites, 1):
        show_progress(f"[{number}/{len(suites)}] {suite.short}:")
        result = compare(bench, suite, options.again)
        show_progress(f" {result.verdict}, {result.seconds:.0f} s\n")
        save(result, kept)
        results.append(result)
    return results


def print_results(results: list[Result], json_file: Path | None) -> int:
    """Print the results, write them to `json_file` if there is one, and return the exit code."""
    same = sum(result.is_same for result in results)
    sys.stdout.write(table(results) + details(results))
    sys.stdout.write(f"{same} of {len(results)} suites go the same way with us as without\n")
    if json_file is not None:
        text = json.dumps([result.as_json() for result in results], indent=2)
        json_file.write_text(text + "\n", "utf-8")
    if any(result.problem for result in results):
        return NOT_RUN
    return 0 if same == len(results) else DIFFERENT


def main(words: list[str] | None = None) -> int:
    """Compare the suites, and return the exit code."""
    options = options_of(words)
    suites = suites_named(options.suites)
    kept: Path = options.work.resolve() / ("results-pure" if options.pure else "results")
    if options.last:
        files = [kept / f"{suite.package}.json" for suite in suites]
        return print_results([load(file) for file in files if file.exists()], options.json)
    try:
        return print_results(run(options, suites, kept), options.json)
    except SuiteUnavailableError as error:
        show_progress(f"compat: the environment cannot be created: {error}\n")
        return NOT_RUN
    except KeyboardInterrupt:
        show_progress("\ncompat: stopped; --last shows the results so far\n")
        return STOPPED


if __name__ == "__main__":
    sys.exit(main())
