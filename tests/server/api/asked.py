"""Asks the questions of the server of a small store, and checks the form of each answer."""

from __future__ import annotations

import json
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from otel_ext.server.api.context import About, Context
from otel_ext.server.api.openapi import openapi
from otel_ext.server.api.parameters import read_values
from otel_ext.server.api.routes import ROUTES
from otel_ext.server.api.running_now import RunningNow
from tests.store.stores import sqlite_pair

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.store.stores import Pair

__all__ = ["Asked", "asked", "judge"]

# Its types are incomplete.
_VALIDATOR: Final[Any] = import_module("jsonschema").Draft202012Validator
_DOCUMENT: Final[Any] = openapi("1")


def judge(form: str, answer: object) -> None:
    """Check that an answer has the form of that name in the OpenAPI document."""
    schema = {"$ref": f"#/components/schemas/{form}", "components": _DOCUMENT["components"]}
    _VALIDATOR(schema).validate(answer)


class Asked:
    """A store, and the answers that are made of it.

    Args:
        folder: The folder of records.
        pair: Writer and reader of the store.
    """

    def __init__(self, folder: Path, pair: Pair) -> None:
        self.write = pair.write
        self.writer = pair.writer
        self.store = pair.store
        running = RunningNow(folder, pair.store)
        self.context = Context(pair.store, running, About(folder, viewer="http://127.0.0.1:1"))

    def ask(self, path: str, **given: str) -> Any:  # noqa: ANN401 - as json.loads
        """Return the answer to a question, as JSON."""
        parts = path.split("/")
        for route in ROUTES:
            pattern = route.path.split("/")
            if len(pattern) != len(parts):
                continue
            pairs = list(zip(pattern, parts, strict=True))
            if any(one != part for one, part in pairs if not one.startswith("{")):
                continue
            in_path = {one.strip("{}"): part for one, part in pairs if one.startswith("{")}
            answer = route.answer(self.context, read_values(route.parameters, {**given, **in_path}))
            encoded = answer if isinstance(answer, bytes) else json.dumps(answer)
            document = json.loads(encoded)
            judge(route.form, document)
            return document
        raise AssertionError(path)


@contextmanager
def asked(folder: Path) -> Generator[Asked]:
    """Open an empty store for the records of a folder."""
    with sqlite_pair() as pair:
        yield Asked(folder, pair)
