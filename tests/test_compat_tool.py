"""`make compat` finds tests of OpenTelemetry whose outcome our processor changes."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tools.compat.__main__ import compare, main
from tools.compat.bench import Bench
from tools.compat.outcome import Difference, Outcome, differences, outcomes_in
from tools.compat.report import Result, load, save
from tools.compat.suites import SUITES, Suite

PAGE = Path(__file__).parent.parent / "docs" / "compatibility.md"
SUITE = Suite("opentelemetry-instrumentation-sample")
# Counts the processors of a provider, in this process and in a child.
TESTS = """\
import subprocess
import sys

from opentelemetry.sdk.trace import TracerProvider

COUNT = '''
from opentelemetry.sdk.trace import TracerProvider
provider = TracerProvider()
provider.get_tracer("child").start_span("work").end()
print(len(provider._active_span_processor._span_processors))
'''

def test_span():
    with TracerProvider().get_tracer("sample").start_as_current_span("work") as span:
        assert span.is_recording()

def test_processors():
    assert not TracerProvider()._active_span_processor._span_processors

def test_child():
    assert subprocess.check_output([sys.executable, "-c", COUNT], text=True).strip() == "0"

def test_fails_in_any_case():
    assert False
"""


class HereBench(Bench):
    """A bench that uses the environment of these tests and installs nothing."""

    def __init__(self, work: Path, source: Path, timeout: int = 120) -> None:
        super().__init__(work, work / "none.whl", [source], pure=False, timeout=timeout)
        self.python = Path(sys.executable)

    def install(self, suite: Suite) -> dict[str, str]:
        """Return no versions."""
        return {}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a checkout of the suite; its runs load one plugin only, to be fast."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_timeout")
    tests = tmp_path / "source" / SUITE.package / "tests"
    tests.mkdir(parents=True)
    (tests / "test_sample.py").write_text(TESTS, "utf-8")
    return tmp_path / "source"


def test_only_tests_that_our_processor_breaks_are_reported(tmp_path: Path, source: Path) -> None:
    """A test that fails only with us is reported; one that always fails is not.

    Our processor is added to the providers of the run and of its children.
    """
    result = compare(HereBench(tmp_path, source), SUITE, again=1)
    assert not result.problem
    assert [each.test for each in result.caused_by_us] == [
        "tests.test_sample::test_child",
        "tests.test_sample::test_processors",
    ]
    assert result.differences[0].without == ("passed", "passed")
    assert result.differences[0].ours == ("failed", "failed")
    assert result.without == {"passed": 3, "failed": 1, "skipped": 0}
    assert result.ours == {"passed": 1, "failed": 3, "skipped": 0}
    assert result.spans == 2
    assert result.verdict == "2 DIFFER"


def test_a_suite_that_hangs_is_ended(tmp_path: Path, source: Path) -> None:
    """A run that does not end is killed, and the result has the problem."""
    waits = "import time\ntime.sleep(3600)\n"
    (source / SUITE.package / "tests" / "conftest.py").write_text(waits, "utf-8")
    result = compare(HereBench(tmp_path, source, timeout=1), SUITE, again=0)
    assert result.problem == "without us: did not end within 1 s"
    assert result.verdict == "NOT RUN"


def test_a_missing_archive_is_named_with_the_way_out(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If an archive cannot be downloaded, the message names it and the option for checkouts."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    missing = Suite("opentelemetry-instrumentation-missing")
    result = compare(HereBench(tmp_path, source), missing, again=0)
    assert f"no source archive of {missing.package}==" in result.problem
    assert "with --source" in result.problem
    assert result.verdict == "NOT RUN"


def test_a_test_counts_as_unstable_only_if_it_is_so_without_us() -> None:
    """A test that is unstable only with us is a difference that we cause."""
    passes, fails = Outcome({"a": "passed"}, 1.0), Outcome({"a": "failed"}, 1.0)
    (ours,) = differences([(passes, fails), (passes, passes)])
    (theirs,) = differences([(passes, fails), (fails, passes)])
    assert not ours.is_unstable_upstream
    assert theirs.is_unstable_upstream
    counts = {"passed": 1, "failed": 0, "skipped": 0}
    result = Result(SUITE.package, "1", {}, counts, counts, spans=1, differences=(theirs,))
    assert result.verdict == "same; 1 unstable without us too"
    assert result.is_same
    assert not result._replace(differences=(theirs, ours)).is_same


def test_the_worst_of_tests_with_one_name_counts(tmp_path: Path) -> None:
    """Cases with one name are one test: failed if one failed, else passed if one passed."""
    report = tmp_path / "report.xml"
    cases = "".join(
        f'<testcase classname="c" name="{name}">{inner}</testcase>'
        for name, inner in (
            ("a", ""), ("a", "<failure/>"), ("a", ""),
            ("b", "<skipped/>"), ("b", ""), ("c", "<skipped/>"), ("d", "<error/>"),
        )
    )  # fmt: skip
    report.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>", "utf-8")
    assert outcomes_in(report) == {
        "c::a": "failed", "c::b": "passed", "c::c": "skipped", "c::d": "failed",
    }  # fmt: skip


def test_the_latest_results_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--last` prints the saved results and writes them; the exit code depends on them."""
    counts = {"passed": 5, "failed": 1, "skipped": 0}
    good = Result(SUITES[0].package, "1.2", {"psutil": "7"}, counts, counts, spans=3)
    bad = Difference("t::x", ("passed",), ("failed",))
    save(good, tmp_path / "results")
    assert load(tmp_path / "results" / f"{good.package}.json") == good
    options = ["--wheel", "w", "--work", str(tmp_path), "--last"]
    assert main([*options, "--json", str(tmp_path / "all.json")]) == 0
    shown = capsys.readouterr().out
    assert "| opentelemetry-sdk 1.2 | psutil 7 | 5, 1, 0" in shown
    assert "1 of 1 suites" in shown
    assert json.loads((tmp_path / "all.json").read_text("utf-8"))[0]["result"] == "same"
    save(good._replace(differences=(bad,)), tmp_path / "results")
    assert main(options) == 1
    assert "DIFFERS: t::x" in capsys.readouterr().out
    save(good._replace(problem="no archive"), tmp_path / "results")
    assert main(options) == 2
    assert f"{good.package}: no archive" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonsense", "--last"], "no suite is named nonsense; there are opentelemetry-sdk, "),
        ([], "--wheel w is not a file; `make wheel` makes one"),
        (["--last", "--source", "nowhere"], "--source nowhere is not a folder"),
    ],
    ids=["suite", "wheel", "source"],
)
def test_a_mistake_on_the_command_line_is_named(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For a suite, wheel or folder that does not exist, the message names it; exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main(["--wheel", "w", "--work", str(tmp_path), *words])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_page_has_the_results_of_every_suite() -> None:
    """The table of the latest results has exactly one row for each suite."""
    rows = re.findall(r"^\| (opentelemetry-\S+) \d", PAGE.read_text("utf-8"), re.MULTILINE)
    assert rows == [suite.package for suite in SUITES]
