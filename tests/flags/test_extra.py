"""Without the extra, what needs it says how to install it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from otel_ext.errors import MissingExtraError
from otel_ext.flags.extra import flags_name
from tests.programs import python, succeed

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """\
import sys
sys.modules["{missing}"] = None
import otel_ext.flags
from otel_ext.flags import set_stage, Rollout
try:
    from otel_ext.flags import use_flags
except ImportError as error:
    from otel_ext.errors import OtelExtError
    assert isinstance(error, OtelExtError)
    print(error)
"""


@pytest.mark.parametrize(
    ("missing", "distribution"),
    [
        ("openfeature", "openfeature-sdk"),
        ("openfeature.contrib", "openfeature-flagd-core"),
        ("openfeature.contrib.tools.flagd", "openfeature-flagd-core"),
        ("mmh3", "mmh3"),
    ],
)
def test_the_way_out(missing: str, distribution: str, tmp_path: Path) -> None:
    """The command that installs the extra; the package and the stages work without it."""
    done = succeed(python("-c", PROGRAM.format(missing=missing)), tmp_path)
    assert done.out == f"{distribution} is not installed. Run: pip install 'otel-ext[flags]'\n"


def test_it_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """And an ImportError, so a program can do without."""
    monkeypatch.setitem(sys.modules, "openfeature", None)
    monkeypatch.delitem(sys.modules, "otel_ext.flags.start", raising=False)
    homes = {"use_flags": "otel_ext.flags.start"}
    with pytest.raises(MissingExtraError, match="openfeature-sdk is not installed") as caught:
        flags_name({"__name__": "otel_ext.flags"}, homes, "use_flags")
    assert isinstance(caught.value, ImportError)


def test_another_missing_module_is_not_ours() -> None:
    """Its error passes."""
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        flags_name({"__name__": "x"}, {"name": "no_such_module"}, "name")


def test_importing_starts_nothing(tmp_path: Path) -> None:
    """No thread, and nothing of OpenFeature until it is used."""
    code = (
        "import sys, threading, otel_ext.flags\n"
        "print([m for m in sys.modules if 'openfeature' in m], threading.active_count())\n"
        "otel_ext.flags.FileProvider\n"
        "print(threading.active_count())"
    )
    assert succeed(python("-c", code), tmp_path).out == "[] 1\n1\n"
