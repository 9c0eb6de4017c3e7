"""The table of rules: tested by its own examples, and by separate corpora."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from otel_ext.redaction import RedactionSettings, Redactor
from otel_ext.redaction.masks import MARK
from otel_ext.redaction.rules.contexts import STRICT_ROWS
from otel_ext.redaction.rules.names import NAME_ROWS, QUERY_ROW, STRICT_NAMES, rule_for_name
from otel_ext.redaction.scan.prefilter import ROWS
from otel_ext.redaction.scan.values import is_random, is_secret
from otel_ext.redaction.text import TextRedactor
from tests.figures import report_figures
from tests.redaction.corpora import is_changed, leaks, load
from tests.redaction.examples import expand, goes, marked, stays

if TYPE_CHECKING:
    from otel_ext.redaction.rules.row import Row

TEXTS = TextRedactor(RedactionSettings())
STRICT = TextRedactor(RedactionSettings(mode="strict"))
GOES = [(row, example) for row in (*ROWS, QUERY_ROW, *STRICT_ROWS) for example in goes(row)]
STAYS = [(row, example) for row in (*ROWS, QUERY_ROW, *STRICT_ROWS) for example in stays(row)]
_GONE = re.compile("⟦.*?⟧", re.DOTALL)


@pytest.mark.parametrize(("row", "example"), GOES, ids=lambda one: str(one)[:40])
def test_examples_of_secrets_are_redacted(row: Row, example: str) -> None:
    """In each row's examples only the secret is redacted, by some rule."""
    found = _texts_for(row).redact(expand(example))
    assert MARK.sub("<>", found) == _GONE.sub("<>", marked(example))
    assert re.search(row.form, expand(example), re.ASCII if row.tails else 0)


@pytest.mark.parametrize(("row", "example"), STAYS, ids=lambda one: str(one)[:40])
def test_harmless_examples_stay(row: Row, example: str) -> None:
    """The other examples of each row are not changed."""
    assert _texts_for(row).redact(expand(example)) == expand(example)
    assert goes(row)


def _texts_for(row: Row) -> TextRedactor:
    return STRICT if row in STRICT_ROWS else TEXTS


@pytest.mark.parametrize("row", [*NAME_ROWS, STRICT_NAMES], ids=lambda row: row.rule)
def test_the_names_of_a_row(row: Row) -> None:
    """A row's names are judged as listed, as keys and in a text."""
    texts = STRICT if row is STRICT_NAMES else TEXTS
    for example in row.examples:
        name = example.partition("=")[0]
        rule = rule_for_name(name, strict=row is STRICT_NAMES)
        assert bool(rule) == (example in goes(row)), name
        after = _GONE.sub(f"[redacted: {rule}]", example)
        assert texts.redact(f"x {expand(example)}") == f"x {after}"
    assert goes(row)
    assert stays(row)


@pytest.mark.parametrize("held_out", [False, True], ids=["tuned on", "held out"])
def test_recall_and_precision(held_out: bool) -> None:
    """90 % of secrets are redacted and 95 % of harmless texts stay, also in the held-out half."""
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
def test_placeholders_are_not_secrets(value: str) -> None:
    """Placeholders, small numbers and words about a secret do not count."""
    assert not is_secret(value, "token")


@pytest.mark.parametrize("value", ["hunter2", "@dm1n123", "$ecret1", "correcthorse", "a" * 300])
def test_possible_passwords_are_secrets(value: str) -> None:
    """Under a password's name, a value that could be one counts as one."""
    assert is_secret(value, "password")


def test_random_values_are_distinguished_from_words() -> None:
    """Without a separator before it, a value must mix letters and digits."""
    assert is_random("k7Hq29xZ")
    assert not any(map(is_random, ("required", "user-17", "12345678", "v1.2.3")))


def test_a_text_of_nothing_but_secrets_is_cut() -> None:
    """After the last secret that is checked, the rest is redacted as a whole, to limit time."""
    text = "password=hunter2x; " * 300
    found = TEXTS.redact(text)
    assert "hunter2x" not in found
    assert found.endswith("[redacted: too-many]")
