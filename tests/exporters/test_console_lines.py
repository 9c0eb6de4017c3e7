"""The lines for people: marks, indentation, numbers of threads, durations, and terminal safety."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hypothesis import given
from hypothesis import strategies as st

from otel_ext.exporters.console import lines as console_lines
from otel_ext.exporters.console.attributes import format_attributes
from otel_ext.exporters.console.lines import LineRenderer
from otel_ext.record.model import Link, SpanEvent, Status, ThreadInfo
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.text import cells, printable
from tests.exporters.samples import MAIN, end, log, start, task

if TYPE_CHECKING:
    import pytest

    from otel_ext.record.model import Abandoned

HOSTILE = st.text() | st.sampled_from(
    ["\x1b[2J", "\x9b31m", "\x07", "\r\n", "\u202e\u2066", "\u2028", "\ud800", "\x7f", "🙂" * 300]
)
WORKER = ThreadInfo(2, "worker")


def renderer(width: int = 100, *, color: bool = False, ascii_only: bool = False) -> LineRenderer:
    """Return a renderer for a terminal of `width` columns."""
    return LineRenderer(Canvas(color=color, ascii_only=ascii_only), lambda: width)


def body(line: str) -> str:
    """Return a line without its clock."""
    return line[12:]


def test_start_and_end_have_marks_that_need_no_color() -> None:
    """A start, an end and a failed end differ by their marks."""
    lines = renderer()
    failed = end(number=2, status=Status("error", "too late"))
    assert body(lines.render(start())).startswith("    ▶ load")
    assert body(lines.render(end())).startswith("    ✓ load 12.3 ms")
    assert body(lines.render(failed)).startswith("    ✗ load 12.3 ms too late")


def test_marks_without_unicode() -> None:
    """Where the terminal has no Unicode, the marks are ASCII."""
    lines = renderer(ascii_only=True)
    text = lines.render(start()) + lines.render(end()) + lines.render(log())
    assert text.isascii()
    assert "> load" in text
    assert "+ load" in text


def test_children_are_indented_below_their_parents() -> None:
    """Each level adds two columns; the end has the indentation of the start."""
    lines = renderer()
    lines.render(start("a", 1))
    second = lines.render(start("b", 2, parent_span_id=f"{1:016x}"))
    third = lines.render(start("c", 3, parent_span_id=f"{2:016x}"))
    assert [body(line).index("▶") for line in (second, third)] == [6, 8]
    assert body(lines.render(end("c", 3))).index("✓") == 8
    assert body(lines.render(log(span_id=f"{2:016x}"))).index("·") == 8


def test_start_shows_attributes_and_location() -> None:
    """Attributes follow the name, the call site is at the right edge."""
    line = renderer(80).render(start(attributes={"user": "ann", "n": 3}))
    assert "▶ load user=ann n=3" in line
    assert line.endswith(" app.py:3")
    assert cells(line) == 79


def test_end_shows_only_new_attributes() -> None:
    """Attributes that the start line showed are not repeated, changed ones are."""
    lines = renderer()
    lines.render(start(attributes={"user": "ann", "n": 1}))
    line = lines.render(end(attributes={"user": "ann", "n": 2, "rows": 9}))
    assert line.endswith("✓ load 12.3 ms n=2 rows=9")


def test_exception_is_reported_in_one_line() -> None:
    """A failed span shows the last exception's type and message."""
    event = SpanEvent(
        "exception",
        1,
        {"exception.type": "app.errors.NotFound", "exception.message": "no\nsuch row"},
    )
    line = renderer().render(end(status=Status("error"), events=(event,)))
    assert line.endswith(r"✗ load 12.3 ms NotFound: no\nsuch row")


def test_an_unknown_cause_is_escaped() -> None:
    """The cause in a made-up record cannot clear the screen."""
    cause = cast("Abandoned", "\x1b[2J")
    assert r"abandoned: \x1b[2J" in renderer().render(end(abandoned=cause))


def test_abandoned_end_shows_its_cause() -> None:
    """A span that was given up shows the reason."""
    line = renderer().render(end(abandoned="owner-died"))
    assert "✗ load 12.3 ms abandoned: owner-died" in line


def test_stalled_update_shows_where() -> None:
    """An update shows that the span is stalled, and the user's frame in which it hangs."""
    library = {"file": "/usr/lib/python3.12/asyncio/tasks.py", "line": 649, "function": "sleep"}
    stack = [library, {"file": "main.py", "line": 22, "function": "slow"}]
    extra = {"stalled": True, "stack": stack}
    line = renderer().render(start()._replace(phase="update", extra=extra))
    assert "… load stalled" in line
    assert line.endswith("main.py:22 slow")


def test_logs_show_level_message_and_fields() -> None:
    """A log line has its own mark, its level and its fields."""
    line = renderer().render(log("cache is cold", "warning", attributes={"hits": 0}))
    assert body(line) == "    · warning cache is cold hits=0"
    event = renderer().render(log("deployed", "", kind="event"))
    assert body(event) == "    ◆ deployed"


def test_process_records_are_not_for_people() -> None:
    """Process records give no line."""
    assert renderer().render(log(kind="process")) == ""


def test_threads_and_tasks_have_numbers() -> None:
    """The first owner has no number; each other has one, and its name on its first line."""
    lines = renderer()
    first = lines.render(start("a", 1, thread=MAIN))
    second = lines.render(start("b", 2, thread=WORKER))
    third = lines.render(start("c", 3, thread=MAIN, task=task(8)))
    again = lines.render(start("d", 4, thread=WORKER))
    assert [body(line)[:4] for line in (first, second, third, again)] == [
        "    ",
        "  1 ",
        "  2 ",
        "  1 ",
    ]
    assert "[" not in first + again
    assert "[worker]" in second
    assert "[Task-8]" in third
    assert body(lines.render(end("b", 2)))[:4] == "  1 "


def test_the_number_of_an_idle_thread_is_reused() -> None:
    """A number is free again when its owner has no open span, so numbers stay small."""
    lines = renderer()
    lines.render(start("main", 1))
    for number in range(2, 500):
        owner = ThreadInfo(number, f"t{number}")
        assert body(lines.render(start("job", number, thread=owner)))[:4] == "  1 "
        lines.render(end("job", number, thread=owner))


def test_first_owner_that_is_not_the_main_thread_is_named() -> None:
    """If the first span runs in another thread, its name is shown."""
    assert "[worker]" in renderer().render(start(thread=WORKER))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans that never end are forgotten, oldest first, and their threads with them."""
    monkeypatch.setattr(console_lines, "_MAX_OPEN", 50)
    lines = renderer()
    for number in range(1, 2_000):
        lines.render(start("s", number, thread=ThreadInfo(number, f"t{number}")))
    assert len(lines._open) == 50  # noqa: SLF001 - its size is what is tested
    assert len(lines._owners) <= 2 * 50 + 2  # noqa: SLF001
    assert "✓ s" in lines.render(end("s", 1))


def test_deep_nesting_leaves_space_for_words() -> None:
    """Indentation has a maximum, so the name is still visible."""
    lines = renderer(60)
    for number in range(1, 200):
        lines.render(start("deep", number, parent_span_id=f"{number - 1:016x}"))
    line = lines.render(start("deep", 200, parent_span_id=f"{199:016x}"))
    assert "▶ deep" in line
    assert cells(line) <= 60


@given(name=HOSTILE, key=HOSTILE, value=HOSTILE, width=st.integers(40, 200), color=st.booleans())
def test_nothing_in_the_data_reaches_the_terminal_raw(
    *, name: str, key: str, value: str, width: int, color: bool
) -> None:
    """Any names, attributes, errors and logs give one printable line."""
    lines = renderer(width, color=color)
    event = SpanEvent("exception", 1, {"exception.type": key, "exception.message": value})
    status = Status("error", value)
    records = [
        start(name, attributes={key: value}, links=(Link("0" * 32, "1" * 16),)),
        end(name, attributes={key: [value]}, status=status, events=(event,)),
        end(name, 2, status=status),
        log(name, level=value[:9], attributes={key: value}),
    ]
    for record in records:
        line = lines.render(record)
        for code in ("0", "1", "2", "31", "32", "33", "34", "35", "36"):
            line = line.replace(f"\x1b[{code}m", "") if color else line
        assert line.isprintable()
        assert cells(line) <= max(width, 48)


def test_color_is_ours_only() -> None:
    """With color, escapes in the data stay visible text."""
    line = renderer(color=True).render(start("\x1b[31mred"))
    assert r"\x1b[31mred" in line


def test_long_values_are_shortened() -> None:
    """Long texts are cut, long lists are counted."""
    assert format_attributes({"a": "x" * 1_000}, 200).endswith("…")
    assert format_attributes({"a": list(range(1_000))}, 200) == "a=[1000 items]"
    assert format_attributes({"a": 1}, 0) == ""
    assert format_attributes({"sql": "\nSELECT 1\n  FROM t\n"}, 200) == 'sql="SELECT 1 FROM t"'
    assert len(printable("x" * 1_000)) == 120


def test_times_out_of_range_do_no_harm() -> None:
    """A time outside the calendar is shown as dashes."""
    assert renderer().render(start(time_ns=2**100)).startswith("--:--:--.---")
