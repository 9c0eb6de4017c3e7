"""Measures the viewer in Chromium: from the start of a span to its bar, and a large trace."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import sleep, time_ns
from typing import TYPE_CHECKING, Final

from benchmarks.child import environment
from benchmarks.figures import percentile, summarise
from benchmarks.hour import records_of_an_hour
from benchmarks.paced import PROBE
from benchmarks.result import Result, Table
from benchmarks.servers import python_command
from benchmarks.viewer_server import viewer_server
from otel_ext.record.codec import encode_line

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from playwright.sync_api import Browser, Page

    from benchmarks.harness import Effort
    from benchmarks.viewer_server import ViewerServer

__all__ = ["measure"]

_LIVE: Final = {"bar of a trace": "trace", "bar of what runs": "now"}
_LARGE: Final = "large trace, s"
_FIRST_LOAD: Final = "first load, KB"
_RATE: Final = 1_000
_TRACE: Final = "ab" * 16
_ROWS: Final = "[role=row]"
_WAIT_MS: Final = 120_000
_SETTLE_MS: Final = 3_000
# Notes when the row of each probe is drawn for the first time, and follows the end of the list.
_WATCH: Final = """
window.probes = {};
const look = () => {
  for (const row of document.querySelectorAll("[role=row]")) {
    const found = row.textContent.match(/PROBE(\\d{13}\\.\\d)/);
    if (found && row.querySelector(".bar, .length") && !(found[1] in window.probes))
      window.probes[found[1]] = performance.timeOrigin + performance.now();
  }
  const rows = document.querySelector("[role=treegrid], [role=grid], [role=tree]");
  for (let one = rows; one; one = one.parentElement)
    if (one.scrollHeight > one.clientHeight) one.scrollTop = one.scrollHeight;
};
let isWaiting = false;
new MutationObserver(() => {
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(() => { isWaiting = false; look(); });
}).observe(document, { childList: true, subtree: true, characterData: true });
"""


def measure(effort: Effort) -> Result:
    """Watch a program that records, and open a large trace."""
    spans = 100_000 // effort.pick(full=1, quick=50, tiny=100)
    result = Result(
        "watched",
        "The viewer in the browser",
        f"A program records {_RATE:,} spans a second into a folder, ten of them as probes that"
        " stay open and have their start in their name; `otel-ext serve` serves the folder;"
        " Chromium shows a page. The time is that until the frame in which the bar of a probe is"
        f" drawn. The large trace has {spans:,} spans; its time is that from the request of the"
        " page to the frame with its first bars, when the page answers to keys.",
    )
    chromium = shutil.which("chromium")
    if chromium is None:
        keys = (*(f"{key}: p99, ms" for key in _LIVE), _LARGE, _FIRST_LOAD)
        result.notes += [f"{key}: there is no chromium." for key in keys]
        return result
    with TemporaryDirectory(prefix="otel-ext-bench-") as name, _browser(chromium) as browser:
        folder = Path(name)
        _measure_live(browser, folder, result, effort.pick(full=40, quick=3, tiny=2))
        _measure_large(browser, folder, result, spans, effort.pick(full=9, quick=1, tiny=1))
    return result


@contextmanager
def _browser(chromium: str) -> Generator[Browser]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - takes long to import

    with sync_playwright() as playwright:
        # As root Chromium has no sandbox.
        browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False)
        yield browser
        browser.close()


@contextmanager
def _page(browser: Browser, script: str = "") -> Generator[Page]:
    context = browser.new_context(viewport={"width": 1_400, "height": 900})
    page = context.new_page()
    page.add_init_script(script)
    yield page
    context.close()


def _measure_live(browser: Browser, folder: Path, result: Result, seconds: int) -> None:
    rows: list[list[str]] = []
    for key, page in _LIVE.items():
        times, missing = _watch(browser, folder / page, page, seconds)
        # A bar that did not come took longer than all that was watched.
        slowest = percentile([*times, *[seconds * 1_000.0] * missing], 0.99)
        result.figures[f"{key}: p99, ms"] = summarise([slowest])
        shown = [f"{one:.0f}" for one in (median(times), percentile(times, 0.9), slowest)]
        rows.append([key, str(len(times)), *shown, str(missing)])
    columns = ["", "probes", "p50, ms", "p90, ms", "p99, ms", "not seen"]
    result.tables.append(Table("From `start_span` to the bar", columns, rows))


def _watch(browser: Browser, folder: Path, view: str, seconds: int) -> tuple[list[float], int]:
    """Return the milliseconds from the start of each probe to its bar, and how many had none."""
    folder.mkdir()
    command = python_command("benchmarks.paced", str(folder), str(_RATE))
    with (
        viewer_server(folder, folder.with_suffix(".log")) as server,
        subprocess.Popen(  # noqa: S603 - our own program
            command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as program,
        _page(browser, _WATCH.replace("PROBE", PROBE)) as page,
    ):
        assert program.stdout is not None  # noqa: S101 - it is a pipe
        trace_id = program.stdout.readline().decode().strip()
        page.goto(f"{server.address}/#/{view}" + (f"/{trace_id}" if view == "trace" else ""))
        page.wait_for_selector(f"{_ROWS}:has-text('{PROBE}')", timeout=_WAIT_MS)
        page.wait_for_timeout(_SETTLE_MS)
        opened = time_ns() / 1e6
        page.wait_for_timeout(seconds * 1_000)
        closed = time_ns() / 1e6
        page.wait_for_timeout(_SETTLE_MS)
        seen: dict[str, float] = page.evaluate("window.probes")
        started, _ = program.communicate()
    wanted = [one for one in json.loads(started) if opened < float(one) < closed]
    times = [seen[one] - float(one) for one in wanted if one in seen]
    return times, len(wanted) - len(times)


def _measure_large(browser: Browser, folder: Path, result: Result, spans: int, rounds: int) -> None:
    own = folder / "large"
    own.mkdir()
    with (own / "records.jsonl").open("wb") as file:
        file.writelines(_large_trace(spans))
    with viewer_server(own, folder / "large.log") as server:
        _wait_until_stored(server, spans)
        times = [_open_large(browser, server) for _ in range(rounds)]
        size = _first_load(browser, server)
    result.figures[_LARGE] = summarise([one[-1] for one in times])
    result.figures[_FIRST_LOAD] = summarise([size / 1_000])
    steps = ("the answer begins", "it is there", "first bars")
    result.tables.append(
        Table(
            f"A trace of {spans:,} spans, seconds from the request of the page",
            ["", "s"],
            [
                [step, summarise(list(values)).show()]
                for step, values in zip(steps, zip(*times, strict=True), strict=True)
            ],
        )
    )


def _large_trace(spans: int) -> Generator[bytes]:
    """Yield the records of one trace: of the hour's traces below one root."""
    root = ""
    for record in records_of_an_hour(spans):
        if record.kind == "span":
            root = root or record.span_id
            parent = record.parent_span_id or (root if record.span_id != root else "")
            yield encode_line(record._replace(trace_id=_TRACE, parent_span_id=parent))
        else:
            yield encode_line(record)


def _wait_until_stored(server: ViewerServer, spans: int) -> None:
    while server.stored_records() < 2 * spans:
        sleep(0.1)


def _open_large(browser: Browser, server: ViewerServer) -> tuple[float, float, float]:
    """Return the seconds until the answer with the trace begins, is there, and is drawn."""
    with _page(browser) as page:
        page.goto(f"{server.address}/#/trace/{_TRACE}")
        page.wait_for_selector(f"{_ROWS} .bar", timeout=_WAIT_MS)
        # It is usable when a frame follows that the script does not hold up.
        drawn: float = page.evaluate(
            "new Promise(done => requestAnimationFrame(() => setTimeout("
            "() => done(performance.now()))))"
        )
        begun, ended = page.evaluate(
            "performance.getEntriesByType('resource').filter(one => one.name.includes"
            f"('/traces/{_TRACE}')).map(one => [one.responseStart, one.responseEnd])[0]"
        )
    return begun / 1_000, ended / 1_000, drawn / 1_000


def _first_load(browser: Browser, server: ViewerServer) -> int:
    """Return how many bytes the files of the page have, compressed."""
    with _page(browser) as page:
        page.goto(server.address)
        page.wait_for_load_state("networkidle")
        addresses: Sequence[str] = page.evaluate(
            "performance.getEntriesByType('resource').map(one => one.name)"
        )
    paths = {"/"} | {one.removeprefix(server.address) for one in addresses if "/api/" not in one}
    return sum(_compressed_size(server.port, path) for path in paths)


def _compressed_size(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    with suppress(OSError):
        connection.request("GET", path, headers={"accept-encoding": "gzip"})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return len(data) if answer.getheader("content-encoding") else len(gzip.compress(data))
    return 0
