"""Tables that fit a terminal, and trees of any items."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.table import Column, table_lines
from otel_ext.terminal.text import cells
from otel_ext.terminal.tree import branches, grow, roots_of

COLUMNS = (
    Column("NAME", share=0.3),
    Column("COUNT", is_number=True),
    Column("LOCATION", share=0.7),
    Column("VARIABLE", optional=1),
)
ROWS = [("index library", "1,024", "examples/index_library.py:42", "OTEL_EXT_OUTPUT")]
SMALL = st.integers(0, 6)


def test_a_table_without_a_width_is_not_cut() -> None:
    """In a pipe all columns are whole, and nothing follows the last text of a line."""
    assert list(table_lines(COLUMNS, [*ROWS, ("a", "1", "", "")], Canvas())) == [
        "NAME           COUNT  LOCATION                      VARIABLE",
        "index library  1,024  examples/index_library.py:42  OTEL_EXT_OUTPUT",
        "a                  1",
    ]


def test_a_column_is_left_out_before_others_are_cut() -> None:
    """An optional column goes first; then those with a share get narrower, the rest never."""
    assert list(table_lines(COLUMNS, ROWS, Canvas(50))) == [
        "NAME           COUNT  LOCATION",
        "index library  1,024  examples/index_library.py:42",
    ]
    assert list(table_lines(COLUMNS, ROWS, Canvas(40))) == [
        "NAME        COUNT  LOCATION",
        "index lib…  1,024  examples/index_libra…",
    ]


@given(
    st.lists(st.tuples(st.text("a日 "), st.text("1"), st.text("b"), st.text("c")), max_size=5),
    st.integers(1, 120),
)
def test_every_line_fits(rows: list[tuple[str, str, str, str]], width: int) -> None:
    """No line is wider than the terminal, whatever the columns need."""
    for line in table_lines(COLUMNS, rows, Canvas(width)):
        assert cells(line) <= width


def test_columns_are_left_out_in_the_order_of_their_numbers() -> None:
    """The highest first, until a column that may be cut has its least width."""
    columns = (
        *(Column(f"C{number}", is_number=True, optional=number) for number in range(4)),
        Column("NAME", share=1.0, least=12),
    )
    row = ["1"] * 4 + ["a name that is cut"]
    heads = [next(table_lines(columns, [row], Canvas(width))) for width in (28, 27, 24, 23, 16, 9)]
    assert [head.split()[:-1] for head in heads] == [
        ["C0", "C1", "C2", "C3"],
        *[["C0", "C1", "C2"]] * 2,
        ["C0", "C1"],
        *[["C0"]] * 2,
    ]


def test_color_adds_no_width() -> None:
    """A row of a style, and the headings, are painted as a whole."""
    head, row = table_lines(COLUMNS, ROWS, Canvas(60, color=True), ["red"])
    assert head.startswith("\x1b[1mNAME")
    assert row.startswith("\x1b[31mindex library  1,024")
    assert row.endswith("\x1b[0m")


@given(st.lists(st.tuples(SMALL, SMALL), max_size=12))
def test_each_item_is_drawn_once(items: list[tuple[int, int]]) -> None:
    """Whatever the parents are, also in circles and with repeated keys, no item is lost."""
    nodes = grow(items, lambda item: item[0], lambda item: item[1])
    drawn = [
        (depth, node)
        for _, depth, node in branches(roots_of(nodes), lambda node: node.children, Canvas(), 3)
    ]
    assert len(drawn) == len(items)
    assert {id(node) for _, node in drawn} == {id(node) for node in nodes}
    for depth, node in drawn:
        assert (depth == 0) is (node.parent is None)


def test_branches_in_ascii_stop_growing() -> None:
    """Beyond the deepest level that is indented, branches have one length."""
    nodes = grow(range(1, 7), lambda number: number, lambda number: number - 1)
    texts = [
        branch
        for branch, _, _ in branches(
            roots_of(nodes), lambda node: node.children, Canvas(ascii_only=True), 2
        )
    ]
    assert texts == ["", "`- ", "   `- ", *["      `- "] * 3]
