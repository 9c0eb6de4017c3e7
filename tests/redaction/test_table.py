"""The table of rules: what its own examples say, and what corpora of their own say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from otel_ext.redaction import RedactionRules, Redactor
from otel_ext.redaction.rules.contexts import STRICT_ROWS
from otel_ext.redaction.rules.names import NAME_ROWS, rule_for_name
from otel_ext.redaction.rules.row import MARK
from otel_ext.redaction.scan.scanner import ROWS
from otel_ext.redaction.scan.values import is_random, is_secret
from otel_ext.redaction.text import TextRedactor
from tests.figures import report_figures
from tests.redaction.corpora import is_changed, leaks, load
from tests.redaction.examples import expand, marked

if TYPE_CHECKING:
    from otel_ext.redaction.rules.names import NameRow
    from otel_ext.redaction.rules.row import Row

TEXTS = TextRedactor(RedactionRules())
STRICT = TextRedactor(RedactionRules(strict=True))
GOES = [(row, example) for row in (*ROWS, *STRICT_ROWS) for example in row.goes]
STAYS = [(row, example) for row in (*ROWS, *STRICT_ROWS) for example in row.stays]
_GONE = re.compile("⟦.*?⟧", re.DOTALL)


@pytest.mark.parametrize(("row", "example"), GOES, ids=lambda one: str(one)[:40])
def test_what_a_row_says_goes(row: Row, example: str) -> None:
    """Of the examples of each row just the secret goes, by some rule."""
    found = _texts_for(row).redact(expand(example))
    assert MARK.sub("<>", found) == _GONE.sub("<>", marked(example))
    assert re.search(row.form, expand(example), re.ASCII if row.tails else 0)


@pytest.mark.parametrize(("row", "example"), STAYS, ids=lambda one: str(one)[:40])
def test_what_a_row_says_stays(row: Row, example: str) -> None:
    """The other examples of each row are left as they are."""
    assert _texts_for(row).redact(expand(example)) == expand(example)
    assert row.goes


def _texts_for(row: Row) -> TextRedactor:
    return STRICT if row in STRICT_ROWS else TEXTS


@pytest.mark.parametrize("row", NAME_ROWS, ids=lambda row: row.rule)
def test_the_names_of_a_row(row: NameRow) -> None:
    """A row's names are judged as it says, as keys and in a text."""
    for name in row.goes.split():
        assert rule_for_name(name), name
        assert (
            TEXTS.redact(f"x {name}=k7Hq29xZp1Lm") == f"x {name}=[redacted: {rule_for_name(name)}]"
        )
    for name in row.stays.split():
        assert not rule_for_name(name), name
        assert TEXTS.redact(f"x {name}=k7Hq29xZp1Lm") == f"x {name}=k7Hq29xZp1Lm"


@pytest.mark.parametrize("held_out", [False, True], ids=["tuned on", "held out"])
def test_recall_and_precision(held_out: bool) -> None:
    """Nine of ten secrets go, and 19 of 20 harmless texts stay, also those not tuned on."""
    redactor = Redactor()
    secrets = [entry for entry in load("secrets") if entry.is_held_out is held_out]
    harmless = [entry for entry in load("harmless") if entry.is_held_out is held_out]
    assert len(secrets) > 150
    assert len(harmless) > 80
    leaked = [entry.id for entry in secrets if leaks(entry, redactor)]
    changed = [entry.id for entry in harmless if is_changed(entry, redactor)]
    recall = 1 - len(leaked) / len(secrets)
    kept = 1 - len(changed) / len(harmless)
    found = len(secrets) - len(leaked)
    precision = found / (found + len(changed))
    half = "held out" if held_out else "tuned on"
    report_figures(
        f"redaction, {half}",
        recall=f"{recall:.1%}",
        precision=f"{precision:.1%}",
        kept=f"{kept:.1%}",
    )
    assert recall >= 0.9
    assert precision >= 0.95
    assert kept >= 0.95


@pytest.mark.parametrize(
    "value",
    [
        "?",
        "$1",
        "%s",
        ":p",
        "@p1",
        "${X}",
        "{{ x }}",
        "[PAD]",
        "</s>",
        "***",
        "required",
        "17",
        "}",
    ],
)
def test_what_only_stands_for_a_value_is_no_secret(value: str) -> None:
    """Placeholders, small numbers and words about a secret are told from one."""
    assert not is_secret(value, "token")


@pytest.mark.parametrize("value", ["hunter2", "@dm1n123", "$ecret1", "correcthorse", "a" * 300])
def test_what_may_be_a_password_is_a_secret(value: str) -> None:
    """What could be a password is taken for one under a name that says so."""
    assert is_secret(value, "password")


def test_random_values_are_reported_from_words() -> None:
    """Only what mixes letters and digits counts where no separator stands before it."""
    assert is_random("k7Hq29xZ")
    assert not any(map(is_random, ("required", "user-17", "12345678", "v1.2.3")))


def test_a_text_of_nothing_but_secrets_is_cut() -> None:
    """Behind the last that is looked at, the rest goes as a whole, so that no time is lost."""
    text = "password=hunter2x; " * 300
    found = TEXTS.redact(text)
    assert "hunter2x" not in found
    assert found.endswith("[redacted: too-many]")
