"""Coverage measures the tests that count, and no others."""

from __future__ import annotations

import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.measuring import is_measured, measures_coverage

# Newer Pythons measure without a tracer.
TRACED = measures_coverage() and threading.gettrace() is not None


def test_a_test_with_its_own_data_is_measured(request: pytest.FixtureRequest) -> None:
    """Its thread is traced while it runs."""
    assert is_measured(request.node)
    assert not TRACED or sys.gettrace() is not None


@pytest.mark.slow
def test_a_slow_test_is_not_measured(request: pytest.FixtureRequest) -> None:
    """Its thread is not traced, but threads that start are: others may use them later."""
    assert not is_measured(request.node)
    assert not TRACED or sys.gettrace() is None
    assert not TRACED or threading.gettrace() is not None


@given(number=st.integers())
def test_a_test_with_generated_data_is_not_measured(
    request: pytest.FixtureRequest, number: int
) -> None:
    """Its thread is not traced, whatever the data."""
    assert not is_measured(request.node), number
    assert not TRACED or sys.gettrace() is None


@pytest.mark.usefixtures("untraced")
def test_an_untraced_test_is_not_measured(request: pytest.FixtureRequest) -> None:
    """Neither its thread is traced, nor those that start."""
    assert not is_measured(request.node)
    assert not TRACED or (sys.gettrace(), threading.gettrace()) == (None, None)
