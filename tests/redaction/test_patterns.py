"""The users' patterns match what Python's own regular expressions match."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.redaction.automaton import Automaton
from otel_ext.redaction.patterns import PatternError, parse_pattern
from tests.examples import examples

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", "1", "c"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda p: f"({p[0]}|{p[1]})"),
        st.tuples(inner, st.sampled_from(["+", "*", "?", "{2}", "{1,3}", "{2,}"])).map(
            lambda p: f"(?:{p[0]}){p[1]}"
        ),
    ),
    max_leaves=6,
)


@examples(7.5)
@given(
    PATTERNS,
    st.sampled_from(["", "^"]),
    st.sampled_from(["", "$"]),
    st.text("abc1 \n", max_size=12),
)
def test_matches_agree_with_re(pattern: str, begin: str, end: str, text: str) -> None:
    """There is a match exactly if `re` has one, and it is at least as long."""
    whole = f"{begin}{pattern}{end}"
    try:
        automaton = Automaton(parse_pattern(whole))
    except PatternError:
        return
    # `$` matches only at the end here, not also before a last newline.
    expected = re.compile(whole.replace("$", r"\Z"))
    spans = automaton.spans(text)
    assert automaton.matches(text) == bool(expected.search(text))
    assert bool(spans) == any(match[0] for match in expected.finditer(text))
    first = next((match for match in expected.finditer(text) if match[0]), None)
    if first is not None:
        assert spans[0][0] == first.start()
        assert spans[0][1] >= first.end()


@pytest.mark.parametrize(
    ("pattern", "text", "spans"),
    [
        (r"EMP-\d{6}", "EMP-123456, EMP-654321", [(0, 10), (12, 22)]),
        (r"(?i)emp", "Emp EMP", [(0, 3), (4, 7)]),
        (r"^a", "aa", [(0, 1)]),
        (r"a$", "aa", [(1, 2)]),
        (r"[\w.]+@corp\.example", "to ann.b@corp.example!", [(3, 21)]),
        (r"\{x\}", "{x}", [(0, 3)]),
        (r"é+", "caféé", [(3, 5)]),
    ],
)
def test_spans_are_the_longest_matches(
    pattern: str, text: str, spans: list[tuple[int, int]]
) -> None:
    """`spans` returns the longest match from the left, then the next one after it."""
    assert Automaton(parse_pattern(pattern)).spans(text) == spans
