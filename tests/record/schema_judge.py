"""Validates documents against the JSON Schema, by the `jsonschema` package."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from otel_ext.record.schema.validation import load_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

# The package's types assume valid JSON; documents here may be anything.
_package: Any = import_module("jsonschema")
_validators: Any = import_module("jsonschema.validators")

SCHEMA = load_schema()


def _pattern(_: object, pattern: str, instance: object, __: object) -> Iterator[Exception]:
    """Match `$` as ECMA-262 and JSON Schema do; Python's also matches before a last newline."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield _package.ValidationError(f"{instance!r} does not match {pattern!r}")


_judge: Any = _validators.extend(_package.Draft202012Validator, {"pattern": _pattern})(SCHEMA)


def errors_of(document: object) -> list[str]:
    """Return what the schema finds wrong with `document`."""
    return [str(error.message) for error in _judge.iter_errors(document)]


def is_valid(document: object) -> bool:
    """Whether the schema accepts `document`."""
    return bool(_judge.is_valid(document))


def check_schema() -> None:
    """Raise if the schema breaks the rules of JSON Schema 2020-12."""
    _package.Draft202012Validator.check_schema(SCHEMA)
