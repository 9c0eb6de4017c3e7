"""Calls commands of `otel-ext` in this process: faster than a start, and it counts for coverage."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from otel_ext.cli.main import main
from tests.programs import Done, environment

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["call"]


def call(
    *words: str | Path, cwd: Path | None = None, encoding: str = "utf-8", **variables: str
) -> Done:
    """Call `otel-ext` with these words, and check that it prints no traceback.

    Args:
        words: The command and its arguments.
        cwd: The working directory; None for that of the tests.
        encoding: The encoding of its standard output.
        variables: Environment variables beside those of `environment`.
    """
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    err = io.StringIO()
    set_variables = mock.patch.dict(os.environ, environment(**variables), clear=True)
    patching = pytest.MonkeyPatch.context()
    with set_variables, redirect_stdout(out), redirect_stderr(err), patching as patch:
        if cwd is not None:
            patch.chdir(cwd)
        try:
            code = main([str(word) for word in words])
        except SystemExit as ended:
            code = int(ended.code or 0)
    out.seek(0)
    done = Done(code, out.buffer.read().decode(), err.getvalue())
    assert "Traceback" not in done.err, done.err
    return done
